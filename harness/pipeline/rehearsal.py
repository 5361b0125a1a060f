"""The first seconds of a run with a budget: real steps and real predictions of a net that is then thrown away."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

from torch import nn

from harness.batch import Batch
from harness.data.folds import FoldPlan
from harness.governor import Governor
from harness.pipeline import fold, stages
from harness.pipeline.job import Job
from harness.pipeline.nets import Fitted, fit_fold
from harness.pipeline.network import VIEWED, predicted, variants
from harness.pipeline.parts import Data, Part
from harness.pipeline.preparation import stage_size
from harness.training import loop, schedule, state

STEPS = 8  # at most; the first pays for starting to load and does not count
SHARE = 0.02  # of the budget, after which no further step is taken
LONG = 0.05  # of the budget: a step that would take longer is only reckoned, from a few rows
FEW = 4  # rows


def steps_of(job: Job, data: Data, plan: FoldPlan, *, number: int) -> list[int]:
    """Configured optimizer steps of each stage of a fold."""
    config, found = job.config, []
    fitted = fit_fold(job.competition, config, data=data, plan=plan, fold=number)
    for index, stage in enumerate(config.stages):
        examples = fold.stream(job.competition, config, data=data, plan=plan, fold=number, stage=index, fitted=fitted)
        found.append(examples.steps(stage.epochs, stages.batch_of(config, index)))
    return found


def rehearse(job: Job, governor: Governor, *, data: Data, test: Part | None, plan: FoldPlan, number: int) -> None:
    """Tells the governor what steps, starts and predictions cost on this machine, by some of the first.

    Args:
        test: rows that are predicted; None for none.
        number: the fold that is begun with.
    """
    competition, config = job.competition, job.config
    with governor.measured("start"):
        fitted = fit_fold(competition, config, data=data, plan=plan, fold=number)
        training = fold.fresh(competition, config, job.hardware, fitted, fold=number)
    stages.paced(training, config)
    examples = fold.stream(competition, config, data=data, plan=plan, fold=number, stage=0, fitted=fitted)
    recipe = stages.stage_recipe(
        competition, config, job.hardware, examples, fitted, fold=number, stage=0, report=_unseen
    )
    training.parts = min(stages.batch_of(config, 0), config.train.accumulate)
    usual = _step(job, governor, training, examples, recipe)
    first = stages.batch_of(config, 0) * math.prod(stage_size(competition, config, 0))
    for index in range(len(config.stages)):
        size = stages.batch_of(config, index) * math.prod(stage_size(competition, config, index))
        governor.usual[index] = usual * (size / first if first else 1.0)
    _predictions(job, governor, training.net, fitted, data=data, test=test, plan=plan, number=number)


def _step(
    job: Job, governor: Governor, training: state.TrainState, examples: stages.Examples, recipe: loop.Recipe
) -> float:
    """Seconds of a step: of whole batches where there is time for some, else reckoned from a few rows."""
    batch = stages.batch_of(job.config, 0)
    # a recurrent net carries as many lanes from step to step
    few = batch if job.competition.tokens else min(batch, max(FEW, recipe.least * training.parts))
    steady = schedule.planned("constant", total=1, peak=1e-6, warmup=0.0, cooldown=0.0)

    def small(cursor: int, count: int) -> Iterator[Batch]:
        for whole in examples.batches(cursor, count, batch=batch, workers=0, pin=False):
            yield whole.first(few)

    seconds = 0.0
    for _ in range(2):  # the first pays for warming up
        before = governor.clock()
        loop.advance(training, training.step + 1, steady, replace(recipe, batches=small))
        seconds = (governor.clock() - before) * batch / few
    if seconds > LONG * governor.seconds:
        return seconds
    times: list[float] = []

    def whole(cursor: int, count: int) -> Iterator[Batch]:
        for one in recipe.batches(cursor, count):
            times.append(governor.clock())
            if len(times) > 2 and times[-1] - times[0] > SHARE * governor.seconds:
                times.pop()  # the end of the last step is where its loss is read
                return
            yield one

    loop.advance(training, training.step + STEPS, steady, replace(recipe, batches=whole))
    times.append(governor.clock())
    took = [after - before for before, after in itertools.pairwise(times)]
    return sum(took[1:]) / len(took[1:]) if took[1:] else took[0]


def _predictions(
    job: Job,
    governor: Governor,
    net: nn.Module,
    fitted: Fitted,
    *,
    data: Data,
    test: Part | None,
    plan: FoldPlan,
    number: int,
) -> None:
    """Times one batch of each way to predict, and multiplies."""
    rows = plan.validation(number).tolist()
    batch = 1 if data.tokens is not None else job.config.train.batch
    for member in variants(job.competition, job.config):
        seconds, count = 0.0, 0
        for few in (rows[: min(FEW, batch)], rows[:batch]):  # the first pays for warming up
            before = governor.clock()
            count = sum(1 for _ in predicted(job, [net], [fitted], data, few, member=member))
            seconds = governor.clock() - before
            if seconds * batch > LONG * governor.seconds * len(few):
                break
        each = seconds / max(1, count)
        names = ("views", "test views") if member == VIEWED else ("validate", "test")
        governor.tell(names[0], each * len(rows))
        governor.tell(names[1], each * (len(test) if test else 0))


def _unseen(step: int, loss: float, rate: float) -> None:
    """Nobody looks."""
