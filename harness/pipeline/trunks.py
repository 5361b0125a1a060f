"""Trunks of fold 0: training at one rate that goes on and on, and of which copies are cooled and scored."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch

from harness.data.folds import FoldPlan
from harness.errors import DivergedError
from harness.evaluation.scores import choice_parts
from harness.pipeline import fold, stages
from harness.pipeline.evidence import Scored
from harness.pipeline.job import Job
from harness.pipeline.nets import Fitted, fit_fold
from harness.pipeline.network import predicted
from harness.pipeline.parts import Data
from harness.pipeline.score import metric_groups
from harness.search import branch
from harness.search.branch import COOLED, DIVERGED, Branch, Outcome
from harness.training import loop, range_test, schedule, state

WARMUP = 0.25  # of the first rung: every trunk warms up for as many steps, whatever it becomes


@dataclass
class Bench:
    """Fold 0, from its first weights; one net, on which the trunks take turns.

    Attributes:
        job, data, plan: of the run.
        trained: optimizer steps so far, the range test's included.
        winner: state at the end of the best branch so far.
        trunks: by rate.
    """

    job: Job
    data: Data
    plan: FoldPlan
    trained: int = 0
    winner: state.Snapshot | None = None
    trunks: dict[float, FoldTrunk] = field(default_factory=dict)

    def __post_init__(self) -> None:
        competition, config = self.job.competition, self.job.config
        self.fitted: Fitted = fit_fold(competition, config, data=self.data, plan=self.plan, fold=0)
        self.training = fold.fresh(competition, config, self.job.hardware, self.fitted, fold=0)
        stages.paced(self.training, config)
        self.first = self.training.snapshot()
        self.examples = fold.stream(
            competition, config, data=self.data, plan=self.plan, fold=0, stage=0, fitted=self.fitted
        )
        self.recipe = stages.stage_recipe(
            competition, config, self.job.hardware, self.examples, self.fitted, fold=0, stage=0, report=_unseen
        )
        self.batch = stages.batch_of(config, 0)
        self.longest = self.examples.steps(config.space.epochs[1], self.batch)
        self.warmup = max(1, round(WARMUP * branch.first_rung(self.longest)))

    def edge(self) -> float:
        """The rate with the lowest smoothed loss of a range test: beyond it the loss climbs; undone."""
        low, high = self.job.config.space.rate
        found = range_test.range_test(self.training, self.recipe, low=low / 10, high=10 * high)
        self.trained += len(found.rates)
        return float(found.rates[found.smooth.argmin()])

    def trunk(self, rate: float) -> FoldTrunk:
        """A fresh trunk."""
        self.trunks[rate] = FoldTrunk(self, rate, self.first)
        return self.trunks[rate]

    def keep(self, best: Branch) -> None:
        """Keeps what the branch ended in."""
        self.winner = self.trunks[best.rate].last

    def epochs(self, steps: int) -> float:
        """Passes that take so many steps; half a step less, so that rounding up gives them again."""
        return (steps - 0.5) / self.examples.steps(1e3, self.batch) * 1e3

    @cached_property
    def scored(self) -> Scored:
        """Fold 0's validation rows."""
        rows = self.plan.validation(0).tolist()
        competition = self.job.competition
        units = [self.data.units[row] for row in rows]
        nothing = np.zeros(len(rows))
        return Scored(
            kind=competition.task.kind,
            rows=rows,
            parts=choice_parts(nothing, units, contiguous=competition.folds.contiguous),
            groups=metric_groups(competition, self.data, rows),
            truth=self.data.truth,
            spelling=nothing,
            metrics=(competition.metric,),
        )

    def outcome(self) -> Outcome:
        """What the state's final weights score on the validation rows; the net is left with them."""
        net, metric, rows = self.training.net, self.job.competition.metric, self.scored.rows
        net.load_state_dict(self.training.final_weights())
        net.eval()
        predictions = dict(predicted(self.job, [net], [self.fitted], self.data, rows))
        evidence = self.scored.evidence(predictions.__getitem__)
        value = float(metric.reduce(evidence.statistics(evidence.choose(metric), metric), evidence.groups))
        sign = 1.0 if metric.higher_is_better else -1.0
        return Outcome(sign * value, self.loss()) if np.isfinite(value) else DIVERGED

    @cached_property
    def validation(self) -> stages.Examples:
        """The validation rows as they are, for a look at the loss after every branch."""
        config = self.job.config
        plain = replace(
            config, train=replace(config.train, sampling="even"), stages=(replace(config.stages[0], augment=0.0),)
        )
        rows = self.plan.validation(0)
        return fold.examples_of(self.job.competition, plain, rows, data=self.data, fold=0, stage=0, fitted=self.fitted)

    def loss(self) -> float:
        """Mean loss of the net on the validation rows."""
        total, steps = 0.0, self.validation.steps(1, self.batch)
        for batch in self.validation.batches(0, steps, batch=self.batch, workers=0, pin=False):
            moved = batch.to(self.recipe.device)
            assert moved.target is not None, "validation rows carry targets"
            with torch.inference_mode(), self.recipe.autocast:
                carried = getattr(self.training.net, "recurrent", False)
                logits = self.training.net(moved.inputs, {})[0] if carried else self.training.net(moved.inputs)
                total += float(self.recipe.loss(logits, moved.target))
        return total / steps


@dataclass
class FoldTrunk:
    """Training at one rate.

    Attributes:
        bench: whose net it takes turns on.
        rate: constant, after the warm-up.
        at: where the trunk stands.
        last: where its last cooled copy ended.
    """

    bench: Bench
    rate: float
    at: state.Snapshot
    last: state.Snapshot | None = None

    def cooled(self, rung: int) -> Outcome:
        """Trains on to where the rung's cooldown begins, and scores a copy cooled to its end."""
        bench, training = self.bench, self.bench.training
        plan = schedule.planned(
            "warmup-stable-decay", total=rung, peak=self.rate, warmup=bench.warmup / rung, cooldown=COOLED
        )
        training.restore(self.at)
        began = training.step
        try:
            loop.advance(training, int(rung - COOLED * rung), plan, bench.recipe)
            self.at = training.snapshot()
            loop.advance(training, rung, plan, bench.recipe)
            self.last = training.snapshot()
            if not state.finite(self.last):
                return DIVERGED
            return bench.outcome()
        except DivergedError:
            return DIVERGED
        finally:
            bench.trained += training.step - began
            training.optimizer.zero_grad(set_to_none=True)


def _unseen(step: int, loss: float, rate: float) -> None:
    """Nobody looks."""
