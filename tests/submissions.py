"""A small nerve submission: what is expected of it, its valid text, and the validator's verdict on any other."""

from __future__ import annotations

from pathlib import Path

from competitions.ultrasound_nerve_segmentation import competition
from harness.submission.validator import Expected, Validation, validate

SIZE = (12, 20)
EXPECTED = Expected(competition.submission, ids=["1", "2", "3", "4", "5"], sizes=[SIZE] * 5)
VALID = b"img,pixels\n1,3 2 15 4\n2,\n3,1 240\n4,7 1\n5,\n"
LINES = VALID.splitlines(keepends=True)


def verdict(folder: Path, content: bytes, expected: Expected = EXPECTED) -> Validation:
    file = folder / "submission.csv"
    file.write_bytes(content)
    return validate(file, expected)


def with_line(number: int, line: bytes) -> bytes:
    """The valid file with another line `number`, counted from 1."""
    return b"".join([*LINES[: number - 1], line, *LINES[number:]])
