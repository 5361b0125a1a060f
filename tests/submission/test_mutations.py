"""The validator on every competition's own submission, and on more than sixty ways to spoil each."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import label_forms
from harness.competition import Competition, Submission
from harness.pipeline.answer import expectation, truths
from harness.submission.lines import Problem
from harness.submission.validator import Validation, validate
from harness.submission.writer import write_submission
from tests.kit import SHIPPED, sample_data
from tests.mutations import Valid, spoilt, with_cell, written
from tests.wrong_cells import wrong_cells

LEAST = 60


def bits(competition: Competition) -> Submission:
    """A column of 0 and 1 for each label."""
    labels: tuple[str, ...] = getattr(competition.task, "labels", ())
    single = competition.task.kind == "label"
    return label_forms.submission(("id", *labels), (), single=single, labels=labels, separator="")[0]


def perplexity(competition: Competition) -> Submission:
    """One column, as a sample file with this header asks for."""
    return competition.mirror(competition, ("id", "perplexity"), ()).submission


def log_probability(competition: Competition) -> Submission:
    """One column, as a sample file with this header asks for."""
    return competition.mirror(competition, ("id", "log_probability"), ()).submission


# forms that no sample has, but data may
OTHERS: dict[str, tuple[str, str, Callable[[Competition], Submission]]] = {
    "design in 0 and 1": ("design-image-style-categorization", "columns", bits),
    "gemstones in 0 and 1": ("gemstones-images", "columns", bits),
    "text by perplexity": ("text-language-model", "perplexity", perplexity),
    "text by log-probability": ("text-language-model", "log_probability", log_probability),
}
FORMS = (*SHIPPED, *OTHERS)


@pytest.fixture(scope="module")
def forms(shared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Valid]:
    """The true answers of every competition's sample, as a submission."""
    file = tmp_path_factory.mktemp("valid") / "submission.csv"
    return {name: _valid(name, shared_cache, file) for name in FORMS}


def _valid(name: str, cache: Path, file: Path) -> Valid:
    shipped, kind, form = OTHERS.get(name, (name, "", None))
    competition, _, data = sample_data(shipped, cache)
    if form is not None:
        competition = replace(competition, submission=form(competition))
    rows = range(len(data))
    answers = ((identity, truth) for identity, truth, _, _ in truths(competition, data, rows))
    write_submission(file, competition.submission, answers)
    expected = expectation(competition, data.rows.ids, [data.size(row) for row in rows])
    table = list(csv.reader(io.StringIO(file.read_text(), newline="")))
    return Valid(kind or competition.task.kind, expected, table)


def few(valid: Valid) -> Valid:
    """The beginning, with a mask that is not empty: four pictures, or two of eleven classes each."""
    return valid.first(2 if valid.kind == "classes" else 4)


def verdict(folder: Path, content: bytes, valid: Valid) -> Validation:
    file = folder / "submission.csv"
    file.write_bytes(content)
    return validate(file, valid.expected)


def is_told(error: Problem, lines: int) -> bool:
    """Whether a problem is one line that says where (a row, or only how many more there are) and what to do."""
    placed = error.row is None if "more problems" in error.problem else 1 <= (error.row or 0) <= lines + 1
    return placed and len(error.line().splitlines()) == 1 and bool(error.problem and error.fix)


@pytest.mark.parametrize("name", FORMS)
def test_the_true_answers_are_valid_with_either_line_end_or_quotes(
    name: str, forms: dict[str, Valid], tmp_path: Path
) -> None:
    valid, right = forms[name], Validation(True, len(forms[name].expected.ids), ())
    quoted = io.StringIO()
    csv.writer(quoted, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(valid.table)
    crlf = valid.content.replace(b"\n", b"\r\n")
    for content in (valid.content, crlf, valid.content[:-1], quoted.getvalue().encode()):
        assert verdict(tmp_path, content, valid) == right


@pytest.mark.parametrize("name", FORMS)
def test_each_of_more_than_sixty_changes_is_refused_with_place_and_fix(
    name: str, forms: dict[str, Valid], tmp_path: Path
) -> None:
    valid = few(forms[name]) if forms[name].kind == "classes" else forms[name]
    found = spoilt(valid)
    for told, (row, column, text) in wrong_cells(valid).items():
        found[f"cell: {told}"] = written(with_cell(valid.table, row, column, text))
    assert valid.content not in found.values()
    assert len(set(found.values())) >= LEAST
    accepted, untold = [], []
    for change, content in found.items():
        judged = verdict(tmp_path, content, valid)
        accepted += [change] if judged.valid or not judged.errors else []
        untold += [change for error in judged.errors if not is_told(error, content.count(b"\n"))]
    assert (accepted, untold) == ([], [])


@pytest.mark.parametrize("name", FORMS)
def test_a_wrong_cell_is_one_problem_that_names_its_row_column_and_id(
    name: str, forms: dict[str, Valid], tmp_path: Path
) -> None:
    valid = few(forms[name])
    for told, (row, column, text) in wrong_cells(valid).items():
        judged = verdict(tmp_path, written(with_cell(valid.table, row, column, text)), valid)
        problems = [(error.column, valid.table[row][0] in error.problem) for error in judged.errors]
        if told in (
            "no label",
            "two labels",
            "a class has all",
            "another class has the same",
            "a pixel in two classes",
        ):
            # rows that contradict each other are told at the last of them
            assert len(problems) == 1, told
            continue
        assert problems == [(valid.table[0][column], True)], told
        assert judged.errors[0].row == row + 1, told


LETTERS = "0123456789 .,-+eE|;\"'\t_$\n\r\0naif\xe9\u0663\u2028\ufeff\U0001f600"


@dataclass(frozen=True)
class Edit:
    """Another text for some cell, drawn without a look at the table: numbers are shares of what there is.

    Attributes:
        row, column, cut, other: from 0 to 1: which cell, where to cut it twice, which row to copy.
        put: new letters.
        how: the cell is those letters, has them where it is cut, or is another row's.
    """

    row: float
    column: float
    cut: tuple[float, float]
    other: float
    put: str
    how: str

    def of(self, table: list[list[str]]) -> tuple[int, int, str]:
        """(row, column, text); the header is row 0 and stays."""
        row, other = (1 + round(share * (len(table) - 2)) for share in (self.row, self.other))
        column = round(self.column * (len(table[0]) - 1))
        old = table[row][column]
        start, stop = sorted(round(share * len(old)) for share in self.cut)
        texts = {"new": self.put, "mended": old[:start] + self.put + old[stop:], "copied": table[other][column]}
        return row, column, texts[self.how]


share = st.floats(0, 1)
edits = st.builds(
    Edit,
    row=share,
    column=share,
    cut=st.tuples(share, share),
    other=share,
    put=st.text(st.sampled_from(LETTERS), max_size=6),
    how=st.sampled_from(["new", "mended", "copied"]),
)


def predictions(valid: Valid, table: list[list[str]]) -> Iterator[Any]:
    """The decisions that a valid table holds."""
    rows, span = [tuple(line[1:]) for line in table[1:]], valid.expected.span
    for first in range(0, len(rows), span):
        yield valid.expected.submission.read(rows[first : first + span], valid.expected.sizes[first])


@pytest.mark.parametrize("name", FORMS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edit=edits)
def test_any_edit_of_a_cell_is_another_answer_or_refused(
    name: str, forms: dict[str, Valid], tmp_path: Path, edit: Edit
) -> None:
    valid = few(forms[name])
    row, column, text = edit.of(valid.table)
    table = with_cell(valid.table, row, column, text)
    judged = verdict(tmp_path, written(table), valid)
    assert all(len(error.line().splitlines()) == 1 for error in judged.errors)
    if not judged.valid:
        assert text != valid.table[row][column]
        return
    assert table[row][0] == valid.table[row][0]
    submission = valid.expected.submission
    again = [table[0]]
    for number, decision in enumerate(predictions(valid, table)):
        identity = _row_id(valid, number)
        decision = decision[0] if valid.kind == "columns" and submission.together else decision
        again += [list(line) for line in submission.write(identity, decision)]
    assert [line[0] for line in again] == [line[0] for line in table]
    for one, other in zip(predictions(valid, again), predictions(valid, table), strict=True):
        np.testing.assert_array_equal(one, other)


def _row_id(valid: Valid, number: int) -> str:
    """The id of a prediction: a class mask's rows add the class to it."""
    identity = valid.table[1 + number * valid.expected.span][0]
    return identity.rpartition("_")[0] if valid.kind == "classes" else identity
