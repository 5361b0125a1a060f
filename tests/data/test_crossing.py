"""Crossing: a plan of folds is held against what belongs together."""

from __future__ import annotations

import numpy as np
import pytest

from harness.data import crossing
from harness.data.folds import HELD_OUT, PSEUDO
from harness.errors import LeakError

NAMES = list("uvwxyz")


def test_a_group_in_two_folds_is_told_with_a_row_of_each_fold_first() -> None:
    groups = ["p1", "p1", "p1", "p2", "p2", "p3"]
    with pytest.raises(LeakError, match=r"patient p1 lies in two folds: u \(fold 0\), w \(fold 1\) and v \(fold 0\)"):
        crossing.check(groups, np.array([0, 0, 1, 1, 1, 0]), NAMES, what="patient")


def test_whole_groups_pass_and_held_out_rows_are_a_fold_of_their_own() -> None:
    groups = ["p1", "p1", "p2", "p2", "p3", "p3"]
    crossing.check(groups, np.array([0, 0, 1, 1, HELD_OUT, HELD_OUT]), NAMES, what="patient")
    with pytest.raises(LeakError, match="patient p3"):
        crossing.check(groups, np.array([0, 0, 1, 1, 1, HELD_OUT]), NAMES, what="patient")


def test_rows_that_are_never_scored_lie_in_no_fold() -> None:
    crossing.check(["p1", "p1", "p2"], np.array([0, PSEUDO, 1]), NAMES[:3], what="patient")


@pytest.mark.parametrize("other", ["P1", "p1 ", " P1"])
def test_one_group_written_two_ways_is_told_with_both_rows(other: str) -> None:
    with pytest.raises(LeakError, match=r"'p1' of row u is written .* in row w"):
        crossing.check_spelling(["p1", "p2", other], NAMES[:3], what="patient")
    crossing.check_spelling(["p1", "p2", "p1"], NAMES[:3], what="patient")
