"""Run lengths: the competition's own vector, two independent encoders, borders, and what the check refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from harness.formats import check_run_lengths, decode_run_lengths, mask_rows, read_mask, run_lengths

NERVE = (420, 580)
VECTOR = "168153 9 168570 15 168984 22 169401 26"

sizes = st.one_of(st.just(NERVE), st.tuples(st.integers(1, 40), st.integers(1, 40)))
small_sizes = st.tuples(st.integers(1, 12), st.integers(1, 12))
seeds = st.integers(0, 2**32 - 1)


def slow_run_lengths(mask: np.ndarray) -> str:
    """One pixel at a time, in the words of the competition's page."""
    numbers: list[int] = []
    number, running = 0, False
    for column in range(mask.shape[1]):
        for row in range(mask.shape[0]):
            number += 1
            if mask[row, column] and running:
                numbers[-1] += 1
            elif mask[row, column]:
                numbers += [number, 1]
            running = bool(mask[row, column])
    return " ".join(map(str, numbers))


def row_major(mask: np.ndarray) -> str:
    """The usual mistake: pixels numbered from left to right, then down."""
    height, width = mask.shape
    return run_lengths(mask.reshape(width, height).T)


def speckle(size: tuple[int, int], density: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(size) < density


def ellipse(size: tuple[int, int], seed: int, *, aspect: float, least: float = 1.0) -> np.ndarray:
    """A tilted ellipse with its centre in the picture and half axes from `least` pixels to half the picture."""
    generator = np.random.default_rng(seed)
    most = max(least + 1, min(size) / 2 / aspect)
    short = np.exp(generator.uniform(np.log(least), np.log(most)))
    long, angle = short * generator.uniform(1, aspect), generator.uniform(0, np.pi)
    down, right = np.ogrid[: size[0], : size[1]]
    down, right = down - generator.integers(size[0]), right - generator.integers(size[1])
    along, across = right * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - right * np.sin(angle)
    return (along / long) ** 2 + (across / short) ** 2 <= 1


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


def test_the_published_vector_decodes_to_the_pixels_counted_by_hand() -> None:
    mask = decode_run_lengths(VECTOR, NERVE)
    # 168153 = 400 x 420 + 153: the 153rd pixel of the 401st column; 168570 = 401 x 420 + 150; 168984 = 402 x 420 + 144;
    # 169401 = 403 x 420 + 141
    for column, row, length in ((400, 152, 9), (401, 149, 15), (402, 143, 22), (403, 140, 26)):
        assert np.flatnonzero(mask[:, column]).tolist() == list(range(row, row + length))
    assert mask.sum() == 9 + 15 + 22 + 26


def test_the_published_vector_survives_decoding_and_encoding() -> None:
    assert run_lengths(decode_run_lengths(VECTOR, NERVE)) == VECTOR
    assert check_run_lengths(VECTOR, NERVE) is None


@settings(max_examples=200, deadline=None)
@given(size=small_sizes, density=st.floats(0, 1), seed=seeds)
def test_the_text_is_that_of_a_loop_over_pixels(size: tuple[int, int], density: float, seed: int) -> None:
    mask = speckle(size, density, seed)
    assert run_lengths(mask) == slow_run_lengths(mask)


@settings(max_examples=100, deadline=None)
@given(size=sizes, density=st.floats(0, 1), seed=seeds)
def test_runs_are_the_odd_counts_of_pycocotools(size: tuple[int, int], density: float, seed: int) -> None:
    mask = speckle(size, density, seed)
    numbers = list(map(int, run_lengths(mask).split()))
    # pycocotools counts outside, inside, outside, ... in Fortran order, from 0
    ends = [0, *(start - 1 + length for start, length in zip(numbers[::2], numbers[1::2], strict=True))]
    counts: list[int] = []
    for end, start, length in zip(ends, numbers[::2], numbers[1::2], strict=False):
        counts += [start - 1 - end, length]
    if ends[-1] < mask.size:
        counts.append(mask.size - ends[-1])
    uncompressed: Any = {"size": list(size), "counts": counts}
    packed: Any = coco.frPyObjects(uncompressed, *size)
    assert packed == coco.encode(np.asfortranarray(mask.astype(np.uint8)))


@settings(max_examples=100, deadline=None)
@given(size=sizes, density=st.floats(0, 1), seed=seeds)
def test_decoding_gives_the_encoded_mask_back(size: tuple[int, int], density: float, seed: int) -> None:
    mask = speckle(size, density, seed)
    decoded = decode_run_lengths(run_lengths(mask), size)
    assert decoded.dtype == np.bool_
    assert np.array_equal(decoded, mask)


@settings(max_examples=60, deadline=None)
@given(size=small_sizes, seed=seeds, dtype=st.sampled_from(["uint8", "int8", "int64", "float32", "bool"]))
def test_every_nonzero_number_is_inside_whatever_its_type_and_memory_order(
    size: tuple[int, int], seed: int, dtype: str
) -> None:
    values = np.random.default_rng(seed).integers(-2, 3, size).astype(dtype)
    expected = slow_run_lengths(values != 0)
    assert run_lengths(values) == expected
    assert run_lengths(np.asfortranarray(values)) == expected
    assert run_lengths(np.repeat(values, 2, axis=1)[:, ::2]) == expected


def test_a_mask_of_0_and_255_reads_as_one_of_0_and_1() -> None:
    mask = ellipse(NERVE, 5, aspect=2, least=10)
    assert run_lengths(mask.astype(np.uint8) * 255) == run_lengths(mask)


def test_an_empty_mask_is_an_empty_text() -> None:
    assert run_lengths(np.zeros(NERVE, np.uint8)) == ""
    assert not decode_run_lengths("", NERVE).any()
    assert decode_run_lengths("", NERVE).shape == NERVE
    assert check_run_lengths("", NERVE) is None


def test_a_mask_without_pixels_is_an_empty_text() -> None:
    assert run_lengths(np.zeros((0, 5), np.uint8)) == ""
    assert run_lengths(np.zeros((5, 0), np.bool_)) == ""


def test_a_full_mask_is_one_run() -> None:
    assert run_lengths(np.ones(NERVE, np.uint8)) == "1 243600"
    assert decode_run_lengths("1 243600", NERVE).all()
    assert check_run_lengths("1 243600", NERVE) is None


def test_the_last_pixel_may_be_named_and_the_one_after_it_not() -> None:
    assert check_run_lengths("243600 1", NERVE) is None
    assert decode_run_lengths("243600 1", NERVE)[419, 579]
    problem, fix = check_run_lengths("243600 2", NERVE) or ("", "")
    assert "243601" in problem
    assert "420 high and 580 wide" in fix


def test_a_run_goes_on_from_the_bottom_of_a_column_to_the_top_of_the_next() -> None:
    mask = np.zeros((4, 3), np.bool_)
    mask[3, 0] = mask[0, 1] = True
    assert run_lengths(mask) == "4 2"
    assert np.array_equal(decode_run_lengths("4 2", (4, 3)), mask)


def test_runs_that_end_at_the_bottom_and_at_the_top_row_stay_apart_where_nothing_joins_them() -> None:
    mask = np.zeros((4, 3), np.bool_)
    mask[3, 0] = mask[1, 1] = mask[0, 2] = True
    assert run_lengths(mask) == "4 1 6 1 9 1"


def test_runs_that_touch_are_read_as_one() -> None:
    assert check_run_lengths("2 2 4 3", (4, 3)) is None
    assert run_lengths(decode_run_lengths("2 2 4 3", (4, 3))) == "2 5"


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


def test_the_csv_row_of_a_mask_reads_back_as_the_mask() -> None:
    mask = ellipse(NERVE, 1, aspect=2, least=10)
    (row,) = mask_rows("7_12", mask)
    assert row[0] == "7_12"
    assert np.array_equal(read_mask([row[1:]], NERVE), mask)
