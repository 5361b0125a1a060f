"""The ledger: every submission that was ever tried, beside what its run scored in cross-validation.

A JSON line is added for each change and none is ever rewritten, so that a kill loses nothing; every line is the whole
of a submission as it then stood, and the last line of an `id` counts.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness import files
from harness.errors import NotYetError, RunError

PATH = Path("submissions") / "ledger.jsonl"
PATIENCE = 600.0  # seconds to wait for another process that submits

# sending: begun, perhaps arrived; unclear: nobody answered; unsent: nothing arrived; sent: not scored yet
State = Literal["sending", "unclear", "unsent", "sent", "complete", "error"]


@dataclass(frozen=True)
class Entry:
    """One submission.

    Attributes:
        id: of the entry; the same file sent again after nothing arrived is another one.
        competition: the adapter's name.
        slug: the competition's name on Kaggle.
        state: how far it is.
        tag: what its description on Kaggle ends in, by which it is found again.
        began, changed: seconds since 1970, by this machine's clock.
        file: path of the CSV, or the name of a kernel's output.
        sha256: of the CSV; of a kernel's version, empty.
        kernel: `owner/slug/version` of a code competition.
        message: the user's.
        run: the run folder; None of a CSV that no run wrote.
        metric, higher_is_better, cv, interval: what the run scored.
        folds_hash, commit: of the run.
        ref: Kaggle's number.
        public, private: scores; None while there are none.
        reason: why it was not scored or sent.
    """

    id: str
    competition: str
    slug: str
    state: State
    tag: str
    began: float
    changed: float
    file: str
    sha256: str
    message: str
    kernel: str | None = None
    run: str | None = None
    metric: str | None = None
    higher_is_better: bool | None = None
    cv: float | None = None
    interval: list[float] | None = None
    folds_hash: str | None = None
    commit: str | None = None
    ref: int | None = None
    public: float | None = None
    private: float | None = None
    reason: str = ""


FIELDS = {field.name for field in dataclasses.fields(Entry)}


def read(path: Path) -> list[Entry]:
    """The submissions as they stand, in the order they began; none where there is no ledger.

    A line that a kill cut off is left out: the line before it tells the state that was certain.

    Raises:
        RunError: a whole line that is no submission's, with its number.
    """
    if not path.exists():
        return []
    found: dict[str, Entry] = {}
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        try:
            value = json.loads(line)
            entry = Entry(**{name: value[name] for name in FIELDS & set(value)})
        except (ValueError, TypeError, KeyError) as error:
            if _torn(line):
                continue
            fix = "mend or remove the line; keep a copy"
            raise RunError(f"is no line of a ledger ({error})", file=path, row=number, fix=fix) from error
        found[entry.id] = entry
    return list(found.values())


def record(path: Path, entry: Entry) -> Entry:
    """Adds the submission as it stands now, on the disk when this returns; gives it back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.append_line(path, {"schema": 1, **dataclasses.asdict(entry)}, durable=True)
    return entry


@contextmanager
def alone(path: Path, *, patience: float = PATIENCE) -> Iterator[None]:
    """Lets one process at a time decide what is sent; a killed one holds nothing.

    Raises:
        NotYetError: another one is at it for longer than `patience` seconds.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=patience):
            yield
    except Timeout as error:
        raise NotYetError(f"another process submits with {path}", fix="wait for it") from error


def as_json(entry: Entry) -> dict[str, Any]:
    """The submission for JSON."""
    return dataclasses.asdict(entry)


def _torn(line: bytes) -> bool:
    """Whether a line is what a killed process left of one: it begins like one and does not end."""
    return not line.strip() or (line.startswith(b"{") and not line.endswith(b"}"))
