"""The members' out-of-fold predictions, fold by fold: the trained network, and the cheap model beside it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.config import TrainConfig, as_json
from harness.data.folds import FoldPlan
from harness.pipeline import fold, network, rungs
from harness.pipeline.job import Job
from harness.pipeline.parts import Data
from harness.training import determinism


def predict_folds(
    job: Job, wanted: Sequence[int], *, inputs: list[Any], data: Data, plan: FoldPlan
) -> tuple[float, set[str]]:
    """Trains and fits what no finished phase of the run holds.

    Returns (the seconds of the phases that were finished before, the operations that break the level of determinism).

    Args:
        inputs: what the phases depend on, besides the fold.
    """
    before, broken = 0.0, set[str]()
    for number in wanted:
        for phase, work in ((f"fold{number}", _train_network), (f"cheap{number}", _fit_cheap)):
            record = job.run.done(phase, [*inputs, number], *_outputs(job, phase, number, data))
            if record is None:
                began = time.time()
                with determinism.level(job.config.determinism) as breaking:
                    work(job, number, data, plan)
                facts = {"seconds": time.time() - began, "broken_by": sorted(breaking)}
                record = job.run.finish(phase, [*inputs, number], **facts)
            else:
                before += record["seconds"]
            broken |= set(record.get("broken_by", []))
        fold.forget_state(job.run, number)
    return before, broken


def training_inputs(config: TrainConfig) -> dict[str, Any]:
    """The part of the configuration that decides a fold's weights and predictions."""
    return {key: value for key, value in as_json(config).items() if key not in ("report", "space", "data")}


def _train_network(job: Job, number: int, data: Data, plan: FoldPlan) -> None:
    fold.train_fold(job, number, data=data, plan=plan)


def _fit_cheap(job: Job, number: int, data: Data, plan: FoldPlan) -> None:
    rows = plan.validation(number).tolist()
    predicted = rungs.fit_cheap(job, data, plan, number)(data, rows)
    path = network.out_of_fold_file(job.run, number, rungs.cheap_name(data))
    network.write_predictions(job, predicted, path, data, rows)


def _outputs(job: Job, phase: str, number: int, data: Data) -> tuple[Path, ...]:
    if phase.startswith("cheap"):
        return (network.out_of_fold_file(job.run, number, rungs.cheap_name(data)),)
    predicted = (
        network.out_of_fold_file(job.run, number, name) for name in network.variants(job.competition, job.config)
    )
    return network.weights_file(job.run, number), *predicted
