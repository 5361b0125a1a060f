"""A bundle becomes a kernel on Kaggle: a version of its data set, a version of the notebook, and what that wrote.

What is already there is not uploaded again: `pushed.json` in the bundle knows which data set's content was.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness import files
from harness.errors import NotYetError, RunError, ServiceError, UnclearError
from harness.hashing import hash_file, hash_value
from harness.kaggle import place, questions
from harness.kaggle.failures import SITE
from harness.kaggle.parcel import OUTPUT
from harness.kaggle.service import Service

PUSHED = "pushed.json"
TAIL = 15  # lines of a failed kernel's log that are shown
LONGEST = 12 * 3600.0  # seconds that Kaggle lets a notebook run
Say = Callable[[str], None]


@dataclass(frozen=True)
class Pushed:
    """A kernel's version on Kaggle.

    Attributes:
        kernel: `owner/slug`.
        version: its number.
        dataset: `owner/slug` of the bundle's data.
        state: of the session: "queued", "failed", "complete"; complete only with a submission that is valid.
        submission: where its submission.csv was fetched to; empty while there is none.
    """

    kernel: str
    version: int
    dataset: str
    state: str = "queued"
    submission: str = ""

    @property
    def page(self) -> str:
        """The kernel's address."""
        return f"{SITE}/code/{self.kernel}"

    @property
    def named(self) -> str:
        """`owner/slug/version`, as a submission to a code competition names it."""
        return f"{self.kernel}/{self.version}"


def push(service: Service, bundle: Path, *, say: Say) -> Pushed:
    """The version that Kaggle made of the bundle's notebook; its data set is uploaded first where it changed.

    Raises:
        BundleError: no bundle.
        ServiceError: Kaggle refuses the data set or the notebook, with its reason.
        NotYetError: the data set is not processed in time.
    """
    facts = place.read(bundle)
    content, before = content_of(bundle), _read(bundle)
    if before.get("content") != content or not questions.dataset_version(service, facts["dataset"]):
        _upload(service, bundle / "dataset", facts, say)
    else:
        say(f"the data set {facts['dataset']} is on Kaggle already")
    _await_dataset(service, facts["dataset"], say)
    files.write_json(bundle / PUSHED, {**before, "content": content})
    say(f"pushing the kernel {facts['kernel']}")
    pushed = Pushed(str(facts["kernel"]), _push_kernel(service, bundle, facts["kernel"]), str(facts["dataset"]))
    _write(bundle, pushed, content)
    return pushed


def _push_kernel(service: Service, bundle: Path, kernel: str) -> int:
    """The number of the new version: one, also where the answer is lost, for every version costs GPU hours."""
    before = questions.kernel_version(service, kernel)
    try:
        answer = service.ask(
            lambda _: service.api.kernels_push(str(bundle / "kernel")), doing="pushing the kernel", once=True
        )
    except UnclearError:
        if (version := questions.kernel_version(service, kernel)) <= before:
            raise
        return version
    lost = [*(answer.invalid_dataset_sources or []), *(answer.invalid_competition_sources or [])]
    if answer.error or lost:
        problem = answer.error or f"Kaggle does not find the sources {', '.join(lost)}"
        raise ServiceError(f"pushing the kernel: {problem}", file=bundle, fix="accept the rules, and push again")
    return int(answer.version_number)


def followed(
    service: Service, bundle: Path, pushed: Pushed, *, check: Callable[[Path], None], say: Say, wait: float = LONGEST
) -> Pushed:
    """The version when its session has ended well, with its submission.csv fetched to `<bundle>/output/`.

    Args:
        check: raises where the submission is not valid.

    Raises:
        ServiceError: it failed; the end of its log is told, and all of it kept in `<bundle>/output/`.
        SubmissionError: as `check`.
        NotYetError: it is still running after `wait` seconds.
    """
    told: set[str] = set()

    def look() -> Any | None:
        answer = service.ask(lambda _: service.api.kernels_status(pushed.named), doing="looking at the kernel")
        state = answer.status.name
        if state not in told:
            told.add(state)
            say(f"kernel {pushed.named}: {state.lower()}")
        return answer if state in ("COMPLETE", "ERROR", "CANCEL_REQUESTED", "CANCEL_ACKNOWLEDGED") else None

    ended = service.watch(look, limit=wait)
    if ended is None:
        fix = "harness push RUN --wait looks again"
        raise NotYetError(f"kernel {pushed.named} is still running after {wait:.0f} s", fix=fix)
    folder, content = bundle / "output", _read(bundle).get("content", "")
    shutil.rmtree(folder, ignore_errors=True)
    _write(bundle, replace(pushed, state="failed"), content)  # until it is known to be better
    if ended.status.name != "COMPLETE":
        log = service.ask(lambda _: service.api.kernels_logs(pushed.named), doing="fetching the kernel's log")
        folder.mkdir()
        files.write_text(folder / "kernel.log", log)
        for line in log.strip().splitlines()[-TAIL:]:
            say(f"  {line}")
        reason = ended.failure_message or "see its log"
        raise ServiceError(f"the kernel failed ({reason})", file=folder / "kernel.log", fix=f"see also {pushed.page}")
    service.ask(
        lambda _: service.api.kernels_output(pushed.named, str(folder), file_pattern=rf"^{OUTPUT}$", force=True),
        doing="fetching the kernel's output",
    )
    if not (folder / OUTPUT).exists():
        raise ServiceError(f"the kernel wrote no {OUTPUT}", file=bundle, fix=f"look at its output: {pushed.page}")
    check(folder / OUTPUT)
    found = replace(pushed, state="complete", submission=str(folder / OUTPUT))
    _write(bundle, found, content)
    return found


def pushed_as(bundle: Path, state: str) -> Pushed | None:
    """The version that was pushed last, where it is in that state and the bundle is what it was then."""
    pushed = last(bundle)
    same = pushed is not None and pushed.state == state and _read(bundle).get("content") == content_of(bundle)
    return pushed if same else None


def last(bundle: Path) -> Pushed | None:
    """The version that was pushed last; None of a bundle that never was."""
    held = _read(bundle)
    known = {name: held[name] for name in ("kernel", "version", "dataset", "state", "submission") if name in held}
    return Pushed(**known) if "version" in known else None


def _upload(service: Service, folder: Path, facts: dict[str, Any], say: Say) -> None:
    """A new data set, or a new version of it, private, every sub-folder as a zip."""
    options = {"quiet": True, "convert_to_csv": bool(facts["convert_to_csv"]), "dir_mode": facts["dir_mode"]}
    size = sum(path.stat().st_size for path in _files(folder)) / 1e6
    before = questions.dataset_version(service, facts["dataset"])
    if before:
        _await_dataset(service, facts["dataset"], say)  # a new version is refused while the last one is processed

    def question(_: Any) -> Any:
        if before:
            return service.api.dataset_create_version(str(folder), "harness push", **options)
        return service.api.dataset_create_new(str(folder), public=False, **options)

    say(f"uploading {'a version of ' if before else ''}{facts['dataset']} ({size:.1f} MB)")
    try:
        answer = service.ask(question, doing="uploading", once=True)
        if answer.error or (answer.status or "").lower() == "error":
            raise ServiceError(f"the data set {facts['dataset']}: {answer.error}", fix="mend what it names")
    except ServiceError:  # the client itself repeats what got no answer, and hears that it is there already
        if questions.dataset_version(service, facts["dataset"]) <= before:
            raise


def _await_dataset(service: Service, dataset: str, say: Say) -> None:
    """Returns when Kaggle has processed the newest version: no kernel sees it before."""
    say(f"waiting until Kaggle has processed {dataset}")

    def look() -> str | None:
        state = questions.there(service, lambda: service.api.dataset_status(dataset), f"the data set {dataset}")
        return state if state in ("ready", "failed", "deleted") else None

    state = service.watch(look, limit=1800.0)
    if state is None:
        raise NotYetError(f"{dataset} is still processed", fix="the same command goes on waiting")
    if state != "ready":
        raise ServiceError(f"Kaggle could not process {dataset} ({state})", fix=f"see {SITE}/datasets/{dataset}")


def content_of(bundle: Path) -> str:
    """What stands for the data set's files."""
    return hash_value([(str(path.relative_to(bundle)), hash_file(path)) for path in _files(bundle / "dataset")])


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _read(bundle: Path) -> dict[str, Any]:
    try:
        return files.read_json(bundle / PUSHED, fix="remove it") if (bundle / PUSHED).exists() else {}
    except RunError:
        return {}


def _write(bundle: Path, pushed: Pushed, content: str) -> None:
    files.write_json(bundle / PUSHED, {"schema": 1, **vars(pushed), "content": content})
