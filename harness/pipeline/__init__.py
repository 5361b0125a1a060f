"""The arrow: unpack -> cache -> folds -> fold k -> choose -> predict -> write. The only package that knows two stages.

Each phase reads and writes files in the run folder and records a hash of its inputs when done; a finished phase is not
repeated. `run` starts a folder, `resume` goes on with one: both end in `arrow.proceed`.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness import files, registry, runs
from harness.competition import Competition
from harness.config import TrainConfig, as_json, from_json
from harness.errors import ConfigError, HarnessError
from harness.pipeline import arrow, budgeting, following, halting, processes, tuning
from harness.pipeline.job import SCHEMA, Request, elsewhere
from harness.pipeline.prediction import predict
from harness.pipeline.preparation import World
from harness.training.shards import Shard


def run(
    competition: Competition, config: TrainConfig, request: Request, *, out: Path | None, world: World
) -> dict[str, Any]:
    """Trains and scores in a new run folder; returns the run's JSON.

    Of several processes that torchrun started, the first returns it, and the others end here.

    Raises:
        HarnessError: whatever the user can mend.
    """
    with following.together(request.device, world) as shard:
        return _run(competition, config, request, out=out, world=world, shard=shard)


def _run(
    competition: Competition, config: TrainConfig, request: Request, *, out: Path | None, world: World, shard: Shard
) -> dict[str, Any]:
    following.check(competition, config, shard)
    noted = tuning.noted(request)
    if request.tune:
        tuning.check(config, request.search)
    if request.budget is not None:
        budgeting.check(request, shard)
        config = budgeting.resolved(config)
    folder = runs.create(out, competition.name)
    settings = {
        "schema": SCHEMA,
        "competition": competition.name,
        "request": asdict(noted),
        "config": as_json(config),
    }
    ours = False
    try:
        with halting.resumable(folder), folder.alone(), processes.shared_threads(request):
            files.write_json(folder.path / "config.json", settings)  # from here on the run can be resumed
            ours = True
            world.say(f"run {folder.path}")
            return arrow.proceed(competition, folder, settings, request, world, shard)
    except KeyboardInterrupt:
        world.say(f"go on with: harness resume {folder.path}")
        raise
    except HarnessError as error:
        begun = ours and (folder.path / "config.json").exists()  # else another process's, or removed by somebody
        if error.exit_code == 2 and begun and "data_hash" not in folder.settings():
            folder.discard()  # nothing was done yet: a mistake in the data leaves no empty run behind
        raise


def resume(
    folder: runs.Run, *, data: str | None, sample: bool = False, budget: float | None = None, world: World
) -> dict[str, Any]:
    """Goes on with a run where it stopped; returns the run's JSON at once when it is finished.

    `data` or `sample` say where the same data lies now; `budget` are seconds that this process may take, where the run
    began with a budget.

    Raises:
        RunError: the data is not what the run began with.
        ConfigError: a budget for a run that began without one.
        OutOfTime: the budget is used up.
    """
    settings = folder.settings()
    request = from_json(settings["request"], Request)
    with following.together(request.device, world, data=data, sample=sample) as shard:
        finished = folder.scores()
        if finished is not None and budget is not None:
            raise ConfigError(f"--budget for {folder.path}, which is finished", fix="start another run with more time")
        if finished is not None:
            return finished
        where = elsewhere(request, data, sample)
        if request.budget is not None:
            budgeting.check(request, shard)
        elif budget is not None:
            fix = "resume it without, or start a run with --budget: its schedules have a fixed length"
            raise ConfigError("--budget for a run that began without one", fix=fix)
        with halting.resumable(folder), folder.alone(), processes.shared_threads(request):
            competition = registry.load(settings["competition"])
            return arrow.proceed(competition, folder, settings, where, world, shard, more=budget)


__all__ = ["Request", "World", "predict", "resume", "run"]
