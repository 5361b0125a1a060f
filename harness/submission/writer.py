"""CSV writers: rows stream in, a whole file appears. The one place that formats a submission."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness import files
from harness.competition import Size, Submission

ANSWER_COLUMNS = ("group", "height", "width")


def write_submission(path: Path, submission: Submission, decisions: Iterable[tuple[str, Any]]) -> int:
    """Writes (row id, decision) pairs as they come, one row in memory; returns the number of CSV rows."""
    with files.replacing(path, "w") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(submission.header)
        count = 0
        for identity, decision in decisions:
            rows = submission.write(identity, decision)
            writer.writerows(rows)
            count += len(rows)
    return count


def write_answers(path: Path, submission: Submission, truths: Iterable[tuple[str, Any, str, Size]]) -> int:
    """Writes (row id, truth, group, (height, width)) as a submission with what a grader needs beside."""
    with files.replacing(path, "w") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow((*submission.header, *ANSWER_COLUMNS))
        count = 0
        for identity, truth, group, size in truths:
            rows = [(*row, group, *map(str, size)) for row in submission.write(identity, truth)]
            writer.writerows(rows)
            count += len(rows)
    return count


def copy(source: Path, target: Path) -> None:
    """Replaces `target` by the bytes of `source`."""
    with open(source, "rb") as reader, files.replacing(target) as handle:
        shutil.copyfileobj(reader, handle)
