"""A submission goes to Kaggle once, whatever fails in between, and all that becomes of it stands in the ledger.

What is about to be sent is on the disk before it is sent, and its description on Kaggle ends in a tag made from its
content. Where an answer is missing (a cut connection, a silent server, a killed process), nothing is sent again before
the list of submissions on Kaggle says that the first one did not arrive: none there has the tag, no more are counted
than listed, and the time in which a late one must have become visible is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import NotYetError, ServiceError, SubmissionError, UnclearError, UnreachedError
from harness.hashing import sha256_of
from harness.kaggle import questions, uploads
from harness.kaggle.failures import SITE
from harness.kaggle.parcel import OUTPUT, Parcel
from harness.kaggle.service import Service
from harness.submission import ledger
from harness.submission.ledger import Entry

DAY = 86400.0  # seconds
LONGEST = 400  # letters of a message: the description must keep its tag


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
        ServiceError: Kaggle refuses it; UnreachedError: it did not reach Kaggle.
    """
    if len(parcel.message) > LONGEST:
        raise SubmissionError(f"a message of {len(parcel.message)} letters", fix=f"give at most {LONGEST}")
    with ledger.alone(book, slug=parcel.slug):
        known = [each for each in ledger.read(book) if each.tag == parcel.tag and each.state != "unsent"]
        entry = known[-1] if known else None
        if entry is not None and entry.state in ("sending", "unclear"):
            entry = found_again(service, book, entry, clock=clock)
        if entry is None:
            entry = _sent(service, book, parcel, clock=clock, wait=wait)
        elif entry.state != "sent" or not wait:
            raise _repeated(entry)
    return scored(service, book, entry, wait=wait, clock=clock)


def _sent(service: Service, book: Path, parcel: Parcel, *, clock: Callable[[], float], wait: float) -> Entry:
    """A new entry, sent; the ledger knows of it before Kaggle does."""
    now = clock()
    made = {"file": str(parcel.file or OUTPUT), "sha256": parcel.sha256, "kernel": parcel.kernel}
    where = {"competition": parcel.competition, "slug": parcel.slug, "tag": parcel.tag, "message": parcel.message}
    name = f"{parcel.tag}-{int(now * 1000):x}"
    entry = Entry(id=name, state="sending", began=now, changed=now, **where, **made, **parcel.facts)
    there, listed = _listed(service, entry)
    if there is not None:  # by another machine, or before the ledger was lost
        entry = ledger.record(book, _seen(entry, there, clock=clock))
        if entry.state == "sent" and wait:
            return entry
        raise _repeated(entry)
    counted = _check_allowance(service, entry.slug)
    entry = ledger.record(book, replace(entry, counted=counted, listed=listed))
    try:
        token = uploads.upload(service, parcel.file, slug=entry.slug) if parcel.file else ""
        if parcel.file and sha256_of(parcel.file) != entry.sha256:
            raise SubmissionError("changed since it was validated", file=parcel.file, fix="submit it again")
        # an upload may take longer than a submission may be invisible: that time begins now
        entry = ledger.record(book, replace(entry, changed=clock()))
        words = f"{entry.message} {_marked(entry)}".strip()
        answer = questions.create(
            service, slug=entry.slug, words=words, token=token, kernel=entry.kernel or "", output=OUTPUT
        )
    except UnclearError as error:
        reason = error.problem
    except (ServiceError, NotYetError, SubmissionError) as error:
        ledger.record(book, replace(entry, state="unsent", reason=error.problem, changed=clock()))
        raise
    else:
        if answer is not None and answer.ref:
            return ledger.record(book, replace(entry, state="sent", ref=int(answer.ref), changed=clock()))
        reason = "no number came back"
    entry = ledger.record(book, replace(entry, state="unclear", reason=reason, changed=clock()))
    found = found_again(service, book, entry, clock=clock)
    if found is None:
        raise UnreachedError(f"it did not reach Kaggle ({reason})", fix="run the same command again")
    return found


def found_again(service: Service, book: Path, entry: Entry, *, clock: Callable[[], float]) -> Entry | None:
    """What became of a submission whose answer was lost; None where it surely did not arrive.

    Kaggle counts valid submissions and lists failed ones too: what was counted and listed before it was sent is the
    measure, and a day is longer than anything stays invisible.

    Raises:
        UnclearError: Kaggle does not say.
    """
    waited, listed = max(0.0, clock() - entry.changed), 0

    def look() -> Any | None:
        nonlocal listed
        there, listed = _listed(service, entry)
        return there

    there = service.watch(look, limit=max(0.0, service.manners.settle - waited))
    if there is not None:
        return ledger.record(book, _seen(entry, there, clock=clock))
    limits = questions.limits(service, entry.slug)  # after the last look: what came between is counted, not missed
    more = (limits.num_total - (entry.counted or 0)) - (listed - (entry.listed or 0))
    if more > 0 and waited < DAY:
        problem = f"Kaggle counts {more} submission more than it lists: yours may be among the rest"
        fix = f"look at {SITE}/competitions/{entry.slug}/submissions; or run it again later"
        raise UnclearError(problem, fix=fix)
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

    try:
        found = service.watch(look, limit=wait)
    except (ServiceError, NotYetError):
        if wait:
            raise
        found = None  # it is sent, whatever is the matter with the look
    if found is None and wait:
        fix = "the same command goes on waiting"
        raise NotYetError(f"submission {entry.ref} is not scored after {wait:.0f} s", fix=fix)
    if found is not None and found.state == "error":
        raise SubmissionError(f"Kaggle could not score submission {found.ref}: {found.reason}", fix="mend the file")
    return found or entry


def refreshed(service: Service, book: Path, *, slug: str, clock: Callable[[], float] = time.time) -> list[Entry]:
    """The ledger's submissions to a competition, as Kaggle has them now; what it knows no more of stays as it was.

    Finds out, too, what became of those whose answer was lost; an unclear one stays so.
    """
    with ledger.alone(book, slug=slug):
        for entry in ledger.read(book):
            if entry.slug == slug and entry.state in ("sending", "unclear"):
                with suppress(UnclearError):
                    found_again(service, book, entry, clock=clock)
        rows = {row.ref: row for row in questions.own_rows(service, slug)}
        for entry in ledger.read(book):
            row = rows.get(entry.ref) if entry.slug == slug and entry.ref else None
            if row is None:
                continue
            found = _seen(entry, row, clock=clock)
            kept = {name: getattr(entry, name) for name in ("public", "private") if getattr(found, name) is None}
            state = entry.state if entry.state in ("complete", "error") and found.state == "sent" else found.state
            found = replace(found, state=state, **kept)
            if replace(found, changed=entry.changed) != entry:
                ledger.record(book, found)
        return [entry for entry in ledger.read(book) if entry.slug == slug]


def _listed(service: Service, entry: Entry) -> tuple[Any | None, int]:
    """(the submission on Kaggle that has the entry's tag, how many are listed that did not fail)."""
    rows = questions.own_rows(service, entry.slug)
    valid = sum(_state(row) != "error" for row in rows)
    return next((row for row in rows if (row.description or "").rstrip().endswith(_marked(entry))), None), valid


def _seen(entry: Entry, row: Any, *, clock: Callable[[], float]) -> Entry:
    """The entry as Kaggle shows it."""
    state = _state(row)
    reason = (row.error_description or "no reason given").strip() if state == "error" else ""
    scores = {"public": questions.number(row.public_score), "private": questions.number(row.private_score)}
    return replace(entry, state=state, ref=int(row.ref), reason=reason, changed=clock(), **scores)


def _state(row: Any) -> ledger.State:
    """How far Kaggle is with a submission."""
    return {"COMPLETE": "complete", "ERROR": "error"}.get(getattr(row.status, "name", ""), "sent")  # type: ignore


def _check_allowance(service: Service, slug: str) -> int:
    """How many submissions Kaggle counts; refuses to send where it would refuse to take another."""
    limits = questions.limits(service, slug)
    fresh = not (limits.num_today or limits.num_total)  # whoever is on no team yet has zeros everywhere
    if limits.num_allowed_now > 0 or (fresh and not limits.limited_by_total):
        return limits.num_total
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
