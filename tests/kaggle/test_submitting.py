"""A submission arrives once, and the ledger knows of it, whatever fails: the real client, a real socket, 0 mocks."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError, NotYetError, RunError, ServiceError, SubmissionError, UnclearError
from harness.hashing import sha256_of
from harness.kaggle.parcel import Parcel
from harness.kaggle.submitting import refreshed, submit
from harness.submission import ledger
from tests.kaggle import world
from tests.kaggle.conftest import BOOK, CSV, Given, submits
from tests.kaggle.server import Fault


def parcel(content: bytes = CSV, **given: object) -> Parcel:
    """A file about to be sent."""
    path = Path("submission.csv")
    path.write_bytes(content)
    made = Parcel("toy-adapter", "toy", "first try", path, sha256_of(path), facts={"cv": 0.61, "metric": "AUC"})
    return replace(made, **given)


def sent(kaggle: Given) -> list[bytes]:
    """What arrived."""
    return [each.content for each in kaggle.kaggle.contests["toy"].submissions]


# what fails once or twice on the way of one submission that must arrive, and be scored
SCENARIOS = {
    "nothing fails": [],
    "429 with Retry-After at the limits": [Fault("GetSubmissionLimits", code=429, headers={"Retry-After": "0"})],
    "429 with a date at the list": [
        Fault(
            "ListSubmissions",
            code=429,
            headers={"Date": "Thu, 01 Jan 2026 00:00:00 GMT", "Retry-After": "Thu, 01 Jan 2026 00:00:01 GMT"},
        )
    ],
    "429 at the submission itself": [Fault("CreateSubmission", code=429, times=2)],
    "500 at the list": [Fault("ListSubmissions", code=500, times=2)],
    "503 at the start of the upload": [Fault("StartSubmissionUpload", code=503)],
    "a cut before the upload begins": [Fault("StartSubmissionUpload", "cut")],
    "a cut in the upload": [Fault("upload", "cut")],
    "a cut after the upload": [Fault("upload", "cut after")],
    "an upload that is refused once": [Fault("upload", code=500)],
    "an upload that asks to go on": [Fault("upload", code=503)],
    "a silent upload": [Fault("upload", "silent", seconds=1.0)],
    "a cut before the submission": [Fault("CreateSubmission", "cut")],
    "a cut after the submission": [Fault("CreateSubmission", "cut after")],
    "half an answer to the submission": [Fault("CreateSubmission", "half")],
    "silence before the submission": [Fault("CreateSubmission", "silent", seconds=1.0)],
    "silence after the submission": [Fault("CreateSubmission", "silent after", seconds=1.0)],
    "500 at the submission": [Fault("CreateSubmission", code=500)],
    "a proxy's page at the submission": [Fault("CreateSubmission", "page")],
    "a cut after the submission, and a list that fails": [
        Fault("CreateSubmission", "cut after"),
        Fault("ListSubmissions", code=502, times=2, skip=1),
    ],
    "404 right after the submission": [Fault("GetSubmission", code=404, times=2)],
    "a cut while waiting": [Fault("GetSubmission", "cut", times=2)],
    "silence while waiting": [Fault("GetSubmission", "silent", seconds=1.0)],
    "500 while waiting": [Fault("GetSubmission", code=500, times=3)],
}


# and what Kaggle, or somebody in between, may answer although all was done
DONE = {
    **{
        f"{code} when all is done": Fault("CreateSubmission", "refuse after", code=code)
        for code in (500, 501, 520, 409)
    },
    "a page when all is done": Fault("CreateSubmission", "page after"),
    "a redirection to nowhere when all is done": Fault("CreateSubmission", "redirect after"),
    "silence when all is done": Fault("CreateSubmission", "silent after", seconds=1.0),
    "a cut when all is done": Fault("CreateSubmission", "cut after"),
    "half an answer when all is done": Fault("CreateSubmission", "half"),
}


@pytest.mark.parametrize("failed", [0, 1])
@pytest.mark.parametrize("name", DONE)
def test_what_was_done_is_not_done_again_though_the_answer_says_nothing_of_it(
    kaggle: Given, name: str, failed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    contest, create = kaggle.kaggle.contests["toy"], world.Kaggle.CreateSubmission
    contest.scored = lambda content: "empty" if content == b"" else ("0.5", "")

    def crowded(self: world.Kaggle, request: dict[str, Any]) -> Any:
        for number in range(failed):  # of a team mate, in the same moment: it fails, is listed, and not counted
            contest.submissions.append(world.Submission(500 + number, b"", "by hand", self.now(), 0, 0))
        return create(self, request)

    monkeypatch.setattr(world.Kaggle, "CreateSubmission", crowded)
    contest.hidden = 40  # longer than a command looks for it
    kaggle.faults.append(replace(DONE[name]))
    service, given = kaggle.connect(), parcel()
    with suppress(ServiceError, NotYetError, SubmissionError):
        submit(service, BOOK, given)
    contest.submissions[-1].hidden = 0
    for _ in range(2):
        with suppress(ServiceError, NotYetError, SubmissionError):
            submit(service, BOOK, given, wait=5.0)
    assert sent(kaggle).count(CSV) == 1
    assert [entry.state for entry in ledger.read(BOOK)] == ["complete"]


@pytest.mark.parametrize("name", SCENARIOS)
def test_whatever_fails_the_submission_arrives_once_and_is_in_the_ledger_with_its_score(
    kaggle: Given, name: str
) -> None:
    kaggle.faults.extend(replace(fault) for fault in SCENARIOS[name])
    service, given = kaggle.connect(), parcel()
    for _ in range(3):  # what a user, or cron, does
        with suppress(ServiceError, NotYetError, SubmissionError):
            submit(service, BOOK, given, wait=5.0)
    assert sent(kaggle) == [CSV]
    assert not kaggle.faults, "what was to fail did not"
    entries = [entry for entry in ledger.read(BOOK) if entry.state != "unsent"]
    assert [(entry.state, entry.ref, entry.public, entry.cv) for entry in entries] == [("complete", 1000, 0.5, 0.61)]


def test_a_submission_that_is_listed_late_is_waited_for_and_not_sent_again(kaggle: Given) -> None:
    kaggle.kaggle.contests["toy"].hidden = 5
    kaggle.faults.append(Fault("CreateSubmission", "cut after"))
    entry = submit(kaggle.connect(), BOOK, parcel(), wait=5.0)
    assert (entry.state, entry.ref, len(sent(kaggle))) == ("complete", 1000, 1)


def test_one_that_is_counted_and_not_listed_is_not_sent_again_until_it_is(kaggle: Given) -> None:
    kaggle.kaggle.contests["toy"].hidden = 60
    kaggle.faults.append(Fault("CreateSubmission", "silent after", seconds=1.0))
    service, given = kaggle.connect(), parcel()
    for _ in range(2):
        with pytest.raises(UnclearError, match="counts 1 submission more than it lists") as caught:
            submit(service, BOOK, given)
        assert caught.value.exit_code == 3
    assert [entry.state for entry in ledger.read(BOOK)] == ["unclear"]
    kaggle.kaggle.contests["toy"].submissions[0].hidden = 0
    assert submit(service, BOOK, given, wait=5.0).state == "complete"
    assert len(sent(kaggle)) == 1


def test_one_that_did_not_arrive_is_sent_again_by_the_next_call(kaggle: Given) -> None:
    kaggle.faults.append(Fault("CreateSubmission", "cut"))
    service, given = kaggle.connect(), parcel()
    with pytest.raises(ServiceError, match="did not reach Kaggle"):
        submit(service, BOOK, given)
    assert submit(service, BOOK, given, wait=5.0).state == "complete"
    assert [entry.state for entry in ledger.read(BOOK)] == ["unsent", "complete"]


def test_a_count_that_is_always_above_the_list_stops_nothing(kaggle: Given) -> None:
    kaggle.kaggle.contests["toy"].more = 3
    kaggle.faults.append(Fault("CreateSubmission", "cut"))
    service, given = kaggle.connect(), parcel()
    with pytest.raises(ServiceError, match="did not reach Kaggle") as caught:
        submit(service, BOOK, given)
    assert caught.value.exit_code == 3
    assert submit(service, BOOK, given, wait=5.0).state == "complete"


def test_an_unclear_one_is_settled_after_a_day(kaggle: Given) -> None:
    kaggle.faults.append(Fault("CreateSubmission", "cut"))
    service, given = kaggle.connect(), parcel()
    kaggle.kaggle.contests["toy"].uncounted = 0
    with pytest.raises(ServiceError, match="did not reach"):
        submit(service, BOOK, given)
    ledger.record(BOOK, replace(ledger.read(BOOK)[0], state="unclear"))
    kaggle.kaggle.contests["toy"].more = 1  # a team mate's, counted and never listed
    with pytest.raises(UnclearError):
        submit(service, BOOK, given)
    tomorrow = ledger.read(BOOK)[0].changed + 90000
    assert submit(service, BOOK, given, wait=5.0, clock=lambda: tomorrow).state == "complete"
    assert sent(kaggle) == [CSV]


def test_a_long_upload_does_not_use_up_the_time_in_which_a_submission_may_be_invisible(kaggle: Given) -> None:
    service, given = kaggle.connect(), parcel()
    moments = iter([0.0] + [1000.0] * 100)  # between the first line and the submission there is a long upload
    kaggle.faults.append(Fault("CreateSubmission", "cut after"))
    kaggle.kaggle.contests["toy"].hidden = 3
    kaggle.kaggle.contests["toy"].uncounted = 1
    entry = submit(service, BOOK, given, wait=5.0, clock=lambda: next(moments))
    assert (entry.state, len(sent(kaggle))) == ("complete", 1)
    before = [json.loads(line) for line in BOOK.read_text().splitlines() if json.loads(line)["state"] == "sending"]
    assert [line["changed"] for line in before] == [0.0, 1000.0]


def test_two_processes_send_a_file_once(kaggle: Given, forks: Any) -> None:
    folders = [Path("one"), Path("two")]
    for folder in folders:  # each with a ledger of its own
        folder.mkdir()
    kaggle.faults.append(Fault("upload", "silent", seconds=0.5, times=2))
    started = [forks.Process(target=submits, args=(kaggle.address, str(folder.absolute()))) for folder in folders * 2]
    for process in started:
        process.start()
    for process in started:
        process.join()
    assert sent(kaggle) == [CSV]
    assert sorted(entry.ref for folder in folders for entry in ledger.read(folder / BOOK) if entry.ref) == [1000, 1000]


def test_an_open_and_silent_connection_is_given_up(kaggle: Given) -> None:
    kaggle.faults.append(Fault("GetSubmissionLimits", "held", seconds=20.0))
    submit(kaggle.connect(), BOOK, parcel(), wait=5.0)
    assert "given up" in kaggle.kaggle.calls


def test_a_silent_upload_is_tried_a_few_times_and_no_more(kaggle: Given) -> None:
    kaggle.faults.append(Fault("upload", "silent", seconds=1.0, times=99))
    kaggle.faults.append(Fault("upload state", "silent", seconds=1.0, times=99))
    with pytest.raises(ServiceError, match="does not take the upload"):
        submit(kaggle.connect(), BOOK, parcel())
    assert kaggle.kaggle.calls.count("upload") + kaggle.kaggle.calls.count("upload state") <= 4
    assert sent(kaggle) == []


def test_whoever_is_on_no_team_yet_may_submit(kaggle: Given) -> None:
    kaggle.kaggle.contests["toy"].team = False
    assert submit(kaggle.connect(), BOOK, parcel(), wait=5.0).state == "complete"


def test_a_look_that_fails_does_not_make_a_sent_one_a_failure(kaggle: Given) -> None:
    kaggle.faults.append(Fault("GetSubmission", code=500, times=9))
    assert submit(kaggle.connect(), BOOK, parcel()).state == "sent"


@pytest.mark.parametrize("answer", [{"status": "RESCORING", "ref": 7}, {"status": None, "ref": None}])
def test_an_answer_that_the_client_does_not_know_is_one_line(
    kaggle: Given, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]
) -> None:
    monkeypatch.setattr(world.Kaggle, "ListSubmissions", lambda self, request: {"submissions": [answer]})
    with suppress(ServiceError):
        submit(kaggle.connect(), BOOK, parcel())


def test_a_wrong_clock_sends_nothing_twice(kaggle: Given) -> None:
    kaggle.kaggle.skew = -86400 * 3
    kaggle.faults.append(Fault("CreateSubmission", "cut after"))
    moments = iter([2e9, 1e9, 3e9, *([1.5e9] * 50)])  # this machine's clock jumps, Kaggle's is three days behind
    entry = submit(kaggle.connect(), BOOK, parcel(), wait=5.0, clock=lambda: next(moments))
    assert (entry.state, len(sent(kaggle))) == ("complete", 1)


def test_a_kernel_that_is_lost_is_no_submission(kaggle: Given) -> None:
    kaggle.kaggle.contests["toy"].code_only = True
    with pytest.raises(ServiceError, match="no such output"):
        submit(kaggle.connect(), BOOK, Parcel("toy-adapter", "toy", "", kernel="bob/gone/1"))
    assert [entry.state for entry in ledger.read(BOOK)] == ["unsent"]


def test_the_same_file_is_refused_also_where_the_ledger_was_lost(kaggle: Given) -> None:
    service, given = kaggle.connect(), parcel()
    submit(service, BOOK, given, wait=5.0)
    with pytest.raises(SubmissionError, match=r"was sent already: submission 1000 \(complete, public score 0.5\)"):
        submit(service, BOOK, given)
    BOOK.unlink()
    with pytest.raises(SubmissionError, match="was sent already: submission 1000"):
        submit(service, BOOK, given)
    assert [entry.ref for entry in ledger.read(BOOK)] == [1000]
    assert len(sent(kaggle)) == 1
    submit(service, BOOK, parcel(CSV + b"3,1\n"), wait=5.0)
    assert len(sent(kaggle)) == 2


def test_a_reason_of_kaggle_is_told_and_kept(kaggle: Given) -> None:
    kaggle.kaggle.contests["toy"].scored = lambda content: "Evaluation Exception: id 3 is missing"
    with pytest.raises(SubmissionError, match="could not score submission 1000: Evaluation Exception: id 3"):
        submit(kaggle.connect(), BOOK, parcel(), wait=5.0)
    assert [(entry.state, entry.reason) for entry in ledger.read(BOOK)] == [
        ("error", "Evaluation Exception: id 3 is missing")
    ]


def test_a_used_up_day_is_told_before_anything_is_uploaded(kaggle: Given) -> None:
    kaggle.kaggle.contests["toy"].daily = 1
    service = kaggle.connect()
    submit(service, BOOK, parcel(), wait=5.0)
    kaggle.kaggle.calls.clear()
    with pytest.raises(NotYetError, match="no submissions to toy are left today: 1 are used") as caught:
        submit(service, BOOK, parcel(b"id,price\n1,9\n"))
    assert caught.value.exit_code == 3
    assert "StartSubmissionUpload" not in kaggle.kaggle.calls
    assert len(ledger.read(BOOK)) == 1


def test_a_used_up_competition_is_a_mistake(kaggle: Given) -> None:
    kaggle.kaggle.contests["toy"].total = 0
    with pytest.raises(SubmissionError, match="all 0 submissions to toy are used"):
        submit(kaggle.connect(), BOOK, parcel())


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault("GetSubmissionLimits", code=401, message="Unauthorized"), "does not take the credential"),
        (Fault("StartSubmissionUpload", code=403, message="rules"), "accept the rules at .*/competitions/toy/rules"),
        (Fault("CreateSubmission", code=400, message="file is empty"), "file is empty"),
        (Fault("CreateSubmission", code=403, message="rules"), "accept the rules"),
        (Fault("GetSubmissionLimits", code=429, headers={"Retry-After": "7200"}), "left alone for 7200 s"),
    ],
)
def test_a_refusal_is_one_line_with_what_to_do_and_nothing_arrived(kaggle: Given, fault: Fault, words: str) -> None:
    kaggle.faults.append(replace(fault))
    with pytest.raises(HarnessError, match=words):
        submit(kaggle.connect(), BOOK, parcel())
    assert sent(kaggle) == []
    assert all(entry.state == "unsent" and entry.reason for entry in ledger.read(BOOK))


def test_a_submission_not_scored_in_time_is_waited_for_by_the_same_command(kaggle: Given) -> None:
    kaggle.kaggle.contests["toy"].looks = 40
    service, given = kaggle.connect(), parcel()
    with pytest.raises(NotYetError, match="submission 1000 is not scored after 0 s"):
        submit(service, BOOK, given, wait=0.1)
    assert submit(service, BOOK, given, wait=20.0).state == "complete"
    assert len(sent(kaggle)) == 1


def test_own_submissions_are_found_on_every_page(kaggle: Given) -> None:
    contest = kaggle.kaggle.contests["toy"]
    contest.daily = 100
    service, given = kaggle.connect(), parcel()
    submit(service, BOOK, given, wait=5.0)
    for number in range(45):  # a team mate's, newer
        contest.submissions.append(replace(contest.submissions[0], ref=2000 + number, description="by hand"))
    BOOK.unlink()
    kaggle.kaggle.calls.clear()
    with pytest.raises(SubmissionError, match="was sent already: submission 1000"):
        submit(service, BOOK, given)
    assert kaggle.kaggle.calls.count("ListSubmissions") == 3


def test_what_kaggle_no_longer_says_stays_in_the_ledger(kaggle: Given) -> None:
    service, contest = kaggle.connect(), kaggle.kaggle.contests["toy"]
    submit(service, BOOK, parcel(), wait=5.0)
    contest.scored = lambda content: ("", "")
    assert [entry.public for entry in refreshed(service, BOOK, slug="toy")] == [0.5]
    contest.submissions[0].looks = 5
    assert [(entry.state, entry.public) for entry in refreshed(service, BOOK, slug="toy")] == [("complete", 0.5)]


def test_a_refresh_finds_out_what_became_of_a_lost_one(kaggle: Given) -> None:
    service = kaggle.connect()
    submit(service, BOOK, parcel(), wait=5.0)
    entry = ledger.read(BOOK)[0]
    ledger.record(BOOK, replace(entry, state="unclear", ref=None, public=None))
    assert [(entry.state, entry.ref) for entry in refreshed(service, BOOK, slug="toy")] == [("complete", 1000)]


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"[]",
        b'{"schema": 1, "id": 3}',
        b"what a text editor leaves",
        b'{"schema": 1, "id": "a", "state": "flying"}',
    ],
)
def test_a_line_of_a_ledger_that_is_none_is_named(kaggle: Given, line: bytes) -> None:
    submit(kaggle.connect(), BOOK, parcel(), wait=5.0)
    BOOK.write_bytes(line + b"\r\n" + BOOK.read_bytes())
    with pytest.raises(RunError, match=r"ledger.jsonl, row 1: is no line of a ledger"):
        ledger.read(BOOK)


def test_a_ledger_whose_lines_all_lost_their_end_is_not_taken_for_an_empty_one(kaggle: Given) -> None:
    submit(kaggle.connect(), BOOK, parcel(), wait=5.0)
    BOOK.write_bytes(BOOK.read_bytes().replace(b"}\n", b"\n"))
    with pytest.raises(RunError, match="row 2"):
        ledger.read(BOOK)


@pytest.mark.parametrize("field", ["ref", "cv", "public", "state", "began", "interval"])
def test_a_field_of_another_type_is_named(kaggle: Given, field: str) -> None:
    submit(kaggle.connect(), BOOK, parcel(), wait=5.0)
    value = json.loads(BOOK.read_text().splitlines()[-1])
    BOOK.write_text(json.dumps({**value, field: {"a": 1}}) + "\n")
    with pytest.raises(RunError, match=f"'{field}' is"):
        ledger.read(BOOK)


def test_private_scores_that_come_later_get_into_the_ledger(kaggle: Given) -> None:
    service = kaggle.connect()
    submit(service, BOOK, parcel(), wait=5.0)
    kaggle.kaggle.contests["toy"].scored = lambda content: ("0.5", "0.47")
    assert [entry.private for entry in refreshed(service, BOOK, slug="toy")] == [0.47]
    lines = BOOK.read_text().splitlines()
    refreshed(service, BOOK, slug="toy")
    assert BOOK.read_text().splitlines() == lines, "nothing new is no line"
    assert [json.loads(line)["state"] for line in lines] == ["sending", "sending", "sent", "complete", "complete"]


def test_a_file_that_changes_while_it_is_uploaded_is_not_submitted(kaggle: Given) -> None:
    given = parcel()
    service = kaggle.connect()
    complete = service.api.upload_complete

    def upload(path: str, *arguments: object, **options: object) -> object:
        outcome = complete(path, *arguments, **options)
        Path(path).write_bytes(b"id,price\n1,1\n2,2.00\n")
        return outcome

    service.api.upload_complete = upload
    with pytest.raises(SubmissionError, match="changed since it was validated"):
        submit(service, BOOK, given)
    assert sent(kaggle) == []
