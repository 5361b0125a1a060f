"""Joining: what a fold must not split, and what is said of it."""

from __future__ import annotations

import numpy as np
import pytest

from harness.data import folds
from harness.data.joining import join
from harness.errors import ConfigError

NAMES = [f"{letter}.jpg" for letter in "abcdef"]


def test_nothing_alike_changes_nothing_and_says_nothing() -> None:
    groups = ["p2", "p1", "p2"]
    assert join(groups, np.arange(3), NAMES[:3], group="patient", ignore="").units == groups
    assert join(groups, np.arange(3), NAMES[:3], group="patient", ignore="").told == ()


def test_alike_rows_without_a_group_share_a_unit_and_a_pair_is_named() -> None:
    found = join(list("012345"), np.array([0, 1, 0, 2, 0, 3]), NAMES, group=None, ignore="")
    assert found.units == ["0", "1", "0", "2", "0", "3"]
    assert found.told == (
        "2 pictures are nearly the same as an earlier one (c.jpg like a.jpg and e.jpg like a.jpg): "
        "alike pictures stay in one fold",
    )
    assert found.largest == "; alike pictures join a.jpg, c.jpg and e.jpg"


def test_groups_that_share_a_picture_are_joined_and_both_files_are_named() -> None:
    found = join(["p1", "p1", "p2", "p3", "p3", "p4"], np.array([0, 1, 1, 2, 3, 4]), NAMES, group="patient", ignore="")
    assert found.units == ["p1", "p1", "p1", "p3", "p3", "p4"]
    assert found.told[1] == "alike pictures join one patient with another: b.jpg of p1 and c.jpg of p2"


def test_alike_pictures_of_one_group_join_no_groups() -> None:
    found = join(["p1", "p1", "p2", "p2", "p3", "p3"], np.array([0, 0, 1, 2, 3, 4]), NAMES, group="patient", ignore="")
    assert found.units == ["p1", "p1", "p2", "p2", "p3", "p3"]
    assert len(found.told) == 1


def test_ignored_copies_stay_apart_and_the_reason_is_told() -> None:
    found = join(list("012345"), np.zeros(6, dtype=int), NAMES, group=None, ignore="they are other scenes")
    assert found.units == list("012345")
    assert found.told[0].endswith("may lie in another fold, as asked: they are other scenes")


def test_too_few_groups_left_by_joining_name_the_pictures_of_the_largest() -> None:
    found = join(list("012345"), np.array([0, 0, 0, 0, 0, 1]), NAMES, group=None, ignore="")
    with pytest.raises(ConfigError, match=r"there are 2 rows; alike pictures join a\.jpg, b\.jpg, c\.jpg and 2 more"):
        folds.plan(found.units, np.zeros(6, int), wanted=5, default=5, unit="row", joined=found.largest)
    plan = folds.plan(found.units, np.zeros(6, int), wanted=None, default=5, unit="row", joined=found.largest)
    assert "alike pictures join a.jpg, b.jpg, c.jpg and 2 more" in plan.told[0]
