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
from harness.config import TrainConfig
from harness.data.folds import FoldPlan
from harness.evaluation import baselines, masks, scores
from harness.models.inference import native_mask
from harness.pipeline.fold import MEMBER
from harness.pipeline.preparation import Data, stage_size
from harness.runs import Run


@dataclass(frozen=True)
class OutOfFold:
    """The rows of the folds that ran, with readers of their predictions and masks.

    Attributes:
        rows: positions in the training rows, fold by fold.
        folds: int64 [N], the fold of each.
        groups: int64 [N], what the metric pools over.
        units: [N], what an interval resamples.
        probability: row -> uint8 [H, W].
        truth: row -> uint8 [H, W] of 0 and 1.
    """

    rows: list[int]
    folds: np.ndarray
    groups: np.ndarray
    units: list[str]
    probability: Callable[[int], np.ndarray]
    truth: Callable[[int], np.ndarray]


def out_of_fold(competition: Competition, data: Data, plan: FoldPlan, folds: Sequence[int], run: Run) -> OutOfFold:
    """Opens `oof/network/fold<k>.npy` of the folds that ran, and writes `oof/rows.csv` beside."""
    rows: list[int] = []
    places: dict[int, tuple[int, int]] = {}
    for fold in folds:
        offset = 0
        for row in plan.validation(fold).tolist():
            places[row] = (fold, offset)
            rows.append(row)
            offset += int(data.pictures.sizes[row].prod())
    with files.replacing(run.path / "oof" / "rows.csv", "w") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(("id", "fold", "offset", "shape"))
        for row in rows:
            height, width = data.pictures.sizes[row]
            writer.writerow((data.train.ids[row], *places[row], f"{height}x{width}"))
    flat = {fold: np.load(run.path / "oof" / MEMBER / f"fold{fold}.npy", mmap_mode="r") for fold in folds}

    def probability(row: int) -> np.ndarray:
        fold, start = places[row]
        shape = data.pictures.sizes[row]
        return flat[fold][start : start + int(shape.prod())].reshape(shape)

    return OutOfFold(
        rows=rows,
        folds=plan.fold[rows],
        groups=metric_groups(competition, data, rows),
        units=units(competition, data, rows),
        probability=probability,
        truth=lambda row: data.masks[row][:, :, 0],
    )


def metric_groups(competition: Competition, data: Data, rows: Sequence[int]) -> np.ndarray:
    """int64 [N]: the metric's groups of some rows; each row its own where the metric has none."""
    if competition.metric_group is None:
        return np.arange(len(rows))
    column = data.train[competition.metric_group]
    return np.unique([column[row] for row in rows], return_inverse=True)[1]


def units(competition: Competition, data: Data, rows: Sequence[int]) -> list[str]:
    """What an interval resamples: the fold groups where there are any, else rows."""
    column = data.train[competition.folds.group] if competition.folds.group else data.train.ids
    return [column[row] for row in rows]


def score(competition: Competition, config: TrainConfig, data: Data, found: OutOfFold) -> tuple[dict[str, Any], Any]:
    """(the scores' part of the run's JSON, the nested result of the network)."""
    metric = competition.metric
    histograms = baselines.collect(found.rows, found.groups, found.probability, found.truth)
    network = scores.nested(histograms, found.folds, metric)
    low, high = scores.interval(
        network.statistics,
        found.groups,
        found.units,
        metric,
        resamples=config.report.resamples,
        confidence=config.report.confidence,
        seed=config.seed,
    )
    return {
        "score": {
            "metric": metric.name,
            "value": network.value,
            "interval": [low, high],
            "higher_is_better": metric.higher_is_better,
        },
        "secondary": {
            other.name: float(other.reduce(network.statistics, found.groups)) for other in competition.secondary
        },
        "members": {MEMBER: {"value": network.value, "fold_scores": network.fold_scores, "weight": 1.0}},
        "baselines": _baselines(competition, config, data, found, histograms),
        "fold_scores": network.fold_scores,
        "optimism": network.optimism,
        "decision": asdict(network.final),
    }, network


def _baselines(
    competition: Competition, config: TrainConfig, data: Data, found: OutOfFold, histograms: masks.Histograms
) -> dict[str, float]:
    """The all-empty answer, and the other folds' mean mask decided like the network's, nested."""
    empty = baselines.empty_statistics(histograms)
    size = stage_size(competition, config, len(config.stages) - 1)
    means = baselines.mean_masks(found.truth, found.rows, found.folds, size)
    fold_of = dict(zip(found.rows, found.folds.tolist(), strict=True))

    def mean_mask(row: int) -> np.ndarray:
        height, width = (int(side) for side in data.pictures.sizes[row])
        return native_mask(means[fold_of[row]][None].copy(), (height, width))

    drawn = baselines.collect(found.rows, found.groups, mean_mask, found.truth)
    return {
        "all empty": float(competition.metric.reduce(empty, found.groups)),
        "mean mask": scores.nested(drawn, found.folds, competition.metric).value,
    }
