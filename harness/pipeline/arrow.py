"""From the data to scores.json: the phases of a run, top to bottom, each skipped where it is finished."""

from __future__ import annotations

import functools
import time
from dataclasses import asdict, replace
from typing import Any

from harness import files, runs
from harness.competition import Competition
from harness.config import from_json
from harness.errors import OutOfTime, RunError, Stopped
from harness.hashing import hash_value
from harness.pipeline import (
    beginnings,
    budgeting,
    drawing,
    ending,
    fold,
    halting,
    hardware,
    in_time,
    members,
    processes,
    regularising,
    starting,
    tuning,
    warning,
)
from harness.pipeline.job import SCHEMA, Job, Request, request_root
from harness.pipeline.parts import decoded_images
from harness.pipeline.planning import checked_folds, wanted_folds
from harness.pipeline.preparation import World, prepare, prepare_test
from harness.training import determinism
from harness.training.shards import Shard


def proceed(
    competition: Competition,
    run: runs.Run,
    settings: dict[str, Any],
    where: Request,
    world: World,
    shard: Shard,
    *,
    more: float | None = None,
) -> dict[str, Any]:
    """The arrow with the clock, where there is a budget.

    Args:
        more: seconds granted to a run that must end in time and did, with work left.
    """
    request = from_json(settings["request"], Request)
    budget = None if request.budget is None else budgeting.begun(run, request.budget, world, more=more)
    world = world if budget is None else budget.world
    try:
        return _arrow(competition, run, settings, where=where, world=world, shard=shard, budget=budget)
    except OutOfTime as error:
        raise OutOfTime(error.problem, fix=f"go on with: harness resume {run.path} --budget TIME") from error
    except Stopped:
        if request.tune != "alone":
            config, root = from_json(settings["config"]), request_root(competition, where, halting.unasked(world))
            halting.sample_values(competition, config, root, run, world)
        raise
    finally:
        if budget is not None and run.path.exists():
            budget.note()


def _arrow(
    competition: Competition,
    run: runs.Run,
    settings: dict[str, Any],
    *,
    where: Request,
    world: World,
    shard: Shard,
    budget: budgeting.Budget | None,
) -> dict[str, Any]:
    """From the data to scores.json."""
    begin, request = time.monotonic(), from_json(settings["request"], Request)
    config = from_json(settings["config"])
    root = request_root(competition, where, world)
    samples = functools.partial(halting.sample_values, competition, config, root, run, world)
    if budget is not None:
        budgeting.first_submission(budget, competition, config, root)
    machine = starting.settled(competition, config, request, run, settings, world=world)
    data = prepare(competition, config, root, world)
    competition = data.competition
    regularising.check(competition, config)
    test = prepare_test(competition, config, root, world)
    data_hash = hash_value([data.hash, test.hash]) if test else data.hash
    if settings.get("data_hash", data_hash) != data_hash:
        raise RunError("the data has changed since the run began", file=root, fix="start a new run, or give its --data")
    plan, doubles = warning.warned(checked_folds(competition, config, data), data, test)
    wanted = wanted_folds(plan, request.only_folds)
    for sentence in plan.told:
        world.say(sentence)
    ahead = functools.partial(fold.work, competition, config, data=data, plan=plan, folds=len(wanted))
    with determinism.level(config.determinism):
        if budget is not None:
            machine = budgeting.unprobed(budget, competition, config, machine)
        machine = fold.probed(competition, config, machine, data=data, plan=plan, ahead=ahead, world=world)
    decoded = decoded_images(data, test, settings.get("decoded", {}))
    # what the run began on stays in its record, also where this machine must go on with something else
    settings = {
        "hardware": asdict(machine),
        **settings,
        "data_hash": data_hash,
        "rows_hash": data.hash,
        "labels": getattr(competition.task, "labels", None),
        "decoded": decoded,
    }
    starting.write(run, settings, data, plan, test)
    warning.write(run.path / "duplicates.csv", doubles)
    job = Job(competition, config, run, machine, world, shard)
    if config.begin:
        beginnings.check(job, data, plan, fold=wanted[0])  # said before anything is trained

    folds_hash = plan.digest(data.rows.ids)
    if request.tune:
        known = "tuned" in settings
        limit = None
        if budget is not None and not known:
            limit = in_time.search_limit(budget, job, data=data, test=test, plan=plan)
            if limit is None:
                beginnings.forget_search(run)
        if budget is None or known or limit is not None:
            searched = [data_hash, folds_hash]
            job, settings = tuning.phase(job, settings, where, data=data, plan=plan, inputs=searched, limit=limit)
            config = job.config
        if request.tune == "alone" and not known:
            return {"schema": SCHEMA, "status": "tuned", "run": str(run.path), **settings["tuned"]}
    inputs = [members.training_inputs(config), data_hash, folds_hash]
    if budget is not None:
        # whether there are views is settled while it trains
        inputs[0] = members.training_inputs(replace(config, views="none"))
    before = sum(record["seconds"] for record in members.records(job, wanted, inputs=inputs, data=data))
    if budget is not None:
        job, wanted = in_time.train(budget, job, wanted, inputs=inputs, data=data, test=test, plan=plan)
    left = members.missing(job, wanted, inputs=inputs, data=data)
    at_once = min(len(left), processes.number(request, machine.device) if shard.number == 1 else 1)
    with halting.answering(job, wanted, first=samples, inputs=inputs, data=data, test=test, plan=plan):
        if at_once > 1:
            processes.train(job, left, where=where, inputs=inputs, at_once=at_once)
        for number in wanted:
            one = replace(job, left=sum(fold >= number for fold in left))
            members.predict_fold(one, number, inputs=inputs, data=data, plan=plan)
    end = ending.answered(job, wanted, inputs=inputs, data=data, test=test, plan=plan)
    scored = end.scored
    result = {
        "schema": SCHEMA,
        "status": "finished",
        "competition": competition.name,
        "run": str(run.path),
        "sample": request.sample,
        "submission": str(run.path / "submission.csv"),
        **scored,
        **({"tuned": tuning.apart(settings["tuned"], scored["fold_scores"], wanted)} if "tuned" in settings else {}),
        "test_score": end.test_score,
        "holdout_score": end.held_out,
        "unknown_rate": end.unknown_rate,
        "told": [*competition.told, *data.told, *(test.told if test else ()), *plan.told, *end.told],
        "folds": plan.number,
        "folds_trained": wanted,
        "folds_hash": folds_hash,
        "quarantined": {"train": len(data.spoilt), "test": len(test.spoilt) if test else 0},
        "rows": {"train": len(data), "scored": end.rows, "test": len(test) if test else 0},
        "seconds": round(before + time.monotonic() - begin, 1),
        "decoded_images": decoded,
        "device": hardware.device_name(machine.device),
        "precision": machine.precision,
        "determinism": {"level": config.determinism, "broken_by": end.broken_by},
        "weights": machine.encoder_weights or "scratch",
    }
    if budget is not None:
        budget.written(f"network and cheap model of folds {', '.join(map(str, wanted))}")
        result["budget"] = budget.record()
    if budget is None or budget.governor.left() > budget.governor.cost("write"):
        drawing.draw(run, title=f"{competition.name}: {scored['score']['metric']} {scored['score']['value']:.4f}")
    run.finish("write", [*inputs, wanted], score=result["score"]["value"])
    files.write_json(run.path / "scores.json", result)  # the last of all: with it the run is finished
    return files.finite(result)
