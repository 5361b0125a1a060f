"""The score of a submission file against an answers file, computed from the two files alone.

An answers file is a submission that holds the truth, with three more columns (written by `writer.write_answers`):

    img,pixels,group,height,width
    1_1,168153 9 168570 15,1,420,580

`group` is what the metric pools rows by (a patient), and may be empty where it pools none; `height` and `width` are the
size of the row's picture in pixels. Ids and their order are the submission's. A prediction that spans several CSV rows
(one per class) has them one after the other, with one group and size.

N predictions, S statistics per prediction.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.competition import Competition, Submission
from harness.config import Size
from harness.errors import SubmissionError
from harness.metrics import Metric
from harness.submission.lines import Problem, check_opening, open_lines, read_cells, shown, split_line
from harness.submission.validator import Expected, validate
from harness.submission.writer import ANSWER_COLUMNS
from harness.tasks import Task


def grade(
    path: str | Path,
    answers: str | Path,
    *,
    submission: Submission,
    metric: Metric,
    secondary: Sequence[Metric] = (),
    task: Task | None = None,
) -> dict[str, Any]:
    """`{metric, value, higher_is_better, rows}` of the submission at `path`; rows counts predictions.

    With `secondary` metrics there is one more key, `secondary`: their values by name; those of predictions cannot be
    told from a submission and are left out. `task` encodes answers that are no arrays (labels) for the metric.

    Raises:
        SubmissionError: either file is no valid one, or their ids differ; with the first problem found.
    """
    known = _read_known(answers, submission)
    # cells of answers end in three more columns: what rows say together is checked of submissions only
    answer_form = replace(submission, header=(*submission.header, *ANSWER_COLUMNS), together=None)
    span = len(submission.ids(known.ids[0]))
    _require_valid(answers, Expected(answer_form, known.ids, known.sizes, span))
    _require_valid(path, Expected(submission, known.ids, known.sizes, span))
    groups, sizes = known.per_prediction(span, answers)
    sides = [(path, submission.header), (answers, answer_form.header)]
    if task is not None and task.kind in ("label", "tags"):
        # the labels there are: those of the answers and of the submission
        read = [_read_predictions(*side, submission, sizes, span) for side in sides]
        task = task.learn(itertools.chain(*read))
    decisions, truths = (_encoded(_read_predictions(*side, submission, sizes, span), task, side[0]) for side in sides)
    secondary = [each for each in secondary if each.of == "decision"]
    metrics = (metric, *secondary)
    # one decoded pair in memory at a time; only the statistics are kept
    pairs = zip(decisions, truths, strict=True)
    if task is not None and task.kind == "tokens":
        pairs = _same_counts(pairs, known.ids, path)
    rows = [[each.statistics(decision, truth) for each in metrics] for decision, truth in pairs]
    values = [
        float(each.reduce(np.array([row[index] for row in rows], dtype=np.float64), groups))
        for index, each in enumerate(metrics)
    ]
    graded = {
        "metric": metric.name,
        "value": values[0],
        "higher_is_better": metric.higher_is_better,
        "rows": len(rows),
    }
    if secondary:
        graded["secondary"] = {each.name: value for each, value in zip(secondary, values[1:], strict=True)}
    return graded


def mirrored(competition: Competition, answers: str | Path) -> Competition:
    """The competition with the submission that the answers have the form of, where it comes in several.

    Raises:
        SubmissionError: the answers cannot be opened.
    """
    with open_lines(answers) as handle:
        lines = [split_line(raw, row, ("id",)) for row, raw in enumerate(itertools.islice(handle, 1000), start=1)]
    cells = [line[: -len(ANSWER_COLUMNS)] for line in lines if not isinstance(line, Problem)]
    return competition.mirror(competition, cells[0], cells[1:]) if cells and cells[0] else competition


def _same_counts(pairs: Iterator[Any], ids: Sequence[str], file: str | Path) -> Iterator[Any]:
    """The pairs of (nats, tokens, bytes), as long as the submission counts the tokens that there are.

    Raises:
        SubmissionError: another count: nats are the submitter's own word, the tokens they are of can be checked.
    """
    for row, (decision, truth) in enumerate(pairs):
        if decision[1] not in (0, truth[1]):  # 0: a form without counts
            problem = f"the id {shown(ids[row])} has {decision[1]} tokens where the text has {truth[1]}"
            raise SubmissionError(problem, file=file, row=row + 2, fix="score every token of the row once")
        yield decision, truth


def _encoded(read: Iterator[Any], task: Task | None, file: str | Path) -> Iterator[Any]:
    """What the metric takes: labels as bool [L], all else as it was read."""
    if task is None or task.kind not in ("label", "tags"):
        return read
    return (task.encode(value, str(file)) for value in read)


@dataclass(frozen=True)
class _Known:
    """What the answers say of each CSV row."""

    ids: list[str]
    groups: list[str]
    sizes: list[Size]

    def per_prediction(self, span: int, file: str | Path) -> tuple[np.ndarray, list[Size]]:
        """Group numbers [N] and sizes of predictions that span `span` CSV rows each."""
        if len(self.ids) % span:
            problem = f"{len(self.ids)} rows where each prediction has {span}"
            raise SubmissionError(problem, file=file, fix="write all rows of every prediction")
        numbers: dict[str, int] = {}
        for index, (group, size) in enumerate(zip(self.groups, self.sizes, strict=True)):
            first = index - index % span
            if (group, size) != (self.groups[first], self.sizes[first]):
                problem = f"the id {shown(self.ids[index])} has another group or size than {shown(self.ids[first])}"
                raise SubmissionError(problem, file=file, row=index + 2, fix="rows of one prediction share them")
            numbers.setdefault(group, len(numbers))
        return np.array([numbers[group] for group in self.groups[::span]], dtype=np.int64), self.sizes[::span]


def _read_known(path: str | Path, submission: Submission) -> _Known:
    """Ids, groups and sizes of an answers file; its other cells are left to `validate`."""
    header = (*submission.header, *ANSWER_COLUMNS)
    known = _Known([], [], [])
    first_rows: dict[str, int] = {}
    with open_lines(path) as handle:
        _refuse(check_opening(handle.peek(16), header), path)
        for row, raw in enumerate(handle, start=1):
            cells = split_line(raw, row, header)
            if isinstance(cells, Problem):
                raise _refusal(cells, path)
            if row == 1:
                _refuse(_header_problem(cells, header), path)
                continue
            _refuse(_answer_problem(cells, row, header, first_rows), path)
            first_rows[cells[0]] = row
            known.ids.append(cells[0])
            known.groups.append(cells[-3])
            known.sizes.append((int(cells[-2]), int(cells[-1])))
    if not known.ids:
        raise SubmissionError("no rows below the header", file=path, fix="write one row for each id")
    return known


def _header_problem(cells: list[str], header: Sequence[str]) -> Problem | None:
    if cells == list(header):
        return None
    return Problem(
        1, None, f"the header is {shown(','.join(cells))}", f"an answers file starts with {','.join(header)}"
    )


def _answer_problem(cells: list[str], row: int, header: Sequence[str], first_rows: dict[str, int]) -> Problem | None:
    """What keeps a row of the answers from saying its id and size."""
    if len(cells) != len(header):
        return Problem(row, None, f"{len(cells)} cells under {len(header)} columns", "mend or remove the row")
    if cells[0] in first_rows:
        problem = f"the id {shown(cells[0])} stands on row {first_rows[cells[0]]} already"
        return Problem(row, header[0], problem, "remove the duplicate: every id has one row")
    for column, text in zip(header[-2:], cells[-2:], strict=True):
        # five digits: no picture is larger, and a slip of the keyboard must not ask for all memory
        if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) > 0):
            return Problem(row, column, f"id {shown(cells[0])}: {shown(text)} is no size", "write whole pixels above 0")
    return None


def _require_valid(path: str | Path, expected: Expected) -> None:
    verdict = validate(path, expected)
    for first in verdict.errors[:1]:
        others = f" (the first of {len(verdict.errors)} problems)" if len(verdict.errors) > 1 else ""
        raise _refusal(replace(first, fix=first.fix + others), path)


def _refuse(problem: Problem | None, path: str | Path) -> None:
    if problem is not None:
        raise _refusal(problem, path)


def _refusal(problem: Problem, path: str | Path) -> SubmissionError:
    column = "" if problem.column is None else f"column {problem.column}: "
    return SubmissionError(column + problem.problem, file=path, row=problem.row, fix=problem.fix)


def _read_predictions(
    path: str | Path, header: Sequence[str], submission: Submission, sizes: list[Size], span: int
) -> Iterator[Any]:
    """The decision of each prediction, read from its `span` CSV rows without ids and answer columns."""
    rows, columns = read_cells(path, header), len(submission.header)
    for size in sizes:
        yield submission.read([tuple(next(rows)[1:columns]) for _ in range(span)], size)
