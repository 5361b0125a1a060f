"""What goes wrong with a submission: a valid one of any competition, and many small changes that spoil it.

Each change is one function: of the table (header first), of the lines, or of the bytes. What a cell may not hold
depends on its kind and stands in `tests.wrong_cells`.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace

from harness.submission.validator import Expected

Table = list[list[str]]
Lines = list[bytes]


@dataclass(frozen=True)
class Valid:
    """A submission that is right.

    Attributes:
        kind: of its cells: "mask", "classes", "label", "tags", "columns" of 0 and 1, "value", "tokens", or what a
            single column says of a text, "perplexity" or "log_probability".
        expected: what the validator asks for.
        table: its cells, header first.
    """

    kind: str
    expected: Expected
    table: Table

    @property
    def content(self) -> bytes:
        """The file."""
        return written(self.table)

    def first(self, predictions: int) -> Valid:
        """The beginning of it, which is the valid submission of fewer rows."""
        rows, old = predictions * self.expected.span, self.expected
        return Valid(self.kind, replace(old, ids=old.ids[:rows], sizes=old.sizes[:rows]), self.table[: rows + 1])


def written(table: Table) -> bytes:
    """The table as the harness writes it."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(table)
    return text.getvalue().encode()


def with_cell(table: Table, row: int, column: int, text: str) -> Table:
    """The table with another cell; the header is row 0."""
    line = [*table[row][:column], text, *table[row][column + 1 :]]
    return [*table[:row], line, *table[row + 1 :]]


def _with_id(change: Callable[[str], str]) -> Callable[[Table], Table]:
    """Another id in the middle row."""
    return lambda table: with_cell(table, len(table) // 2, 0, change(table[len(table) // 2][0]))


def _with_ids(change: Callable[[int, str], str]) -> Callable[[Table], Table]:
    """Other ids in all rows, of (number from 0, id)."""
    return lambda table: [table[0], *([change(row, line[0]), *line[1:]] for row, line in enumerate(table[1:]))]


def _with_header(change: Callable[[list[str]], list[str]]) -> Callable[[Table], Table]:
    return lambda table: [change(table[0]), *table[1:]]


def _with_middle(change: Callable[[bytes], bytes]) -> Callable[[Lines], Lines]:
    """Another line in the middle."""

    def changed(lines: Lines) -> Lines:
        middle = len(lines) // 2
        return [*lines[:middle], change(lines[middle]), *lines[middle + 1 :]]

    return changed


def _each(change: Callable[[bytes], bytes]) -> Callable[[Lines], Lines]:
    return lambda lines: [change(line) for line in lines]


def _shuffled(lines: Lines) -> Lines:
    return [lines[0], *random.Random(0).sample(lines[1:], len(lines) - 1)]


def _swapped(lines: Lines) -> Lines:
    middle = len(lines) // 2
    return [*lines[:middle], lines[middle + 1], lines[middle], *lines[middle + 2 :]]


def _zipped(content: bytes) -> bytes:
    with zipfile.ZipFile(packed := io.BytesIO(), "w") as archive:
        archive.writestr(zipfile.ZipInfo("submission.csv"), content)
    return packed.getvalue()


OF_TABLE: dict[str, Callable[[Table], Table]] = {
    "header in capitals": _with_header(lambda names: [name.upper() for name in names]),
    "header reversed": _with_header(lambda names: names[::-1]),
    "header with a space": _with_header(lambda names: [*names[:-1], f" {names[-1]}"]),
    "header with a name too many": _with_header(lambda names: [*names, "score"]),
    "header with a name too few": _with_header(lambda names: names[:-1]),
    "header misspelt": _with_header(lambda names: [*names[:-1], f"{names[-1]}s"]),
    "header without the id's name": _with_header(lambda names: ["", *names[1:]]),
    "header's name twice": _with_header(lambda names: [names[0], names[0], *names[2:]]),
    "header quoted as one cell": _with_header(lambda names: [",".join(names)]),
    "header of numbers": _with_header(lambda names: [str(number) for number in range(len(names))]),
    "float id": _with_id(lambda text: f"{text}.0"),
    "all ids floats": _with_ids(lambda row, text: f"{text}.0"),
    "space before an id": _with_id(lambda text: f" {text}"),
    "space after an id": _with_id(lambda text: f"{text} "),
    "tab after an id": _with_id(lambda text: f"{text}\t"),
    "no-break space after an id": _with_id(lambda text: f"{text}\xa0"),
    "zero-width space in an id": _with_id(lambda text: f"\u200b{text}"),
    "zero before an id": _with_id(lambda text: f"0{text}"),
    "minus before an id": _with_id(lambda text: f"-{text}"),
    "plus before an id": _with_id(lambda text: f"+{text}"),
    "id in other case": _with_id(str.swapcase),
    "id in single quotes": _with_id(lambda text: f"'{text}'"),
    "id in doubled quotes": _with_id(lambda text: f'"{text}"'),
    "id with an ending": _with_id(lambda text: f"{text}.csv"),
    "id with a folder": _with_ids(lambda row, text: f"./{text}"),
    "id without its last letter": _with_id(lambda text: text[:-1]),
    "id in full-width digits": _with_id(lambda text: text.translate({48 + n: 0xFF10 + n for n in range(10)})),
    "id of a line break": _with_id(lambda text: f"{text}\n"),
    "id empty": _with_id(lambda text: ""),
    "id is nan": _with_id(lambda text: "nan"),
    "ids are row numbers": _with_ids(lambda row, text: str(row + 1)),
    "ids are prefixed": _with_ids(lambda row, text: f"id_{text}"),
    "one id in all rows": lambda table: [table[0], *([table[1][0], *line[1:]] for line in table[1:])],
    "an id of the row before": lambda table: with_cell(table, 2, 0, table[1][0]),
    "two ids swapped": lambda table: with_cell(with_cell(table, 1, 0, table[2][0]), 2, 0, table[1][0]),
    "reversed": lambda table: [table[0], *table[:0:-1]],
    "last row first": lambda table: [table[0], table[-1], *table[1:-1]],
    "first row last": lambda table: [table[0], *table[2:], table[1]],
    "halves swapped": lambda table: [table[0], *table[len(table) // 2 :], *table[1 : len(table) // 2]],
    "row twice": lambda table: [*table[:3], table[2], *table[3:]],
    "first row at the end again": lambda table: [*table, table[1]],
    "row again with empty cells": lambda table: [*table, [table[-1][0], *("" for _ in table[0][1:])]],
    "all rows twice": lambda table: [*table, *table[1:]],
    "first row missing": lambda table: [table[0], *table[2:]],
    "middle row missing": lambda table: [*table[: len(table) // 2], *table[len(table) // 2 + 1 :]],
    "last row missing": lambda table: table[:-1],
    "second half missing": lambda table: table[: len(table) // 2],
    "every other row missing": lambda table: [table[0], *table[1::2]],
    "all rows missing": lambda table: table[:1],
    "an unknown row at the end": lambda table: [*table, ["no_such_id", *table[-1][1:]]],
    "an unknown row inside": lambda table: [*table[:3], ["no_such_id", *table[2][1:]], *table[3:]],
    "a total": lambda table: [*table, ["total", *("0" for _ in table[0][1:])]],
    "a row of empty cells": lambda table: [*table, ["" for _ in table[0]]],
    "columns swapped": lambda table: [line[::-1] for line in table],
    "index column": lambda table: [["", *table[0]], *([str(n), *line] for n, line in enumerate(table[1:]))],
    "index column without a name": lambda table: [table[0], *([str(n), *line] for n, line in enumerate(table[1:]))],
    "last column missing": lambda table: [line[:-1] for line in table],
    "last cell missing": lambda table: [*table[:-1], table[-1][:-1]],
    "a cell too many": lambda table: [*table[:-1], [*table[-1], "0"]],
    "an answer's columns": lambda table: [[*table[0], "group"], *([*line, ""] for line in table[1:])],
    "line break in a cell": lambda table: with_cell(table, 1, len(table[0]) - 1, f"{table[1][-1]}\n"),
    "no value in the last cell": lambda table: with_cell(table, len(table) - 1, len(table[0]) - 1, "NaN"),
    "no value in a column": lambda table: [table[0], *([*line[:-1], "None"] for line in table[1:])],
}
OF_LINES: dict[str, Callable[[Lines], Lines]] = {
    "no header": lambda lines: lines[1:],
    "header twice": lambda lines: [lines[0], *lines],
    "header at the end": lambda lines: [*lines[1:], lines[0]],
    "comment above": lambda lines: [b"# made by hand", *lines],
    "comment below": lambda lines: [*lines, b"# end"],
    "separator hint above": lambda lines: [b"sep=,", *lines],
    "shuffled": _shuffled,
    "neighbours swapped": _swapped,
    "semicolons": _each(lambda line: line.replace(b",", b";")),
    "tabs": _each(lambda line: line.replace(b",", b"\t")),
    "bars": _each(lambda line: line.replace(b",", b"|")),
    "comma and space": _each(lambda line: line.replace(b",", b", ")),
    "comma at line ends": _each(lambda line: line + b","),
    "spaces at line ends": _each(lambda line: line + b" "),
    "lines as one cell": _each(lambda line: b'"' + line.replace(b'"', b'""') + b'"'),
    "a line with a semicolon": _with_middle(lambda line: line.replace(b",", b";")),
    "a line with a comma more": _with_middle(lambda line: line + b","),
    "a line without commas": _with_middle(lambda line: line.replace(b",", b"")),
    "a comma in front": _with_middle(lambda line: b"," + line),
    "quote never closed": _with_middle(lambda line: b'"' + line),
    "quote at the end": _with_middle(lambda line: line + b'"'),
    "space after a quote": _with_middle(lambda line: b'"' + line.replace(b",", b'" ,', 1)),
    "NUL before an id": _with_middle(lambda line: b"\0" + line),
    "NUL at a line end": _with_middle(lambda line: line + b"\0"),
    "Latin-1 in an id": _with_middle(lambda line: b"\xe9" + line),
    "Latin-1 in a cell": _with_middle(lambda line: line + b"\xe9"),
    "carriage return in a line": _with_middle(lambda line: line.replace(b",", b"\r,", 1)),
    "byte order mark in a line": _with_middle(lambda line: b"\xef\xbb\xbf" + line),
    "half a line": lambda lines: [*lines[:-1], lines[-1][:1]],
    "blank line above": lambda lines: [b"", *lines],
    "blank line inside": _with_middle(lambda line: b"\n" + line),
    "blank line below": lambda lines: [*lines, b""],
    "line of spaces": _with_middle(lambda line: b"  \n" + line),
    "blank line after each": _each(lambda line: line + b"\n"),
    "lines in a list": _each(lambda line: b"- " + line),
}
OF_BYTES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "a line end": lambda content: b"\n",
    "byte order mark": lambda content: b"\xef\xbb\xbf" + content,
    "UTF-16": lambda content: content.decode().encode("utf-16"),
    "UTF-16 without mark": lambda content: content.decode().encode("utf-16-le"),
    "UTF-32": lambda content: content.decode().encode("utf-32"),
    "carriage returns": lambda content: content.replace(b"\n", b"\r"),
    "carriage returns twice": lambda content: content.replace(b"\n", b"\r\r\n"),
    "one line": lambda content: content.replace(b"\n", b","),
    "gzip": lambda content: gzip.compress(content, mtime=0),
    "zip": _zipped,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "a web page": lambda content: b"<!DOCTYPE html>\n<html><body>Sign in</body></html>\n",
    "JSON": lambda content: json.dumps(content.decode().splitlines()).encode(),
    "a pointer in place of the file": lambda content: b"version https://git-lfs.github.com/spec/v1\nsize 9\n",
    "written twice": lambda content: content * 2,
}


def spoilt(valid: Valid) -> dict[str, bytes]:
    """Name -> file of each change that any submission may suffer.

    What changes nothing is left out: numbers have no case.
    """
    lines = valid.content.splitlines()
    found = {name: written(change(valid.table)) for name, change in OF_TABLE.items()}
    found |= {name: b"\n".join(change(lines)) + b"\n" for name, change in OF_LINES.items()}
    found |= {name: change(valid.content) for name, change in OF_BYTES.items()}
    return {name: content for name, content in found.items() if content != valid.content}
