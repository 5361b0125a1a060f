"""The order of rows is a function: nothing to save but a number."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.order import area_classes, flipped, order, place, steps, view_seed


@given(st.integers(1, 200), st.integers(0, 2**40), st.integers(0, 9), st.integers(0, 3), st.integers(0, 50))
def test_every_epoch_is_a_permutation_of_all_rows(rows, seed, fold, stage, epoch) -> None:
    assert sorted(order(rows, seed=seed, fold=fold, stage=stage, epoch=epoch).tolist()) == list(range(rows))


def test_the_order_is_the_same_each_time_it_is_asked_for() -> None:
    first = order(50, seed=1, fold=2, stage=0, epoch=3).copy()
    order.cache_clear()
    assert order(50, seed=1, fold=2, stage=0, epoch=3).tolist() == first.tolist()


def test_seed_fold_stage_and_epoch_each_change_the_order() -> None:
    orders = {
        tuple(order(50, seed=seed, fold=fold, stage=stage, epoch=epoch).tolist())
        for seed, fold, stage, epoch in product((0, 1), repeat=4)
    }
    assert len(orders) == 16


def test_the_stream_reads_every_row_once_an_epoch_and_batches_may_cross_its_border() -> None:
    rows, batch = 7, 3
    places = [place(position, rows, seed=4, fold=0, stage=0) for position in range(3 * rows)]
    for epoch in range(3):
        assert sorted(index for index, at, _ in places if at == epoch) == list(range(rows))
    assert [at for _, at, _ in places[2 * batch : 3 * batch]] == [0, 1, 1]
    assert [index for index, _, _ in places[:rows]] == order(rows, seed=4, fold=0, stage=0, epoch=0).tolist()


def drawn(classes: bytes, **changes: int) -> list[int]:
    where = {"seed": 4, "fold": 0, "stage": 0, "epoch": 0, **changes}
    return order(len(classes), **where, classes=classes).tolist()


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(0, 2**32 - 1), st.integers(0, 9))
def test_each_class_is_drawn_equally_often_or_once_more(of_row: list[int], seed: int, epoch: int) -> None:
    rows = drawn(bytes(of_row), seed=seed, epoch=epoch)
    assert len(rows) == len(of_row)
    counts = Counter(of_row[row] for row in rows)
    even = len(of_row) // len(set(of_row))
    assert all(counts[number] in (even, even + 1) for number in set(of_row))


def test_every_row_of_a_class_is_drawn_and_a_rare_one_often() -> None:
    """Of 90 empty and 10 filled rows an epoch has 50 each: a filled row comes five times on average."""
    counts = Counter(row for epoch in range(40) for row in drawn(bytes([0] * 90 + [1] * 10), epoch=epoch))
    assert sum(counts[row] for row in range(90)) == sum(counts[row] for row in range(90, 100)) == 2000
    assert all(150 <= counts[row] <= 250 for row in range(90, 100))  # 200, four standard deviations of 14 to 3.5 below
    assert all(counts[row] > 0 for row in range(90))


def test_seed_fold_stage_and_epoch_each_change_what_is_drawn_and_nothing_else_does() -> None:
    classes = bytes([0] * 20 + [1] * 10)
    names = ("seed", "fold", "stage", "epoch")
    assert len({tuple(drawn(classes, **dict(zip(names, at, strict=True)))) for at in product((0, 1), repeat=4)}) == 16
    first = drawn(classes)
    order.cache_clear()
    assert drawn(bytes(bytearray(classes))) == first


@pytest.mark.parametrize("classes", [b"", bytes(12), bytes([3] * 12)])
def test_rows_of_one_class_are_a_permutation_as_without_classes(classes: bytes) -> None:
    where = {"seed": 1, "fold": 0, "stage": 0, "epoch": 2}
    assert order(12, **where, classes=classes).tolist() == order(12, **where).tolist()


def test_a_row_drawn_again_in_an_epoch_says_how_often_it_came_before() -> None:
    classes = bytes([0] * 6 + [1])
    places = [place(position, 7, seed=0, fold=0, stage=0, classes=classes) for position in range(14)]
    for epoch in range(2):
        rare = [before for index, at, before in places if at == epoch and index == 6]
        assert rare == list(range(len(rare)))
        assert len(rare) >= 3
    assert {place(position, 7, seed=0, fold=0, stage=0)[2] for position in range(14)} == {0}


@pytest.mark.parametrize(
    ("areas", "classes"),
    [
        ([0, 40, 0, 10, 30, 20], [0, 4, 0, 1, 3, 2]),
        ([8, 7, 6, 5, 4, 3, 2, 1], [4, 4, 3, 3, 2, 2, 1, 1]),
        ([0, 0, 0], [0, 0, 0]),
        ([5, 5, 5], [1, 1, 1]),
        ([0, 5, 9], [0, 1, 2]),
        ([], []),
    ],
)
def test_masks_are_empty_or_of_a_quarter_of_the_areas(areas: list[int], classes: list[int]) -> None:
    assert list(area_classes(np.array(areas, dtype=np.int64))) == classes


@pytest.mark.parametrize(
    ("rows", "batch", "epochs", "expected"),
    [(10, 5, 1, 2), (10, 4, 1, 3), (10, 4, 2, 5), (10, 16, 1, 1), (10, 16, 0.01, 1), (7, 2, 1.5, 6), (1, 1, 3, 3)],
)
def test_steps_are_enough_to_read_the_epochs(rows, batch, epochs, expected) -> None:
    assert steps(rows, batch, epochs) == expected


def test_every_argument_changes_the_randomness_of_a_view() -> None:
    seeds = {
        view_seed(seed, stage=stage, epoch=epoch, identity=identity, view=view)
        for seed, stage, epoch, identity, view in product((0, 1), (0, 1), (0, 1), ("a", "b"), (0, 1))
    }
    assert len(seeds) == 32
    assert all(0 <= seed < 2**64 for seed in seeds)
    assert view_seed(1, stage=2, epoch=3, identity="4_5", view=0) == view_seed(
        1, stage=2, epoch=3, identity="4_5", view=0
    )


def sides(rows: int = 400, *, seed: int = 0, stage: int = 0, epoch: int = 0) -> list[bool]:
    return [flipped(seed, stage=stage, epoch=epoch, identity=f"row{row}") for row in range(rows)]


@given(st.integers(0, 2**32 - 1), st.integers(0, 3), st.integers(0, 50), st.integers(0, 9).map(str))
def test_a_row_is_flipped_in_every_second_epoch(seed, stage, epoch, identity) -> None:
    first, second, third = (flipped(seed, stage=stage, epoch=epoch + later, identity=identity) for later in range(3))
    assert first == third != second


def test_half_of_the_rows_begin_flipped_and_seed_and_stage_choose_which() -> None:
    assert 160 <= sum(sides()) <= 240  # four standard deviations of 400 fair coins
    for other in (sides(seed=1), sides(stage=1)):
        assert 160 <= sum(one != another for one, another in zip(sides(), other, strict=True)) <= 240
