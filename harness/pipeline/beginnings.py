"""Where a fold's training begins: fresh, after the stages that an earlier run shares, or with the weights of one."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import harness
from harness import runs
from harness.config import TrainConfig, as_json, from_json
from harness.data.folds import FoldPlan
from harness.errors import ConfigError, RunError
from harness.hashing import hash_file, hash_value
from harness.pipeline import hardware as machines
from harness.pipeline.job import Job
from harness.pipeline.network import weights_file
from harness.pipeline.parts import Data
from harness.runs import Run
from harness.training import loop, snapshots, state

# what a stage's weights do not depend on
APART = ("stages", "views", "report", "space", "data", "weights")


def ended(job: Job, data: Data, plan: FoldPlan, *, fold: int, stage: int) -> Path:
    """Where the state is kept that a fold has after a stage: the same for every run that trains the same up to there.

    Named by all that decides its bits: data, folds, inputs and task, settings of this and the earlier stages, the
    harness's own source, and the machine.
    """
    settings = {key: value for key, value in as_json(job.config).items() if key not in APART}
    facts: list[Any] = [job.competition.name, settings, as_json(job.config)["stages"][: stage + 1], fold]
    facts += [job.config.layered, repr(job.competition.inputs), repr(job.competition.task), _source()]
    facts += [
        _named(job, fold).contents() if job.config.begin else None,
        None if job.hardware.encoder_weights is None else _contents(Path(job.hardware.encoder_weights)),
        machines.device_name(job.hardware.device),
        machines.environment(job.hardware.device)["packages"],
        job.shard.number,
        job.config.train.accumulate,
        data.hash,
        plan.digest(data.rows.ids),
        job.config.data.unit,
        asdict(job.hardware),
        machines.machine(),
    ]
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


def state_file(run: Run, fold: int) -> Path:
    """Where a fold's training state is kept until it is done."""
    return run.path / "state" / f"fold{fold}.safetensors"


def forget_state(run: Run, fold: int) -> None:
    """Removes the training state of a fold that is done."""
    path = state_file(run, fold)
    snapshots.forget(path)
    if path.parent.exists() and not any(path.parent.iterdir()):
        path.parent.rmdir()


def search_folder(run: Run) -> Path:
    """Where a search keeps the states it may come back to, until it has its answer."""
    return run.path / "state" / "search"


def forget_search(run: Run) -> None:
    """Removes the states of a search that has its answer."""
    folder = search_folder(run)
    shutil.rmtree(folder, ignore_errors=True)
    if folder.parent.exists() and not any(folder.parent.iterdir()):
        folder.parent.rmdir()


def places(job: Job, data: Data, plan: FoldPlan, *, fold: int) -> list[Path]:
    """The states there are to begin with: the fold's own, or where stages ended that an earlier run trained alike."""
    own = state_file(job.run, fold)
    if snapshots.saved(own):
        return [own]
    ends = (ended(job, data, plan, fold=fold, stage=stage) for stage in reversed(range(len(job.config.stages) - 1)))
    return [path for path in ends if path.exists()]


def begin(
    job: Job, training: state.TrainState, states: Sequence[Path], *, data: Data, plan: FoldPlan, fold: int
) -> None:
    """Puts the state at the first of `states` that can be read, else where `begin` says, else leaves it fresh.

    Raises:
        RunError: the fold's own state cannot be read.
    """
    for path in states:
        own = path == state_file(job.run, fold)
        try:
            training.load(path)
        except RunError:
            if own:
                raise
            continue  # cut short by a full disk: trained again
        if own:
            job.world.say(f"fold {fold} goes on at step {training.step} of stage {training.stage}")
        else:
            name = job.config.stages[training.stage - 1].name
            job.world.say(f"fold {fold} begins after stage {name}, as an earlier run left it")
        return
    if job.config.begin:
        check(job, data, plan, fold=fold).read(training)
        job.world.say(f"fold {fold} begins with the weights of {job.config.begin}")


def write(job: Job, training: state.TrainState, *, fold: int, stage: int) -> None:
    """Writes a stage's weights by its name; the last stage's are the fold's own file."""
    loop.write_weights(training.final_weights(), stage_file(job.run, fold, job.config, stage))


def stage_file(run: Run, fold: int, config: TrainConfig, stage: int) -> Path:
    """Where a run keeps the weights that a fold has after a stage."""
    final = weights_file(run, fold)
    return final if stage == len(config.stages) - 1 else final.parent / config.stages[stage].name / final.name


@dataclass(frozen=True)
class Named:
    """The weights that a fold of another run had after a stage.

    Attributes:
        run: the other.
        path: of the file.
        asked: as the user wrote it.
    """

    run: Run
    path: Path
    asked: str

    def contents(self) -> str:
        """Hash of the file, read once: the run may be gone when a stage ends."""
        return _contents(self.path)

    def read(self, training: state.TrainState) -> None:
        """Puts the weights into the net and its average.

        Raises:
            RunError: the file is damaged.
            ConfigError: they are of another net.
        """
        try:
            loop.read_weights(training.net, self.path)
        except ConfigError as error:
            fix = "begin with the same model.* settings, data.unit and, for trees of files, labels"
            raise ConfigError(f"begin={self.asked}: the weights are of another net", fix=fix) from error
        training.average_anew()


@functools.cache
def _contents(path: Path) -> str:
    return hash_file(path)


def _named(job: Job, fold: int) -> Named:
    """What `begin=RUN` or `begin=RUN:STAGE` names.

    Raises:
        RunError: no such run.
        ConfigError: another competition's, or no weights of that stage and fold.
    """
    asked = job.config.begin
    name, _, stage = asked.rpartition(":") if ":" in asked else (asked, "", "")
    run = runs.find(name)
    settings = run.settings()
    config = from_json(settings["config"])
    names = [stage.name for stage in config.stages]
    if settings["competition"] != job.competition.name:
        raise ConfigError(f"begin={asked} is a run of {settings['competition']}", fix="name a run of this competition")
    if stage and stage not in names:
        raise ConfigError(f"begin={asked}: no such stage", fix=f"stages there: {', '.join(names)}")
    path = stage_file(run, fold, config, names.index(stage) if stage else len(names) - 1)
    if not path.exists():
        raise ConfigError(f"begin={asked}: no weights of fold {fold} there ({path})", fix="train that stage first")
    return Named(run, path, asked)


def check(job: Job, data: Data, plan: FoldPlan, *, fold: int) -> Named:
    """What a fold is told to begin with, unless it has seen rows which it is now to be scored on.

    Raises:
        RunError, ConfigError: no such run, stage or fold; other data or other folds.
    """
    named = _named(job, fold)
    settings = named.run.settings()
    same = settings.get("rows_hash") == data.hash
    if not same or not named.run.done("folds", [settings["data_hash"], plan.digest(data.rows.ids)]):
        what = "folds" if same else "data"
        fix = "give the same data, folds and seed: a fold must not be scored on rows that its weights were trained on"
        raise ConfigError(f"begin={named.asked} has other {what}", fix=fix)
    return named
