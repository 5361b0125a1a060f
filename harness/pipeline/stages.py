"""One stage of one fold: what it trains with, and the state it ends in, which a later run may begin from."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

import harness
from harness.batch import Batch
from harness.competition import Competition
from harness.config import TrainConfig, as_json
from harness.data import loader
from harness.data.folds import FoldPlan
from harness.errors import RunError
from harness.hashing import hash_value
from harness.pipeline import fitting, regularising
from harness.pipeline import hardware as machines
from harness.pipeline.hardware import Hardware
from harness.pipeline.job import Job
from harness.pipeline.nets import Fitted
from harness.pipeline.parts import Data
from harness.training import loop, precision, recovery, schedule, state

# what a stage's weights do not depend on
APART = ("stages", "views", "report", "space", "data", "weights")


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


def train_stage(
    job: Job, training: state.TrainState, examples: Examples, fitted: Fitted, *, fold: int, path: Path
) -> None:
    """Trains the state's stage to its end; a good state on the way is saved at `path`."""
    settings, stage = job.config.train, job.config.stages[training.stage]
    total = examples.steps(stage.epochs, batch_of(job.config, training.stage))

    def report(step: int, loss: float, rate: float) -> None:
        job.world.progress(f"fold {fold} {stage.name}, loss {loss:.3f}", step, total)
        job.run.log("train", fold=fold, stage=stage.name, step=step, loss=loss, rate=rate)

    recipe = stage_recipe(
        job.competition, job.config, job.hardware, examples, fitted, stage=training.stage, report=report
    )
    mix = regularising.mixing(job.competition, job.config, fold=fold, stage=training.stage, total=total)
    recipe = replace(recipe, say=lambda text: job.world.say(f"fold {fold}: {text}"), mix=mix or loop.unmixed)
    if training.step == 0:
        training.parts = fitting.parts(job, training, recipe, batch=batch_of(job.config, training.stage))
    peak = paced(training, job.config)
    rate = schedule.planned(
        stage.schedule or settings.schedule,
        total=total,
        peak=peak,
        warmup=settings.warmup,
        cooldown=settings.cooldown,
    )
    recovery.train(
        training,
        total,
        rate,
        recipe,
        every=settings.save_every,
        keep=functools.partial(training.save, path),
        say=recipe.say,
    )


def paced(training: state.TrainState, config: TrainConfig) -> float:
    """Freezes and scales the layers as the state's stage says; returns the peak rate of its head."""
    stage = config.stages[training.stage]
    low, peak = stage.rates or (config.train.rate, config.train.rate)
    training.paced(low / peak, frozen=stage.freeze)
    return peak


def stage_recipe(
    competition: Competition,
    config: TrainConfig,
    hardware: Hardware,
    examples: Examples,
    fitted: Fitted,
    *,
    stage: int,
    report: loop.Report,
) -> loop.Recipe:
    """What stays the same while a stage trains; the loss is read and reported once a pass over the rows."""
    settings, device, batch = config.train, hardware.device, batch_of(config, stage)
    return loop.Recipe(
        loss=regularising.loss_of(competition, config, fitted.task.loss),
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
    )


def ended(job: Job, data: Data, plan: FoldPlan, *, fold: int, stage: int) -> Path:
    """Where the state is kept that a fold has after a stage: the same for every run that trains the same up to there.

    Named by all that decides its bits: data, folds, inputs and task, settings of this and the earlier stages, the
    harness's own source, and the machine.
    """
    settings = {key: value for key, value in as_json(job.config).items() if key not in APART}
    facts: list[Any] = [job.competition.name, settings, as_json(job.config)["stages"][: stage + 1], fold]
    facts += [job.config.layered, repr(job.competition.inputs), repr(job.competition.task), _source()]
    facts += [data.hash, plan.digest(data.rows.ids), job.config.data.unit, asdict(job.hardware), machines.machine()]
    return job.world.cache / "stages" / f"{hash_value(facts)}.safetensors"


@functools.cache
def _source() -> str:
    """Hash of the harness's source: what another version trained is not gone on with."""
    root = Path(harness.__file__).parent
    return hash_value([path.read_text(encoding="utf-8") for path in sorted(root.rglob("*.py"))])


def keep(job: Job, training: state.TrainState, path: Path) -> None:
    """Keeps the state that a stage ended in, where the disk has room for twenty of them."""
    snapshot = training.snapshot()
    size = sum(tensor.numel() * tensor.element_size() for tensor in snapshot.tensors.values())
    path.parent.mkdir(parents=True, exist_ok=True)
    if job.world.free(path.parent) > 20 * size:
        training.save(path, snapshot)


def begin(job: Job, training: state.TrainState, data: Data, plan: FoldPlan, *, fold: int) -> None:
    """Puts the state where the last stage ended that an earlier run has trained alike."""
    for stage in reversed(range(len(job.config.stages) - 1)):
        path = ended(job, data, plan, fold=fold, stage=stage)
        if path.exists():
            try:
                training.load(path)
            except RunError:
                continue  # cut short by a full disk: trained again
            job.world.say(f"fold {fold} begins after stage {job.config.stages[stage].name}, as an earlier run left it")
            return
