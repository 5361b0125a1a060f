"""The validator on drawn files: no bytes and no text raise, and no single mutation of a valid file passes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.submissions import VALID, verdict, with_line

# Each may write any file: hypothesis calls the test many times with one folder.
many_files = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@many_files
@given(content=st.binary(max_size=200))
def test_no_bytes_raise(tmp_path: Path, content: bytes) -> None:
    found = verdict(tmp_path, content)
    assert found.valid == (not found.errors)


@many_files
@given(
    tail=st.lists(st.sampled_from([b"1", b"2", b",", b'"', b"\n", b"\r", b" ", b"\0", b"\xff", b".0", b"nan", b"9"]))
)
def test_no_bytes_below_a_right_header_raise_or_make_a_message_of_two_lines(tmp_path: Path, tail: list[bytes]) -> None:
    found = verdict(tmp_path, b"img,pixels\n" + b"".join(tail))
    assert not found.valid
    assert all(len(error.line().splitlines()) == 1 for error in found.errors)


@many_files
@given(
    text=st.text(st.sampled_from("12,\"' .-xé\t\x0b\x1c\x7f\x85\u2028\u3000\ufeff\U0001f600"), max_size=60),
    row=st.integers(1, 6),
)
def test_no_text_in_a_line_raises_or_makes_a_message_of_two_lines(tmp_path: Path, text: str, row: int) -> None:
    found = verdict(tmp_path, with_line(row, text.encode() + b"\n"))
    assert all(len(error.line().splitlines()) == 1 for error in found.errors)


def _without_row(rows: list[bytes], row: int) -> list[bytes]:
    return rows[:row] + rows[row + 1 :]


def _row_twice(rows: list[bytes], row: int) -> list[bytes]:
    return [*rows[: row + 1], rows[row], *rows[row + 1 :]]


def _row_to_the_other_end(rows: list[bytes], row: int) -> list[bytes]:
    rest = _without_row(rows, row)
    return [rows[0], rows[row], *rest[1:]] if row > 1 else [*rest, rows[row]]


def _changed(change: Callable[[bytes], bytes]) -> Callable[[list[bytes], int], list[bytes]]:
    return lambda rows, row: [*rows[:row], change(rows[row]), *rows[row + 1 :]]


MUTATORS: dict[str, Callable[[list[bytes], int], list[bytes]]] = {
    "row removed": _without_row,
    "row twice": _row_twice,
    "row moved": _row_to_the_other_end,
    "float id": _changed(lambda line: line.replace(b",", b".0,", 1)),
    "zero before the id": _changed(lambda line: b"0" + line),
    "space before": _changed(lambda line: b" " + line),
    "space after": _changed(lambda line: line + b" "),
    "tab after": _changed(lambda line: line + b"\t"),
    "no comma": _changed(lambda line: line.replace(b",", b"")),
    "another comma": _changed(lambda line: line + b","),
    "quote": _changed(lambda line: line + b'"'),
    "NUL": _changed(lambda line: line + b"\0"),
    "Latin-1": _changed(lambda line: line + b"\xe9"),
    "nan": _changed(lambda line: line.split(b",")[0] + b",nan"),
    "run at 0": _changed(lambda line: line.split(b",")[0] + b",0 5"),
    "blank line before": _changed(lambda line: b"\n" + line),
}


@many_files
@given(
    name=st.sampled_from(sorted(MUTATORS)),
    row=st.integers(1, 5),
    ending=st.sampled_from([b"\n", b"\r\n"]),
)
def test_any_single_mutation_of_a_valid_file_is_refused(tmp_path: Path, name: str, row: int, ending: bytes) -> None:
    rows = VALID.splitlines()
    assert verdict(tmp_path, ending.join(rows) + ending).valid
    assert not verdict(tmp_path, ending.join(MUTATORS[name](rows, row)) + ending).valid
