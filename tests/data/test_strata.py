"""Strata: labels' shares, whole groups, quantile bins, runs of neighbouring rows."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.folds import HELD_OUT, plan
from harness.data.strata import contiguous_folds, multilabel_folds, quantile_labels
from harness.errors import ConfigError, DataError

Case = tuple[np.ndarray, np.ndarray, int]


def drawn(seed: int, *, grouped: bool) -> Case:
    """(groups, labels, number) of up to 1,500 rows; labels are common and rare, and clustered in the groups."""
    random = np.random.default_rng(seed)
    rows, number = int(random.integers(100, 1500)), int(random.integers(2, 8))
    groups = random.integers(0, random.integers(4 * number, 80), rows) if grouped else np.arange(rows)
    common = random.beta(0.4, 2, int(random.integers(1, 18)))
    own = random.lognormal(0, 1, (groups.max() + 1, 1)) if grouped else np.ones((rows, 1))
    labels = random.random((rows, len(common))) < np.clip(common * own, 0, 1)[groups]
    return groups, labels, number


def check_shares(groups: np.ndarray, labels: np.ndarray, fold: np.ndarray, number: int) -> None:
    """Each label's share in each fold is within a tenth of the whole's or one group's worth; so are the sizes."""
    codes = np.unique(groups, return_inverse=True)[1]
    for column in [np.ones(len(codes), dtype=bool), *labels.T]:
        worth = np.bincount(codes[column]).max() if column.any() else 0
        for index in range(number):
            rows = fold == index
            for expected in (column.sum() / number, column.mean() * rows.sum()):
                assert abs(column[rows].sum() - expected) <= max(0.1 * expected, worth) + 1e-6


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("grouped", [False, True])
def test_every_labels_share_is_within_a_tenth_or_one_groups_worth(seed: int, grouped: bool) -> None:
    groups, labels, number = drawn(seed, grouped=grouped)
    fold = multilabel_folds(groups, labels, number, seed)
    assert set(fold.tolist()) == set(range(number))
    check_shares(groups, labels, fold, number)


@st.composite
def small_cases(draw: st.DrawFn) -> Case:
    """(groups, labels, number) of up to 40 rows, at least as many groups as folds."""
    number = draw(st.integers(1, 6))
    groups = [*range(number), *draw(st.lists(st.integers(0, 12), max_size=34))]
    width = draw(st.integers(0, 3))
    row = st.lists(st.booleans(), min_size=width, max_size=width)
    labels = draw(st.lists(row, min_size=len(groups), max_size=len(groups)))
    return np.array(groups) * 7 - 3, np.array(labels, dtype=bool).reshape(len(groups), width), number


@settings(max_examples=60, deadline=None)
@given(small_cases(), st.integers(0, 99))
def test_groups_stay_whole_no_fold_is_empty_and_the_order_of_rows_does_not_matter(case: Case, seed: int) -> None:
    groups, labels, number = case
    fold = multilabel_folds(groups, labels, number, seed)
    assert fold.dtype == np.int64
    assert set(fold.tolist()) == set(range(number))
    assert len(set(zip(groups.tolist(), fold.tolist(), strict=True))) == len(set(groups.tolist()))
    shuffled = np.random.default_rng(seed).permutation(len(groups))
    np.testing.assert_array_equal(multilabel_folds(groups[shuffled], labels[shuffled], number, seed), fold[shuffled])


def test_multilabel_folds_are_a_pure_function_of_the_seed() -> None:
    groups, labels, number = drawn(3, grouped=False)
    before = labels.copy()
    first, again, other = (multilabel_folds(groups, labels, number, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_array_equal(labels, before)


def test_three_rows_of_a_rare_label_lie_in_three_folds() -> None:
    labels = np.zeros((30, 2), dtype=bool)
    labels[[4, 5, 6], 0] = True
    labels[10:, 1] = True
    fold = multilabel_folds(np.arange(30), labels, 3, 0)
    assert sorted(fold[4:7].tolist()) == [0, 1, 2]
    assert np.bincount(fold).tolist() == [10, 10, 10]


def test_the_planet_labels_are_even_in_five_folds(real_data: Path) -> None:
    with zipfile.ZipFile(real_data / "planet-labels-only.zip") as archive, archive.open("train_v2.csv") as handle:
        tags = pd.read_csv(handle)["tags"]
    labels = tags.str.get_dummies(sep=" ").to_numpy().astype(bool)
    assert labels.shape == (40_479, 17)
    fold = multilabel_folds(np.arange(len(labels)), labels, 5, 0)
    for index in range(5):
        rows = fold == index
        even = labels.mean(axis=0) * rows.sum()
        assert (np.abs(labels[rows].sum(axis=0) - even) <= np.maximum(0.1 * even, 1)).all()
        assert rows.sum() == pytest.approx(40_479 / 5, abs=81)  # a hundredth


@pytest.mark.parametrize("grouped", [False, True])
def test_single_labels_are_even_through_the_same_function(grouped: bool) -> None:
    random = np.random.default_rng(0)
    labels = random.choice(3, 400, p=[0.6, 0.3, 0.1])[:, None] == np.arange(3)
    groups = random.integers(0, 90, 400) if grouped else np.arange(400)
    check_shares(groups, labels, multilabel_folds(groups, labels, 5, 0), 5)


def test_quantile_bins_hold_as_many_rows_each_in_ascending_order() -> None:
    prices = np.random.default_rng(0).permutation(100) ** 2.0
    labels = quantile_labels(prices)
    assert labels.sum(axis=0).tolist() == [10] * 10
    assert labels[prices.argsort()].argmax(axis=1).tolist() == np.repeat(np.arange(10), 10).tolist()


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ([5, 5, 5, 5], [0, 0, 0, 0]),
        ([2, 1, 2, 1, 1], [1, 0, 1, 0, 0]),
        ([1] * 90 + [2] * 10, [0] * 90 + [1] * 10),
        ([1] * 10 + [2] * 90, [0] * 10 + [1] * 90),
        ([1, 2, 3], [0, 1, 2]),
    ],
)
def test_equal_prices_share_a_bin_and_few_prices_make_few_bins(prices: list[int], expected: list[int]) -> None:
    labels = quantile_labels(np.array(prices))
    assert labels.argmax(axis=1).tolist() == expected
    assert labels.shape[1] == max(expected) + 1
    assert (labels.sum(axis=1) == 1).all()


def test_a_price_that_is_no_number_is_refused_by_its_row() -> None:
    with pytest.raises(DataError, match=r"row 2: nan has no quantile"):
        quantile_labels(np.array([1.0, np.nan]))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8), st.lists(st.integers(0, 1000), min_size=8, max_size=40), st.booleans())
def test_contiguous_folds_are_runs_in_order_and_none_is_empty(number: int, weights: list[int], weighted: bool) -> None:
    fold = contiguous_folds(len(weights), number, weights=np.array(weights) if weighted else None)
    assert sorted(set(fold.tolist())) == list(range(number))
    assert (np.diff(fold) >= 0).all()
    if not weighted:
        sizes = np.bincount(fold)
        assert sizes.max() - sizes.min() <= 1


def test_runs_are_even_by_weight() -> None:
    # 10 tokens in all: a border after the first row, and the second half alone
    assert contiguous_folds(6, 2, weights=np.array([5, 1, 1, 1, 1, 1])).tolist() == [0, 1, 1, 1, 1, 1]
    assert contiguous_folds(6, 3, weights=np.array([1, 1, 2, 4, 2, 2])).tolist() == [0, 0, 0, 1, 2, 2]
    assert contiguous_folds(4, 3, weights=np.array([0, 0, 0, 9])).tolist() == [0, 0, 1, 2]


def test_a_gap_leaves_the_rows_around_each_border_out() -> None:
    assert contiguous_folds(9, 3, gap=2).tolist() == [0, 0, -1, -1, 1, -1, -1, 2, 2]
    with pytest.raises(DataError, match="gaps of 3 rows leave a fold empty"):
        contiguous_folds(9, 3, gap=3)


def test_a_plan_by_labels_deals_whole_groups_and_holds_an_even_share_out() -> None:
    groups, labels, _ = drawn(5, grouped=True)
    names = [f"g{group}" for group in groups]
    found = plan(names, np.zeros(len(names), int), wanted=4, default=5, holdout=0.2, labels=labels)
    assert len(set(zip(names, found.fold.tolist(), strict=True))) == len(set(names))
    assert set(found.fold.tolist()) == {HELD_OUT, 0, 1, 2, 3}
    assert (found.fold == HELD_OUT).mean() == pytest.approx(0.2, abs=0.05)
    kept = found.fold != HELD_OUT
    check_shares(groups[kept], labels[kept], found.fold[kept], 4)


def test_a_contiguous_plan_ignores_groups_and_holds_the_last_rows_out() -> None:
    found = plan(["same"] * 20, np.zeros(20, int), wanted=2, default=5, holdout=0.2, contiguous=True, unit="block")
    assert found.fold.tolist() == [0] * 8 + [1] * 8 + [HELD_OUT] * 4
    assert found.told == ("4 blocks (4 rows) are held out and scored once at the end",)
    weights = np.array([1] * 15 + [5, 5, 5, 1, 4])
    found = plan(["a"] * 20, np.zeros(20, int), wanted=2, default=5, holdout=0.14, contiguous=True, weights=weights)
    assert found.fold.tolist() == [0] * 15 + [1] * 3 + [HELD_OUT] * 2


def test_a_contiguous_plan_of_fewer_rows_than_folds_is_refused() -> None:
    with pytest.raises(ConfigError, match="--folds 4, but there are 3 blocks"):
        plan(["a", "b", "c"], np.zeros(3, int), wanted=4, default=5, contiguous=True, unit="block")
