"""Lines of a submission file: from bytes to cells, with what is wrong told by line and column.

A record is one line: no column of any competition holds a line break, and a quote that is never closed must not swallow
the rest of the file. So files of any length are read one line at a time, and line numbers are those an editor shows.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from harness.errors import SubmissionError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# First bytes of what a submission is sometimes uploaded as. Sources: RFC 1952, PKWARE APPNOTE 4.3, the bzip2 and xz
# file format descriptions, RFC 8878.
PACKED = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)


@dataclass(frozen=True)
class Problem:
    """One thing that a grader would refuse.

    Attributes:
        row: line number in the file, the header being 1; None where no line is to blame.
        column: name of the column; None where it is the whole line.
        problem: what was found, with the row's id where there is one.
        fix: what to do about it.
    """

    row: int | None
    column: str | None
    problem: str
    fix: str

    def line(self) -> str:
        """All of it on one line."""
        row = [] if self.row is None else [f"row {self.row}"]
        column = [] if self.column is None else [f"column {self.column}"]
        place = ", ".join(row + column)
        return f"{place + ': ' if place else ''}{self.problem}; {self.fix}"


def open_lines(path: str | Path) -> BufferedReader:
    """The file at `path`, for reading bytes.

    Raises:
        SubmissionError: no such file, a folder, or no permission.
    """
    try:
        return open(path, "rb")
    except OSError as error:
        problem = f"unreadable ({error.strerror or error})"
        raise SubmissionError(problem, file=path, fix="give the path of a CSV file") from error


def check_opening(start: bytes, header: Sequence[str]) -> Problem | None:
    """What the first bytes of a file give away: nothing at all, or another format than text."""
    column = header[0]
    if not start:
        return Problem(1, column, "the file is empty", f"write the header {','.join(header)} and one line per id")
    for magic, name in PACKED:
        # a header may begin with the three letters of bzip2
        if start.startswith(magic) and not start.startswith(header[0].encode()):
            return Problem(1, column, f"the file is packed ({name})", "unpack it: this is to be the plain CSV")
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Problem(1, column, "the file is UTF-16 text", "save it as UTF-8")
    return None


def split_line(raw: bytes, row: int, header: Sequence[str]) -> list[str] | Problem:
    """The cells of one line of the file (with its line end), or why it has none. A blank line is a Problem too."""
    raw = raw.removesuffix(b"\n").removesuffix(b"\r")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        column = _column_of(raw[: error.start], header)
        return Problem(row, column, f"byte {error.start + 1} of the line is not UTF-8", "save the file as UTF-8")
    for character, name in (("\0", "a NUL byte"), ("\r", "a carriage return")):
        if character in text:
            column = _column_of(text[: text.index(character)].encode(), header)
            return Problem(row, column, f"{name} inside the line", "write plain text with LF or CRLF line ends")
    if not text.strip():
        return Problem(row, None, "a blank line", "remove it")
    if '"' not in text:
        return text.split(",")
    return _split_quoted(text, row, header)


def _split_quoted(text: str, row: int, header: Sequence[str]) -> list[str] | Problem:
    """The cells of a line with quotes in it, as RFC 4180 has them."""
    try:
        with _cells_up_to(len(text) + 1):
            return next(csv.reader([text], strict=True))
    except csv.Error as error:
        if "unexpected end" in str(error):
            column = _column_of(text[: text.rindex('"')].encode(), header)
            return Problem(row, column, "a quote is opened and never closed", "close it on the same line, or use none")
        return Problem(row, None, f"quotes in the wrong place ({error})", "write ids and cells without quotes")


def read_cells(path: str | Path, header: Sequence[str]) -> Iterator[list[str]]:
    """The cells of each data row of a file that `validate` found valid.

    Raises:
        SubmissionError: unreadable, or a line that is no row after all.
    """
    with open_lines(path) as handle:
        for row, raw in enumerate(handle, start=1):
            cells = split_line(raw, row, header)
            if isinstance(cells, Problem):
                raise SubmissionError(cells.problem, file=path, row=row, fix=cells.fix)
            if row > 1:
                yield cells


def shown(text: str) -> str:
    """`text` quoted for a message, on one line and not longer than about forty characters."""
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _column_of(before: bytes, header: Sequence[str]) -> str:
    """The column in which a line continues after the bytes `before`; quotes are not looked at."""
    return header[min(before.count(b","), len(header) - 1)]


@contextmanager
def _cells_up_to(characters: int) -> Iterator[None]:
    """The csv module's limit of 131,072 characters a cell is process-wide: raised inside the block only."""
    limit = csv.field_size_limit()
    csv.field_size_limit(max(limit, characters))
    try:
        yield
    finally:
        csv.field_size_limit(limit)
