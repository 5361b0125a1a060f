"""Numbers and scores of texts in a submission: every digit comes back, and what a grader would refuse is told."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import cells

SIZE = (4, 3)


def without_ids(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [row[1:] for row in rows]


def told(found: tuple[str, str] | None) -> str:
    return "right" if found is None else "; ".join(found)


@settings(deadline=None)
@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_comes_back_to_the_last_bit_and_passes_its_own_check(value: float) -> None:
    rows = cells.number_rows("1", value)
    assert cells.read_number(without_ids(rows), SIZE) == value
    assert cells.check_number(rows[0][1], SIZE) is None


def test_a_number_of_numpy_is_written_as_plain_digits() -> None:
    assert cells.number_rows("1", np.float64(0.1)) == [("1", "0.1")]
    assert cells.number_rows("1", float(np.float32(0.1))) == [("1", "0.10000000149011612")]
    for value in (math.nan, math.inf):
        with pytest.raises(AssertionError, match="is finite"):
            cells.number_rows("1", value)


@pytest.mark.parametrize("text", ["0", "-1.5", "+2", "1e3", "1E-05", ".5", "5.", "007"])
def test_plain_numbers_are_right(text: str) -> None:
    assert cells.check_number(text, SIZE) is None
    assert cells.read_number([(text,)], SIZE) == float(text)


@pytest.mark.parametrize(
    "text",
    ["", "nan", "inf", "-Infinity", "0x1F", "1_000", "1 000", "1,5", "1.2.3", "1e999", "1e", ".", "$5", "٣", "--1"],
)
def test_what_is_no_plain_finite_number_is_refused(text: str) -> None:
    problem, fix = cells.check_number(text, SIZE) or ("", "")
    assert problem
    assert "a number" in fix or "digits" in fix or "plain" in fix or "finite" in fix


def test_a_price_is_above_zero_and_a_decimal_comma_is_named() -> None:
    check = functools.partial(cells.check_number, positive=True)
    assert check("0.01", SIZE) is None
    assert told(check("-3", SIZE)) == "'-3' is not above 0; write a positive number"
    assert told(check("0", SIZE)) == "'0' is not above 0; write a positive number"
    assert "decimal point" in told(check("950,50", SIZE))


def test_nats_and_tokens_read_back_with_the_bytes_of_the_answers() -> None:
    rows = cells.nats_rows("test.txt:0", (12.25, 4, 31))
    assert rows == [("test.txt:0", "12.25", "4")]
    assert cells.read_nats(without_ids(rows), (31, 4)) == (12.25, 4, 31)
    with pytest.raises(AssertionError, match="nats are not negative"):
        cells.nats_rows("test.txt:0", (-1.0, 4, 31))


@pytest.mark.parametrize(
    ("text", "right"), [("0", True), ("12.5", True), ("-0.1", False), ("inf", False), ("", False), ("1e999", False)]
)
def test_nats_are_finite_and_not_negative(text: str, right: bool) -> None:
    assert (cells.check_nats(text, SIZE) is None) == right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("1", True),
        ("1000", True),
        ("0", False),
        ("-1", False),
        ("4.0", False),
        ("", False),
        ("1" * 5000, False),
        ("٣", False),
    ],
)
def test_a_count_of_tokens_is_whole_and_at_least_one(text: str, right: bool) -> None:
    assert (cells.check_count(text, SIZE) is None) == right


@pytest.mark.parametrize(
    ("form", "written"), [("nats", "8.0"), ("log_probability", "-8.0"), ("perplexity", repr(math.exp(2)))]
)
def test_a_single_score_is_written_in_the_form_of_its_column_and_read_with_the_tokens_of_the_answers(
    form, written
) -> None:
    rows = cells.score_rows("7", (8.0, 4, 31), form=form)
    assert rows == [("7", written)]
    assert cells.check_score(written, (31, 4), form=form) is None
    assert cells.read_score(without_ids(rows), (31, 4), form=form) == pytest.approx((8.0, 4, 31), abs=1e-12)


def test_a_certain_text_has_no_minus_zero_and_a_hopeless_one_a_finite_perplexity() -> None:
    assert cells.score_rows("7", (0.0, 4, 31), form="log_probability") == [("7", "0.0")]
    ((_, text),) = cells.score_rows("7", (1e9, 4, 31), form="perplexity")
    assert cells.check_score(text, (31, 4), form="perplexity") is None


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("nats", "-8", "'-8' is below 0; write minus the natural logarithm"),
        ("log_probability", "8", "'8' is above 0; write the logarithm of a probability"),
        ("perplexity", "0.5", "'0.5' is below 1; write exp(nats / tokens)"),
        ("perplexity", "nan", "'nan' is not a finite number in plain digits; write a plain number"),
    ],
)
def test_a_score_outside_the_range_of_its_form_is_refused(form, text: str, expected: str) -> None:
    assert told(cells.check_score(text, SIZE, form=form)) == expected
