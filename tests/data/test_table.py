"""Columns to arrays: statistics of the training rows alone, missing and unknown cells, mistakes named."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from harness.data.table import CategoryFit, NumberFit, TableFit, fit, transform
from harness.errors import DataError

CUTS = ("Fair", "Good", "Ideal")


def stones(count: int) -> dict[str, list[Any]]:
    """A table of `count` stones: two numbers, one as text, and two categories."""
    random = np.random.default_rng(0)
    return {
        "id": [f"s{row}" for row in range(count)],
        "carat": [f"{value:.2f}" for value in random.lognormal(0, 0.5, count)],
        "depth": random.normal(61.8, 1.4, count).tolist(),
        "cut": random.choice(CUTS, count).tolist(),
        "colour": random.choice(["D", "E", "F"], count).tolist(),
    }


def fitted(columns: dict[str, list[Any]], rows: np.ndarray) -> TableFit:
    return fit(columns, numbers=["carat", "depth"], categories={"cut": CUTS, "colour": None}, rows=rows)


def test_numbers_are_standardised_as_scikit_learn_does() -> None:
    columns, rows = stones(200), np.arange(0, 200, 2)
    arrays = transform(fitted(columns, rows), columns)
    cells = np.column_stack([np.array(columns["carat"], dtype=float), columns["depth"]])
    expected = np.asarray(StandardScaler().fit(cells[rows]).transform(cells))
    assert arrays["numbers"].dtype == np.float32
    np.testing.assert_allclose(arrays["numbers"], expected, atol=1e-5)


def test_codes_follow_the_declared_order_or_the_alphabet() -> None:
    columns = {"cut": ["Ideal", "Fair", "Good"], "colour": ["F", "D", "F"]}
    found = fit(columns, numbers=[], categories={"cut": CUTS, "colour": None}, rows=np.arange(3))
    arrays = transform(found, columns)
    assert list(arrays) == ["codes"]
    assert arrays["codes"].dtype == np.int64
    assert arrays["codes"].tolist() == [[3, 2], [1, 1], [2, 2]]
    assert found.cardinalities == (4, 3)


def test_other_rows_change_nothing() -> None:
    columns, rows = stones(60), np.arange(40)
    before = fitted(columns, rows)
    for row in range(40, 60):
        columns["carat"][row], columns["depth"][row] = "999", "no number at all"
        columns["cut"][row], columns["colour"][row] = "Unheard", "Z"
    assert fitted(columns, rows) == before
    columns["carat"][0] = "999"
    assert fitted(columns, rows) != before


def test_the_fit_survives_json_without_loss() -> None:
    columns = stones(50)
    columns["carat"][3] = ""
    found = fitted(columns, np.arange(50))
    back = TableFit.from_json(json.loads(json.dumps(found.as_json())))
    assert back == found
    assert all(
        np.array_equal(one, other)
        for one, other in zip(transform(found, columns).values(), transform(back, columns).values(), strict=True)
    )


def test_unknown_and_missing_categories_have_code_zero() -> None:
    columns = {"cut": ["Fair", "Ideal", "Fair"]}
    found = fit(columns, numbers=[], categories={"cut": None}, rows=np.arange(3))
    later = {"cut": ["Ideal", "Royal", "", None, math.nan, " Fair "]}
    assert transform(found, later)["codes"][:, 0].tolist() == [2, 0, 0, 0, 0, 1]


def test_a_category_may_be_called_na() -> None:
    columns = {"pool": ["NA", "Good", "NA"]}
    assert fit(columns, numbers=[], categories={"pool": None}, rows=np.arange(3)).categories == (
        CategoryFit("pool", ("Good", "NA")),
    )


@pytest.mark.parametrize(
    "cell", ["", "  ", "NA", "n/a", "nan", "NaN", "null", None, math.nan, np.float32("nan"), pandas.NA]
)
def test_a_missing_number_is_the_mean_and_says_that_it_is_missing(cell: Any) -> None:
    columns = {"x": ["1", cell, "3", 5], "y": [1, 2, 3, 4]}
    found = fit(columns, numbers=["x", "y"], categories={}, rows=np.arange(4))
    assert found.features == 3
    assert found.numbers[0].mean == 3
    numbers = transform(found, columns)["numbers"]
    assert numbers[:, 2].tolist() == [0, 1, 0, 0]
    assert numbers[1, 0] == 0
    assert numbers[3, 0] == pytest.approx(math.sqrt(1.5))  # (5 - 3) / sqrt(8 / 3)


def test_a_number_missing_only_at_prediction_adds_no_column() -> None:
    found = fit({"x": [1, 3]}, numbers=["x"], categories={}, rows=np.arange(2))
    assert transform(found, {"x": ["", 5]})["numbers"].tolist() == [[0], [3]]


def test_a_constant_and_an_empty_column_stay_finite() -> None:
    columns = {"same": [0.1] * 7, "none": [""] * 7}
    found = fit(columns, numbers=["same", "none"], categories={}, rows=np.arange(7))
    assert [number.spread for number in found.numbers] == [1, 1]
    assert [len(number.edges) for number in found.numbers] == [1, 0]
    np.testing.assert_allclose(transform(found, columns)["numbers"], [[0, 0, 1]] * 7, atol=1e-7)


def test_numbers_as_text_are_read_like_numbers() -> None:
    texts, numbers = ["1.5", " 2 ", "-3e-1", "+.5", "4."], [1.5, np.float32(2), -0.3, 0.5, np.int64(4)]
    read = [fit({"x": cells}, numbers=["x"], categories={}, rows=np.arange(5)) for cells in (texts, numbers)]
    assert read[0] == read[1]


@pytest.mark.parametrize("cell", ["12 carat", "1,5", "1_000", "inf", "-inf", "0x1", "٣", math.inf, [1, 2], object()])
def test_what_is_no_number_is_named_with_its_column_and_row(cell: Any) -> None:
    columns = {"id": ["a", "b", "c"], "x": [1, 2, cell]}
    with pytest.raises(DataError, match=r"row c: column 'x' holds .* which is not a number"):
        fit(columns, numbers=["x"], categories={}, rows=np.arange(3))
    found = fit(columns, numbers=["x"], categories={}, rows=np.arange(2))
    with pytest.raises(DataError, match="row 2: column 'x'"):
        transform(found, {"x": columns["x"]})


def test_an_absent_column_is_named_with_those_there_are() -> None:
    with pytest.raises(DataError, match=r"no column 'weight'; the table has carat"):
        fit({"carat": [1]}, numbers=["weight"], categories={}, rows=np.arange(1))


def test_a_declared_vocabulary_that_fits_no_cell_is_refused() -> None:
    with pytest.raises(DataError, match="column 'cut' holds 'fair' and 1 more, none of them declared"):
        fit({"cut": ["fair", "good"]}, numbers=[], categories={"cut": CUTS}, rows=np.arange(2))


def test_a_slip_of_the_decimal_point_is_cut_at_ten_standard_deviations() -> None:
    found = fit({"x": [1, 3]}, numbers=["x"], categories={}, rows=np.arange(2))
    assert transform(found, {"x": [1e308, -1e308, 4]})["numbers"][:, 0].tolist() == [10, -10, 2]


def test_edges_are_quantiles_by_hand() -> None:
    found = fit({"x": [0, 1, 2, 3, 4]}, numbers=["x"], categories={}, rows=np.arange(5), bins=4)
    step = float(np.float16(1 / math.sqrt(2)))
    assert found.edges == ((-2 * step, -step, 0, step, 2 * step),)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=60), st.integers(1, 48))
def test_edges_ascend_strictly_in_float16(cells: list[float], bins: int) -> None:
    number: NumberFit = fit({"x": cells}, numbers=["x"], categories={}, rows=np.arange(len(cells)), bins=bins).numbers[
        0
    ]
    kept = np.array(number.edges, dtype=np.float16)
    assert np.array_equal(kept.astype(float), number.edges)
    assert (np.diff(kept) > 0).all()
    assert 1 <= len(kept) <= bins + 1
