"""Rows that cannot be used: how many are borne, and the list of them.

A share of the rows may be spoilt (`data.quarantine`). Training rows are left out of folds and scores; a submission must
answer every test row, so a spoilt test picture is answered as a black one would be.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from harness import files
from harness.data.cache import Cache
from harness.errors import DataError
from harness.pipeline.parts import Part, Spoilt
from harness.tasks import Task

HEADER = ("id", "file", "problem", "rows")
NAMED = 3  # files in the line that ends a run


def problems(cache: Cache, paths: Sequence[str]) -> dict[int, DataError]:
    """Row -> what is wrong with its file."""
    return {row: DataError(problem, file=paths[row], fix=fix) for row, (problem, fix) in cache.spoilt.items()}


def encoded(task: Task, cells: Sequence[Any], named: Sequence[str]) -> tuple[np.ndarray, dict[int, DataError]]:
    """([N, ...] targets, zeros where a cell is none; row -> what is wrong with its cell).

    Raises:
        DataError: no cell is a target.
    """
    found: list[np.ndarray | None] = []
    wrong: dict[int, DataError] = {}
    for row, (cell, name) in enumerate(zip(cells, named, strict=True)):
        try:
            found.append(task.encode(cell, name))
        except DataError as error:
            found.append(None)
            wrong[row] = error
    good = [target for target in found if target is not None]
    if not good:
        raise wrong[0]
    return np.stack([np.zeros_like(good[0]) if target is None else target for target in found]), wrong


def judged(
    part: Part,
    spoilt: Mapping[int, DataError],
    wrong: Mapping[int, DataError],
    *,
    side: Literal["train", "test"],
    share: float,
) -> Part:
    """The rows that are used, with a list of those that cannot be.

    Args:
        part: all rows.
        spoilt: row -> what is wrong with its picture.
        wrong: row -> what is wrong with its mask, or with another target.
        side: whether these are training or test rows.
        share: of the rows that may be spoilt.

    Raises:
        DataError: more than the share, with the first files; a single one, and a test row's target, in its own words.
    """
    if side == "test" and wrong:
        raise wrong[min(wrong)]
    errors = {**wrong, **spoilt}
    if not errors:
        return part
    found = tuple(Spoilt(part.rows.ids[row], side, errors[row]) for row in sorted(errors))
    allowed = math.floor(Fraction(str(share)) * len(part))  # as decimals: 0.29 * 100 is less than 29
    if len(found) > allowed:
        raise _too_many(found, len(part), allowed)
    if side == "test":
        return replace(part, spoilt=found)
    kept = np.array([row for row in range(len(part)) if row not in errors], dtype=np.int64)
    return replace(part.take(kept), spoilt=found)


def write(path: Path, spoilt: Sequence[Spoilt]) -> None:
    """quarantine.csv: each row that cannot be used, its file and what is wrong with it; no file where all can."""
    path.unlink(missing_ok=True)
    if not spoilt:
        return
    with files.replacing(path, "w") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows((one.id, one.error.file, one.error.problem, one.side) for one in spoilt)


def _too_many(spoilt: Sequence[Spoilt], total: int, allowed: int) -> DataError:
    first = spoilt[0].error
    if len(spoilt) == 1:
        return first
    rows = "test rows" if spoilt[0].side == "test" else "training rows"
    also = ", ".join(str(one.error.file) for one in spoilt[1:NAMED])
    more = f" and {len(spoilt) - NAMED} more" if len(spoilt) > NAMED else ""
    problem = f"{first.problem}; {len(spoilt)} of {total} {rows} cannot be used, {allowed} may be: also {also}{more}"
    share = math.ceil(Fraction(1000 * len(spoilt), total)) / 1000
    bear = f", or bear them with -o data.quarantine={share:g}" if share < 1 else ""
    return DataError(problem, file=first.file, row=first.row, fix=f"{first.fix}{bear}")
