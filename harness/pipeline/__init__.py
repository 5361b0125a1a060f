"""The arrow: unpack -> cache -> folds -> fold k -> choose -> predict -> write. The only package that knows two stages.

Each phase reads and writes files in the run folder and records a hash of its inputs when done; a finished phase is not
repeated. `run` starts a folder, `resume` goes on with one: both end in `_proceed`, which is the arrow.
"""

from __future__ import annotations

import functools
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from harness import files, registry, runs
from harness.competition import Competition
from harness.config import TrainConfig, as_json, from_json
from harness.data.folds import FoldPlan
from harness.errors import ConfigError, HarnessError, RunError
from harness.evaluation.masks import Decision
from harness.hashing import hash_value
from harness.pipeline import answer, fold, hardware, score
from harness.pipeline.job import Job, Request
from harness.pipeline.preparation import Data, World, data_root, plan_folds, prepare, prepare_test, write_folds

SCHEMA = 1


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
        "request": asdict(request),
        "config": as_json(config),
    }
    try:
        with folder.alone():
            files.write_json(folder.path / "config.json", settings)  # from here on the run can be resumed
            world.say(f"run {folder.path}")
            return _proceed(competition, folder, settings, request, world)
    except KeyboardInterrupt:
        world.say(f"go on with: harness resume {folder.path}")
        raise
    except HarnessError:
        if "data_hash" not in folder.settings():
            folder.discard()  # nothing was done yet: a mistake in the data leaves no empty run behind
        raise


def resume(folder: runs.Run, *, data: str | None, sample: bool = False, world: World) -> dict[str, Any]:
    """Goes on with a run where it stopped; returns the run's JSON at once when it is finished.

    `data` or `sample` say where the same data lies now.

    Raises:
        RunError: the data is not what the run began with.
    """
    finished = folder.scores()
    if finished is not None:
        return finished
    with folder.alone():
        settings = folder.settings()
        where = _elsewhere(from_json(settings["request"], Request), data, sample)
        return _proceed(registry.load(settings["competition"]), folder, settings, where, world)


def predict(folder: runs.Run, *, data: str | None, sample: bool = False, world: World) -> Path:
    """Writes `submission.csv` of a finished run again, from its weights, for its own or other data; returns its path.

    Raises:
        RunError: the run is not finished, or other data for a competition without a test set.
    """
    settings, finished = folder.settings(), folder.scores()
    if finished is None:
        raise RunError("the run is not finished", file=folder.path, fix=f"harness resume {folder.path}")
    competition, config = registry.load(settings["competition"]), from_json(settings["config"])
    root = _root(competition, _elsewhere(from_json(settings["request"], Request), data, sample), world)
    machine = hardware.here(from_json(settings["hardware"], hardware.Hardware), world)
    job = Job(competition, config, folder, machine, world)
    test = prepare_test(competition, config, root, world)
    if test is not None:
        answer.write_submission(job, finished["folds_trained"], test=test, decision=Decision(**finished["decision"]))
        return folder.path / "submission.csv"
    own = prepare(competition, config, root, world)
    if own.hash != settings["data_hash"]:
        fix = "a competition without a test set predicts only the data of its run"
        raise RunError("the data is not what the run was trained on", file=folder.path, fix=fix)
    answer.write_own_submission(job, data=own)
    return folder.path / "submission.csv"


def _proceed(
    competition: Competition, run: runs.Run, settings: dict[str, Any], where: Request, world: World
) -> dict[str, Any]:
    """The arrow, from the data to scores.json."""
    begin, request = time.time(), from_json(settings["request"], Request)
    config = from_json(settings["config"])
    root = _root(competition, where, world)
    machine = _machine(competition, config, request, run, settings, world=world)
    data, test = prepare(competition, config, root, world), prepare_test(competition, config, root, world)
    data_hash = hash_value([data.hash, test.hash]) if test else data.hash
    if settings.get("data_hash", data_hash) != data_hash:
        raise RunError("the data has changed since the run began", file=root, fix="start a new run, or give its --data")
    plan = plan_folds(competition, config, data)
    wanted = _wanted_folds(plan, request)
    for sentence in plan.told:
        world.say(sentence)
    examples = fold.stream(competition, config, data=data, plan=plan, fold=0, stage=0)
    machine = hardware.probed(
        competition, config, machine, first_batch=functools.partial(examples.first, config.train.batch), world=world
    )
    decoded = {
        "train": data.pictures.decoded,
        "test": test.pictures.decoded if test else 0,
        "masks": data.masks.decoded,
    }
    decoded = {kind: count + settings.get("decoded", {}).get(kind, 0) for kind, count in decoded.items()}
    # what the run began on stays in its record, also where this machine must go on with something else
    settings = {"hardware": asdict(machine), **settings, "data_hash": data_hash, "decoded": decoded}
    _write_start(run, settings, data, plan)
    job = Job(competition, config, run, machine, world)

    folds_hash = plan.digest(data.train.ids)
    inputs = [_training_inputs(config), data_hash, folds_hash]
    before = 0.0
    for number in wanted:
        outputs = (fold.weights_file(run, number), fold.out_of_fold_file(run, number))
        record = run.done(f"fold{number}", [*inputs, number], *outputs)
        if record is None:
            began = time.time()
            fold.train_fold(job, number, data=data, plan=plan)
            run.finish(f"fold{number}", [*inputs, number], seconds=time.time() - began)
        else:
            before += record["seconds"]
        fold.forget_state(run, number)

    found = score.out_of_fold(job, wanted, data=data, plan=plan)
    scored, network = score.score(job, found, data=data, plan=plan)
    run.finish("choose", [*inputs, wanted], **scored["decision"])
    answer.write_out_of_fold(job, found, data=data, network=network)
    test_score = answer.held_out_score(job, wanted, data=data, plan=plan, decision=network.final)
    submission = run.path / "submission.csv"
    if test is None:
        answer.write_own_submission(job, data=data)
    elif run.done("predict", [*inputs, wanted, scored["decision"]], submission) is None:
        answer.write_submission(job, wanted, test=test, decision=network.final)
    run.finish("predict", [*inputs, wanted, scored["decision"]])
    result = {
        "schema": SCHEMA,
        "status": "finished",
        "competition": competition.name,
        "run": str(run.path),
        "sample": request.sample,
        "submission": str(submission),
        **scored,
        "test_score": test_score,
        "folds": plan.number,
        "folds_trained": wanted,
        "folds_hash": folds_hash,
        "rows": {"train": len(data.train), "scored": len(found.rows), "test": len(test.rows) if test else 0},
        "seconds": round(before + time.time() - begin, 1),
        "decoded_images": decoded,
        "device": hardware.device_name(machine.device),
        "precision": machine.precision,
        "weights": machine.encoder_weights or "scratch",
    }
    files.write_json(run.path / "scores.json", result)
    run.finish("write", [*inputs, wanted], score=result["score"]["value"])
    return files.finite(result)


def _root(competition: Competition, where: Request, world: World) -> Path:
    named = None if where.data is None else Path(where.data)
    return data_root(competition, data=named, sample=where.sample, sample_rows=where.sample_rows, seed=0, world=world)


def _elsewhere(request: Request, data: str | None, sample: bool) -> Request:
    """The request with the data named now, if any is."""
    if data is None and not sample:
        return request
    return replace(request, data=None if data is None else str(Path(data).absolute()), sample=sample)


def _wanted_folds(plan: FoldPlan, request: Request) -> list[int]:
    outside = [number for number in request.only_folds if not 0 <= number < plan.number]
    if outside:
        raise ConfigError(
            f"--only-folds {outside[0]}, but the folds are 0 to {plan.number - 1}", fix="name folds there are"
        )
    return sorted(set(request.only_folds)) or list(range(plan.number))


def _machine(
    competition: Competition,
    config: TrainConfig,
    request: Request,
    run: runs.Run,
    settings: dict[str, Any],
    *,
    world: World,
) -> hardware.Hardware:
    """As the run began, with a word on what differs now; else settled anew."""
    if "hardware" not in settings:
        return hardware.settle(competition, config, device=request.device, offline=request.sample, world=world)
    machine = hardware.here(from_json(settings["hardware"], hardware.Hardware), world)
    different = hardware.differences(run.environment() or {}, hardware.environment(machine.device))
    if different:
        world.say(f"not bit-identical to an uninterrupted run, because {'; '.join(different)}")
    return machine


def _training_inputs(config: TrainConfig) -> dict[str, Any]:
    """The part of the configuration that decides a fold's weights and predictions."""
    return {key: value for key, value in as_json(config).items() if key not in ("report", "space", "data")}


def _write_start(run: runs.Run, settings: dict[str, Any], data: Data, plan: FoldPlan) -> None:
    """folds.csv, environment.json and the resolved config.json."""
    if run.environment() is None:
        files.write_json(run.path / "environment.json", hardware.environment(settings["hardware"]["device"]))
    write_folds(run.path / "folds.csv", data, plan)
    run.finish("cache", settings["data_hash"], decoded=settings["decoded"])
    run.finish("folds", [settings["data_hash"], plan.digest(data.train.ids)], number=plan.number)
    files.write_json(run.path / "config.json", settings)


__all__ = ["Request", "World", "predict", "resume", "run"]
