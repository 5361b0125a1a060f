"""A run that torchrun started in several processes: the first leads and writes, the others train along.

The first does all that one process does. Before it trains a fold it says so to the others, which open the run it has
begun, take the same steps each on its rows of every batch, and wait for the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from harness import registry, runs
from harness.competition import Competition
from harness.config import TrainConfig, from_json
from harness.data.folds import FoldPlan
from harness.errors import ConfigError
from harness.pipeline import fold, hardware, stages
from harness.pipeline.job import Job, Request, elsewhere, request_root
from harness.pipeline.parts import Data
from harness.pipeline.planning import plan_folds
from harness.pipeline.preparation import World, prepare
from harness.training import determinism, shards
from harness.training.shards import Shard


@contextmanager
def together(device: str, world: World, *, data: str | None = None, sample: bool = False) -> Iterator[Shard]:
    """Yields the first process's place, or the only one's; the other processes train along, and end here.

    Args:
        device: "auto", "cpu" or "cuda".
        data, sample: where the data of a resumed run lies now.
    """
    shard = shards.join(hardware.choose_device(device))
    try:
        if shard.rank:
            _follow(shard, world, data, sample)
            raise SystemExit(0)
        yield shard
        shard.send(None)
    finally:
        shards.leave()


def check(competition: Competition, config: TrainConfig, shard: Shard) -> None:
    """Refuses batches that cannot be shared out.

    Raises:
        ConfigError: fewer rows for each process than must pass together.
    """
    for stage in range(len(config.stages)) if shard.number > 1 else ():
        rows, least = stages.batch_of(config, stage), stages.least_rows(competition, config, stage)
        if rows // (shard.number * config.train.accumulate) < least:
            raise ConfigError(f"batches of {rows} rows for {shard.number} processes", fix="raise train.batch")


def announce(job: Job, number: int, places: Sequence[Path]) -> None:
    """Tells the other processes to train a fold, and with which states to begin."""
    message = {"run": str(job.run.path.absolute()), "hardware": asdict(job.hardware), "fold": number}
    message["places"] = [str(path.absolute()) for path in places]
    job.shard.send(message)


def opened(run: runs.Run, where: Request, cache: Path) -> tuple[Job, Data, FoldPlan]:
    """A begun run, its data (from the cache) and its folds, read without a word."""
    settings, world = run.settings(), World(cache)
    competition, config = registry.load(settings["competition"]), from_json(settings["config"])
    machine = from_json(settings["hardware"], hardware.Hardware)
    data = prepare(competition, config, request_root(competition, where, world), world)
    return Job(data.competition, config, run, machine, world), data, plan_folds(data.competition, config, data)


def _follow(shard: Shard, world: World, data: str | None, sample: bool) -> None:
    """Trains the folds that the first process names, until it names none."""
    begun: tuple[Job, Data, FoldPlan] | None = None
    while (message := _next(shard)) is not None:
        if begun is None:
            run = runs.Run(Path(message["run"]))
            where = elsewhere(from_json(run.settings()["request"], Request), data, sample)
            begun = opened(run, where, world.cache)
        job, rows, plan = begun
        machine = from_json(message["hardware"], hardware.Hardware)
        with determinism.level(job.config.determinism):
            alike = replace(job, shard=shard, hardware=machine)
            places = [Path(path) for path in message["places"]]
            fold.train_weights(alike, message["fold"], data=rows, plan=plan, places=places)


def _next(shard: Shard) -> dict | None:
    try:
        return shard.receive()
    except RuntimeError as error:
        # its own words are on the screen, and torchrun ends the rest
        raise SystemExit(1) from error
