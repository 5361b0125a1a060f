"""The check of run lengths: which text it refuses, no right mask, and a mask numbered row by row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harness.formats import check_run_lengths, run_lengths
from tests.masks import NERVE, ellipse, seeds, sizes, speckle


def row_major(mask: np.ndarray) -> str:
    """The usual mistake: pixels numbered from left to right, then down."""
    height, width = mask.shape
    return run_lengths(mask.reshape(width, height).T)


@st.composite
def lines(draw: st.DrawFn) -> np.ndarray:
    """Up to four lines, one pixel wide: level, upright or between two points."""
    height, width = draw(sizes)
    mask = np.zeros((height, width), dtype=np.bool_)
    for _ in range(draw(st.integers(1, 4))):
        top, bottom = draw(st.integers(0, height - 1)), draw(st.integers(0, height - 1))
        left, right = draw(st.integers(0, width - 1)), draw(st.integers(0, width - 1))
        kind = draw(st.sampled_from(["level", "upright", "slanted"]))
        bottom, right = (top if kind == "level" else bottom), (left if kind == "upright" else right)
        steps = max(abs(bottom - top), abs(right - left)) + 1
        rows, columns = np.linspace(top, bottom, steps), np.linspace(left, right, steps)
        mask[rows.round().astype(int), columns.round().astype(int)] = True
    return mask


@pytest.mark.parametrize(
    ("text", "problem", "fix"),
    [
        ("1 2 3", "odd", "pairs"),
        ("0 3", "at 0", "from 1"),
        ("5 0", "length 0", "leave"),
        ("9 2 3 2", "not sorted: 3 comes after 9", "sort"),
        ("3 4 5 2", "at 3 and 5 overlap", "join"),
        ("3 2 3 2", "at 3 and 3 overlap", "join"),
        ("3 2 4 1", "at 3 and 4 overlap", "join"),
        (" 3 2", "spaces", "one space"),
        ("3 2 ", "spaces", "one space"),
        ("3  2", "spaces", "one space"),
        ("3\t2", "'3\\t2'", "pairs"),
        ("3 -2", "'-2'", "pairs"),
        ("3.0 2", "'3.0'", "pairs"),
        ("nan", "'nan'", "empty cell"),
        ("٣ 2", "whole number", "pairs"),
        ("3² 2", "whole number", "pairs"),
        ("[3, 2]", "'[3,'", "pairs"),
        ("240 2", "pixel 241", "12 high and 20 wide"),
        ("1 99999999999999999999", "past the end", "240"),
        ("9223372036854775807 9223372036854775807", "past the end", "240"),
    ],
)
def test_a_text_that_is_no_run_lengths_is_refused(text: str, problem: str, fix: str) -> None:
    found = check_run_lengths(text, (12, 20))
    assert found is not None
    assert problem in found[0]
    assert fix in found[1]


@settings(max_examples=150, deadline=None)
@given(size=sizes, seed=seeds)
def test_no_ellipse_is_refused(size: tuple[int, int], seed: int) -> None:
    assert check_run_lengths(run_lengths(ellipse(size, seed, aspect=8)), size) is None


@settings(max_examples=150, deadline=None)
@given(size=sizes, density=st.floats(0, 1), seed=seeds)
def test_no_speckle_is_refused(size: tuple[int, int], density: float, seed: int) -> None:
    assert check_run_lengths(run_lengths(speckle(size, density, seed)), size) is None


@settings(max_examples=300, deadline=None)
@given(mask=lines())
def test_no_thin_lines_are_refused(mask: np.ndarray) -> None:
    assert check_run_lengths(run_lengths(mask), mask.shape) is None


@settings(max_examples=100, deadline=None)
@given(height=st.integers(1, 60), width=st.integers(1, 300), step=st.integers(1, 9), offset=st.integers(0, 8))
def test_no_comb_or_full_mask_is_refused(height: int, width: int, step: int, offset: int) -> None:
    for axis in (0, 1):
        mask = np.zeros((height, width), np.bool_)
        np.moveaxis(mask, axis, 0)[offset::step] = True
        assert check_run_lengths(run_lengths(mask), (height, width)) is None


@pytest.mark.parametrize(("width", "slope"), [(580, -160), (580, 80), (580, 140), (580, 160), (430, 10), (400, -20)])
def test_no_steep_line_is_refused_though_its_runs_stand_below_one_another_row_by_row(width: int, slope: int) -> None:
    mask = np.zeros((420, width), np.bool_)
    rows = np.arange(420)
    mask[rows if slope > 0 else rows[::-1], 300 + rows // abs(slope)] = True
    assert check_run_lengths(run_lengths(mask), (420, width)) is None


@settings(max_examples=80, deadline=None)
@given(seed=seeds)
def test_an_ellipse_numbered_row_by_row_is_refused(seed: int) -> None:
    mask = ellipse(NERVE, seed, aspect=2.5, least=5)
    # the picture's border may leave only a sliver of it
    assume(mask.sum() >= 100 and min(np.ptp(np.nonzero(mask), axis=1)) >= 6)
    found = check_run_lengths(row_major(mask), NERVE)
    assert found is not None
    assert "rows" in found[0]
    assert "columns first" in found[1]


def box(*corners: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros(NERVE, np.bool_)
    for top, bottom, left, right in corners:
        mask[top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize(
    "mask",
    [
        box((100, 106, 50, 70)),
        box((100, 160, 50, 150), (100, 160, 300, 420)),
        box((20, 400, 30, 530)),
        box((20, 400, 30, 530)) & ~box((100, 200, 200, 300)),
        box((0, 420, 0, 290)),
    ],
    ids=["flat", "two side by side", "wide", "with a hole", "left half"],
)
def test_a_box_numbered_row_by_row_is_refused_and_numbered_rightly_it_is_not(mask: np.ndarray) -> None:
    assert check_run_lengths(row_major(mask), NERVE) is not None
    assert check_run_lengths(run_lengths(mask), NERVE) is None


@pytest.mark.parametrize("mask", [box((9, 12, 9, 60)), box((9, 13, 9, 13))], ids=["three rows", "sixteen pixels"])
def test_three_runs_or_sixteen_pixels_are_too_little_to_speak_of_stripes(mask: np.ndarray) -> None:
    assert check_run_lengths(row_major(mask), NERVE) is None


def test_on_a_square_picture_nothing_is_said_of_the_order_of_rows_and_columns() -> None:
    mask = ellipse((256, 256), 3, aspect=2, least=20)
    assert check_run_lengths(row_major(mask), (256, 256)) is None
