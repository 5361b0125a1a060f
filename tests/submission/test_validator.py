"""The validator: what it accepts, and for each mistake the row, the column and the fix it tells."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from competitions.ultrasound_nerve_segmentation import competition
from harness.errors import SubmissionError
from harness.formats import run_lengths
from harness.submission.validator import Expected, Problem, Validation, validate
from tests.submissions import EXPECTED, LINES, SIZE, VALID, verdict, with_line


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("submission.csv", content)
    return file.getvalue()


def stripes() -> bytes:
    """An ellipse on a 12 x 20 picture, numbered row by row."""
    down, right = np.ogrid[:12, :20]
    mask = ((down - 6) / 5.0) ** 2 + ((right - 9) / 4.0) ** 2 <= 1
    return run_lengths(mask.reshape(20, 12).T).encode()


# name: content, row, column, a word of the problem, a word of the fix
MISTAKES: dict[str, tuple[bytes, int | None, str | None, str, str]] = {
    "missing id": (with_line(3, b""), 3, "img", "1 of 5 id is missing: '2'", "add one row"),
    "missing last id": (b"".join(LINES[:-1]), 6, "img", "'5'", "add one row"),
    "duplicate id": (VALID + LINES[2], 7, "img", "'2' stands on row 3 already", "duplicate"),
    "extra id": (VALID + b"6,\n", 7, "img", "'6' is extra", "remove the row"),
    "unordered ids": (b"".join(LINES[i] for i in (0, 1, 3, 2, 4, 5)), 3, "img", "'3' stands before '2'", "sort"),
    "float id": (with_line(3, b"2.0,\n"), 3, "img", "'2.0' is a float", "write '2'"),
    "id is nan": (with_line(3, b"nan,\n"), 3, "img", "no id", "write the row's id"),
    "id is empty": (with_line(3, b",\n"), 3, "img", "no id", "write the row's id"),
    "space before an id": (with_line(3, b" 2,\n"), 3, "img", "spaces", "write '2'"),
    "space after an id": (with_line(3, b"2 ,\n"), 3, "img", "spaces", "write '2'"),
    "other header": (with_line(1, b"img,mask\n"), 1, "pixels", "'img,mask'", "write exactly img,pixels"),
    "header in capitals": (with_line(1, b"Img,pixels\n"), 1, "img", "'Img,pixels'", "write exactly img,pixels"),
    "header turned round": (with_line(1, b"pixels,img\n"), 1, "img", "'pixels,img'", "write exactly img,pixels"),
    "header with one more": (with_line(1, b"img,pixels,x\n"), 1, "pixels", "'img,pixels,x'", "write exactly"),
    "space in the header": (with_line(1, b"img, pixels\n"), 1, "pixels", "spaces", "write exactly img,pixels"),
    "no header": (b"".join(LINES[1:]), 1, "img", "header is missing", "first line"),
    "index column": (b",img,pixels\n0,1,3 2\n", 1, "img", "header", "index=False"),
    "semicolons": (VALID.replace(b",", b";"), 1, "img", "header", "commas in place of ';'"),
    "byte order mark": (b"\xef\xbb\xbf" + VALID, 1, "img", "byte order mark", "without one"),
    "UTF-16": (VALID.decode().encode("utf-16"), 1, "img", "UTF-16", "UTF-8"),
    "NaN cell": (with_line(3, b"2,NaN\n"), 3, "pixels", "NaN in place of a value", "leave the cell empty"),
    "nan cell": (with_line(3, b"2,nan\n"), 3, "pixels", "id '2': nan", "leave the cell empty"),
    "null cell": (with_line(3, b"2,null\n"), 3, "pixels", "null", "leave the cell empty"),
    "None cell": (with_line(3, b"2,None\n"), 3, "pixels", "None", "leave the cell empty"),
    "odd count": (with_line(4, b"3,1 2 3\n"), 4, "pixels", "id '3': 3 numbers, an odd count", "pairs"),
    "unsorted runs": (with_line(4, b"3,9 2 3 2\n"), 4, "pixels", "not sorted", "sort the runs"),
    "overlapping runs": (with_line(4, b"3,3 4 5 2\n"), 4, "pixels", "overlap", "once"),
    "zero-length run": (with_line(4, b"3,3 0\n"), 4, "pixels", "length 0", "leave such runs out"),
    "counted from 0": (with_line(4, b"3,0 3\n"), 4, "pixels", "starts at 0", "counted from 1"),
    "past the end": (with_line(4, b"3,240 2\n"), 4, "pixels", "pixel 241", "12 high and 20 wide"),
    "row by row": (with_line(4, b"3," + stripes() + b"\n"), 4, "pixels", "stripes", "columns first"),
    "words in a cell": (with_line(4, b"3,mask.png\n"), 4, "pixels", "'mask.png'", "pairs"),
    "space before a cell": (with_line(4, b"3, 1 2\n"), 4, "pixels", "spaces", "remove"),
    "space after a cell": (with_line(4, b"3,1 2 \n"), 4, "pixels", "spaces", "remove"),
    "cell of a space": (with_line(3, b"2, \n"), 3, "pixels", "spaces", "remove"),
    "doubled space in a cell": (with_line(4, b"3,1  2\n"), 4, "pixels", "spaces", "one space"),
    "cell too many": (with_line(4, b"3,1 2,\n"), 4, "pixels", "3 cells under 2 columns (id '3')", "too many"),
    "cell too few": (with_line(4, b"3\n"), 4, "pixels", "1 cells under 2 columns (id '3')", "add the missing"),
    "blank line within": (LINES[0] + b"\n" + b"".join(LINES[1:]), 2, None, "blank line", "remove it"),
    "blank line at the end": (VALID + b"\n", 7, None, "blank line", "remove it"),
    "quote never closed": (with_line(4, b'3,"1 2\n'), 4, "pixels", "id '3': a quote", "close it"),
    "quote in the wrong place": (with_line(4, b'3,"1 2"x\n'), 4, None, "quotes in the wrong place", "without quotes"),
    "cell not UTF-8": (with_line(4, b"3,1 2\xff\n"), 4, "pixels", "id '3': byte 6 of the line is not UTF-8", "UTF-8"),
    "NUL byte": (with_line(4, b"3,1\x002\n"), 4, "pixels", "NUL", "plain text"),
    "carriage return within": (with_line(4, b"3,1\r2\n"), 4, "pixels", "carriage return", "LF or CRLF"),
    "CR line ends": (VALID.replace(b"\n", b"\r"), 1, "pixels", "carriage return", "LF or CRLF"),
    "empty file": (b"", 1, "img", "empty", "img,pixels"),
    "gzip": (gzip.compress(VALID), 1, "img", "gzip", "unpack"),
    "zip": (zipped(VALID), 1, "img", "zip", "unpack"),
    "bzip2": (bz2.compress(VALID), 1, "img", "bzip2", "unpack"),
    "xz": (lzma.compress(VALID), 1, "img", "xz", "unpack"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04\x00", 1, "img", "zstd", "unpack"),
}


@pytest.mark.parametrize(
    "content",
    [VALID, VALID.replace(b"\n", b"\r\n"), VALID[:-1], VALID.replace(b"3 2 15 4", b'"3 2 15 4"')],
    ids=["LF", "CRLF", "no last line end", "quoted"],
)
def test_a_valid_file_is_accepted(tmp_path: Path, content: bytes) -> None:
    assert verdict(tmp_path, content) == Validation(valid=True, rows=5, errors=())


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_problem_with_row_column_and_fix(tmp_path: Path, name: str) -> None:
    content, row, column, problem, fix = MISTAKES[name]
    found = verdict(tmp_path, content)
    assert not found.valid
    told = [error for error in found.errors if problem in error.problem]
    assert [(error.row, error.column) for error in told] == [(row, column)]
    assert fix in told[0].fix


@pytest.mark.parametrize("name", [name for name in MISTAKES if name not in {"id is nan", "id is empty"}])
def test_one_mistake_is_told_once(tmp_path: Path, name: str) -> None:
    assert len(verdict(tmp_path, MISTAKES[name][0]).errors) == 1


def test_a_problem_is_one_line_with_row_column_problem_and_fix() -> None:
    problem = Problem(4, "pixels", "id '3': two runs overlap", "name every pixel once")
    assert problem.line() == "row 4, column pixels: id '3': two runs overlap; name every pixel once"
    assert Problem(None, None, "7 more problems", "mend").line() == "7 more problems; mend"


def test_the_verdict_as_json_has_the_documented_keys(tmp_path: Path) -> None:
    assert verdict(tmp_path, with_line(4, b"3,0 3\n")).as_json() == {
        "valid": False,
        "rows": 5,
        "errors": [
            {
                "row": 4,
                "column": "pixels",
                "problem": "id '3': a run starts at 0",
                "fix": "pixels are counted from 1: add 1 to every start",
            }
        ],
    }


def test_a_cell_that_may_not_be_empty_is_not_told_to_be(tmp_path: Path) -> None:
    def check(text: str, size: tuple[int, int]) -> tuple[str, str] | None:
        return None if text else ("no value", "write a number")

    needed = replace(EXPECTED, submission=replace(competition.submission, cells={"pixels": check}))
    found = verdict(tmp_path, b"img,pixels\n1,a\n2,nan\n3,c\n4,d\n5,\n", needed)
    assert [(error.row, error.fix) for error in found.errors] == [(3, "write a value"), (6, "write a number")]


def test_each_row_is_checked_against_its_own_picture(tmp_path: Path) -> None:
    other = replace(EXPECTED, sizes=[SIZE, SIZE, (10, 20), SIZE, SIZE])
    (error,) = verdict(tmp_path, VALID, other).errors
    assert (error.row, error.column) == (4, "pixels")
    assert "10 high" in error.fix


def test_a_shuffled_file_is_one_problem_at_its_first_row_out_of_place(tmp_path: Path) -> None:
    found = verdict(tmp_path, b"".join(LINES[index] for index in (0, 1, 4, 5, 2, 3)))
    assert [(error.row, error.column) for error in found.errors] == [(3, "img")]


def test_a_reversed_file_of_many_rows_is_one_problem(tmp_path: Path) -> None:
    ids = [str(number) for number in range(1, 2001)]
    many = Expected(competition.submission, ids, [SIZE] * 2000)
    found = verdict(tmp_path, b"img,pixels\n" + b"".join(f"{identity},\n".encode() for identity in ids[::-1]), many)
    assert [error.row for error in found.errors] == [2]
    assert found.rows == 2000


def test_a_file_without_rows_is_one_problem_that_names_the_first_ids(tmp_path: Path) -> None:
    many = Expected(competition.submission, [f"picture{number}" for number in range(3000)], [SIZE] * 3000)
    (error,) = verdict(tmp_path, b"img,pixels\n", many).errors
    assert error.problem.startswith("3000 of 3000 ids are missing: 'picture0', 'picture1'")
    assert len(error.line()) < 250


def test_at_most_a_hundred_problems_are_kept_and_the_rest_is_counted(tmp_path: Path) -> None:
    ids = [str(number) for number in range(1, 301)]
    many = Expected(competition.submission, ids, [SIZE] * 300)
    found = verdict(tmp_path, b"img,pixels\n" + b"".join(f"{number},0 1\n".encode() for number in ids[:-10]), many)
    # 290 bad cells and one line for ten missing ids
    assert len(found.errors) == 101
    assert "10 of 300 ids are missing" in found.errors[-2].problem
    assert found.errors[-1].line().startswith("191 more problems")


def test_ids_written_as_floats_are_not_missing_too(tmp_path: Path) -> None:
    content = b"img,pixels\n" + b"".join(f"{number}.0,\n".encode() for number in range(1, 6))
    assert [error.row for error in verdict(tmp_path, content).errors] == [2, 3, 4, 5, 6]


def test_a_long_cell_is_not_repeated_in_the_message(tmp_path: Path) -> None:
    (error,) = verdict(tmp_path, with_line(4, b"3," + b"x" * 300_000 + b"\n")).errors
    assert len(error.line()) < 250


def test_a_quoted_cell_longer_than_the_csv_module_takes_is_read_and_its_limit_left_alone(tmp_path: Path) -> None:
    tall = (2, 200_000)
    before = csv.field_size_limit()
    cell = run_lengths(np.arange(400_000).reshape(2, 200_000) % 3 == 0)
    assert len(cell) > before
    one = Expected(competition.submission, ["1"], [tall])
    assert verdict(tmp_path, f'img,pixels\n1,"{cell}"\n'.encode(), one).valid
    assert csv.field_size_limit() == before


def test_a_file_that_cannot_be_opened_is_the_users_mistake(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.csv", tmp_path):
        with pytest.raises(SubmissionError, match="unreadable"):
            validate(path, EXPECTED)
