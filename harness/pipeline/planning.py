"""Which fold each training row validates in, from what the adapter declares and what the rows hold.

N rows, L labels.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness import files
from harness.competition import Competition
from harness.config import TrainConfig
from harness.data import folds, strata
from harness.errors import ConfigError
from harness.pipeline import leaks
from harness.pipeline.parts import Data


def plan_folds(competition: Competition, config: TrainConfig, data: Data) -> folds.FoldPlan:
    """The folds of the training rows.

    Raises:
        ConfigError: more folds than groups, or a published split where there is none.
        DataError: fewer than two groups.
        LeakError: a label made by a model that may have seen what it is validated on.
    """
    own = data.own
    found = _deal(data.competition, config, data if len(own) == len(data) else data.take(own))
    return leaks.with_pseudo(data, found) if len(own) < len(data) else found


def checked_folds(competition: Competition, config: TrainConfig, data: Data) -> folds.FoldPlan:
    """The folds of `plan_folds`, looked through for what would flatter the score: once, when a run begins or goes on.

    Raises:
        ConfigError, DataError: as `plan_folds`.
        LeakError: as `leaks.check_plan`.
    """
    found = plan_folds(competition, config, data)
    published, ignore = config.data.split == "published", config.data.ignored("leaks")
    return replace(found, told=(*found.told, *leaks.check_plan(data, found, published=published, ignore=ignore)))


def _deal(competition: Competition, config: TrainConfig, data: Data) -> folds.FoldPlan:
    """The folds of rows with true labels."""
    if config.data.split == "published":
        if config.data.holdout:
            raise ConfigError("--holdout with --split published", fix="choose one of the two")
        column = competition.published_split
        if column is None:
            fix = "leave --split published out"
            raise ConfigError(f"{competition.name} has no published split", fix=fix)
        return folds.published(data.train[column])
    levels = np.zeros(len(data), dtype=np.int64)
    if competition.folds.stratify == "mask":
        assert data.pictures is not None, "masks belong to pictures"
        levels = folds.mask_strata(data.areas, data.pictures.sizes)
    joined = data.joined
    found = folds.plan(
        joined.units,
        levels,
        wanted=config.data.folds,
        default=competition.folds.number,
        holdout=config.data.holdout,
        seed=config.seed,
        unit=competition.folds.group or ("group of alike pictures" if joined.largest else "row"),
        joined=joined.largest,
        labels=_labels(data),
        contiguous=competition.folds.contiguous,
        weights=None if data.tokens is None else np.array([len(row) for row in data.tokens]),
    )
    return replace(found, told=(*joined.told, *found.told))


def _labels(data: Data) -> np.ndarray | None:
    """bool [N, L] that the folds are stratified by, or None."""
    how = data.competition.folds.stratify
    if how not in ("labels", "quantiles"):
        return None
    assert data.targets is not None, "only labels and numbers are dealt out by what they are"
    return strata.quantile_labels(data.targets[:, 0]) if how == "quantiles" else data.targets


def write_folds(path: Path, data: Data, plan: folds.FoldPlan) -> None:
    """folds.csv: the fold each row validates in; -1 is held out."""
    with files.replacing(path, "w") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(("id", "fold"))
        writer.writerows(zip(data.train.ids, plan.fold.tolist(), strict=True))


def wanted_folds(plan: folds.FoldPlan, only: Sequence[int]) -> list[int]:
    """The folds to train: those named, or all.

    Raises:
        ConfigError: a fold that there is not.
    """
    outside = [number for number in only if not 0 <= number < plan.number]
    if outside:
        raise ConfigError(
            f"--only-folds {outside[0]}, but the folds are 0 to {plan.number - 1}", fix="name folds there are"
        )
    return sorted(set(only)) or list(range(plan.number))
