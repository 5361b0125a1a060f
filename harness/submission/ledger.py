"""The ledger: every submission that was ever tried, beside what its run scored in cross-validation.

A JSON line is added for each change and none is ever rewritten, so that a kill loses nothing; every line is the whole
of a submission as it then stood, and the last line of an `id` counts.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

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
        counted, listed: submissions that Kaggle counted and listed before this one was sent.
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
    counted: int | None = None
    listed: int | None = None
    ref: int | None = None
    public: float | None = None
    private: float | None = None
    reason: str = ""


FIELDS = {field.name: field.type for field in dataclasses.fields(Entry)}
OPENING = b'{"schema": 1, "id": '  # of every line; a torn one is the beginning of such a line


def read(path: Path) -> list[Entry]:
    """The submissions as they stand, in the order they began; none where there is no ledger.

    A line that a kill cut off is left out: the line before it tells the state that was certain.

    Raises:
        RunError: a line that is no submission's and none that a kill cut off, with its number.
    """
    if not path.exists():
        return []
    found: dict[str, Entry] = {}
    lines, torn = [line.rstrip(b"\r") for line in path.read_bytes().split(b"\n")], 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entry = _entry(json.loads(line))
        except ValueError as error:
            torn += 1  # a process that goes on writes whole lines behind a torn one: two in a row are damage
            cut = isinstance(error, json.JSONDecodeError) and (line.startswith(OPENING) or OPENING.startswith(line))
            if cut and torn == 1:
                continue
            fix = "mend or remove the line; keep a copy"
            raise RunError(f"is no line of a ledger ({error})", file=path, row=number, fix=fix) from error
        torn = 0
        found[entry.id] = entry
    return list(found.values())


def _entry(value: Any) -> Entry:
    """The submission of a line.

    Raises:
        ValueError: fields are missing or of other types.
    """
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    known = {name: value[name] for name in FIELDS if name in value}
    for name, given in known.items():
        if not _fits(given, str(FIELDS[name])):
            raise ValueError(f"'{name}' is {given!r}")
    try:
        entry = Entry(**known)
    except TypeError as error:
        raise ValueError(f"fields are missing: {error}") from error
    if entry.state not in get_args(State) or (entry.state in ("sent", "complete", "error") and entry.ref is None):
        raise ValueError(f"'state' is {entry.state!r}, 'ref' {entry.ref!r}")
    return entry


def _fits(value: Any, declared: str) -> bool:
    """Whether a JSON value is of the type that a field is declared with."""
    kinds: dict[str, tuple[type, ...]] = {"str": (str,), "State": (str,), "bool": (bool,), "None": (type(None),)}
    kinds |= {"float": (int, float), "int": (int,), "list[float]": (list,)}
    allowed = tuple(kind for part in declared.split(" | ") for kind in kinds[part])
    return isinstance(value, allowed) and (bool in allowed or not isinstance(value, bool))


def record(path: Path, entry: Entry) -> Entry:
    """Adds the submission as it stands now, on the disk when this returns; gives it back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files.append_line(path, {"schema": 1, **dataclasses.asdict(entry)}, durable=True)
    return entry


@contextmanager
def alone(path: Path, *, slug: str, patience: float = PATIENCE) -> Iterator[None]:
    """Lets one process at a time decide what is sent: of those with this ledger, and of this user's to a competition.

    A killed one holds nothing.

    Raises:
        NotYetError: another one is at it for longer than `patience` seconds.
    """
    import platformdirs
    from filelock import FileLock, Timeout

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise RunError("is a file, not a folder", file=path.parent, fix="move it, or work elsewhere") from error
    locks = [path.with_name(f".{path.name}.lock")]
    with suppress(OSError):  # a home that cannot be written has no second ledger either
        shared = Path(platformdirs.user_cache_dir("harness")) / "kaggle"
        shared.mkdir(parents=True, exist_ok=True)
        locks.append(shared / f"{slug}.lock")
    with ExitStack() as held:
        for lock in locks:
            try:
                held.enter_context(FileLock(lock, timeout=patience))
            except Timeout as error:
                raise NotYetError(f"another process submits ({lock})", fix="wait for it") from error
        yield
