"""A process that submits is killed at every step: the submission arrives once, and the ledger has it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from harness.kaggle.submitting import submit
from harness.submission import ledger
from tests.kaggle.conftest import BOOK, CSV, Given, submits
from tests.kaggle.server import Fault
from tests.kaggle.test_submitting import parcel, sent

# every call of a submission that goes well, in order
STEPS = [
    "ListSubmissions",
    "GetSubmissionLimits",
    "StartSubmissionUpload",
    "upload",
    "CreateSubmission",
    "GetSubmission",
]


@pytest.mark.parametrize("kind", ["kill", "kill after"])
def test_a_submission_killed_at_any_step_arrives_once_and_is_in_the_ledger(
    kaggle: Given, kind: Any, forks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, step in enumerate(STEPS):
        folder = Path(f"{number}")
        folder.mkdir()
        kaggle.kaggle.contests["toy"].submissions.clear()
        process = forks.Process(target=submits, args=(kaggle.address, str(folder.absolute())))
        process.start()
        kaggle.faults.append(Fault(step, kind, process=process.pid))
        process.join()
        assert process.exitcode == -signal.SIGKILL, f"{step} was not reached"
        with monkeypatch.context() as patch:
            patch.chdir(folder)
            entry = submit(kaggle.connect(), BOOK, parcel(), wait=5.0)
            assert (entry.state, sent(kaggle)) == ("complete", [CSV]), step
            assert [each.ref for each in ledger.read(BOOK) if each.state == "complete"] == [entry.ref]


def test_a_line_that_a_kill_cut_off_loses_nothing(kaggle: Given) -> None:
    submit(kaggle.connect(), BOOK, parcel(), wait=5.0)
    whole = BOOK.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    for kept in (1, len(last) // 2, len(last) - 2):
        BOOK.write_bytes(whole[: -len(last)] + last[:kept])
        assert [entry.ref for entry in ledger.read(BOOK)] == [1000]
        ledger.record(BOOK, ledger.read(BOOK)[0])
        assert [entry.ref for entry in ledger.read(BOOK)] == [1000]
