"""Run lengths: the competition's own vector, two independent encoders, borders, and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from harness.formats import check_run_lengths, decode_run_lengths, mask_rows, read_mask, run_lengths
from tests.masks import NERVE, ellipse, seeds, sizes, speckle

VECTOR = "168153 9 168570 15 168984 22 169401 26"

small_sizes = st.tuples(st.integers(1, 12), st.integers(1, 12))


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


def test_the_csv_row_of_a_mask_reads_back_as_the_mask() -> None:
    mask = ellipse(NERVE, 1, aspect=2, least=10)
    (row,) = mask_rows("7_12", mask)
    assert row[0] == "7_12"
    assert np.array_equal(read_mask([row[1:]], NERVE), mask)
