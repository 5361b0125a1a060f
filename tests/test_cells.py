"""Labels, tags and class masks in a submission: what is written reads back, and what a grader would refuse is told."""

from __future__ import annotations

import functools
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import cells
from harness.formats import decode_run_lengths
from tests.masks import seeds

SIZE = (4, 3)
NAMES = ("agriculture", "clear", "primary", "water")
CLASSES = ("sky", "road", "tree")


def without_ids(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [row[1:] for row in rows]


def told(found: tuple[str, str] | None) -> str:
    return "right" if found is None else "; ".join(found)


def test_a_label_is_its_own_cell_and_may_hold_spaces() -> None:
    rows = cells.label_rows("Sapphire Blue/1.jpg", "Sapphire Blue")
    assert rows == [("Sapphire Blue/1.jpg", "Sapphire Blue")]
    assert cells.read_label(without_ids(rows), SIZE) == "Sapphire Blue"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("water", "right"),
        ("", "an empty cell; write one label"),
        ("watr", "unknown label 'watr'; did you mean 'water'?"),
        ("Primary", "unknown label 'Primary'; did you mean 'primary'?"),
        ("xyz", "unknown label 'xyz'; known: agriculture, clear, primary, water"),
    ],
)
def test_a_label_is_one_of_the_known(text: str, expected: str) -> None:
    assert told(cells.check_label(text, SIZE, labels=NAMES)) == expected


def test_without_known_labels_any_label_but_none_is_right() -> None:
    assert cells.check_label("xyz", SIZE) is None
    assert cells.check_label("", SIZE) is not None


@settings(max_examples=60, deadline=None)
@given(tags=st.lists(st.sampled_from(NAMES), unique=True), separator=st.sampled_from([" ", ",", ";", "|", ", "]))
def test_tags_read_back_and_pass_their_own_check(tags: list[str], separator: str) -> None:
    rows = cells.tag_rows("1", tags, separator=separator)
    assert cells.read_tags(without_ids(rows), SIZE, separator=separator) == tuple(tags)
    assert cells.check_tags(rows[0][1], SIZE, separator=separator, labels=NAMES) is None
    assert cells.check_tags(rows[0][1], SIZE, separator=separator) is None


def test_a_tag_given_twice_is_written_once_and_one_that_cannot_be_read_back_is_a_mistake() -> None:
    assert cells.tag_rows("1", ["clear", "water", "clear"]) == [("1", "clear water")]
    for tag in ("bare ground", ""):
        with pytest.raises(AssertionError, match="tags are not empty and hold no ' '"):
            cells.tag_rows("1", [tag])


@pytest.mark.parametrize(
    ("text", "separator", "expected"),
    [
        ("clear clear", " ", "the tag 'clear' stands twice"),
        ("clear  water", " ", "a separator before, after or doubled between tags; put a space between"),
        (" clear", " ", "a separator before, after"),
        ("clear;", ";", "a separator before, after or doubled between tags; put a semicolon between"),
        ("clear,water", " ", "a comma between the tags 'clear,water'; put a space between two tags"),
        ("primary clear|water", " ", "a bar between the tags 'clear|water'"),
        ("clear\twater", " ", "a tab between"),
        ("clear water", ";", "a space between the tags 'clear water'; put a semicolon"),
        ("clear, water", ",", "spaces around the tag 'water'; put a comma"),
        ("clear,water", ", ", "a comma between the tags 'clear,water'; put ', ' between two tags"),
        ("clear watr", " ", "unknown tag 'watr'; did you mean 'water'?"),
    ],
)
def test_tags_that_a_grader_would_split_otherwise_are_refused(text: str, separator: str, expected: str) -> None:
    assert told(cells.check_tags(text, SIZE, separator=separator, labels=NAMES)).startswith(expected)


def test_without_known_tags_another_separator_is_still_seen_and_a_space_may_be_part_of_a_tag() -> None:
    assert told(cells.check_tags("red;blue", SIZE)).startswith("a semicolon between")
    assert cells.check_tags("bare ground;water", SIZE, separator=";") is None
    assert cells.check_tags("", SIZE) is None


def test_a_known_tag_may_hold_what_elsewhere_separates() -> None:
    assert cells.check_tags("black, white;red", SIZE, separator=";", labels=("black, white", "red")) is None


@settings(max_examples=60, deadline=None)
@given(tags=st.sets(st.sampled_from(NAMES)))
def test_indicators_read_back_as_tags_in_the_order_of_the_columns(tags: set[str]) -> None:
    (row,) = cells.indicator_rows("1", sorted(tags, reverse=True), labels=NAMES)
    assert row == ("1", *(str(int(name in tags)) for name in NAMES))
    assert cells.read_indicators([row[1:]], SIZE, labels=NAMES) == tuple(sorted(tags))


def test_an_indicator_is_exactly_zero_or_one() -> None:
    texts = ("0", "1", "", "2", "1.0", "0.7", "True", "01", "-0")
    assert [text for text in texts if cells.check_indicator(text, SIZE) is None] == ["0", "1"]
    with pytest.raises(AssertionError, match="tags without a column"):
        cells.indicator_rows("1", ["haze"], labels=NAMES)


@settings(max_examples=60, deadline=None)
@given(size=st.tuples(st.integers(1, 9), st.integers(1, 9)), seed=seeds)
def test_a_class_map_with_void_reads_back_from_one_row_for_each_class(size: tuple[int, int], seed: int) -> None:
    mask = np.random.default_rng(seed).choice(np.array([0, 1, 2, 255], np.uint8), size)
    rows = cells.class_mask_rows("f7", mask, classes=CLASSES)
    assert [row[0] for row in rows] == cells.class_mask_ids("f7", classes=CLASSES) == ["f7_sky", "f7_road", "f7_tree"]
    read = cells.read_class_mask(without_ids(rows), size)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, mask)
    assert cells.check_together(without_ids(rows), size) is None


def test_the_rows_of_a_class_map_are_the_ones_counted_by_hand() -> None:
    mask = np.array([[0, 0, 1], [0, 255, 1], [2, 2, 2], [2, 2, 2]], np.uint8)
    assert cells.class_mask_rows("f", mask, classes=CLASSES) == [
        ("f_sky", "1 2 5 1"),
        ("f_road", "9 2"),
        ("f_tree", "3 2 7 2 11 2"),
    ]


def test_a_pixel_of_no_class_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(AssertionError, match="1 pixels are of no class, 3 among 3 classes"):
        cells.class_mask_rows("f", np.array([[0, 3]], np.uint8), classes=CLASSES)


def test_where_two_classes_claim_a_pixel_the_first_keeps_it_and_the_check_names_it() -> None:
    rows = [("1 4",), ("9 2",), ("4 2 10 1",)]
    mask = cells.read_class_mask(rows, SIZE)
    assert mask.T.ravel().tolist() == [0, 0, 0, 0, 2, 255, 255, 255, 1, 1, 255, 255]
    problem, fix = cells.check_together(rows, SIZE) or ("", "")
    assert problem == "pixel 4 is claimed by two classes, in rows 1 and 3 of the prediction"
    assert fix == "give each pixel to one class, or to none"


@settings(max_examples=150, deadline=None)
@given(seed=seeds, density=st.floats(0.0, 0.3), number=st.integers(2, 5))
def test_two_classes_claim_a_pixel_exactly_if_their_masks_add_up_to_more_than_one(
    seed: int, density: float, number: int
) -> None:
    masks = np.random.default_rng(seed).random((number, *SIZE)) < density
    rows = [row[1:] for mask in masks for row in cells.class_mask_rows("f", np.where(mask, 0, 255), classes=("x",))]
    found = cells.check_together(rows, SIZE)
    claims = masks.sum(axis=0).T.ravel()
    assert (found is not None) == bool((claims > 1).any())
    if found is not None:
        pixel = int(found[0].split()[1])
        assert pixel == 1 + int(np.argmax(claims > 1))
        claimed = [
            place for place, (text,) in enumerate(rows, 1) if decode_run_lengths(text, SIZE).T.ravel()[pixel - 1]
        ]
        named = [int(word) for word in found[0].split() if word.isdigit()][1:]
        assert len(set(named)) == 2
        assert set(named) <= set(claimed)


def test_one_row_is_right_together_and_rows_wrong_by_themselves_are_left_to_their_own_check() -> None:
    assert cells.check_together([("12.5", "3")], SIZE) is None
    assert cells.check_together([("1 x",), ("1 2",), ("",)], SIZE) is None


def test_every_function_goes_to_a_worker_with_its_parameters() -> None:
    for function in (
        functools.partial(cells.tag_rows, separator=";"),
        functools.partial(cells.check_tags, labels=NAMES),
        functools.partial(cells.read_score, form="perplexity"),
        cells.check_together,
    ):
        assert pickle.loads(pickle.dumps(function)).__class__ is function.__class__


def test_importing_cells_imports_no_numpy() -> None:
    program = "import sys, harness.cells, harness.listing; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"
