"""The arrow: unpack -> cache -> folds -> fold k -> choose -> predict -> write. The only package that knows two stages.

Each phase reads and writes files in the run folder and records a hash of its inputs when done; a finished phase is not
repeated. `run` starts a folder, `resume` goes on with one: both end in `_proceed`, which is the arrow.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import files, registry, runs
from harness.competition import Competition
from harness.config import TrainConfig, as_json, from_json
from harness.data.folds import FoldPlan
from harness.errors import ConfigError, HarnessError, RunError
from harness.evaluation.masks import Decision
from harness.pipeline import answer, fold, hardware, score
from harness.pipeline.preparation import Data, World, data_root, plan_folds, prepare, write_folds

SCHEMA = 1


@dataclass(frozen=True)
class Request:
    """What was asked for, besides the configuration.

    Attributes:
        data: folder or zip, or None to look in the usual places.
        sample: draw the adapter's sample instead.
        sample_rows: how many training rows of it, about.
        only_folds: folds to train; empty means all.
        device: "auto", "cpu" or "cuda".
    """

    data: str | None = None
    sample: bool = False
    sample_rows: int = 60
    only_folds: tuple[int, ...] = ()
    device: str = "auto"


def run(
    competition: Competition, config: TrainConfig, request: Request, *, out: Path | None, world: World
) -> dict[str, Any]:
    """Trains and scores in a new run folder; returns the run's JSON.

    Raises:
        HarnessError: whatever the user can mend.
    """
    folder = runs.create(out, competition.name)
    settings = {
        "schema": SCHEMA,
        "competition": competition.name,
        "request": dataclasses.asdict(request),
        "config": as_json(config),
    }
    files.write_json(folder.path / "config.json", settings)  # from here on the run can be resumed
    world.say(f"run {folder.path}")
    try:
        return _proceed(competition, config, request, folder, settings, world)
    except KeyboardInterrupt:
        world.say(f"go on with: harness resume {folder.path}")
        raise
    except HarnessError:
        if "data_hash" not in folder.settings():
            folder.discard()  # nothing was done yet: a mistake in the data leaves no empty run behind
        raise


def resume(folder: runs.Run, *, data: str | None, sample: bool = False, world: World) -> dict[str, Any]:
    """Goes on with a run where it stopped; returns the run's JSON at once when it is finished.

    `data` or `sample` stand for where the same data lies now.

    Raises:
        RunError: the data is not what the run began with.
    """
    finished = folder.scores()
    if finished is not None:
        return finished
    settings = folder.settings()
    competition = registry.load(settings["competition"])
    request = _elsewhere(from_json(settings["request"], Request), data, sample)
    return _proceed(competition, from_json(settings["config"]), request, folder, settings, world)


def predict(folder: runs.Run, *, data: str | None, sample: bool = False, world: World) -> Path:
    """Writes `submission.csv` of a finished run again, from its weights, for its own or other data; returns its path.

    Raises:
        RunError: the run is not finished, or other data for a competition without a test set.
    """
    settings, finished = folder.settings(), folder.scores()
    if finished is None:
        raise RunError("the run is not finished", file=folder.path, fix=f"harness resume {folder.path}")
    competition, config = registry.load(settings["competition"]), from_json(settings["config"])
    request = _elsewhere(from_json(settings["request"], Request), data, sample)
    read = prepare(competition, config, _root(competition, config, request, world), world)
    if read.test is None and read.hash != settings["data_hash"]:
        fix = "a competition without a test set predicts only the data of its run"
        raise RunError("the data is not what the run was trained on", file=folder.path, fix=fix)
    decision = Decision(**finished["decision"])
    resolved = from_json(settings["hardware"], hardware.Hardware)
    here = dataclasses.replace(resolved, device=hardware.choose_device("auto"))
    if here.device == "cpu" and here.precision == "fp16":
        here = dataclasses.replace(here, precision="fp32")
    folds = list(range(len(finished["fold_scores"])) if not request.only_folds else request.only_folds)
    answer.write_submission(competition, config, read, folds, decision, run=folder, hardware=here, world=world)
    return folder.path / "submission.csv"


def _proceed(
    competition: Competition,
    config: TrainConfig,
    request: Request,
    run: runs.Run,
    settings: dict[str, Any],
    world: World,
) -> dict[str, Any]:
    """The arrow, from the data to scores.json."""
    begin = time.time()
    root = _root(competition, config, request, world)
    data = prepare(competition, config, root, world)
    decoded = {kind: count + settings.get("decoded", {}).get(kind, 0) for kind, count in data.decoded.items()}
    if settings.get("data_hash", data.hash) != data.hash:
        raise RunError("the data has changed since the run began", file=root, fix="start a new run, or give its --data")
    plan = plan_folds(competition, config, data)
    wanted = _wanted_folds(plan, request)
    resolved = _hardware(competition, config, request, data, plan, settings, world)
    settings |= {"data_hash": data.hash, "hardware": dataclasses.asdict(resolved), "decoded": decoded}
    _write_start(run, settings, data, plan, resolved)
    for sentence in plan.told:
        world.say(sentence)

    inputs = [_training_inputs(config), data.hash, plan.digest(data.train.ids), dataclasses.asdict(resolved)]
    for number in wanted:
        if run.done(f"fold{number}", [*inputs, number]) is None:
            began = time.time()
            fold.train_fold(competition, config, data, plan, number, run=run, hardware=resolved, world=world)
            run.finish(f"fold{number}", [*inputs, number], seconds=time.time() - began)

    found = score.out_of_fold(competition, data, plan, wanted, run)
    scored, network = score.score(competition, config, data, found)
    run.finish("choose", [*inputs, wanted], **scored["decision"])
    answer.write_out_of_fold(competition, data, found, network, run)
    test_score = answer.held_out_score(
        competition, config, data, plan, wanted, network.final, run=run, hardware=resolved
    )
    if run.done("predict", [*inputs, wanted, scored["decision"]]) is None:
        answer.write_submission(
            competition, config, data, wanted, network.final, run=run, hardware=resolved, world=world
        )
        run.finish("predict", [*inputs, wanted, scored["decision"]])
    result = {
        "schema": SCHEMA,
        "status": "finished",
        "competition": competition.name,
        "run": str(run.path),
        "sample": request.sample,
        "submission": str(run.path / "submission.csv"),
        **scored,
        "test_score": test_score,
        "folds": plan.number,
        "folds_trained": wanted,
        "folds_hash": plan.digest(data.train.ids),
        "rows": {"train": len(data.train), "test": len(data.test) if data.test else 0},
        "seconds": round(time.time() - begin, 1),
        "decoded_images": decoded,
        "device": hardware.device_name(resolved.device),
        "precision": resolved.precision,
        "weights": resolved.encoder_weights or "scratch",
    }
    files.write_json(run.path / "scores.json", result)
    run.finish("write", [*inputs, wanted], score=result["score"]["value"])
    return files.finite(result)


def _elsewhere(request: Request, data: str | None, sample: bool) -> Request:
    """The request with the data named now, if any is."""
    if data is None and not sample:
        return request
    return dataclasses.replace(request, data=None if data is None else str(Path(data).absolute()), sample=sample)


def _root(competition: Competition, config: TrainConfig, request: Request, world: World) -> Path:
    return data_root(
        competition,
        data=None if request.data is None else Path(request.data),
        sample=request.sample,
        sample_rows=request.sample_rows,
        seed=0,
        world=world,
    )


def _wanted_folds(plan: FoldPlan, request: Request) -> list[int]:
    outside = [number for number in request.only_folds if not 0 <= number < plan.number]
    if outside:
        raise ConfigError(
            f"--only-folds {outside[0]}, but the folds are 0 to {plan.number - 1}", fix="name folds there are"
        )
    return sorted(set(request.only_folds)) or list(range(plan.number))


def _hardware(
    competition: Competition,
    config: TrainConfig,
    request: Request,
    data: Data,
    plan: FoldPlan,
    settings: dict[str, Any],
    world: World,
) -> hardware.Hardware:
    """As the run began; else resolved now."""
    if "hardware" in settings:
        return from_json(settings["hardware"], hardware.Hardware)
    examples = fold.stream(competition, config, data, plan, 0, 0)
    return hardware.resolve(
        competition,
        config,
        device=request.device,
        offline=request.sample,
        first_batch=lambda: next(iter(examples.batches(0, 1, batch=config.train.batch, workers=0, pin=False))),
        world=world,
    )


def _training_inputs(config: TrainConfig) -> dict[str, Any]:
    """The part of the configuration that decides a fold's weights and predictions."""
    return {key: value for key, value in as_json(config).items() if key not in ("report", "space", "data")}


def _write_start(
    run: runs.Run, settings: dict[str, Any], data: Data, plan: FoldPlan, resolved: hardware.Hardware
) -> None:
    """config.json, environment.json and folds.csv."""
    environment = run.path / "environment.json"
    if not environment.exists():
        files.write_json(environment, hardware.environment(resolved.device))
    write_folds(run.path / "folds.csv", data, plan)
    run.finish("cache", data.hash, decoded=data.decoded)
    run.finish("folds", [data.hash, plan.digest(data.train.ids)], number=plan.number)
    files.write_json(run.path / "config.json", settings)


__all__ = ["Request", "World", "predict", "resume", "run"]
