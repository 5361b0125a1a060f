"""Rows to be warned of: the same in training and test, and twins whose labels contradict each other.

N rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.naming import named, several

KINDS = {
    "train and test": ("test row looks", "test rows look", "like a training row"),
    "train and test, table": ("test row has", "test rows have", "the cells of a training row"),
    "contradiction": ("training row looks", "training rows look", "like another that says something else"),
}


@dataclass(frozen=True)
class Twins:
    """Two rows.

    Attributes:
        kind: of `KINDS`.
        row, other: their names.
        detail: what they say, where that differs.
    """

    kind: str
    row: str
    other: str
    detail: str = ""


def across(kind: str, groups: Sequence, names: list[str], split: int) -> Iterator[Twins]:
    """Rows from `split` on (the test rows) that share a group with one before it, beside the first such."""
    first: dict = {}
    for row, group in enumerate(groups):
        if row < split:
            first.setdefault(group, row)
        elif group in first:
            yield Twins(kind, names[row], names[first[group]])


def contradictions(groups: np.ndarray, names: list[str], differ: Callable[[int, int], str]) -> Iterator[Twins]:
    """Rows that say something else than the first of their group.

    Args:
        groups: int64 [N].
        differ: (row, other row) -> what they say; "" where that agrees.
    """
    first = np.unique(groups, return_index=True)[1][groups]
    for row in np.flatnonzero(first != np.arange(len(groups))).tolist():
        if detail := differ(row, int(first[row])):
            yield Twins("contradiction", names[row], names[first[row]], detail)


def told(found: Sequence[Twins]) -> list[str]:
    """A sentence for each kind."""
    sentences = []
    for kind, (one, many, rest) in KINDS.items():
        pairs = [f"{twins.row} like {twins.other}" for twins in found if twins.kind == kind]
        if pairs:
            sentences.append(
                f"{several(len(pairs), one, many)} {rest}: {named(pairs)} (a run lists all in duplicates.csv)"
            )
    return sentences
