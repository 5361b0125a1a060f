"""In which form labels stand in cells: one or several, joined by what; and the submission that answers in that form."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from harness import cells
from harness.competition import Competition, Submission
from harness.errors import DataError
from harness.tasks import Multilabel, SingleLabel

MARKS = ("|", ";", ",")


def submission(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    single: bool,
    labels: tuple[str, ...],
    separator: str,
    file: Path | None = None,
) -> tuple[Submission, str]:
    """The submission of a file with this header and rows, and a sentence on its form.

    Args:
        single: whether a decision is one label, not a tuple of labels.
        labels: the vocabulary, or () where it is not known.
        separator: between labels, where the rows do not show one.
        file: which the rows are from, for errors.

    Raises:
        DataError: a header that fits no form, or rows that say the opposite of the training data.
    """
    names = tuple(header[1:])
    if len(names) > 1:
        if labels and set(names) != set(labels):
            odd = sorted(set(names) ^ set(labels))[0]
            problem = f"the columns {', '.join(names[:8])} are not the {len(labels)} labels"
            raise DataError(
                problem, file=file, row=1, fix=f"'{odd}' is a column or a label, not both: mend one of them"
            )
        rows_of = _one_indicator if single else cells.indicator_rows
        write = functools.partial(rows_of, labels=names)
        read = functools.partial(cells.read_indicators, labels=names)
        checks = dict.fromkeys(names, cells.check_indicator)
        form = Submission(tuple(header), write, read, checks, together=_check_one if single else None)
        return form, f"submission: a column of 0 and 1 for each of {len(names)} labels"
    if not names:
        raise DataError("one column", file=file, row=1, fix="expected an id and a column of labels")
    texts = [row[1] for row in rows]
    if single:
        for row, text in enumerate(texts if labels else (), start=2):
            if text not in labels and any(mark in text for mark in MARKS):
                problem = f"the answer {text!r} holds several labels, but training pictures have one each"
                raise DataError(problem, file=file, row=row, fix="mend one of the two: which is meant?")
        check = functools.partial(cells.check_label, labels=labels)
        form = Submission(tuple(header), cells.label_rows, cells.read_label, {names[0]: check})
        return form, f"submission: one label under '{names[0]}'"
    shown = _mark(texts, file=file)
    if not shown and any(" " in text and text not in labels for text in texts):
        shown = " "
    between = shown or separator or ("|" if any(" " in label for label in labels) else " ")
    spaced = next((label for label in labels if between in label), None)
    if spaced:
        fix = "keep labels apart by a mark that stands in no label"
        raise DataError(f"{between!r} joins labels, but stands in the label {spaced!r}", file=file, fix=fix)
    write = functools.partial(cells.tag_rows, separator=between)
    read = functools.partial(cells.read_tags, separator=between)
    check = functools.partial(cells.check_tags, separator=between, labels=labels)
    why = "as in the sample" if shown else "as in the training table" if separator else "the sample shows none"
    return Submission(tuple(header), write, read, {names[0]: check}), f"submission: labels joined by {between!r}, {why}"


def mirrored(
    competition: Competition,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    with_labels: Callable[..., Competition],
) -> Competition:
    """The competition with the submission that a file of this header and rows has.

    Where the labels are not known, for there was no data to read, the rows say whether pictures have one or several.

    Args:
        with_labels: (competition, labels, single=) -> the competition with the task of these labels.
    """
    labels = competition.task.labels if isinstance(competition.task, SingleLabel | Multilabel) else ()
    single, separator = isinstance(competition.task, SingleLabel), ""
    if not labels and len(header) == 2:
        single, separator, _ = split([row[1] for row in rows])
        competition = with_labels(competition, (), single=single)
    form, _ = submission(header, rows, single=single, labels=labels, separator=separator)
    return replace(competition, submission=form)


def split(texts: Sequence[str], *, file: Path | None = None) -> tuple[bool, str, str]:
    """(whether each cell is one label, the separator or "", why) of a column of labels.

    A bar, semicolon or comma separates. Spaces separate if their words make the smaller vocabulary: "modern rustic"
    beside "modern" and "rustic" is two labels, "art deco" whose words stand in no other cell is one.

    Raises:
        DataError: two separators, or spaces for which both readings need equally many labels.
    """
    mark = _mark(texts, file=file)
    if mark:
        return False, mark, f"several labels a picture, joined by {mark!r}"
    values = sorted({" ".join(text.split()) for text in texts if text.strip()})
    longer = [value for value in values if " " in value]
    if not longer:
        return True, "", "one label a picture: no cell holds a separator"
    words = {word for value in values for word in value.split()}
    stands = {word: sum(word in value.split() for value in values) for word in words}
    shared = [word for value in longer for word in value.split() if stands[word] > 1]
    if not shared:
        return True, "", f"one label a picture: the words of {longer[0]!r} stand in no other label"
    counts = f"as words the labels are {len(words)}, as whole cells {len(values)}"
    if len(words) == len(values):
        fix = "join the words of one label with '_', or put '|' between several labels"
        problem = f"{longer[0]!r} may be one label or several: {counts}"
        raise DataError(problem, file=file, fix=fix)
    if len(words) < len(values):
        return False, " ", f"several labels a picture, joined by ' ': {counts}"
    return True, "", f"one label a picture: {counts}"


def compare(labels: Sequence[str], known: Sequence[str], *, whose: str) -> tuple[str, ...]:
    """Sentences on how the labels of some data differ from the `known` ones; none if they do not."""
    others, absent = (
        [label for label in labels if label not in known],
        [label for label in known if label not in labels],
    )
    if not others and not absent:
        return ()
    told = [f"labels: {len(labels)}, among them {len(labels) - len(others)} of {whose} {len(known)}"]
    told += [f"labels that are not {whose}: {', '.join(others)}"] if others else []
    return (*told, f"{whose} labels that do not occur: {', '.join(absent)}") if absent else tuple(told)


def _mark(texts: Sequence[str], *, file: Path | None = None) -> str:
    """The mark between labels, with the space after it if there always is one; "" without any."""
    first = {mark: row for mark in MARKS for row, text in reversed(list(enumerate(texts, start=2))) if mark in text}
    if len(first) > 1:
        marks = " and ".join(repr(mark) for mark in first)
        fix = "keep labels apart by one of them, and use the other nowhere"
        raise DataError(f"{marks} both stand between labels", file=file, row=max(first.values()), fix=fix)
    for mark in first:
        return f"{mark} " if all(text.count(mark) == text.count(f"{mark} ") for text in texts) else mark
    return ""


def parts(text: str, separator: str) -> tuple[str, ...]:
    """The labels in a cell, each once, in the order of the cell; one label where `separator` is ""."""
    labels = text.split(separator.strip() or None) if separator else [text]
    return tuple(dict.fromkeys(" ".join(label.split()) for label in labels if label.strip()))


def _one_indicator(identity: str, label: str, *, labels: tuple[str, ...]) -> cells.Cells:
    """`cells.indicator_rows` of one label."""
    return cells.indicator_rows(identity, (label,), labels=labels)


def _check_one(rows: cells.Cells, size: cells.Size) -> cells.Problem | None:
    """(problem, fix) of a row of indicators that does not name one label, or None."""
    number = rows[0].count("1")
    return None if number == 1 else (f"{number} labels in a row of 0 and 1", "write a single 1 in each row")
