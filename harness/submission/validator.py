"""What a grader would refuse in a submission file, told by row, column and fix; read line by line, at any length.

One cause is one line: a shuffled file is one problem, and so are a thousand missing ids.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.competition import Submission
from harness.config import Size
from harness.submission.lines import BYTE_ORDER_MARK, Problem, check_opening, open_lines, shown, split_line

KEPT = 100
NAMED = 5
# What table libraries write, and people type, for "no value".
NO_VALUE = frozenset({"nan", "-nan", "null", "none", "na", "n/a", "#n/a", "<na>", "nat", "nil"})


@dataclass(frozen=True)
class Expected:
    """What the file should hold.

    Attributes:
        submission: header and checks of cells.
        ids: the CSV rows' ids, in order, each once.
        sizes: (height, width) of each CSV row's picture.
        span: CSV rows of one prediction, which stand one after the other in `ids`.
    """

    submission: Submission
    ids: list[str]
    sizes: list[Size]
    span: int = 1

    def __post_init__(self) -> None:
        assert len(self.ids) == len(self.sizes), f"{len(self.ids)} ids but {len(self.sizes)} sizes"


@dataclass(frozen=True)
class Validation:
    """The verdict.

    Attributes:
        valid: whether nothing was found.
        rows: data rows in the file.
        errors: at most 100 problems; if there are more, a last one says how many.
    """

    valid: bool
    rows: int
    errors: tuple[Problem, ...]

    def as_json(self) -> dict[str, Any]:
        """`{valid, rows, errors: [{row, column, problem, fix}]}`."""
        errors = [{"row": e.row, "column": e.column, "problem": e.problem, "fix": e.fix} for e in self.errors]
        return {"valid": self.valid, "rows": self.rows, "errors": errors}


def validate(path: str | Path, expected: Expected) -> Validation:
    """Whether the file at `path` is the submission that `expected` asks for.

    Raises:
        SubmissionError: the file cannot be opened. Whatever it holds is told in the verdict, never raised.
    """
    header, findings, seen, rows = expected.submission.header, _Findings(), _Seen(expected.ids), 0
    with open_lines(path) as handle:
        if (packed := check_opening(handle.peek(16), header)) is not None:
            return Validation(False, 0, (packed,))
        readable = _check_header(handle.readline(), header, seen, findings)
        for row, raw in enumerate(handle, start=2):
            rows += 1
            if readable:
                _check_row(raw, row, expected, seen, findings)
    if readable:
        _check_order(seen, header[0], findings)
        _check_missing(seen, header[0], findings)
    return Validation(not findings.number, rows, findings.all())


class _Seen:
    """Which expected ids were found, and where.

    place: id -> its place among the expected; lines: for each the line it was found on, 0 for none; order: places in
    the order of the file; held: first place of a prediction -> the cells of its rows, until all are there.
    """

    def __init__(self, ids: list[str]) -> None:
        self.ids = ids
        self.place = {identity: index for index, identity in enumerate(ids)}
        self.lines, self.order = array("q", bytes(8 * len(ids))), array("q")
        self.held: dict[int, dict[int, tuple[str, ...]]] = {}

    def mark(self, index: int, row: int) -> None:
        if not self.lines[index]:
            self.lines[index] = row
            self.order.append(index)


@dataclass
class _Findings:
    """Problems as they come: those of rows up to a limit, those of the whole file always."""

    of_rows: list[Problem] = field(default_factory=list)
    of_file: list[Problem] = field(default_factory=list)
    number: int = 0

    def add(self, problem: Problem, *, whole_file: bool = False) -> None:
        self.number += 1
        if whole_file:
            self.of_file.append(problem)
        elif len(self.of_rows) < KEPT:
            self.of_rows.append(problem)

    def all(self) -> tuple[Problem, ...]:
        kept = [*self.of_rows[: KEPT - len(self.of_file)], *self.of_file]
        if self.number > len(kept):
            more = f"{self.number - len(kept)} more problems"
            kept.append(Problem(None, None, more, "mend those above and validate again"))
        return tuple(kept)


def _check_header(raw: bytes, header: Sequence[str], seen: _Seen, findings: _Findings) -> bool:
    """Reports what is wrong with the first line; whether the rows below can be read under the expected columns."""
    if raw.startswith(BYTE_ORDER_MARK):
        problem = "the file starts with a byte order mark"
        findings.add(Problem(1, header[0], problem, "save it as UTF-8 without one (encoding 'utf-8', not 'utf-8-sig')"))
        raw = raw.removeprefix(BYTE_ORDER_MARK)
    cells = split_line(raw, 1, header)
    if isinstance(cells, Problem):
        findings.add(cells)
        return False
    if cells == list(header):
        return True
    wanted = f"write exactly {','.join(header)}"
    if [cell.strip() for cell in cells] == list(header):
        column = next(name for name, cell in zip(header, cells, strict=True) if cell != name)
        findings.add(Problem(1, column, "spaces around a name in the header", wanted))
        return True
    if cells[0] in seen.place:
        findings.add(Problem(1, header[0], "the header is missing", f"make {','.join(header)} the first line"))
        return False
    if len(cells) == 1 and len(header) > 1 and (found := re.search(r"[;\t|]", cells[0])):
        wanted += f", with commas in place of {found.group()!r}"
    if cells[1:] == list(header):
        wanted += ", without the index column (index=False in pandas)"
    column = next((name for name, cell in zip(header, cells, strict=False) if cell != name), header[-1])
    findings.add(Problem(1, column, f"the header is {shown(','.join(cells))}", wanted))
    return False


def _check_row(raw: bytes, row: int, expected: Expected, seen: _Seen, findings: _Findings) -> None:
    """Reports what is wrong with one line and marks its id, even of a damaged line: one fault is one problem."""
    header = expected.submission.header
    cells = split_line(raw, row, header)
    if isinstance(cells, Problem):
        identity = raw.partition(b",")[0].decode("utf-8", "replace").strip('" ')
        index = seen.place.get(identity)
        known = cells if index is None else replace(cells, problem=f"id {shown(identity)}: {cells.problem}")
        findings.add(known)
    else:
        index = _check_id(cells[0], row, seen, findings, header[0])
        before = findings.number
        _check_cells(cells, row, None if index is None else expected.sizes[index], expected.submission, findings)
        if expected.submission.together and index is not None and findings.number == before:
            _check_together(cells, row, index, expected, seen, findings)
    if index is not None:
        seen.mark(index, row)


def _check_id(text: str, row: int, seen: _Seen, findings: _Findings, column: str) -> int | None:
    """The expected place of a row's id, meant if not written so, and a report of what is wrong with it."""
    index = seen.place.get(text)
    if index is None:
        meant, problem, fix = _meant_id(text, seen.place)
        findings.add(Problem(row, column, problem, fix))
        return seen.place.get(meant)
    if seen.lines[index]:
        problem = f"the id {shown(text)} stands on row {seen.lines[index]} already"
        findings.add(Problem(row, column, problem, "remove the duplicate: every id has one row"))
    return index


def _meant_id(text: str, place: dict[str, int]) -> tuple[str, str, str]:
    """(the expected id that was meant or "", problem, fix) of an id that is not expected as written."""
    bare = text.strip()
    if bare != text and bare in place:
        return bare, f"spaces around the id {shown(text)}", f"write {shown(bare)}"
    if not bare or bare.lower() in NO_VALUE:
        return "", f"no id ({shown(text)})", "write the row's id"
    whole = re.fullmatch(r"(-?[0-9]+)\.0*", bare)
    if whole and whole.group(1) in place:
        fix = f"write {shown(whole.group(1))}: keep ids as text or integers"
        return whole.group(1), f"the id {shown(text)} is a float", fix
    return (
        "",
        f"the id {shown(text)} is extra: it is not expected",
        "remove the row, or write the id as in the test set",
    )


def _check_cells(cells: list[str], row: int, size: Size | None, submission: Submission, findings: _Findings) -> None:
    """Reports what is wrong with the cells beside the id; `size` is None where the id says no picture."""
    header, identity = submission.header, shown(cells[0])
    if len(cells) != len(header):
        few = len(cells) < len(header)
        column = header[len(cells)] if few else header[-1]
        problem = f"{len(cells)} cells under {len(header)} columns (id {identity})"
        findings.add(Problem(row, column, problem, "add the missing cells" if few else "remove the cells too many"))
        return
    for column, text in zip(header[1:], cells[1:], strict=True):
        check = submission.cells.get(column)
        if text != text.strip():
            found = "spaces before or after the cell", "remove them"
        elif text.lower() in NO_VALUE:
            may_be_empty = check is not None and size is not None and check("", size) is None
            found = f"{text} in place of a value", "leave the cell empty" if may_be_empty else "write a value"
        else:
            found = None if check is None or size is None else check(text, size)
        if found is not None:
            findings.add(Problem(row, column, f"id {identity}: {found[0]}", found[1]))


def _check_together(
    cells: list[str], row: int, index: int, expected: Expected, seen: _Seen, findings: _Findings
) -> None:
    """Reports what is wrong with all rows of one prediction together, at the last of them in the file."""
    check, first = expected.submission.together, index - index % expected.span
    assert check is not None, "asked for by the caller"
    held = seen.held.setdefault(first, {})
    held[index] = tuple(cells[1:])
    if len(held) == expected.span:
        found = check([held[place] for place in sorted(held)], expected.sizes[index])
        del seen.held[first]
        if found is not None:
            findings.add(Problem(row, expected.submission.header[-1], f"id {shown(cells[0])}: {found[0]}", found[1]))


def _check_order(seen: _Seen, column: str, findings: _Findings) -> None:
    """Reports the first row that stands before one that should precede it."""
    lowest, first = len(seen.ids), None
    for index in reversed(seen.order):
        if index > lowest:
            first = index, lowest
        lowest = min(lowest, index)
    if first is not None:
        found, earlier = shown(seen.ids[first[0]]), shown(seen.ids[first[1]])
        problem = f"unordered: the id {found} stands before {earlier} (row {seen.lines[first[1]]})"
        fix = f"sort the rows as expected, {earlier} before {found}"
        findings.add(Problem(seen.lines[first[0]], column, problem, fix), whole_file=True)


def _check_missing(seen: _Seen, column: str, findings: _Findings) -> None:
    """Reports all ids without a row at once, at the row where the first of them belongs."""
    missing = [index for index, line in enumerate(seen.lines) if not line]
    if not missing:
        return
    named = ", ".join(shown(seen.ids[index]) for index in missing[:NAMED]) + (", ..." if len(missing) > NAMED else "")
    noun = "id is" if len(missing) == 1 else "ids are"
    problem = f"{len(missing)} of {len(seen.ids)} {noun} missing: {named}"
    findings.add(Problem(missing[0] + 2, column, problem, "add one row for each expected id"), whole_file=True)
