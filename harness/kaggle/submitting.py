"""A submission goes to Kaggle once, whatever fails in between, and all that becomes of it stands in the ledger.

What is about to be sent is on the disk before it is sent, and its description on Kaggle ends in a tag made from its
content. Where an answer is missing (a cut connection, a silent server, a killed process), nothing is sent again before
the list of submissions on Kaggle says that the first one did not arrive: none there has the tag, as many are there as
Kaggle counts, and the time in which a late one must have become visible is over.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import NotYetError, ServiceError, SubmissionError, UnclearError
from harness.kaggle import questions, uploads
from harness.kaggle.service import SITE, Service
from harness.submission import ledger
from harness.submission.ledger import Entry

OUTPUT = "submission.csv"
LONGEST = 400  # letters of a message: the description must keep its tag


@dataclass(frozen=True)
class Parcel:
    """What is to be sent.

    Attributes:
        competition, slug: the adapter's name, and Kaggle's.
        message: the user's.
        file: the CSV; None of a kernel's version.
        kernel: `owner/slug/version`, of a code competition.
        facts: what the ledger says of the run beside (fields of `Entry`).
    """

    competition: str
    slug: str
    message: str
    file: Path | None = None
    kernel: str | None = None
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        assert (self.file is None) != (self.kernel is None), "a file or a kernel's version"


def submit(
    service: Service,
    book: Path,
    parcel: Parcel,
    *,
    wait: float = 0.0,
    clock: Callable[[], float] = time.time,
) -> Entry:
    """The submission in the ledger `book`, sent if it was not yet, after at most `wait` seconds of scoring.

    Raises:
        SubmissionError: sent before, and scored; or Kaggle could not score it; or a message too long.
        NotYetError: no submissions are left today; or not scored in time. The same command goes on.
        UnclearError: it may have arrived; the same command finds out.
        ServiceError: Kaggle refuses it.
    """
    if len(parcel.message) > LONGEST:
        raise SubmissionError(f"a message of {len(parcel.message)} letters", fix=f"give at most {LONGEST}")
    content = _hash(parcel.file) if parcel.file else ""
    tag = hashlib.sha256(f"{parcel.slug}/{content or parcel.kernel}".encode()).hexdigest()[:12]
    with ledger.alone(book):
        entry = next((each for each in reversed(ledger.read(book)) if each.tag == tag and each.state != "unsent"), None)
        if entry is not None and entry.state in ("sending", "unclear"):
            entry = found_again(service, book, entry, clock=clock)
        if entry is not None and entry.state in ("complete", "error"):
            raise _repeated(entry)
        if entry is None:
            now = clock()
            name = str(parcel.file) if parcel.file else OUTPUT
            made = {"file": name, "sha256": content, "message": parcel.message, "kernel": parcel.kernel}
            where = {"competition": parcel.competition, "slug": parcel.slug, "tag": tag, "began": now, "changed": now}
            entry = Entry(id=f"{tag}-{int(now * 1000):x}", state="sending", **where, **made, **parcel.facts)
            entry = _send(service, book, entry, parcel, clock=clock)
        elif not wait:
            raise _repeated(entry)
    return scored(service, book, entry, wait=wait, clock=clock)


def _send(service: Service, book: Path, entry: Entry, parcel: Parcel, *, clock: Callable[[], float]) -> Entry:
    """The entry, sent; the ledger knows of it before Kaggle does."""
    if (there := _listed(service, entry)[0]) is not None:  # by another machine, or before the ledger was lost
        raise _repeated(ledger.record(book, _seen(entry, there, clock=clock)))
    _check_allowance(service, entry.slug)
    entry = ledger.record(book, entry)
    try:
        token = uploads.upload(service, parcel.file, slug=entry.slug) if parcel.file else ""
        if parcel.file and _hash(parcel.file) != entry.sha256:
            raise SubmissionError("changed while it was uploaded", file=parcel.file, fix="submit it again")
        words = f"{entry.message} {_marked(entry)}".strip()
        answer = questions.create(
            service, slug=entry.slug, words=words, token=token, kernel=entry.kernel or "", output=OUTPUT
        )
    except UnclearError as error:
        entry = ledger.record(book, replace(entry, state="unclear", reason=error.problem, changed=clock()))
        found = found_again(service, book, entry, clock=clock)
        if found is None:
            raise ServiceError("it did not reach Kaggle", fix="run the same command again") from error
        return found
    except (ServiceError, NotYetError, SubmissionError) as error:
        ledger.record(book, replace(entry, state="unsent", reason=error.problem, changed=clock()))
        raise
    if not answer.ref:
        entry = ledger.record(book, replace(entry, state="unclear", reason="no number came back", changed=clock()))
        found = found_again(service, book, entry, clock=clock)
        if found is None:
            raise ServiceError(f"Kaggle took no submission ({answer.message})", fix="run the same command again")
        return found
    return ledger.record(book, replace(entry, state="sent", ref=int(answer.ref), reason="", changed=clock()))


def found_again(service: Service, book: Path, entry: Entry, *, clock: Callable[[], float]) -> Entry | None:
    """What became of a submission whose answer was lost; None where it surely did not arrive.

    Raises:
        UnclearError: Kaggle does not say.
    """
    waited = max(0.0, clock() - entry.changed)

    def look() -> Any:
        return _listed(service, entry)[0]

    there = service.watch(look, limit=max(0.0, service.manners.settle - waited))
    if there is not None:
        return ledger.record(book, _seen(entry, there, clock=clock))
    there, listed = _listed(service, entry)
    if there is not None:
        return ledger.record(book, _seen(entry, there, clock=clock))
    limits = questions.limits(service, entry.slug)
    if limits.num_total > listed:
        problem = f"Kaggle counts {limits.num_total} submissions and lists {listed}: yours may be among the rest"
        raise UnclearError(problem, fix=f"look at {SITE}/competitions/{entry.slug}/submissions; or run it again later")
    ledger.record(book, replace(entry, state="unsent", reason="it did not arrive", changed=clock()))
    return None


def scored(service: Service, book: Path, entry: Entry, *, wait: float, clock: Callable[[], float] = time.time) -> Entry:
    """The submission after a look at its score, or as many as fit into `wait` seconds.

    Raises:
        SubmissionError: Kaggle could not score it, with its reason.
        NotYetError: `wait` is over, and it is not scored.
    """

    def look() -> Entry | None:
        assert entry.ref is not None, "only what was sent is looked at"
        answer = questions.submission(service, entry.ref, slug=entry.slug)
        found = None if answer is None else _seen(entry, answer, clock=clock)
        return None if found is None or found.state == "sent" else ledger.record(book, found)

    found = service.watch(look, limit=wait)
    if found is None and wait:
        fix = "the same command goes on waiting"
        raise NotYetError(f"submission {entry.ref} is not scored after {wait:.0f} s", fix=fix)
    if found is not None and found.state == "error":
        raise SubmissionError(f"Kaggle could not score submission {found.ref}: {found.reason}", fix="mend the file")
    return found or entry


def refreshed(service: Service, book: Path, *, slug: str, clock: Callable[[], float] = time.time) -> list[Entry]:
    """The ledger's submissions to a competition, those that changed on Kaggle with their new scores."""
    rows = {int(row.ref): row for row in questions.own_rows(service, slug)}
    for entry in ledger.read(book):
        row = rows.get(entry.ref or 0)
        if entry.slug != slug or row is None:
            continue
        if (found := _seen(entry, row, clock=lambda entry=entry: entry.changed)) != entry:
            ledger.record(book, replace(found, changed=clock()))
    return [entry for entry in ledger.read(book) if entry.slug == slug]


def _listed(service: Service, entry: Entry) -> tuple[Any | None, int]:
    """(the submission on Kaggle that has the entry's tag, how many are listed)."""
    rows = questions.own_rows(service, entry.slug)
    return next((row for row in rows if (row.description or "").rstrip().endswith(_marked(entry))), None), len(rows)


def _seen(entry: Entry, row: Any, *, clock: Callable[[], float]) -> Entry:
    """The entry as Kaggle shows it."""
    state = {"COMPLETE": "complete", "ERROR": "error"}.get(row.status.name, "sent")
    reason = (row.error_description or "no reason given").strip() if state == "error" else ""
    scores = {"public": questions.number(row.public_score), "private": questions.number(row.private_score)}
    return replace(entry, state=state, ref=int(row.ref), reason=reason, changed=clock(), **scores)


def _check_allowance(service: Service, slug: str) -> None:
    """Refuses to send where Kaggle would."""
    limits = questions.limits(service, slug)
    if limits.num_allowed_now > 0:
        return
    if limits.limited_by_total:
        raise SubmissionError(f"all {limits.num_total} submissions to {slug} are used", fix="there are no more")
    problem = f"no submissions to {slug} are left today: {limits.num_today} are used"
    raise NotYetError(problem, fix="come back after 00:00 UTC with the same command")


def _repeated(entry: Entry) -> SubmissionError:
    scores = f", public score {entry.public}" if entry.public is not None else ""
    problem = f"was sent already: submission {entry.ref} ({entry.state}{scores})"
    fix = "the same command with --wait waits for its score" if entry.state == "sent" else "see: harness ledger"
    return SubmissionError(problem, file=entry.kernel or entry.file, fix=fix)


def _marked(entry: Entry) -> str:
    return f"[harness {entry.tag}]"


def _hash(path: Path) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
