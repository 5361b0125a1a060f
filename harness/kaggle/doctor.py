"""What is there for a run and for Kaggle, one line each, and what to do about what is not.

No question's failure is the end: it is that line. No line holds a secret: a credential is named by where it lies.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from harness import files
from harness.data import locate
from harness.errors import HarnessError
from harness.kaggle import credentials, machine, named, questions, service
from harness.kaggle.failures import SITE
from harness.kaggle.machine import Line
from harness.kaggle.named import Wanted
from harness.kaggle.service import Manners, Service

HASTE = Manners(timeout=15.0, tries=2, longest=5.0)


def examine(
    name: str | None,
    *,
    cache: Path,
    connect: Callable[[], Service] = lambda: service.connect(HASTE),
    free: files.FreeSpace = files.free_space,
) -> Iterator[Line]:
    """Yields the findings, those of this machine first; with a name, those of that competition last.

    Args:
        cache: root of derived files.
    """
    yield from machine.versions()
    yield machine.gpus()
    yield machine.processor()
    yield from machine.disks(cache, free)
    yield machine.kernel()
    yield credential()
    wanted = None
    if name is not None:
        try:
            wanted = named.meant(name)
        except HarnessError as error:
            yield _failed("competition", error)
        else:
            yield data(wanted)
    if credentials.find() is None:
        yield Line("Kaggle", False, "not asked without a credential", "make one, as above")
        return
    try:
        kaggle = connect()
    except HarnessError as error:
        yield _failed("Kaggle", error)
        return
    yield _asked("Kaggle", lambda: signed_in(kaggle))
    yield _asked("GPU hours", lambda: hours(kaggle))
    if wanted is not None and wanted.page.kind == "competition":
        slug = wanted.page.ref
        yield _asked("rules", lambda: rules(kaggle, slug))
        yield _asked("submissions", lambda: submissions(kaggle, slug))


def _asked(what: str, question: Callable[[], Line]) -> Line:
    try:
        return question()
    except HarnessError as error:
        return _failed(what, error)


def _failed(what: str, error: HarnessError) -> Line:
    return Line(what, False, str(error).removesuffix(f"; {error.fix}"), error.fix)


def credential() -> Line:
    """Which credential the client will take, where it lies and for whom: never what it is."""
    found = credentials.find()
    if found is None:
        return Line("credential", False, "none in the variables KAGGLE_* or ~/.kaggle", credentials.HOW)
    kinds = {"token": "an API token", "key": "a user name with a key", "login": "of kaggle auth login"}
    words = f"{kinds[found.kind]} at {found.place}" + (f", for {found.user}" if found.user else "")
    path = Path(found.place.removesuffix(" (KAGGLE_API_TOKEN)").removesuffix(" (KAGGLE_API_V1_TOKEN)"))
    if path.is_file() and os.name != "nt":
        words += f", mode {path.stat().st_mode & 0o777:03o}"
    problem, _, fix = found.problem.partition(": ")
    if not found.problem:
        return Line("credential", True, words)
    return Line("credential", False, f"{words}: {problem}", fix or "mend the file")


def data(wanted: Wanted) -> Line:
    """Where the data of a competition is found."""
    places = [Path("data") / wanted.name, Path("data") / f"{wanted.name}.zip"]
    if wanted.competition is not None:
        places = locate.places(wanted.competition, None)
    found = wanted.mounted or next((path for path in places if path.exists()), None)
    if found is None:
        return Line("data", False, f"none of {wanted.name}", f"harness download {wanted.name}")
    return Line("data", True, str(found))


def signed_in(kaggle: Service) -> Line:
    """Whether Kaggle takes the credential: a question that only a user is answered."""
    questions.quota(kaggle)
    return Line("Kaggle", True, f"signed in{f' as {kaggle.user}' if kaggle.user else ''}")


def hours(kaggle: Service) -> Line:
    """GPU hours left of this week's."""
    answer = questions.quota(kaggle)
    quota, refresh = answer.gpu_quota, answer.quota_refresh_time
    if quota is None or quota.total_time_allowed is None:
        return Line("GPU hours", True, "Kaggle does not say")
    total, used = _hours(quota.total_time_allowed), _hours(quota.time_used)
    left, until = max(0.0, total - used), f", new ones at {refresh:%Y-%m-%d %H:%M} UTC" if refresh else ""
    fix = "" if left else "wait for the new ones, or push a kernel without GPU"
    return Line("GPU hours", left > 0, f"{left:.1f} of {total:.1f} left this week{until}", fix)


def _hours(span: Any) -> float:
    """Hours of a time span; none of an absent one, as the SDK leaves out what is zero."""
    return span.total_seconds() / 3600 if span is not None else 0.0


def rules(kaggle: Service, slug: str) -> Line:
    """Whether the user has entered, and what the competition takes."""
    answer = questions.competition(kaggle, slug)
    page = f"{SITE}/competitions/{slug}/rules"
    takes = "takes submissions of notebooks only" if answer.is_kernels_submissions_only else "takes files"
    if not answer.user_has_entered:
        return Line("rules", False, f"not accepted; {slug} {takes}", f"accept the rules at {page}")
    return Line("rules", True, f"accepted ({page}); {slug} {takes}")


def submissions(kaggle: Service, slug: str) -> Line:
    """How many submissions are left today."""
    limits = questions.limits(kaggle, slug)
    left = limits.num_allowed_now
    fix = "" if left else "there are no more" if limits.limited_by_total else "come back after 00:00 UTC"
    return Line(
        "submissions", left > 0, f"{left} left today, {limits.num_today} made today, {limits.num_total} in all", fix
    )
