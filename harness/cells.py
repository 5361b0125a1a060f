"""What a submission's cells hold beside binary masks: labels, tags, numbers, class masks and scores of texts.

Each kind has three functions: `..._rows` writes the CSV rows of a decision, ids first; `read_...` takes those rows
without their ids, found right by the check, back to the decision; `check_...` says what a grader would refuse in one
cell, as (problem, fix) or None. `size` is (height, width) of the row's picture in pixels; for a text it is (bytes,
tokens). Numbers are written with as many digits as bring the same float back.

C classes, H height, W width.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from harness.formats import check_run_lengths, decode_run_lengths, run_lengths
from harness.metrics import VOID

if TYPE_CHECKING:
    import numpy as np

Cells = list[tuple[str, ...]]
Size = tuple[int, int]
Problem = tuple[str, str]
Form = Literal["nats", "log_probability", "perplexity"]

SEPARATORS = {" ": "a space", ",": "a comma", ";": "a semicolon", "|": "a bar", "\t": "a tab"}
# Not all that `float` reads: it takes underscores, spaces, "nan", "infinity" and digits of other scripts as well.
PLAIN_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def label_rows(identity: str, label: str) -> Cells:
    """The one CSV row of a label: id, label."""
    return [(identity, label)]


def read_label(cells: Cells, size: Size) -> str:
    """The label that `label_rows` wrote."""
    return cells[0][0]


def check_label(text: str, size: Size, *, labels: tuple[str, ...] = ()) -> Problem | None:
    """(problem, fix) of a label's cell, or None: one of `labels`, or anything but nothing where none are given."""
    if not text:
        return "an empty cell", "write one label"
    return None if not labels or text in labels else _unknown("label", text, labels)


def tag_rows(identity: str, tags: Sequence[str], *, separator: str = " ") -> Cells:
    """The one CSV row of tags: id, tags joined by `separator`; a tag that is given twice is written once."""
    assert not any(separator in tag or not tag for tag in tags), f"tags are not empty and hold no {separator!r}: {tags}"
    return [(identity, separator.join(dict.fromkeys(tags)))]


def read_tags(cells: Cells, size: Size, *, separator: str = " ") -> tuple[str, ...]:
    """The tags that `tag_rows` wrote; an empty cell holds none."""
    return tuple(cells[0][0].split(separator)) if cells[0][0] else ()


def check_tags(text: str, size: Size, *, separator: str = " ", labels: tuple[str, ...] = ()) -> Problem | None:
    """(problem, fix) of a cell of tags, or None; an empty cell is right: no tags.

    Where `labels` are given every tag is one of them. Where they are not, a comma, semicolon, bar or tab beside the
    `separator` is taken for another separator; a space is not, as tags may hold spaces.
    """
    tags = text.split(separator) if text else []
    name = SEPARATORS.get(separator, repr(separator))
    if "" in tags:
        return "a separator before, after or doubled between tags", f"put {name} between two tags and nowhere else"
    for place, tag in enumerate(tags):
        if tag != tag.strip():
            return f"spaces around the tag {_shown(tag.strip())}", f"put {name} between two tags and nothing else"
        if tag in tags[:place]:
            return f"the tag {_shown(tag)} stands twice", "name every tag once"
        if tag in labels:
            continue
        for other in SEPARATORS:
            parts = [part.strip() for part in tag.split(other)]
            known = all(part in labels for part in parts) if labels else other != " "
            if len(parts) > 1 and known:
                return f"{SEPARATORS[other]} between the tags {_shown(tag)}", f"put {name} between two tags"
        if labels:
            return _unknown("tag", tag, labels)
    return None


def indicator_rows(identity: str, tags: Sequence[str], *, labels: Sequence[str]) -> Cells:
    """The one CSV row of tags as indicators: id, then 1 or 0 for each of `labels`."""
    assert set(tags) <= set(labels), f"tags without a column: {set(tags) - set(labels)}"
    return [(identity, *("1" if label in tags else "0" for label in labels))]


def read_indicators(cells: Cells, size: Size, *, labels: Sequence[str]) -> tuple[str, ...]:
    """The tags that `indicator_rows` wrote, in the order of `labels`."""
    return tuple(label for label, cell in zip(labels, cells[0], strict=True) if cell == "1")


def check_indicator(text: str, size: Size) -> Problem | None:
    """(problem, fix) of an indicator's cell, or None: exactly 0 or 1."""
    return None if text in ("0", "1") else (f"{_shown(text)} is not 0 or 1", "write 1 where the tag holds, else 0")


def number_rows(identity: str, value: float) -> Cells:
    """The one CSV row of a finite number: id, number."""
    return [(identity, _digits(value))]


def read_number(cells: Cells, size: Size) -> float:
    """The number that `number_rows` wrote."""
    return float(cells[0][0])


def check_number(text: str, size: Size, *, positive: bool = False) -> Problem | None:
    """(problem, fix) of a number's cell, or None: plain digits of a finite float, above 0 where `positive`."""
    if not text:
        return "an empty cell", "write a number"
    if not PLAIN_NUMBER.fullmatch(text):
        fix = (
            "write digits with a decimal point and without thousands commas" if "," in text else "write a plain number"
        )
        return f"{_shown(text)} is not a finite number in plain digits", fix
    if not math.isfinite(float(text)):
        return f"{_shown(text)} is larger than any float", "write a finite number"
    if positive and float(text) <= 0:
        return f"{_shown(text)} is not above 0", "write a positive number"
    return None


def class_mask_ids(identity: str, *, classes: Sequence[str]) -> list[str]:
    """The ids of the CSV rows of a class mask: one for each class."""
    return [f"{identity}_{name}" for name in classes]


def class_mask_rows(identity: str, mask: np.ndarray, *, classes: Sequence[str]) -> Cells:
    """One CSV row for each class of a uint8 [H, W] class map: id, run lengths; a void pixel (255) is in none."""
    ids, lost = class_mask_ids(identity, classes=classes), (mask >= len(classes)) & (mask != VOID)
    assert not lost.any(), (
        f"{int(lost.sum())} pixels are of no class, {int(mask[lost][0])} among {len(classes)} classes"
    )
    return [(name, run_lengths(mask == index)) for index, name in enumerate(ids)]


def read_class_mask(cells: Cells, size: Size) -> np.ndarray:
    """The uint8 [H, W] class map of one row for each class; 255 where no class is, the first one where two are."""
    import numpy as np

    mask = np.full(size, VOID, dtype=np.uint8)
    for index in reversed(range(len(cells))):
        mask[decode_run_lengths(cells[index][0], size)] = index
    return mask


def check_together(cells: Cells, size: Size) -> Problem | None:
    """(problem, fix) of all CSV rows of one prediction together, or None: no two classes claim one pixel.

    Rows that are wrong by themselves are left to the check of their cell; a prediction of one row is right.
    """
    runs: list[tuple[int, int, int]] = []
    for place, (text, *_) in enumerate(cells if len(cells) > 1 else [], start=1):
        if check_run_lengths(text, size) is None:
            numbers = [int(word) for word in text.split()]
            runs += [(start, start + length, place) for start, length in zip(numbers[::2], numbers[1::2], strict=True)]
    end, owner = 0, 0
    for start, stop, place in sorted(runs):
        if start < end:
            first, second = sorted((owner, place))
            problem = f"pixel {start} is claimed by two classes, in rows {first} and {second} of the prediction"
            return problem, "give each pixel to one class, or to none"
        end, owner = stop, place
    return None


def nats_rows(identity: str, score: tuple[float, int, int]) -> Cells:
    """The one CSV row of a text's (nats, tokens, bytes): id, nats, tokens."""
    nats, tokens, _ = score
    assert nats >= 0, f"nats are not negative: {nats}"
    return [(identity, _digits(nats), str(int(tokens)))]


def read_nats(cells: Cells, size: Size) -> tuple[float, int, int]:
    """(nats, tokens, bytes) of a row that `nats_rows` wrote; the bytes are the size's height."""
    return float(cells[0][0]), int(cells[0][1]), size[0]


def check_nats(text: str, size: Size) -> Problem | None:
    """(problem, fix) of a cell of nats, or None: a finite number, not below 0."""
    return check_score(text, size, form="nats")


def check_count(text: str, size: Size) -> Problem | None:
    """(problem, fix) of a cell that counts tokens, or None: a whole number from 1 to twelve digits."""
    right = re.fullmatch("[1-9][0-9]{0,11}", text)
    return None if right else (f"{_shown(text)} is not a whole number above 0", "write the number of tokens")


def score_rows(identity: str, score: tuple[float, int, int], *, form: Form) -> Cells:
    """The one CSV row of a text's (nats, tokens, bytes) where the sample file names one column: id, number.

    "nats" are minus the natural logarithm of the text's probability, "log_probability" is that logarithm, "perplexity"
    is exp(nats / tokens), which is cut at e^700, near the largest float.
    """
    nats, tokens, _ = score
    if form == "perplexity":
        return [(identity, _digits(math.exp(min(nats / tokens, 700.0))))]
    # not -nats: no minus in front of zero
    return [(identity, _digits(nats if form == "nats" else 0.0 - nats))]


def read_score(cells: Cells, size: Size, *, form: Form) -> tuple[float, int, int]:
    """(nats, tokens, bytes) of a row that `score_rows` wrote; the size says bytes and tokens, which are not in the row.

    With answers whose `width` is the true number of tokens all metrics of text can be graded. Where it is 1 instead,
    "nats" and "log_probability" give bits per byte, and only a mean over rows of the logarithm of "perplexity" is left.
    """
    value, (count, tokens) = float(cells[0][0]), size
    if form == "perplexity":
        return math.log(value) * tokens, tokens, count
    return value if form == "nats" else 0.0 - value, tokens, count


def check_score(text: str, size: Size, *, form: Form) -> Problem | None:
    """(problem, fix) of a cell that `score_rows` writes, or None: in the form's own range."""
    found = check_number(text, size)
    if found is not None:
        return found
    value = float(text)
    if form == "log_probability":
        return (f"{_shown(text)} is above 0", "write the logarithm of a probability") if value > 0 else None
    least, fix = (0, "write minus the natural logarithm") if form == "nats" else (1, "write exp(nats / tokens)")
    return (f"{_shown(text)} is below {least}", fix) if value < least else None


def _digits(value: float) -> str:
    assert math.isfinite(value), f"a number to be written is finite, not {value}"
    return repr(float(value))


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _unknown(noun: str, text: str, labels: tuple[str, ...]) -> Problem:
    """(problem, fix) of a label that does not exist, with the one that was meant."""
    lower = {label.lower(): label for label in labels}
    close = difflib.get_close_matches(text.lower(), list(lower), n=1, cutoff=0.6)
    known = f"known: {', '.join(labels[:12])}{', ...' if len(labels) > 12 else ''}"
    return f"unknown {noun} {_shown(text)}", f"did you mean {lower[close[0]]!r}?" if close else known
