"""The order of rows is a function: nothing to save but a number."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.order import flipped, order, place, steps, view_seed


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
        assert sorted(index for index, at in places if at == epoch) == list(range(rows))
    assert [at for _, at in places[2 * batch : 3 * batch]] == [0, 1, 1]
    assert [index for index, _ in places[:rows]] == order(rows, seed=4, fold=0, stage=0, epoch=0).tolist()


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
