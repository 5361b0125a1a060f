"""The search of rate and length: who works on it, and what becomes of the answer.

The winning branch is fold 0's model: the state it ended in is put where the fold looks for one, and the other folds
train like it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness import files
from harness.config import TrainConfig, as_json, from_json
from harness.data.folds import FoldPlan
from harness.errors import ConfigError
from harness.pipeline import beginnings, drawing, processes
from harness.pipeline.job import Job, Limit, Request, Search
from harness.pipeline.parts import Data
from harness.pipeline.seat import TRUNKS, Seat
from harness.pipeline.trunks import with_params
from harness.search.branch import COOLED
from harness.training import determinism


def check(config: TrainConfig, search: Search) -> None:
    """Refuses what cannot be searched.

    Raises:
        ConfigError: several stages or layer-wise rates (no one length, no one rate), a fold that begins elsewhere, or
            mixing, whose end depends on the length; further dimensions for a method that has none.
    """
    stage = config.stages[0]
    if len(config.stages) > 1 or config.begin or stage.rates or config.train.mixup or config.train.cutmix:
        fix = "search on one stage without them, and set them by hand after it"
        raise ConfigError("a search with several stages, stages.0.rates, begin, train.mixup or train.cutmix", fix=fix)
    if search.method != "tpe" and (config.space.dimensions or config.space.folds > 1):
        named = [f"space.{dimension.key}" for dimension in config.space.dimensions] or ["space.folds"]
        raise ConfigError(f"--method {search.method} with {named[0]}", fix="give --method tpe, or leave it out")


def noted(request: Request) -> Request:
    """The request as it is written into the run folder: without the storage's password.

    A resume finds it where libpq looks for one: PGPASSWORD, or ~/.pgpass.
    """
    search = request.search
    if not search.storage:
        return request
    from harness.search import study  # optuna takes a second, which other runs need not pay

    return replace(request, search=replace(search, storage=study.public(search.storage)))


def phase(
    job: Job,
    settings: dict[str, Any],
    where: Request,
    *,
    data: Data,
    plan: FoldPlan,
    inputs: list[Any],
    limit: Limit | None = None,
) -> tuple[Job, dict[str, Any]]:
    """(the job as the search's answer has it, the run's settings with the answer); searched once a run."""
    if "tuned" not in settings:
        check(job.config, where.search)
        answer = tune(job, where, data=data, plan=plan, inputs=inputs, limit=limit)
        settings = {**settings, "config": as_json(tuned(job.config, answer)), "tuned": answer}
        files.write_json(job.run.path / "config.json", settings)
    if job.run.done("tune", inputs) is None:  # or it was killed just after the answer was written
        job.run.finish("tune", inputs, rate=settings["tuned"]["rate"], epochs=settings["tuned"]["epochs"])
        beginnings.forget_search(job.run)
    return replace(job, config=from_json(settings["config"]), chose=chose(settings)), settings


def chose(settings: Mapping[str, Any]) -> tuple[int, ...]:
    """The folds by whose rows a run's rate and length were chosen; none where they were given."""
    return tuple(settings["tuned"].get("chosen_on", (0,))) if "tuned" in settings else ()


def apart(answer: dict[str, Any], fold_scores: Sequence[float], folds: Sequence[int]) -> dict[str, Any]:
    """The answer with the score of the folds it was chosen on beside the mean of the others."""
    chosen = answer.get("chosen_on", [0])
    own = [value for number, value in zip(folds, fold_scores, strict=True) if number in chosen]
    others = [value for number, value in zip(folds, fold_scores, strict=True) if number not in chosen]
    facts = {
        "fold0": fold_scores[list(folds).index(0)] if 0 in folds else None,
        "chosen": float(np.mean(own)) if own else None,
        "others": float(np.mean(others)) if others else None,
    }
    return {**answer, **facts}


def tune(
    job: Job, where: Request, *, data: Data, plan: FoldPlan, inputs: list[Any], limit: Limit | None = None
) -> dict[str, Any]:
    """Searches, alone or in several processes, and returns the answer: rate, epochs, steps, all that was scored.

    The state of the best branch is left where fold 0 looks for one.

    Args:
        limit: of one that must end in time; it works alone.
    """
    if limit is not None:
        limit = _kept(job, limit)
        shortest, _ = job.config.space.epochs
        space = replace(job.config.space, epochs=(min(shortest, limit.epochs / 2), limit.epochs))
        job = replace(job, config=replace(job.config, space=space))
    with determinism.level(job.config.determinism):
        workers = processes.number(where, job.hardware.device) if limit is None else 1
        if workers > 1:
            seat = Seat(job, where.search, data, plan)
            if where.search.method in TRUNKS:
                seat.edge()
            job.world.say(f"search in {workers} processes")
            try:
                processes.crew(job, follow, where=where, inputs=inputs, at_once=workers, spare=True)
            finally:
                seat.book.sweep()  # what a process that had to be killed was at
        seat = Seat(job, where.search, data, plan, over=None if limit is None else limit.over)
        best = seat.work()  # what is left of it
        if where.search.method in TRUNKS and 0 in (where.only_folds or (0,)):
            seat.keep(best)
        answer = seat.answer(best)
        drawing.draw_search(job.run, seat.book.study, metric=job.competition.metric.name)
        return answer


def _kept(job: Job, limit: Limit) -> Limit:
    """The limit with the epochs that the run's first process began with: lengths are compared with each other."""
    path = beginnings.search_folder(job.run) / "limit.json"
    if path.exists():
        return replace(
            limit, epochs=files.read_json(path, fix="remove the folder it lies in").get("epochs", limit.epochs)
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(path, {"epochs": limit.epochs})
    return limit


def follow(job: Job, data: Data, plan: FoldPlan, work: processes.Work, waiting: Any) -> None:
    """A further process of a search."""
    with determinism.level(job.config.determinism):
        Seat(job, work.where.search, data, plan).work()


def tuned(config: TrainConfig, answer: dict[str, Any]) -> TrainConfig:
    """The configuration that trains like the answer."""
    stage = replace(config.stages[0], epochs=answer["epochs"], find=False)
    if answer["method"] not in TRUNKS:
        config = with_params(config, {"rate": answer["rate"], **answer["settings"]})
        return replace(config, stages=(stage,))
    train = replace(
        config.train,
        rate=answer["rate"],
        schedule="warmup-stable-decay",
        warmup=answer["warmup"],
        cooldown=COOLED,
    )
    return replace(config, train=train, stages=(replace(stage, schedule=None),))
