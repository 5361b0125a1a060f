"""The members' out-of-fold predictions, fold by fold: the trained network, and the cheap model beside it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.config import TrainConfig, as_json
from harness.data.folds import FoldPlan
from harness.pipeline import beginnings, fold, following, network, rungs
from harness.pipeline.job import Job
from harness.pipeline.parts import Data
from harness.training import determinism, memory

PHASES = ("fold", "cheap")


def missing(job: Job, wanted: Sequence[int], *, inputs: list[Any], data: Data) -> list[int]:
    """The folds of which a phase is not finished."""
    return [number for number in wanted if None in (_record(job, kind, number, inputs, data) for kind in PHASES)]


def predict_fold(
    job: Job, number: int, *, inputs: list[Any], data: Data, plan: FoldPlan, kinds: Sequence[str] = PHASES
) -> None:
    """Trains and fits what no finished phase of a fold holds.

    Args:
        inputs: what the phases depend on, besides the fold.
        kinds: of `PHASES`.
    """
    for kind in kinds:
        work = {"fold": _train_network, "cheap": _fit_cheap}[kind]
        if _record(job, kind, number, inputs, data) is None:
            began = time.monotonic()  # the clock on the wall may be set back
            with determinism.level(job.config.determinism) as broken, memory.told():
                work(job, number, data, plan)
            facts = {"seconds": time.monotonic() - began, "broken_by": sorted(broken)}
            facts["folds_hash"] = plan.digest(data.rows.ids)
            job.run.finish(f"{kind}{number}", [*inputs, number], **facts)
    if "fold" in kinds:
        beginnings.forget_state(job.run, number)


def records(job: Job, wanted: Sequence[int], *, inputs: list[Any], data: Data) -> list[dict[str, Any]]:
    """What the finished phases of some folds recorded: their seconds, the operations that broke the determinism."""
    found = [_record(job, kind, number, inputs, data) for number in wanted for kind in PHASES]
    return [record for record in found if record is not None]


def _record(job: Job, kind: str, number: int, inputs: list[Any], data: Data) -> dict[str, Any] | None:
    return job.run.done(f"{kind}{number}", [*inputs, number], *_outputs(job, kind, number, data))


def training_inputs(config: TrainConfig) -> dict[str, Any]:
    """The part of the configuration that decides a fold's weights and predictions."""
    return {key: value for key, value in as_json(config).items() if key not in ("report", "space", "data")}


def _train_network(job: Job, number: int, data: Data, plan: FoldPlan) -> None:
    places = beginnings.places(job, data, plan, fold=number)
    following.announce(job, number, places)
    fold.train_fold(job, number, data=data, plan=plan, places=places)


def _fit_cheap(job: Job, number: int, data: Data, plan: FoldPlan) -> None:
    rows, name = plan.validation(number).tolist(), rungs.cheap_name(job.competition)
    test = None if job.clocked is None else job.clocked.test
    with job.timed("cheap"):
        predictor = rungs.fit_cheap(job, data, plan, number)
        network.write_out_of_fold(job, predictor(data, rows), number, name, data=data, plan=plan)
        if test is not None:
            every, path = range(len(test)), network.kept_file(job.run, number, name)
            network.write_predictions(job, predictor(test, every), path, test, every)


def _outputs(job: Job, kind: str, number: int, data: Data) -> tuple[Path, ...]:
    cheap = kind == "cheap"
    names = (rungs.cheap_name(job.competition),) if cheap else network.variants(job.competition, job.config)
    arrays = [network.out_of_fold_file(job.run, number, name) for name in names]
    sealed = (*arrays, *(path.with_suffix(".json") for path in arrays))
    return sealed if cheap else (network.weights_file(job.run, number), *sealed)
