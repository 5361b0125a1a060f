"""One worker's place at a search: its study, what it trains on, and the answer that it reads from the trials."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from harness.config import Dimension, as_json
from harness.data.folds import FoldPlan
from harness.errors import RunError
from harness.hashing import hash_value
from harness.pipeline import beginnings
from harness.pipeline.job import Job, Search
from harness.pipeline.parts import Data
from harness.pipeline.trunks import Bench
from harness.search import branch
from harness.search.branch import Look, Outcome, Plan

TRUNKS = ("branch", "lite")  # methods that train trunks
RATES, LENGTHS = 8, 6  # of the grid


class Seat:
    """One worker's place at a study."""

    def __init__(self, job: Job, search: Search, data: Data, plan: FoldPlan, *, index: int = 0) -> None:
        from harness.search import book, sampled, study, worker  # optuna takes a second, which other runs need not pay

        self.job, self.search, self.worker = job, search, worker
        self.bench = Bench(job, data, plan, sampled.FRACTIONS[:-1])
        metric, space = job.competition.metric, job.config.space
        tpe = {"sampler": sampled.sampler(job.config.seed + 1000 * index), "pruner": sampled.Pruner()}
        self.book = book.Book(
            study.opened(
                search.study or job.competition.name,
                search.storage or job.run.path / "study.log",
                higher_is_better=metric.higher_is_better,
                **(tpe if search.method == "tpe" else sampled.idle()),
            )
        )
        shared = {
            "data": data.hash,
            "folds": plan.digest(data.rows.ids),
            "metric": metric.name,
            "method": search.method,
        }
        self.book.agree({**shared, "settings": hash_value(as_json(job.config))})
        self.space = {
            "rate": Dimension("rate", *space.rate, log=True),
            "epochs": Dimension("epochs", *space.epochs, log=True),
            **{dimension.key: dimension for dimension in space.dimensions},
        }

    def edge(self) -> float:
        """The edge rate, found once a study."""
        attributes = self.book.study.user_attrs
        if "edge" not in attributes:
            found = branch.rounded(self.bench.edge())
            self.book.study.set_user_attr("edge", found)
            self.book.study.set_user_attr("edge steps", self.bench.trained)
            self.job.world.say(f"range test: the loss falls up to rate {found:.2g}")
            return found
        return attributes["edge"]

    def work(self) -> Look:
        """Works until there is an answer."""
        bench, space, method = self.bench, self.job.config.space, self.search.method
        if method == "tpe":
            found = self.worker.sampled(
                self.book, self.space, bench, trials=self.search.trials, steps=bench.steps, told=self._told_sample
            )
            return Look(found.params["rate"], found.user_attrs["steps"])
        if method == "grid":
            lengths = [round(steps) for steps in branch.spaced(bench.shortest, bench.longest, LENGTHS)]
            planner: branch.Planner = functools.partial(
                branch.grid, rates=branch.spaced(*space.rate, RATES), lengths=lengths
            )
        else:
            climb = branch.bracketed if method == "branch" else branch.lite
            sizes = {"longest": bench.longest, "shortest": bench.shortest}
            planner = functools.partial(climb, edge=self.edge(), rates=space.rate, **sizes)
        train = bench.branch if method in TRUNKS else bench.whole
        return self.worker.planned(
            self.book,
            planner,
            train,
            bench=bench,
            longest=bench.longest,
            method=method,
            told=self._told,
            settled=self._settled,
        )

    def keep(self, best: Look) -> None:
        """Puts the state of the best branch where fold 0 looks for one; trained elsewhere, fold 0 is trained anew."""
        path = self.bench.first.track.branch_file(best)
        if path.exists():
            target = beginnings.state_file(self.job.run, 0)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)

    def answer(self, best: Look) -> dict[str, Any]:
        """The answer, from the study alone.

        Raises:
            RunError: everything diverged.
        """
        trials = self.book.trials()
        scored = [trial for trial in trials if trial.user_attrs.get("trained") is not None]
        ended = [trial for trial in scored if "loss" in trial.user_attrs]
        own = next(
            trial for trial in ended if (trial.params["rate"], trial.user_attrs["steps"]) == (best.rate, best.steps)
        )
        if own.user_attrs["metric"] is None:
            raise RunError("training diverged at every rate that was tried", fix="lower space.rate")
        others = {name: value for name, value in own.params.items() if name not in ("rate", "epochs")}
        facts = {
            "rate": best.rate,
            "epochs": own.params["epochs"] if self.search.method == "tpe" else self.bench.epochs(best.steps),
            "steps": best.steps,
            "method": self.search.method,
            "chosen_on": list(range(min(self.job.config.space.folds, self.bench.plan.number))),
            "trained_steps": sum(trial.user_attrs["trained"] for trial in scored)
            + self.book.study.user_attrs.get("edge steps", 0),
            "branches": [
                [trial.params["rate"], trial.user_attrs["steps"], *_pair(self.book.outcome(trial))] for trial in ended
            ],
            "settings": others,
        }
        if self.search.method in TRUNKS:
            warmup = self.bench.first.track.warmup / best.steps
            facts |= {"edge": self.book.study.user_attrs["edge"], "warmup": warmup}
        return facts

    def _settled(self, plan: Plan) -> None:
        """Removes the states of branches and trunks that nobody asks for again."""
        if self.search.method not in TRUNKS:
            return
        track, done = self.bench.first.track, self.book.done()
        for look in done:
            if look not in plan.alive and look != plan.best:
                _forget(track.branch_file(look))
        for rate in {look.rate for look in done} - {look.rate for look in (*plan.wanted, *plan.alive)}:
            _forget(track.trunk_file(rate))

    def _told(self, look: Look, outcome: Outcome) -> None:
        self._told_sample({"rate": look.rate, "epochs": self.bench.epochs(look.steps)}, outcome)

    def _told_sample(self, params: Mapping[str, Any], outcome: Outcome) -> None:
        metric = self.job.competition.metric
        value = self.book.sign * outcome.metric
        self.job.run.log("trial", **params, metric=value, loss=outcome.loss)
        others = "".join(f", {name} {value}" for name, value in params.items() if name not in ("rate", "epochs"))
        said = f"rate {params['rate']:.2g}, {params['epochs']:.3g} epochs{others}: {metric.name} {value:.4f}"
        self.job.world.say(said)


def _pair(outcome: Outcome) -> tuple[float, float]:
    return outcome.metric, outcome.loss


def _forget(path: Any) -> None:
    for rest in (path, path.with_name(path.name + ".before")):
        rest.unlink(missing_ok=True)
