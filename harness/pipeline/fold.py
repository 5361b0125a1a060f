"""One fold of the network: from rows to float16 weights on disk and the out-of-fold predictions those weights make.

A pure function of (configuration, data, fold): trained alone, in any order, in another process, it gives the same bits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from harness.batch import Batch
from harness.competition import Competition
from harness.config import TrainConfig
from harness.data import loader
from harness.data.augment import Augmentation
from harness.data.folds import FoldPlan
from harness.data.order import area_classes
from harness.data.windows import TextWindows
from harness.errors import ConfigError
from harness.models.layers import layer_of
from harness.pipeline import beginnings, probes, room, stages
from harness.pipeline.hardware import Hardware
from harness.pipeline.job import Job
from harness.pipeline.nets import Fitted, build_net, encoder_of, fit_fold
from harness.pipeline.network import (
    MEMBER,
    fitted_file,
    kept_file,
    predict_rows,
    variants,
    write_out_of_fold,
    write_predictions,
)
from harness.pipeline.parts import Data
from harness.pipeline.preparation import World, stage_size
from harness.training import compiling, loop, memory, shards, state


def first_batch(examples: stages.Examples, batch: int) -> Batch:
    """The first batch, for a look or a probe."""
    return next(iter(examples.batches(0, 1, batch=batch, workers=0, pin=False)))


def stream(
    competition: Competition,
    config: TrainConfig,
    *,
    data: Data,
    plan: FoldPlan,
    fold: int,
    stage: int,
    fitted: Fitted | None = None,
) -> stages.Examples:
    """The training examples of one stage of one fold.

    Raises:
        ConfigError: so few pixels in a batch that batch norm has nothing to average.
    """
    fitted = fitted or fit_fold(competition, config, data=data, plan=plan, fold=fold)
    return examples_of(competition, config, plan.training(fold), data=data, fold=fold, stage=stage, fitted=fitted)


def examples_of(
    competition: Competition,
    config: TrainConfig,
    rows: np.ndarray,
    *,
    data: Data,
    fold: int,
    stage: int,
    fitted: Fitted,
) -> stages.Examples:
    """Some rows as a stage of a fold would train on them.

    Raises:
        ConfigError: as `stream`.
    """
    if data.tokens is not None:
        return TextWindows(
            runs=fitted.runs(data, rows.tolist()),
            context=config.model.context,
            order="sequential" if config.model.text == "lstm" else "shuffled",
            seed=config.seed,
            fold=fold,
            stage=stage,
        )
    picture, augmentation = competition.picture, None
    if picture is not None:
        size = stage_size(competition, config, stage)
        if stages.batch_of(config, stage) // config.train.accumulate < stages.least_rows(competition, config, stage):
            fix = "raise train.batch or train.size, or lower train.accumulate"
            raise ConfigError(f"one row of {size[0]}x{size[1]} at a time", fix=fix)
        class_map = competition.task.kind == "classes"
        strength = config.stages[stage].augment
        strength = config.train.augment if strength is None else strength
        augmentation = Augmentation(size, picture.symmetries, strength, class_map)
    return loader.Stream(
        name=picture.column if picture else "",
        pictures=data.pictures,
        masks=data.masks,
        rows=rows,
        ids=data.rows.ids,
        augmentation=augmentation,
        seed=config.seed,
        fold=fold,
        stage=stage,
        targets=data.targets,
        arrays=fitted.arrays(data),
        alternating=config.train.flip == "alternating",
        classes=area_classes(data.areas[rows]) if config.train.sampling == "area" else b"",
    )


def work(competition: Competition, config: TrainConfig, *, data: Data, plan: FoldPlan, folds: int) -> probes.Work:
    """What `folds` folds are to train, counted on the first."""
    steps = 0
    fitted = fit_fold(competition, config, data=data, plan=plan, fold=0)
    for number, stage in enumerate(config.stages):
        examples = stream(competition, config, data=data, plan=plan, fold=0, stage=number, fitted=fitted)
        steps += examples.steps(stage.epochs, stages.batch_of(config, number))
    return probes.Work(steps * folds, len(config.stages) * folds)


def probed(
    competition: Competition,
    config: TrainConfig,
    machine: Hardware,
    *,
    data: Data,
    plan: FoldPlan,
    ahead: Callable[[], probes.Work],
    world: World,
) -> Hardware:
    """The same with all that "auto" leaves to real steps of the first stage on this machine.

    Args:
        ahead: what is to be trained with it; called only where the precision is "auto".
    """
    if machine.precision != "auto":
        return machine
    fitted = fit_fold(competition, config, data=data, plan=plan, fold=0)
    examples = stream(competition, config, data=data, plan=plan, fold=0, stage=0, fitted=fitted)
    return probes.probed(
        competition,
        config,
        machine,
        first_batch=functools.partial(first_batch, examples, stages.batch_of(config, 0)),
        build=lambda memory: build_net(
            competition, config, Hardware(machine.device, "fp32", None, memory), fitted=fitted, pretrained=False
        ),
        work=ahead(),
        world=world,
    )


def train_fold(job: Job, fold: int, *, data: Data, plan: FoldPlan, places: Sequence[Path]) -> None:
    """Trains, writes `weights/fold<k>.safetensors`, loads it back, writes `oof/<variant>/fold<k>.npy`."""
    train_weights(job, fold, data=data, plan=plan, places=places).write(fitted_file(job.run, fold))
    rows = plan.validation(fold).tolist()
    test = None if job.clocked is None else job.clocked.test
    for member in variants(job.competition, job.config):
        with job.timed("validate" if member == MEMBER else "views"):
            predicted = predict_rows(job, rows, part=data, folds=[fold], member=member)
            write_out_of_fold(job, predicted, fold, member, data=data, plan=plan)
        if test is not None:
            with job.timed("test" if member == MEMBER else "test views"):
                predicted = predict_rows(job, range(len(test)), part=test, folds=[fold], member=member)
                write_predictions(job, predicted, kept_file(job.run, fold, member), test, range(len(test)))


def train_weights(job: Job, fold: int, *, data: Data, plan: FoldPlan, places: Sequence[Path]) -> Fitted:
    """Trains all stages, and writes the weights of each; of several processes the first alone writes.

    Args:
        places: of `beginnings.places`, as the first process found them.
    """
    with job.timed("start"):
        fitted = fit_fold(job.competition, job.config, data=data, plan=plan, fold=fold)
        training = fresh(job.competition, job.config, job.hardware, fitted, fold=fold, shard=job.shard)
    if job.shard.rank == 0:
        room.check(job, training, data, plan, fold=fold)
    beginnings.begin(job, training, places, data=data, plan=plan, fold=fold)
    shards.agree(job.shard, training.stage, training.step)
    path = beginnings.state_file(job.run, fold)
    began = job.world.clock()
    while (stage := training.stage) < len(job.config.stages):
        examples = stream(job.competition, job.config, data=data, plan=plan, fold=fold, stage=stage, fitted=fitted)
        if job.hardware.compiled and job.shard.number == 1:
            compiling.start(training.net)
        stages.train_stage(job, training, examples, fitted, fold=fold, path=path, began=began)
        if job.shard.rank == 0:
            beginnings.write(job, training, fold=fold, stage=stage)
        training.next_stage()
        # what the clock cut short is no other run's beginning
        if job.shard.rank == 0 and training.stage < len(job.config.stages) and job.clocked is None:
            beginnings.keep(job, training, beginnings.ended(job, data, plan, fold=fold, stage=stage))
    return fitted


def fresh(
    competition: Competition,
    config: TrainConfig,
    hardware: Hardware,
    fitted: Fitted,
    *,
    fold: int,
    shard: shards.Shard = shards.ALONE,
) -> state.TrainState:
    """A net of random (or pretrained) weights and all that training changes, seeded by the fold alone."""
    loop.seed_everything(config.seed, fold)
    net = shards.joined_norms(build_net(competition, config, hardware, fitted=fitted), shard, hardware.device)
    if config.model.checkpoint:
        memory.forgetful(encoder_of(net))
    return state.TrainState.start(
        net,
        rate=config.train.rate,
        weight_decay=config.train.weight_decay,
        ema=config.train.ema > 0,
        precision=hardware.precision,
        layers=layer_of(net) if config.layered else None,
    )
