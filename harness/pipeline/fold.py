"""One fold: from rows to float16 weights on disk and the out-of-fold predictions those weights make.

A pure function of (configuration, data, fold): trained alone, in any order, in another process, it gives the same bits.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from harness import files
from harness.competition import Competition
from harness.config import TrainConfig
from harness.data import loader
from harness.data.augment import Augmentation
from harness.data.cache import Cache
from harness.data.folds import FoldPlan
from harness.data.order import steps
from harness.models import inference
from harness.pipeline.hardware import Hardware, build_net
from harness.pipeline.preparation import Data, World, stage_size
from harness.runs import Run
from harness.training import loop, precision, schedule, state

MEMBER = "network"


def stream(
    competition: Competition, config: TrainConfig, data: Data, plan: FoldPlan, fold: int, stage: int
) -> loader.Stream:
    """The training examples of one stage of one fold."""
    return loader.Stream(
        name=competition.picture.column,
        pictures=data.pictures,
        masks=data.masks,
        rows=plan.training(fold),
        ids=data.train.ids,
        augmentation=Augmentation(
            stage_size(competition, config, stage), competition.picture.symmetries, config.train.augment
        ),
        seed=config.seed,
        fold=fold,
        stage=stage,
    )


def train_fold(
    competition: Competition,
    config: TrainConfig,
    data: Data,
    plan: FoldPlan,
    fold: int,
    *,
    run: Run,
    hardware: Hardware,
    world: World,
) -> None:
    """Trains, writes `weights/fold<k>.safetensors`, loads it back, writes `oof/network/fold<k>.npy`."""
    loop.seed_everything(config.seed, fold)
    net = build_net(competition, config, hardware)
    training = state.TrainState.start(
        net,
        rate=config.train.rate,
        weight_decay=config.train.weight_decay,
        ema=config.train.ema > 0,
        precision=hardware.precision,
    )
    path = run.path / "state" / f"fold{fold}.safetensors"
    path.parent.mkdir(exist_ok=True)
    if state.saved(path):
        training.load(path)
        world.say(f"fold {fold} goes on at step {training.step} of stage {training.stage}")
    while training.stage < len(config.stages):
        _train_stage(competition, config, data, plan, fold, training, path, run=run, hardware=hardware, world=world)
        training.next_stage()
    weights = run.path / "weights" / f"fold{fold}.safetensors"
    loop.write_weights(training.final_weights(), weights)
    write_out_of_fold(competition, config, data, plan, fold, run=run, hardware=hardware)
    for rest in (path, path.with_name(path.name + ".before")):
        rest.unlink(missing_ok=True)


def _train_stage(
    competition: Competition,
    config: TrainConfig,
    data: Data,
    plan: FoldPlan,
    fold: int,
    training: state.TrainState,
    path: Path,
    *,
    run: Run,
    hardware: Hardware,
    world: World,
) -> None:
    examples = stream(competition, config, data, plan, fold, training.stage)
    settings, stage = config.train, config.stages[training.stage]
    total = steps(len(examples.rows), settings.batch, stage.epochs)

    def report(step: int, loss: float, rate: float) -> None:
        world.progress(f"fold {fold} {stage.name}, loss {loss:.3f}", step, total)
        run.log("train", fold=fold, stage=stage.name, step=step, loss=loss, rate=rate)

    recipe = loop.Recipe(
        loss=competition.task.loss,
        batches=functools.partial(
            examples.batches,
            batch=settings.batch,
            workers=loader.worker_count(settings.workers, hardware.device),
            pin=hardware.device != "cpu",
        ),
        autocast=precision.autocast(hardware.device, hardware.precision),
        device=hardware.device,
        clip=settings.clip,
        ema=settings.ema,
        report_every=max(1, -(-len(examples.rows) // settings.batch)),
        report=report,
    )
    rate = functools.partial(schedule.one_cycle, total=total, peak=settings.rate, warmup=settings.warmup)
    while training.step < total:
        loop.advance(training, min(total, training.step + settings.save_every), rate, recipe)
        if training.step < total:
            training.save(path)


def write_out_of_fold(
    competition: Competition,
    config: TrainConfig,
    data: Data,
    plan: FoldPlan,
    fold: int,
    *,
    run: Run,
    hardware: Hardware,
) -> None:
    """Writes the fold's predictions of its validation rows, as its weights on disk make them."""
    rows = plan.validation(fold)
    sizes = data.pictures.sizes[rows]
    end, target = 0, run.path / "oof" / MEMBER / f"fold{fold}.npy"
    with files.replacing_array(target, int(sizes.prod(axis=1).sum())) as flat:
        for row, plane in predict_rows(competition, config, data.pictures, rows, [fold], run=run, hardware=hardware):
            start, end = end, end + plane.size
            flat[start:end] = plane.ravel()
            assert plane.shape == tuple(data.pictures.sizes[row])


def predict_rows(
    competition: Competition,
    config: TrainConfig,
    pictures: Cache,
    rows: Sequence[int] | np.ndarray,
    folds: Sequence[int],
    *,
    run: Run,
    hardware: Hardware,
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (row, uint8 [H, W] probabilities at native size), averaged over the weights of `folds` and the views."""
    nets = []
    for fold in folds:
        net = build_net(competition, config, Hardware(hardware.device, hardware.precision, None))
        loop.read_weights(net, run.path / "weights" / f"fold{fold}.safetensors")
        nets.append(net)
    batches = loader.prediction_batches(
        pictures,
        rows,
        name=competition.picture.column,
        size=stage_size(competition, config, len(config.stages) - 1),
        batch=config.train.batch,
    )
    views = competition.picture.symmetries if config.views == "symmetries" else ()
    context = precision.autocast(hardware.device, hardware.precision)
    for row, probability in inference.predict(
        nets, batches, task=competition.task, views=views, device=hardware.device, autocast=context
    ):
        height, width = (int(side) for side in pictures.sizes[row])
        yield row, inference.native_mask(probability, (height, width))
