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
from harness.errors import ConfigError, RunError
from harness.models import inference
from harness.models.masks import STRIDE
from harness.pipeline.hardware import build_net
from harness.pipeline.job import Job
from harness.pipeline.preparation import Data, stage_size
from harness.runs import Run
from harness.training import loop, precision, schedule, state

MEMBER = "network"


def weights_file(run: Run, fold: int) -> Path:
    """The fold's weights, as they were scored."""
    return run.path / "weights" / f"fold{fold}.safetensors"


def out_of_fold_file(run: Run, fold: int) -> Path:
    """The fold's out-of-fold predictions."""
    return run.path / "oof" / MEMBER / f"fold{fold}.npy"


def stream(
    competition: Competition, config: TrainConfig, *, data: Data, plan: FoldPlan, fold: int, stage: int
) -> loader.Stream:
    """The training examples of one stage of one fold.

    Raises:
        ConfigError: so few pixels in a batch that batch norm has nothing to average.
    """
    size = stage_size(competition, config, stage)
    if config.train.batch * -(-size[0] // STRIDE) * -(-size[1] // STRIDE) < 2:
        raise ConfigError(f"one row of {size[0]}x{size[1]} in a batch", fix="raise train.batch or train.size")
    return loader.Stream(
        name=competition.picture.column,
        pictures=data.pictures,
        masks=data.masks,
        rows=plan.training(fold),
        ids=data.train.ids,
        augmentation=Augmentation(size, competition.picture.symmetries, config.train.augment),
        seed=config.seed,
        fold=fold,
        stage=stage,
    )


def train_fold(job: Job, fold: int, *, data: Data, plan: FoldPlan) -> None:
    """Trains, writes `weights/fold<k>.safetensors`, loads it back, writes `oof/network/fold<k>.npy`."""
    settings = job.config.train
    loop.seed_everything(job.config.seed, fold)
    net = build_net(job.competition, job.config, job.hardware)
    training = state.TrainState.start(
        net,
        rate=settings.rate,
        weight_decay=settings.weight_decay,
        ema=settings.ema > 0,
        precision=job.hardware.precision,
    )
    path = _state_file(job.run, fold)
    if state.saved(path):
        training.load(path)
        job.world.say(f"fold {fold} goes on at step {training.step} of stage {training.stage}")
    while training.stage < len(job.config.stages):
        _train_stage(job, training, data=data, plan=plan, fold=fold)
        training.next_stage()
    loop.write_weights(training.final_weights(), weights_file(job.run, fold))
    _write_out_of_fold(job, fold, data=data, plan=plan)


def forget_state(run: Run, fold: int) -> None:
    """Removes the training state of a fold that is done."""
    path = _state_file(run, fold)
    for rest in (path, path.with_name(path.name + ".before")):
        rest.unlink(missing_ok=True)
    if path.parent.exists() and not any(path.parent.iterdir()):
        path.parent.rmdir()


def _state_file(run: Run, fold: int) -> Path:
    return run.path / "state" / f"fold{fold}.safetensors"


def _train_stage(job: Job, training: state.TrainState, *, data: Data, plan: FoldPlan, fold: int) -> None:
    examples = stream(job.competition, job.config, data=data, plan=plan, fold=fold, stage=training.stage)
    settings, stage, device = job.config.train, job.config.stages[training.stage], job.hardware.device
    total = steps(len(examples.rows), settings.batch, stage.epochs)

    def report(step: int, loss: float, rate: float) -> None:
        job.world.progress(f"fold {fold} {stage.name}, loss {loss:.3f}", step, total)
        job.run.log("train", fold=fold, stage=stage.name, step=step, loss=loss, rate=rate)

    recipe = loop.Recipe(
        loss=job.competition.task.loss,
        batches=functools.partial(
            examples.batches,
            batch=settings.batch,
            workers=loader.worker_count(settings.workers, device),
            pin=device != "cpu",
        ),
        autocast=precision.autocast(device, job.hardware.precision),
        device=device,
        clip=settings.clip,
        ema=settings.ema,
        report_every=max(1, -(-len(examples.rows) // settings.batch)),
        report=report,
    )
    rate = functools.partial(schedule.one_cycle, total=total, peak=settings.rate, warmup=settings.warmup)
    while training.step < total:
        loop.advance(training, min(total, training.step + settings.save_every), rate, recipe)
        if training.step < total:
            training.save(_state_file(job.run, fold))


def _write_out_of_fold(job: Job, fold: int, *, data: Data, plan: FoldPlan) -> None:
    """Writes the fold's predictions of its validation rows, as its weights on disk make them."""
    rows = plan.validation(fold)
    sizes, end = data.pictures.sizes[rows], 0
    with files.replacing_array(out_of_fold_file(job.run, fold), int(sizes.prod(axis=1).sum())) as flat:
        for row, plane in predict_rows(job, rows, pictures=data.pictures, folds=[fold]):
            assert plane.shape == data.size(row), "predictions come at native size"
            start, end = end, end + plane.size
            flat[start:end] = plane.ravel()


def predict_rows(
    job: Job, rows: Sequence[int] | np.ndarray, *, pictures: Cache, folds: Sequence[int]
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (row, uint8 [H, W] probabilities at native size), averaged over the weights of `folds` and the views.

    Raises:
        RunError: a fold's weights are gone.
    """
    competition, config = job.competition, job.config
    nets = []
    for fold in folds:
        path = weights_file(job.run, fold)
        if not path.exists():
            raise RunError("the weights of a fold are missing", file=path, fix="train the run again")
        net = build_net(competition, config, job.hardware, pretrained=False)
        loop.read_weights(net, path)
        nets.append(net)
    batches = loader.prediction_batches(
        pictures,
        rows,
        name=competition.picture.column,
        size=stage_size(competition, config, len(config.stages) - 1),
        batch=config.train.batch,
    )
    views = competition.picture.symmetries if config.views == "symmetries" else ()
    device = job.hardware.device
    context = precision.autocast(device, job.hardware.precision)
    for row, probability in inference.predict(
        nets, batches, task=competition.task, views=views, device=device, autocast=context
    ):
        height, width = pictures.sizes[row].tolist()
        yield row, inference.native_mask(probability, (height, width))
