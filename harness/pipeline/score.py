"""From out-of-fold predictions to decisions, scores and baselines.

N rows.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from harness import files
from harness.competition import Competition
from harness.data.folds import HELD_OUT, FoldPlan
from harness.evaluation import baselines, scores
from harness.models.inference import native_mask
from harness.pipeline.fold import MEMBER, out_of_fold_file
from harness.pipeline.job import Job
from harness.pipeline.preparation import Data, stage_size


@dataclass(frozen=True)
class OutOfFold:
    """The rows of the folds that ran, with readers of their predictions and masks.

    Attributes:
        rows: positions in the training rows, fold by fold.
        folds: int64 [N], the fold of each.
        groups: int64 [N], what the metric pools over.
        units: [N], what an interval resamples.
        probability: row -> uint8 [H, W].
        truth: row -> bool [H, W].
    """

    rows: list[int]
    folds: np.ndarray
    groups: np.ndarray
    units: list[str]
    probability: Callable[[int], np.ndarray]
    truth: Callable[[int], np.ndarray]


def out_of_fold(job: Job, folds: Sequence[int], *, data: Data, plan: FoldPlan) -> OutOfFold:
    """Opens `oof/network/fold<k>.npy` of the folds that ran, and writes `oof/rows.csv` beside."""
    rows: list[int] = []
    places: dict[int, tuple[int, int]] = {}
    for fold in folds:
        offset = 0
        for row in plan.validation(fold).tolist():
            places[row] = (fold, offset)
            rows.append(row)
            offset += int(data.pictures.sizes[row].prod())
    with files.replacing(job.run.path / "oof" / "rows.csv", "w") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(("id", "fold", "offset", "shape"))
        writer.writerows((data.train.ids[row], *places[row], "{}x{}".format(*data.size(row))) for row in rows)
    flat = {fold: np.load(out_of_fold_file(job.run, fold), mmap_mode="r") for fold in folds}

    def probability(row: int) -> np.ndarray:
        fold, start = places[row]
        height, width = data.size(row)
        return flat[fold][start : start + height * width].reshape(height, width)

    group = job.competition.folds.group
    return OutOfFold(
        rows=rows,
        folds=plan.fold[rows],
        groups=metric_groups(job.competition, data, rows),
        units=[data.train[group or "id"][row] for row in rows],
        probability=probability,
        truth=data.truth,
    )


def metric_groups(competition: Competition, data: Data, rows: Sequence[int]) -> np.ndarray:
    """int64 [N]: the metric's groups of some rows; each row its own where the metric has none."""
    column = data.train[competition.metric_group or "id"]
    return np.unique([column[row] for row in rows], return_inverse=True)[1]


def score(job: Job, found: OutOfFold, *, data: Data, plan: FoldPlan) -> tuple[dict[str, Any], scores.Nested]:
    """(the scores' part of the run's JSON, the nested result of the network)."""
    metric, settings = job.competition.metric, job.config.report
    histograms = baselines.collect(found.rows, found.groups, found.probability, found.truth)
    network = scores.nested(histograms, found.folds, metric)
    interval = scores.interval(
        network.statistics,
        found.groups,
        found.units,
        metric,
        resamples=settings.resamples,
        confidence=settings.confidence,
        seed=job.config.seed,
    )
    empty = baselines.empty_statistics(histograms)
    drawn = baselines.collect(found.rows, found.groups, _mean_mask(job, data, plan), found.truth)
    return {
        "score": {
            "metric": metric.name,
            "value": network.value,
            "interval": list(interval),
            "higher_is_better": metric.higher_is_better,
        },
        "secondary": {
            other.name: float(other.reduce(network.statistics, found.groups)) for other in job.competition.secondary
        },
        "members": {MEMBER: {"value": network.value, "fold_scores": network.fold_scores, "weight": 1.0}},
        "baselines": {
            "all empty": float(metric.reduce(empty, found.groups)),
            "mean mask": scores.nested(drawn, found.folds, metric).value,
        },
        "fold_scores": network.fold_scores,
        "optimism": network.optimism,
        "decision": asdict(network.final),
    }, network


def _mean_mask(job: Job, data: Data, plan: FoldPlan) -> Callable[[int], np.ndarray]:
    """row -> uint8 [H, W]: the mean mask of the rows that its fold trains on, at native size."""
    rows = np.flatnonzero(plan.fold != HELD_OUT)
    size = stage_size(job.competition, job.config, len(job.config.stages) - 1)
    means = baselines.mean_masks(data.truth, rows.tolist(), plan.fold[rows], size)
    return lambda row: native_mask(means[int(plan.fold[row])][None].copy(), data.size(row))
