"""One worker's place at a search: its study, what it trains on, and the answer that it reads from the trials."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from harness.search.branch import Done, Look, Outcome, Plan
from harness.training import snapshots

TRUNKS = ("branch", "lite")  # methods that train trunks
RATES, LENGTHS = 8, 6  # of the grid


class Seat:
    """One worker's place at a study."""

    def __init__(
        self, job: Job, search: Search, data: Data, plan: FoldPlan, *, over: Callable[[], bool] | None = None
    ) -> None:
        from harness.search import book, sampled, study, worker  # optuna takes a second, which other runs need not pay

        self.job, self.search, self.worker, self.over = job, search, worker, over
        self.bench = Bench(job, data, plan, sampled.FRACTIONS[:-1])
        metric, space = job.competition.metric, job.config.space
        tpe = {"sampler": sampled.sampler(job.config.seed), "pruner": sampled.Pruner()}
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
        study = self.book.study
        if "edge" not in study.user_attrs:
            found, steps = branch.rounded(self.bench.edge()), self.bench.trained
            self.job.world.say(f"range test: the loss falls up to rate {found:.2g}")
            if "edge" not in study.user_attrs:  # nor found by another worker meanwhile
                study.set_user_attr("edge steps", steps)
                study.set_user_attr("edge", found)
        return study.user_attrs["edge"]

    def work(self) -> Look:
        """Works until there is an answer."""
        bench, method = self.bench, self.search.method
        if method == "tpe":
            found = self.worker.sampled(
                self.book,
                self.space,
                bench,
                trials=self.search.trials,
                steps=bench.steps,
                seed=self.job.config.seed,
                told=self._told_sample,
            )
            return Look(found.params["rate"], found.user_attrs["steps"])
        return self.worker.planned(
            self.book,
            self._plan,
            bench.branch if method in TRUNKS else bench.whole,
            bench=bench,
            longest=bench.longest,
            method=method,
            told=self._told,
            settled=self._settled,
        )

    def _plan(self, done: Done) -> Plan:
        bench, rates = self.bench, self.job.config.space.rate
        if self.search.method == "grid":
            lengths = [round(steps) for steps in branch.spaced(bench.shortest, bench.longest, LENGTHS)]
            return branch.grid(done, rates=branch.spaced(*rates, RATES), lengths=lengths)
        if done and self.over is not None and self.over():
            return Plan(best=branch.so_far(done))
        climb = branch.bracketed if self.search.method == "branch" else branch.lite
        # the edge is read anew: of two workers that found one at the same time, both follow the same
        return climb(done, edge=self.edge(), longest=bench.longest, rates=rates, shortest=bench.shortest)

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
        from harness.search import book

        trials = self.book.trials()
        scored = [trial for trial in trials if trial.user_attrs.get("trained") is not None]
        ended = [trial for trial in scored if trial.state.name in ("COMPLETE", "PRUNED")]
        chosen = [trial for trial in ended if book.look_of(trial) == best and trial.user_attrs["metric"] is not None]
        if not chosen:
            fix = "lower space.rate, or train.batch where memory was short"
            raise RunError("training diverged, or ran out of memory, at every rate that was tried", fix=fix)
        own = chosen[0]
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

    def _settled(self, plan: Plan, done: Done) -> None:
        """Removes the states of branches and trunks that nobody asks for again.

        What other workers have scored since the plan was made is not known to be such.
        """
        if self.search.method not in TRUNKS:
            return
        track = self.bench.first.track
        for look in done.keys() - plan.alive - {plan.best}:
            snapshots.forget(track.branch_file(look))
        for rate in {look.rate for look in done} - {look.rate for look in (*plan.wanted, *plan.alive)}:
            snapshots.forget(track.trunk_file(rate))

    def _told(self, look: Look, outcome: Outcome) -> None:
        self._told_sample({"rate": look.rate, "epochs": self.bench.epochs(look.steps)}, outcome)

    def _told_sample(self, params: Mapping[str, Any], outcome: Outcome) -> None:
        self.bench.forget()
        metric = self.job.competition.metric
        value = self.book.sign * outcome.metric
        self.job.run.log("trial", **params, metric=value, loss=outcome.loss)
        others = "".join(f", {name} {value}" for name, value in params.items() if name not in ("rate", "epochs"))
        said = f"rate {params['rate']:.2g}, {params['epochs']:.3g} epochs{others}: {metric.name} {value:.4f}"
        self.job.world.say(said)


def _pair(outcome: Outcome) -> tuple[float, float]:
    return outcome.metric, outcome.loss
