"""Folds: groups never split, strata or labels dealt out evenly, a pure function of what they are made of and the seed.

N rows, L labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from harness.data.strata import contiguous_folds, multilabel_folds
from harness.errors import ConfigError, DataError
from harness.hashing import hash_value

HELD_OUT, PSEUDO = -1, -2


@dataclass(frozen=True)
class FoldPlan:
    """Which fold each row validates in.

    Attributes:
        fold: int64 [N]; HELD_OUT rows belong to no fold, rows of a fold >= `number` only train, and PSEUDO rows, whose
            labels a fold's model made, only where `pseudo` says.
        number: how many folds validate.
        told: sentences for the user: why the number fell, what was held out.
        pseudo: int64 [N], the fold whose training PSEUDO rows join; None without any.
    """

    fold: np.ndarray
    number: int
    told: tuple[str, ...]
    pseudo: np.ndarray | None = None

    def training(self, fold: int) -> np.ndarray:
        """int64: positions of the rows that train when `fold` validates."""
        rows = (self.fold != fold) & (self.fold != HELD_OUT)
        if self.pseudo is not None:
            rows &= (self.fold != PSEUDO) | (self.pseudo == fold)
        return np.flatnonzero(rows)

    def validation(self, fold: int) -> np.ndarray:
        """int64: positions of the rows that validate in `fold`."""
        return np.flatnonzero(self.fold == fold)

    def digest(self, ids: Sequence[str]) -> str:
        """Hash of (row id, fold) over all rows with true labels, independent of row order."""
        return hash_value(sorted(pair for pair in zip(ids, self.fold.tolist(), strict=True) if pair[1] != PSEUDO))


def mask_strata(areas: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """int64 [N]: 0 for an empty mask, 1 to 3 by terciles of the others' share of the picture."""
    share = areas / np.maximum(sizes.prod(axis=1), 1)
    filled = share > 0
    strata = np.zeros(len(areas), dtype=np.int64)
    if filled.any():
        strata[filled] = 1 + np.searchsorted(np.quantile(share[filled], [1 / 3, 2 / 3]), share[filled])
    return strata


def plan(
    groups: Sequence[str],
    strata: np.ndarray,
    *,
    wanted: int | None,
    default: int,
    holdout: float = 0.0,
    seed: int = 0,
    unit: str = "group",
    joined: str = "",
    labels: np.ndarray | None = None,
    contiguous: bool = False,
    weights: np.ndarray | None = None,
) -> FoldPlan:
    """Deals rows to folds, whole groups at a time.

    Args:
        groups: [N] names; rows of one name stay together.
        strata: int64 [N], what single-label folds are even in.
        wanted: how many folds the user asked for, if anything.
        default: how many otherwise.
        holdout: share of the groups that belongs to no fold; with `contiguous`, the last share of the rows.
        seed: breaks ties.
        unit: what one group is called in sentences; with `contiguous`, one row.
        joined: which rows the largest group holds, for messages about too few groups.
        labels: bool [N, L], what the folds are even in instead of `strata` (strata.multilabel_folds).
        contiguous: folds are runs of neighbouring rows; groups, strata, labels and the seed do not matter then.
        weights: float [N], what a row of a run counts for; read with `contiguous` only.

    Raises:
        ConfigError: more folds asked for than there are groups.
        DataError: fewer than two groups, so that nothing could be validated.
    """
    codes = np.arange(len(groups)) if contiguous else np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1]

    def deal(rows: np.ndarray, parts: int) -> np.ndarray:
        if contiguous:
            return contiguous_folds(len(rows), parts, weights=None if weights is None else weights[rows])
        if labels is not None:
            return multilabel_folds(codes[rows], labels[rows], parts, seed)
        return _deal(codes[rows], strata[rows], parts, seed)

    fold = np.zeros(len(codes), dtype=np.int64)
    told: list[str] = []
    count = len(np.unique(codes))
    if holdout > 0 and count > 1:
        share = _nearest_share(holdout, count)
        part = deal(np.arange(len(codes)), share.denominator)
        if contiguous:
            part = share.denominator - 1 - part  # the last rows are held out, not the first
        fold[part < share.numerator] = HELD_OUT
        kept = len(np.unique(codes[fold == HELD_OUT]))
        told.append(f"{kept} {unit}s ({int((fold == HELD_OUT).sum())} rows) are held out and scored once at the end")
    inside = np.flatnonzero(fold != HELD_OUT)
    count = len(np.unique(codes[inside]))
    if count < 2:
        raise DataError(
            f"only {count} {unit} to make folds of{joined}", fix="folds need at least two; add data or lower --holdout"
        )
    if wanted is not None and wanted > count:
        raise ConfigError(
            f"--folds {wanted}, but there are {count} {unit}s{joined}", fix=f"use --folds {count} or fewer"
        )
    number = min(wanted or default, count)
    if number < (wanted or default):
        told.append(f"{number} folds instead of {default}: there are only {count} {unit}s and none is split{joined}")
    fold[inside] = deal(inside, number)
    return FoldPlan(fold, number, tuple(told))


def published(marks: Sequence[str]) -> FoldPlan:
    """The one fold that the data's authors drew: rows marked "valid" validate, the rest trains only."""
    fold = np.where(np.asarray(marks) == "valid", 0, 1)
    if not (fold == 0).any() or (fold == 0).all():
        raise DataError("the published split has no training or no validation rows", fix="leave --split published out")
    return FoldPlan(fold, 1, ("one fold, as published by the data's authors",))


def _nearest_share(holdout: float, groups: int) -> Fraction:
    """`holdout` as a fraction above 0 whose parts, at most a hundred, can each be given a whole group."""
    parts = min(groups, 100)
    return min(max(Fraction(holdout).limit_denominator(parts), Fraction(1, parts)), Fraction(parts - 1, parts))


def _deal(codes: np.ndarray, strata: np.ndarray, number: int, seed: int) -> np.ndarray:
    """int64 [N] fold of each row. Falls back to balancing sizes when stratifying leaves a fold empty."""
    shuffled = np.random.default_rng(seed).permutation(int(codes.max()) + 1)[codes]
    blank = np.zeros((len(codes), 1))
    smallest = min(np.bincount(strata)[np.unique(strata)])
    # scikit-learn wants as many rows of every stratum as folds: merge them when one is rarer
    labels = strata if smallest >= number else (strata > 0).astype(np.int64)
    if min(np.bincount(labels)[np.unique(labels)]) < number:
        labels = np.zeros_like(strata)
    fold = np.zeros(len(codes), dtype=np.int64)
    for splitter in (StratifiedGroupKFold(number, shuffle=True, random_state=seed), GroupKFold(number)):
        for index, (_, rows) in enumerate(splitter.split(blank, labels, shuffled)):
            fold[rows] = index
        if len(np.unique(fold)) == number:
            break
    return fold
