"""One stage of one fold: what it trains with, and how."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from harness.batch import Batch
from harness.competition import Competition
from harness.config import TrainConfig
from harness.data import loader
from harness.models.masks import STRIDE
from harness.pipeline import fitting, regularising
from harness.pipeline.hardware import Hardware
from harness.pipeline.job import Clocked, Job
from harness.pipeline.nets import Fitted
from harness.pipeline.preparation import stage_size
from harness.training import groups, loop, precision, range_test, recovery, schedule, snapshots, state
from harness.training.course import Watch

RATES = (1e-6, 10.0)  # of a range test


class Examples(Protocol):
    """A stage's training examples: of pictures and tables rows, of texts windows."""

    def steps(self, epochs: float, batch: int) -> int:
        """Optimizer steps that read `epochs` passes."""
        ...

    def batches(self, cursor: int, count: int, *, batch: int, workers: int, pin: bool) -> Iterator[Batch]:
        """`count` batches from row `cursor` on."""
        ...


def batch_of(config: TrainConfig, stage: int) -> int:
    """Rows per optimizer step of a stage."""
    return config.stages[stage].batch or config.train.batch


def least_rows(competition: Competition, config: TrainConfig, stage: int) -> int:
    """Rows that must pass together, that the coarsest maps give a batch norm two values or more."""
    height, width = stage_size(competition, config, stage)
    cells = -(-height // STRIDE) * -(-width // STRIDE)
    return 1 if competition.picture is None else -(-2 // cells)


def train_stage(
    job: Job, training: state.TrainState, examples: Examples, fitted: Fitted, *, fold: int, path: Path, began: float
) -> None:
    """Trains the state's stage to its end, or as long as its share of the run's time lasts.

    Args:
        path: where a good state on the way is saved.
        began: the clock when the fold began to train.
    """
    settings, stage = job.config.train, job.config.stages[training.stage]
    total = examples.steps(stage.epochs, batch_of(job.config, training.stage))

    def report(step: int, loss: float, rate: float) -> None:
        if job.shard.rank:
            return
        job.world.progress(f"fold {fold} {stage.name}, loss {loss:.3f}", step, total)
        job.run.log("train", fold=fold, stage=stage.name, step=step, loss=loss, rate=rate)

    recipe = stage_recipe(
        job.competition, job.config, job.hardware, examples, fitted, fold=fold, stage=training.stage, report=report
    )

    def say(text: str) -> None:
        if job.shard.rank == 0:
            job.world.say(f"fold {fold}: {text}")
            job.run.log("said", fold=fold, stage=stage.name, step=training.step, text=text)

    shard = replace(job.shard, draws=(job.config.seed, fold, training.stage))
    # of several processes each hears the signal at another step
    recipe = replace(recipe, shard=shard, say=say, tick=job.world.halt if shard.number == 1 else loop.unasked)
    if training.step == 0:
        training.parts = fitting.parts(job, training, recipe, batch=batch_of(job.config, training.stage))
    paced(training, job.config)
    if stage.find and training.step == 0:
        find_peak(job, training, recipe, fold=fold)
    peak = paced(training, job.config)
    name = stage.schedule or settings.schedule
    plan = {"total": total, "peak": peak, "warmup": settings.warmup, "cooldown": settings.cooldown}
    if job.shard.rank == 0:
        job.run.log("schedule", fold=fold, stage=stage.name, schedule=name, **plan)
    rate, end = schedule.planned(name, **plan), None
    if job.clocked is not None and training.step < total:  # fold 0 may be as a search left it
        watch = _watch(job.clocked, training, total, settings.cooldown, began=began)
        watch.start(settings.warmup)
        rate, end = functools.partial(_on_course, training, peak), watch.end
        recipe = replace(recipe, batches=watch.watched(recipe.batches), mix=functools.partial(_mixed, training, recipe))
    recovery.train(
        training,
        total,
        rate,
        recipe,
        every=settings.save_every,
        keep=functools.partial(training.save, path) if job.shard.rank == 0 else _unkept,
        say=recipe.say,
        end=end,
    )
    if (course := training.course) is not None:
        shares = {"warmup": course.rise / course.end, "cooldown": 1 - course.begun / course.end}
        job.run.log("schedule", fold=fold, stage=stage.name, schedule=name, **{**plan, "total": course.end, **shares})
        job.run.log("settled", fold=fold, stage=stage.name, steps=course.end, configured=total)
        if course.end < total:
            recipe.say(f"{course.end} of {total} steps of stage {stage.name}: that is what there was time for")


def _watch(clocked: Clocked, training: state.TrainState, total: int, cooldown: float, *, began: float) -> Watch:
    """Who steers the stage by the clock."""
    return Watch(
        clocked.governor,
        training,
        stage=training.stage,
        total=total,
        cooldown=cooldown,
        done=clocked.done,
        missing=clocked.missing,
        fold_begun=began,
    )


def _on_course(training: state.TrainState, peak: float, step: int) -> schedule.Rate:
    assert training.course is not None, "a watch has set it"
    return training.course.rate(step, peak)


def _mixed(training: state.TrainState, recipe: loop.Recipe, batch: Batch, step: int) -> Batch:
    """Mixed until the cooldown: nobody knows before which steps will be the last."""
    cooling = training.course is not None and training.course.begun >= 0
    return batch if cooling else recipe.mix(batch, step)


def _unkept(snapshot: snapshots.Snapshot, good: snapshots.Snapshot | None) -> None:
    """The first process keeps it."""


def paced(training: state.TrainState, config: TrainConfig) -> float:
    """Freezes and scales the layers as the state's stage says; returns the peak rate of its head."""
    stage = config.stages[training.stage]
    low, peak = stage.rates or (config.train.rate, config.train.rate)
    groups.pace(training.optimizer, training.net, low / peak, frozen=stage.freeze)
    return training.peak or peak


def find_peak(job: Job, training: state.TrainState, recipe: loop.Recipe, *, fold: int) -> None:
    """Leaves in the state the rate that a range test suggests from where it stands; none where the loss never fell."""
    found = range_test.range_test(training, recipe, high=RATES[1], low=RATES[0])
    training.peak, name = found.suggested(), job.config.stages[training.stage].name
    if job.shard.rank:
        return
    job.run.log("range test", fold=fold, stage=name, peak=training.peak, **found.suggestions())
    said = "the loss never fell: the rate stays as configured" if training.peak is None else f"rate {training.peak:.2g}"
    job.world.say(f"fold {fold}: range test before stage {name}: {said}")


def stage_recipe(
    competition: Competition,
    config: TrainConfig,
    hardware: Hardware,
    examples: Examples,
    fitted: Fitted,
    *,
    fold: int,
    stage: int,
    report: loop.Report,
) -> loop.Recipe:
    """What stays the same while a stage trains; the loss is read and reported once a pass over the rows."""
    settings, device, batch = config.train, hardware.device, batch_of(config, stage)
    total = examples.steps(config.stages[stage].epochs, batch)
    return loop.Recipe(
        loss=regularising.loss_of(competition, config, fitted.task.loss, weights=fitted.weights, device=device),
        batches=functools.partial(
            examples.batches,
            batch=batch,
            workers=loader.worker_count(settings.workers, device),
            pin=device != "cpu",
        ),
        autocast=precision.autocast(device, hardware.precision),
        device=device,
        clip=settings.clip,
        ema=settings.ema,
        report_every=max(1, examples.steps(1, batch)),
        report=report,
        least=least_rows(competition, config, stage),
        mix=regularising.mixing(competition, config, fold=fold, stage=stage, total=total) or loop.unmixed,
    )
