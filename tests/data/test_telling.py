"""Telling: names and columns that say the target are found, and chance is not mistaken for them."""

from __future__ import annotations

import numpy as np
import pytest

from harness.data import telling

FOLDS = np.arange(20) % 5


def letters(labels: np.ndarray) -> list[str]:
    return [f"{'abc'[label]}_{row * 37 % 20}" for row, label in enumerate(labels.tolist())]


def test_a_part_of_the_name_that_says_the_class_is_found_and_so_are_its_rows() -> None:
    labels = np.random.default_rng(0).integers(0, 3, 20)
    found = telling.of_names(telling.keys_of(letters(labels)), labels, FOLDS)
    assert found is not None
    assert (found.by, found.of) == ("the letters", 20)
    assert len(found.rows) == 20


def test_a_code_among_other_parts_is_found_at_its_place() -> None:
    labels = np.random.default_rng(1).integers(0, 2, 20)
    names = [f"img{row * 7 % 20}x{label}y" for row, label in enumerate(labels.tolist())]
    found = telling.of_names(telling.keys_of(names), labels, FOLDS)
    assert found is not None
    assert found.by == "part 4"


def test_one_name_in_fifty_that_says_something_else_does_not_hide_the_others() -> None:
    labels = np.random.default_rng(2).integers(0, 3, 100)
    names = letters(labels)
    names[3] = names[3].replace("abc"[labels[3]], "abc"[labels[3] - 1])
    assert telling.of_names(telling.keys_of(names), labels, np.arange(100) % 5) is not None


def test_a_group_in_the_name_that_no_other_fold_has_tells_nothing() -> None:
    patient = np.repeat(np.arange(5), 4)
    names = [f"p{number}_{row}" for row, number in enumerate(patient.tolist())]
    assert telling.of_names(telling.keys_of(names), patient % 2, patient) is None


def test_a_rare_tag_that_the_majority_gets_right_anyway_tells_nothing() -> None:
    labels = (np.arange(200) == 7).astype(int)
    assert telling.of_codes(telling.codes_of(["a"] * 200), labels, np.arange(200) % 5, by="x") is None


@pytest.mark.parametrize("direction", [1, -1])
def test_a_number_that_ranks_as_the_target_does_is_found(direction: int) -> None:
    values = np.random.default_rng(3).lognormal(5, 1, 20)
    names = [f"stone_{100_000 + direction * round(10 * value)}_{row % 3}" for row, value in enumerate(values.tolist())]
    found = telling.of_numbers(names, values, FOLDS)
    assert found is not None
    assert found.by == "number 1"


def test_the_order_of_the_rows_is_no_name() -> None:
    values = np.sort(np.random.default_rng(4).normal(size=20))
    assert telling.of_numbers(["a"] * 20, values, FOLDS) is None
    assert telling.of_ranks(np.arange(20.0), values, FOLDS, telling.NEARLY, by="order") is not None


def test_a_strong_column_that_is_wrong_in_one_of_a_hundred_rows_is_a_feature() -> None:
    labels = np.arange(1000) % 2
    cells = [f"odor {label if row % 100 else 1 - label}" for row, label in enumerate(labels.tolist())]
    folds = np.arange(1000) // 2 % 5
    assert telling.of_codes(telling.codes_of(cells), labels, folds, by="x", least=telling.EXACT) is None
    assert telling.of_codes(
        telling.codes_of([f"odor {label}" for label in labels.tolist()]), labels, folds, by="x", least=telling.EXACT
    )


def test_a_column_that_goes_along_with_the_target_but_is_not_it_tells_nothing() -> None:
    random = np.random.default_rng(5)
    weight = random.lognormal(0, 1, 500)
    price, folds = weight * np.exp(random.normal(0, 0.1, 500)), np.arange(500) % 5
    assert telling.of_ranks(weight, price, folds, telling.EXACT, by="x") is None
    assert telling.of_ranks(np.exp(-price / 1000), price, folds, telling.EXACT, by="x") is not None


def test_missing_cells_are_left_out_and_few_cells_tell_nothing() -> None:
    values = np.random.default_rng(6).normal(size=40)
    cells, folds = values.copy(), np.arange(40) % 5
    cells[:2] = np.nan
    assert telling.of_ranks(cells, values, folds, telling.EXACT, by="x") is not None
    cells[:30] = np.nan
    assert telling.of_ranks(cells, values, folds, telling.EXACT, by="x") is None


@pytest.mark.parametrize("rows", [12, 20, 40])
def test_two_hundred_random_tables_raise_no_alarm(rows: int) -> None:
    for seed in range(200):
        random = np.random.default_rng(seed)
        folds, labels = np.arange(rows) % 5, random.integers(0, random.integers(2, 5), rows)
        names = [f"{random.choice(list('abc'))}{random.integers(0, 4)}_{random.integers(0, 99)}" for _ in range(rows)]
        assert telling.of_names(telling.keys_of(names), labels, folds) is None, seed
        assert telling.of_numbers(names, random.normal(size=rows), folds) is None, seed
        cells = random.integers(0, 3, rows).tolist()
        assert telling.of_codes(telling.codes_of(cells), labels, folds, by="x") is None, seed


@pytest.mark.parametrize("seed", range(5))
def test_the_lookup_agrees_with_one_written_row_by_row(seed: int) -> None:
    random = np.random.default_rng(seed)
    codes, truth, fold = random.integers(0, 6, 60), random.integers(0, 3, 60), random.integers(0, 4, 60)
    truth[:4], fold[:4] = [0, 1, 2, 0], [0, 1, 2, 3]
    guess, usual = telling._guess(codes, truth, fold)
    for row in range(60):
        others = fold != fold[row]
        counts = np.bincount(truth[others & (codes == codes[row])], minlength=3)
        assert usual[row] == np.bincount(truth[others]).argmax()
        assert counts[guess[row]] == counts.max() or not counts.any()
