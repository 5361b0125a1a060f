"""Duplicates that are no leak of the score but worth a word: across train and test, and twins that contradict."""

from __future__ import annotations

import csv
import functools
from collections.abc import Hashable
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness import files
from harness.data import alike, twins
from harness.data.folds import FoldPlan
from harness.pipeline.parts import Data, Part

OVERLAP = 0.5  # Dice below which two masks of one picture contradict


def find(data: Data, test: Part | None) -> list[twins.Twins]:
    """Nearly identical pictures and identical table rows across train and test; near-twins with other labels."""
    found: list[twins.Twins] = []
    own = data.own
    train = data if len(own) == len(data) else data.take(own)
    if train.pictures is not None:
        names = train.picture_names(train.root)
        found += twins.contradictions(train.looks, names, functools.partial(_differ, train))
        if test is not None and test.pictures is not None:
            together = [train.pictures.thumbnails, test.pictures.thumbnails]
            groups = alike.alike_groups(np.concatenate([part for part in together if part is not None])).tolist()
            every = [*names, *test.picture_names(train.root)]
            found += twins.across("train and test", groups, every, len(train))
    elif train.competition.table is not None and test is not None:
        cells = [*_cells(train), *_cells(test)]
        found += twins.across("train and test, table", cells, [*train.rows.ids, *test.rows.ids], len(train))
    return found


def warned(plan: FoldPlan, data: Data, test: Part | None) -> tuple[FoldPlan, list[twins.Twins]]:
    """The plan with a sentence for each kind of what is found, and what is found."""
    found = find(data, test)
    return replace(plan, told=(*plan.told, *twins.told(found))), found


def write(path: Path, found: list[twins.Twins]) -> None:
    """duplicates.csv: kind, row, other row, and what they say."""
    with files.replacing(path, "w") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(("kind", "row", "other", "detail"))
        writer.writerows((one.kind, one.row, one.other, one.detail) for one in found)


def _cells(part: Part) -> list[Hashable]:
    table = part.competition.table
    assert table is not None, "rows of a table"
    named = [part.rows[column] for column in (*table.numbers, *table.categories)]
    return list(zip(*([str(cell) for cell in column] for column in named), strict=True))


def _differ(data: Data, row: int, other: int) -> str:
    """What two rows of one look say, where they contradict each other: labels, emptiness, place or size."""
    kind = data.competition.task.kind
    if kind == "mask":
        one, two = data.truth(row), data.truth(other)
        if one.shape != two.shape:
            return ""
        if one.any() != two.any():
            return "one mask is empty"
        # a mirrored picture has a mirrored mask
        views = (two, two[:, ::-1], two[::-1], two[::-1, ::-1])
        overlap = max(2 * (one & view).sum() / max(1, one.sum() + two.sum()) for view in views)
        return f"Dice of the masks {overlap:.2f}" if one.any() and overlap < OVERLAP else ""
    if kind == "classes":
        return ""
    one, two = data.truth(row), data.truth(other)
    if kind == "value":
        return f"{one:g} and {two:g}" if abs(one - two) > 0.5 * max(abs(one), abs(two)) else ""
    if np.array_equal(one, two):
        return ""
    present = data.competition.task.present
    return f"{_words(present(one))} and {_words(present(two))}"


def _words(answer: object) -> str:
    return " ".join(map(str, answer)) if isinstance(answer, list | tuple | set | frozenset) else str(answer)
