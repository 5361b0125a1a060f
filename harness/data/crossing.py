"""Rows that belong together and lie in two folds, and names that are one name written twice.

N rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.data.folds import PSEUDO
from harness.errors import LeakError
from harness.naming import named


def split(groups: Sequence, fold: np.ndarray) -> list[np.ndarray]:
    """int64 positions of the rows of each group that lies in more than one fold; held-out rows are a fold here."""
    rows = np.flatnonzero(fold != PSEUDO)
    codes = np.unique(np.asarray(groups)[rows], return_inverse=True)[1] if len(rows) else rows
    first = np.full(int(codes.max(initial=-1)) + 1, -1)
    first[codes[::-1]] = np.arange(len(rows))[::-1]
    crossing = np.unique(codes[fold[rows] != fold[rows][first[codes]]])
    return [rows[codes == code] for code in crossing.tolist()]


def check(groups: Sequence, fold: np.ndarray, names: Sequence[str], *, what: str) -> None:
    """Holds a plan of folds against what belongs together, whoever dealt it.

    Args:
        groups: [N], equal ones belong together.
        fold: int64 [N].
        names: [N] of the rows.
        what: what a group is called.

    Raises:
        LeakError: a group lies in two folds, with its rows.
    """
    if found := split(groups, fold):
        rows = _one_of_each(found[0], fold)
        places = named([f"{names[row]} (fold {fold[row]})" for row in rows])
        more = f", and {len(found) - 1} more such" if len(found) > 1 else ""
        called = f"{what} {groups[rows[0]]}" if isinstance(groups[rows[0]], str) else what
        fix = "rows of one group belong in one fold; deal them again"
        raise LeakError(f"{called} lies in two folds: {places}{more}", fix=fix)


def check_spelling(groups: Sequence[str], names: Sequence[str], *, what: str) -> None:
    """Holds the names of groups against each other.

    Raises:
        LeakError: two that differ only in case or spaces, with a row of each.
    """
    seen: dict[str, tuple[str, str]] = {}
    for group, name in zip(groups, names, strict=True):
        known, row = seen.setdefault(" ".join(str(group).casefold().split()), (group, name))
        if known != group:
            problem = f"{what} {known!r} of row {row} is written {group!r} in row {name}: two folds may hold it"
            raise LeakError(problem, fix="write it one way")


def _one_of_each(rows: np.ndarray, fold: np.ndarray) -> list[int]:
    """The rows, those first that are the first of their fold."""
    first = np.unique(fold[rows], return_index=True)[1].tolist()
    return [int(rows[place]) for place in [*first, *sorted(set(range(len(rows))) - set(first))]]
