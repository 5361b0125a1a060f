"""Names and columns that tell the target: what a lookup in the other folds predicts, nobody needs to learn.

N rows, K keys, L labels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NEARLY = 0.98  # right answers, or rank correlation, of what a name tells
EXACT = 0.999  # rank correlation of a column that is the target in other units; weight and price reach 0.96
LEFT = 0.1  # share of the majority's mistakes that a lookup may still make
LEAST, MINORITY = 12, 5  # rows, and rows the majority gets wrong: chance makes a rule of fewer
PART = re.compile(r"[^\W\d_]+|\d+")


@dataclass(frozen=True)
class Told:
    """What tells.

    Attributes:
        by: what of the name or column, in words.
        rows: int64, the rows that are predicted right.
        of: how many rows there are.
    """

    by: str
    rows: np.ndarray
    of: int


def keys_of(names: Sequence[str]) -> dict[str, np.ndarray]:
    """What a name may tell by -> int64 [N], equal where that is; what is equal nowhere or everywhere is left out.

    The whole name, its letters, and each part at its place, parts being runs of letters or of digits.
    """
    parts = [PART.findall(name.casefold()) for name in names]
    letters = [" ".join(part for part in row if not part.isdigit()) for row in parts]
    keys: dict[str, Sequence[str]] = {"the name": list(map(str, names)), "the letters": letters}
    for place in range(max(map(len, parts), default=0)):
        keys[f"part {place + 1}"] = [row[place] if place < len(row) else "" for row in parts]
    coded = {by: codes_of(cells) for by, cells in keys.items()}
    return {by: codes for by, codes in coded.items() if 1 < len(np.unique(codes)) < len(codes)}


def codes_of(cells: Sequence) -> np.ndarray:
    """int64 [N]: equal cells have equal numbers."""
    numbers: dict = {}
    return np.array([numbers.setdefault(cell, len(numbers)) for cell in cells], dtype=np.int64)


def of_names(keys: dict[str, np.ndarray], labels: np.ndarray, fold: np.ndarray) -> Told | None:
    """What of `keys_of` names tells the labels (int64 [N]), or None."""
    return next((told for by, codes in keys.items() if (told := of_codes(codes, labels, fold, by=by))), None)


def of_codes(codes: np.ndarray, labels: np.ndarray, fold: np.ndarray, *, by: str, least: float = NEARLY) -> Told | None:
    """What equal codes (`codes_of`) in other folds say of the labels (int64 [N]), where that is nearly all."""
    inside = np.flatnonzero(fold >= 0)
    if len(inside) < LEAST:
        return None
    truth = np.unique(labels[inside], return_inverse=True)[1]
    guess, usual = _guess(codes[inside], truth, np.unique(fold[inside], return_inverse=True)[1])
    right, base = guess == truth, usual == truth
    few = (right & ~base).sum() < MINORITY or right.mean() < least or (~right).sum() > LEFT * (~base).sum()
    return None if few else Told(by, inside[right], len(inside))


def of_numbers(names: Sequence[str], values: np.ndarray, fold: np.ndarray) -> Told | None:
    """A number in the names that ranks as the values (float [N]) do."""
    parts, keys = [re.findall(r"\d+", name) for name in names], dict[str, np.ndarray]()
    for place in range(min(map(len, parts), default=0)):
        keys[f"number {place + 1}"] = np.array([float(row[place][:15]) for row in parts])
    return next((told for by, cells in keys.items() if (told := of_ranks(cells, values, fold, NEARLY, by=by))), None)


def of_ranks(cells: np.ndarray, values: np.ndarray, fold: np.ndarray, least: float, *, by: str) -> Told | None:
    """Whether cells (float [N], NaN is missing) rank as the values do, by Spearman's correlation."""
    rows = np.flatnonzero((fold >= 0) & np.isfinite(cells))
    enough = len(rows) >= max(LEAST, 0.9 * (fold >= 0).sum())
    if not enough or min(len(np.unique(cells[rows])), len(np.unique(values[rows]))) < LEAST // 2:
        return None
    correlation = np.corrcoef(_ranks(cells[rows]), _ranks(values[rows]))[0, 1]
    return Told(by, rows, int((fold >= 0).sum())) if abs(correlation) >= least else None


def _ranks(values: np.ndarray) -> np.ndarray:
    """float64 [N]: ranks, equal values sharing theirs."""
    inverse, counts = np.unique(values, return_inverse=True, return_counts=True)[1:]
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def _guess(codes: np.ndarray, truth: np.ndarray, fold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(int64 [N], int64 [N]): each row's label by the rows of its key in other folds, and by all rows there."""
    labels = int(truth.max()) + 1
    pairs, place = np.unique(codes * labels + truth, return_inverse=True)
    guess, usual = np.zeros(len(codes), dtype=np.int64), np.zeros(len(codes), dtype=np.int64)
    for one in range(int(fold.max()) + 1):
        inside, outside = np.flatnonzero(fold == one), fold != one
        counts = np.bincount(place[outside], minlength=len(pairs))
        order = np.lexsort((counts, pairs // labels))
        best = np.full(int(codes.max()) + 1, -1)
        best[pairs[order] // labels] = np.where(counts[order] > 0, pairs[order] % labels, -1)
        usual[inside] = np.bincount(truth[outside], minlength=labels).argmax()
        guess[inside] = np.where(best[codes[inside]] < 0, usual[inside], best[codes[inside]])
    return guess, usual
