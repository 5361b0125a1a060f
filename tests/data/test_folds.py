"""Folds: whole groups, even strata, a pure function of what they are made of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.folds import HELD_OUT, FoldPlan, mask_strata, plan, published
from harness.errors import ConfigError, DataError

Case = tuple[list[str], np.ndarray, int, int]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """(groups, strata, seed, number of folds) of up to 60 rows; at least as many groups as folds."""
    number = draw(st.integers(2, 6))
    codes = draw(st.lists(st.integers(0, 12), min_size=number, max_size=60))
    codes = [*range(number), *codes]
    strata = draw(st.lists(st.integers(0, 3), min_size=len(codes), max_size=len(codes)))
    return [f"g{code}" for code in codes], np.array(strata), draw(st.integers(0, 999)), number


def nerve_like(random: np.random.Generator) -> tuple[list[str], np.ndarray]:
    """47 subjects of about 120 frames; the share of empty masks differs between subjects."""
    counts = random.integers(90, 140, 47)
    groups = np.repeat([f"s{index}" for index in range(47)], counts)
    empty = np.repeat(random.uniform(0.3, 0.85, 47), counts) > random.random(len(groups))
    return groups.tolist(), np.where(empty, 0, random.integers(1, 4, len(groups)))


def assignment(groups: list[str], found: FoldPlan) -> dict[str, set[int]]:
    folds: dict[str, set[int]] = {}
    for group, fold in zip(groups, found.fold.tolist(), strict=True):
        folds.setdefault(group, set()).add(fold)
    return folds


@settings(max_examples=60, deadline=None)
@given(cases())
def test_groups_stay_whole_and_every_row_validates_in_one_of_the_folds(case: Case) -> None:
    groups, strata, seed, number = case
    found = plan(groups, strata, wanted=number, default=5, seed=seed)
    assert all(len(folds) == 1 for folds in assignment(groups, found).values())
    assert found.number == number
    assert set(found.fold.tolist()) == set(range(number))
    validated = np.concatenate([found.validation(fold) for fold in range(number)])
    assert sorted(validated.tolist()) == list(range(len(groups)))
    for fold in range(number):
        both = [*found.validation(fold), *found.training(fold)]
        assert sorted(both) == list(range(len(groups)))


@settings(max_examples=60, deadline=None)
@given(cases())
def test_the_order_of_rows_does_not_move_a_group(case: Case) -> None:
    groups, strata, seed, number = case
    shuffled = np.random.default_rng(seed).permutation(len(groups))
    expected = plan(groups, strata, wanted=number, default=5, seed=seed)
    found = plan([groups[row] for row in shuffled], strata[shuffled], wanted=number, default=5, seed=seed)
    np.testing.assert_array_equal(found.fold, expected.fold[shuffled])
    ids = [f"id{row}" for row in range(len(groups))]
    assert found.digest([ids[row] for row in shuffled]) == expected.digest(ids)


def test_folds_are_a_pure_function_of_the_seed() -> None:
    # groups alike: where they differ, balance alone decides and the seed only breaks ties
    groups, strata = [f"g{row // 4}" for row in range(80)], np.arange(80) % 4
    first, again, other = (plan(groups, strata, wanted=5, default=5, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.fold, again.fold)
    assert (first.fold != other.fold).any()
    ids = [str(row) for row in range(80)]
    assert first.digest(ids) == again.digest(ids) != other.digest(ids)


@pytest.mark.parametrize("seed", range(3))
def test_strata_and_sizes_are_near_even_on_a_large_set(seed: int) -> None:
    groups, strata = nerve_like(np.random.default_rng(seed))
    found = plan(groups, strata, wanted=None, default=5, seed=seed)
    for fold in range(5):
        rows = found.validation(fold)
        assert len(rows) / len(groups) == pytest.approx(0.2, abs=0.03)
        assert (strata[rows] == 0).mean() == pytest.approx((strata == 0).mean(), abs=0.05)


def test_more_folds_asked_for_than_groups_is_refused() -> None:
    with pytest.raises(ConfigError, match="--folds 4, but there are 3 subjects; use --folds 3 or fewer"):
        plan(["a", "b", "c", "a"], np.zeros(4, dtype=int), wanted=4, default=5, unit="subject")


def test_the_number_falls_to_the_groups_when_nothing_was_asked_for_and_says_why() -> None:
    found = plan(["a", "b", "c", "a"], np.zeros(4, dtype=int), wanted=None, default=5, unit="subject")
    assert found.number == 3
    assert found.told == ("3 folds instead of 5: there are only 3 subjects and none is split",)


def test_the_number_asked_for_is_kept_without_a_word() -> None:
    assert plan(list("abcdef"), np.zeros(6, dtype=int), wanted=None, default=5).told == ()


@pytest.mark.parametrize("holdout", [0.0, 0.2])
def test_one_group_is_refused(holdout: float) -> None:
    with pytest.raises(DataError, match="only 1 group to make folds of"):
        plan(["a"] * 6, np.arange(6) % 2, wanted=None, default=5, holdout=holdout)


@pytest.mark.parametrize(("holdout", "groups_kept"), [(0.05, 1), (0.1, 2), (0.2, 4), (0.3, 6), (0.5, 10), (0.8, 16)])
def test_a_holdout_keeps_its_share_of_whole_groups_out_of_every_fold(holdout: float, groups_kept: int) -> None:
    groups = [f"g{index}" for index in range(20) for _ in range(3)]
    found = plan(groups, np.arange(60) % 2, wanted=2, default=5, holdout=holdout)
    kept = {group for group, folds in assignment(groups, found).items() if folds == {HELD_OUT}}
    assert len(kept) == groups_kept
    assert all(len(folds) == 1 for folds in assignment(groups, found).values())
    assert set(found.fold.tolist()) == {HELD_OUT, 0, 1}
    for fold in range(2):
        used = {groups[row] for row in [*found.training(fold), *found.validation(fold)]}
        assert not used & kept
    assert found.told[0].startswith(f"{groups_kept} groups ({3 * groups_kept} rows) are held out")


def test_a_holdout_that_leaves_one_group_is_refused() -> None:
    with pytest.raises(DataError, match="lower --holdout"):
        plan(["a", "a", "b", "b"], np.zeros(4, dtype=int), wanted=None, default=5, holdout=0.5)


def test_a_stratum_rarer_than_the_folds_does_not_leave_one_empty() -> None:
    groups = [f"g{index}" for index in range(6)]
    found = plan(groups, np.array([0, 0, 0, 0, 0, 3]), wanted=5, default=5)
    assert sorted(np.bincount(found.fold).tolist()) == [1, 1, 1, 1, 2]


def test_the_published_split_is_one_fold() -> None:
    found = published(["train", "valid", "train", "valid"])
    assert found.number == 1
    assert found.validation(0).tolist() == [1, 3]
    assert found.training(0).tolist() == [0, 2]


@pytest.mark.parametrize("marks", [["train", "train"], ["valid", "valid"]])
def test_a_published_split_of_one_side_is_refused(marks: list[str]) -> None:
    with pytest.raises(DataError, match="no training or no validation rows"):
        published(marks)


def test_mask_strata_are_empty_and_terciles_of_the_share() -> None:
    areas = np.array([0, 10, 20, 30, 40, 50, 60, 0])
    assert mask_strata(areas, np.full((8, 2), 10)).tolist() == [0, 1, 1, 2, 2, 3, 3, 0]
    # a share of the picture, not a number of pixels
    sizes = np.array([[10, 10], [10, 10], [100, 10]])
    assert mask_strata(np.array([10, 50, 60]), sizes).tolist() == [2, 3, 1]
    assert mask_strata(np.array([0, 0]), np.full((2, 2), 10)).tolist() == [0, 0]


def test_a_holdout_that_leaves_one_group_is_refused_however_large_its_share() -> None:
    groups = [f"g{index}" for index in range(5) for _ in range(3)]
    for holdout in (0.8, 0.9, 0.95, 0.99):
        with pytest.raises(DataError, match="lower --holdout"):
            plan(groups, np.arange(15) % 2, wanted=2, default=5, holdout=holdout)
