"""What a search trains on: folds of the run, from their first weights, scored on the rows they do not see."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.config import TrainConfig, override
from harness.data.folds import FoldPlan
from harness.evaluation.scores import choice_parts
from harness.pipeline import beginnings, fitting, stages
from harness.pipeline import fold as folds
from harness.pipeline.evidence import Scored
from harness.pipeline.job import Job
from harness.pipeline.nets import Fitted, fit_fold
from harness.pipeline.network import predicted
from harness.pipeline.parts import Data
from harness.pipeline.score import metric_groups
from harness.pipeline.track import Track
from harness.search import branch
from harness.search.branch import DIVERGED, Look, Outcome
from harness.training import memory, range_test, schedule, snapshots

WARMUP = 0.25  # of the first rung: every trunk warms up for as many steps, whatever it becomes


@dataclass
class Bench:
    """Trains and scores what a search asks for.

    Attributes:
        job, data, plan: of the run.
        marks: per mille of a schedule at which a sampled trial reports.
        left: states of the sampled trial at hand.
    """

    job: Job
    data: Data
    plan: FoldPlan
    marks: tuple[int, ...] = ()
    left: list[Path] = field(default_factory=list)
    _before: int = 0
    _tested: int = 0
    _last: tuple[Mapping[str, Any], FoldTrack] | None = field(default=None, init=False)

    @functools.cached_property
    def first(self) -> FoldTrack:
        """Fold 0, as configured."""
        return FoldTrack(self.job, self.data, self.plan, 0)

    @property
    def trained(self) -> int:
        """Optimizer steps so far, the range test's included."""
        own = self.first.track.trained if "first" in self.__dict__ else 0
        return own + self._before + self._tested + (self._last[1].track.trained if self._last else 0)

    @property
    def longest(self) -> int:
        """Steps of the longest schedule."""
        return self.first.steps(self.job.config.space.epochs[1])

    @property
    def shortest(self) -> int:
        """Steps of the shortest."""
        return self.first.steps(self.job.config.space.epochs[0])

    def edge(self) -> float:
        """The rate with the lowest smoothed loss of a range test: beyond it the loss climbs; undone."""
        track, (low, high) = self.first.track, self.job.config.space.rate
        found = range_test.range_test(track.training, track.recipe, low=low / 10, high=10 * high)
        self._tested += len(found.rates)
        return float(found.rates[found.smooth.argmin()])

    def branch(self, look: Look) -> Outcome:
        """Scores a cooled copy of the rate's trunk."""
        with memory.told():
            return self.first.track.branch(look)

    def whole(self, look: Look) -> Outcome:
        """Scores the configured schedule with the look's rate and length."""
        path = self.first.track.folder / f"whole-{look.rate:g}-{look.steps}.safetensors"
        with memory.told():
            outcome = self.first.whole(look, path, unreported, ())
        snapshots.forget(path)
        return outcome

    def steps(self, params: Mapping[str, Any]) -> int:
        """Steps of a sampled trial's schedule."""
        return self._sampled(params, 0).steps(params["epochs"])

    def sample(self, key: str, params: Mapping[str, Any], report: Callable[[int, float], None]) -> Outcome:
        """Scores training with some settings: on the first fold at fractions of the schedule, then on further folds."""
        found: list[Outcome] = []
        with memory.told():
            for number in range(min(self.job.config.space.folds, self.plan.number)):
                own = self._sampled(params, number)
                look = Look(params["rate"], own.steps(params["epochs"]))
                path = own.track.folder / f"trial-{key}-fold{number}.safetensors"
                self.left.append(path)
                outcome = own.whole(look, path, report, self.marks if number == 0 else ())
                if not math.isfinite(outcome.metric):
                    return DIVERGED
                found.append(outcome)
                report(1000 * (number + 1), outcome.metric)
        return Outcome(float(np.mean([one.metric for one in found])), float(np.mean([one.loss for one in found])))

    def forget(self) -> None:
        """Removes the states of the sampled trial that has ended: another one is larger than all that is told of it."""
        while self.left:
            snapshots.forget(self.left.pop())

    def _sampled(self, params: Mapping[str, Any], number: int) -> FoldTrack:
        """A fold with the settings of a trial; the last one is kept."""
        if self._last is None or (self._last[0], self._last[1].fold) != (params, number):
            self._before += self._last[1].track.trained if self._last else 0
            job = replace(self.job, config=with_params(self.job.config, params))
            self._last = (dict(params), FoldTrack(job, self.data, self.plan, number))
        return self._last[1]

    def epochs(self, steps: int) -> float:
        """Passes that take so many steps; half a step less, so that rounding up gives them again."""
        return (steps - 0.5) / self.first.steps(1e3) * 1e3


def unreported(step: int, metric: float) -> None:
    """Nobody listens."""


def with_params(config: TrainConfig, params: Mapping[str, Any]) -> TrainConfig:
    """The configuration with a trial's settings, but for its epochs."""
    others = [f"{key}={value}" for key, value in params.items() if key not in ("rate", "epochs")]
    return override(config, [f"train.rate={params['rate']}", *others])


class FoldTrack:
    """One fold with one configuration."""

    def __init__(self, job: Job, data: Data, plan: FoldPlan, fold: int) -> None:
        self.job, self.data, self.plan, self.fold = job, data, plan, fold
        competition, config = job.competition, job.config
        self.batch = stages.batch_of(config, 0)
        self.fitted: Fitted = fit_fold(competition, config, data=data, plan=plan, fold=fold)
        training = folds.fresh(competition, config, job.hardware, self.fitted, fold=fold)
        stages.paced(training, config)
        self.examples = folds.stream(competition, config, data=data, plan=plan, fold=fold, stage=0, fitted=self.fitted)
        recipe = stages.stage_recipe(
            competition, config, job.hardware, self.examples, self.fitted, fold=fold, stage=0, report=_unseen
        )
        recipe = replace(recipe, tick=job.world.halt)
        training.parts = fitting.parts(job, training, recipe, batch=self.batch)
        longest, shortest = (self.steps(epochs) for epochs in reversed(config.space.epochs))
        warmup = max(1, round(WARMUP * branch.first_rung(longest, shortest)))
        folder = beginnings.search_folder(job.run)
        self.track = Track(training, recipe, warmup, self.outcome, folder, config.train.save_every, job.world.tick)

    def steps(self, epochs: float) -> int:
        """Optimizer steps of so many epochs."""
        return self.examples.steps(epochs, self.batch)

    def whole(self, look: Look, path: Path, report: Callable[[int, float], None], marks: tuple[int, ...]) -> Outcome:
        """Scores the configured schedule with the look's rate and length."""
        settings, stage = self.job.config.train, self.job.config.stages[0]
        plan = schedule.planned(
            stage.schedule or settings.schedule,
            total=look.steps,
            peak=look.rate,
            warmup=settings.warmup,
            cooldown=settings.cooldown,
        )
        return self.track.whole(plan, look.steps, path, report, marks)

    @functools.cached_property
    def scored(self) -> Scored:
        """The fold's validation rows."""
        rows = self.plan.validation(self.fold).tolist()
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
        """What the net scores on the validation rows."""
        net, metric, rows = self.track.training.net, self.job.competition.metric, self.scored.rows
        predictions = dict(predicted(self.job, [net], [self.fitted], self.data, rows))
        evidence = self.scored.evidence(predictions.__getitem__)
        value = float(metric.reduce(evidence.statistics(evidence.choose(metric), metric), evidence.groups))
        sign = 1.0 if metric.higher_is_better else -1.0
        return Outcome(sign * value, self.loss()) if np.isfinite(value) else DIVERGED

    @functools.cached_property
    def validation(self) -> stages.Examples:
        """The validation rows as they are, for a look at the loss after every branch."""
        config = self.job.config
        plain = replace(
            config, train=replace(config.train, sampling="even"), stages=(replace(config.stages[0], augment=0.0),)
        )
        rows = self.plan.validation(self.fold)
        return folds.examples_of(
            self.job.competition, plain, rows, data=self.data, fold=self.fold, stage=0, fitted=self.fitted
        )

    def loss(self) -> float:
        """Mean loss of the net on the validation rows."""
        net, recipe = self.track.training.net, self.track.recipe
        total, steps = 0.0, self.validation.steps(1, self.batch)
        for batch in self.validation.batches(0, steps, batch=self.batch, workers=0, pin=False):
            moved = batch.to(recipe.device)
            assert moved.target is not None, "validation rows carry targets"
            with torch.inference_mode(), recipe.autocast:
                carried = getattr(net, "recurrent", False)
                logits = net(moved.inputs, {})[0] if carried else net(moved.inputs)
                total += float(recipe.loss(logits, moved.target))
        return total / steps


def _unseen(step: int, loss: float, rate: float) -> None:
    """Nobody looks."""
