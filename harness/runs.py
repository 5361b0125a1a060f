"""Run folders: where they are, which phases are done, what they scored. Reads and writes no data, trains nothing."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import files
from harness.errors import HarnessError, RunError
from harness.hashing import hash_value

BASE = Path("submissions")
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True)
class Run:
    """One run's folder.

    Attributes:
        path: the folder.
        found: whether the folder (empty) was there before the run.
    """

    path: Path
    found: bool = False

    def settings(self) -> dict[str, Any]:
        """config.json: the request and the resolved configuration.

        Raises:
            RunError: unreadable, or no run's.
        """
        settings = _read(self.path / "config.json")
        if not {"request", "config"} <= set(settings) or not isinstance(settings.get("competition"), str):
            raise RunError("is no run's configuration", file=self.path / "config.json", fix="start a new run")
        return settings

    def scores(self) -> dict[str, Any] | None:
        """scores.json of a finished run."""
        path = self.path / "scores.json"
        return _read(path) if path.exists() else None

    def environment(self) -> dict[str, Any] | None:
        """environment.json: versions, device and threads the run began with."""
        path = self.path / "environment.json"
        return _read(path) if path.exists() else None

    def folds_trained(self) -> list[int]:
        """The folds of the run that are done."""
        names = (path.stem for path in (self.path / "phases").glob("fold*.json"))
        return sorted(int(name.removeprefix("fold")) for name in names if name != "folds")

    def done(self, phase: str, inputs: Any, *outputs: Path) -> dict[str, Any] | None:
        """What a finished phase recorded, when it was finished on the same inputs and its outputs are there."""
        path = self.path / "phases" / f"{phase}.json"
        if not path.exists() or not all(output.exists() for output in outputs):
            return None
        record = _read(path)
        return record if record.get("inputs") == hash_value(inputs) else None

    def finish(self, phase: str, inputs: Any, **facts: Any) -> dict[str, Any]:
        """Marks a phase as done on these inputs; returns the record."""
        record = {"phase": phase, "inputs": hash_value(inputs), **facts}
        files.write_json(self.path / "phases" / f"{phase}.json", record)
        self.log("phase", **record)
        return record

    def log(self, event: str, **facts: Any) -> None:
        """Adds a line to log.jsonl."""
        files.append_line(self.path / "log.jsonl", {"event": event, "time": round(time.time(), 3), **facts})

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Holds the folder for this process, and clears it of what killed ones left half-written.

        The system lets go of a lock when its process ends, however that ends: a killed one holds nothing, and what it
        wrote about itself is not asked.

        Raises:
            RunError: another process works in it; says which, and on which machine. Or it was removed underfoot.
        """
        from filelock import FileLock, Timeout

        holder = self.path / ".holder.json"
        try:
            with FileLock(self.path / ".lock", timeout=0):
                files.sweep(self.path)
                files.write_json(holder, {"process": os.getpid(), "host": socket.gethostname(), "since": time.time()})
                try:
                    yield
                    self._check_there(None)
                except (FileNotFoundError, HarnessError) as error:
                    self._check_there(error)
                    raise
                finally:
                    with suppress(OSError):  # of a disk that failed the run has told already
                        holder.unlink()
        except Timeout as error:
            who = _read(holder) if holder.exists() else {}
            name = f"process {who.get('process', '?')} on {who.get('host', '?')} works on this run"
            raise RunError(name, file=self.path, fix="wait for it, or end it") from error

    def _check_there(self, missed: Exception | None) -> None:
        if not (self.path / ".lock").exists():  # what was written since may have made the folder anew
            fix = "start a new run, and leave its folder where it is"
            raise RunError("was removed while the run was at work", file=self.path, fix=fix) from missed

    def discard(self) -> None:
        """Removes a run in which nothing was done yet; a folder that was there before stays, empty."""
        for path in self.path.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if not self.found:
            self.path.rmdir()


def create(out: Path | None, competition: str, *, clock: files.Clock = time.time) -> Run:
    """A new, empty run folder: `out`, or `submissions/<competition>/<UTC time>-<4 characters>`.

    Raises:
        RunError: `out` holds a run already (with the command that goes on with it) or other files, or cannot be made.
    """
    if out is None:
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(clock()))
        out = BASE / competition / f"{stamp}-{''.join(secrets.choice(LETTERS) for _ in range(4))}"
    try:
        found = out.exists()
        if (out / "config.json").exists():
            finished = Run(out).scores() is not None
            fix = "choose another --out" if finished else f"go on with: harness resume {out}"
            raise RunError(f"holds a {'finished' if finished else 'started'} run", file=out, fix=fix)
        if found and (not out.is_dir() or not all(_left(path.name) for path in out.iterdir())):
            raise RunError("exists and is not an empty folder", file=out, fix="choose another --out")
        out.mkdir(parents=True, exist_ok=found)
    except OSError as error:
        raise RunError(f"cannot be made ({error.strerror})", file=out, fix="choose another --out") from error
    return Run(out, found)


def _left(name: str) -> bool:
    """Whether a file is what a process leaves that was killed before it wrote anything."""
    return name in (".lock", ".holder.json") or (name.startswith(".") and name.endswith(".tmp"))


def find(name: str) -> Run:
    """The run of a folder or of an id under `submissions/`.

    Raises:
        RunError: no such run.
    """
    folder = Path(name)
    candidates = [folder] if (folder / "config.json").exists() else sorted(BASE.glob(f"*/{folder.name}"))
    if not candidates or not (candidates[0] / "config.json").exists():
        raise RunError(f"no run '{name}'", fix=f"name a run folder, or an id under {BASE}/<competition>/")
    return Run(candidates[0])


def best(competition: str, *, higher_is_better: bool) -> dict[str, Any] | None:
    """The best finished run of a competition under `submissions/`: {"run", "value"}.

    Sample runs, runs of some folds only, and folders that cannot be read do not count.
    """
    found = []
    for path in sorted(BASE.glob(f"{competition}/*/scores.json")):
        try:
            scores = _read(path)
            whole = not scores["sample"] and len(scores["folds_trained"]) == scores["folds"]
            value = scores["score"]["value"]
        except (RunError, KeyError, TypeError):
            continue
        if whole and value is not None:
            found.append({"run": path.parent.name, "value": value})
    return (max if higher_is_better else min)(found, key=lambda run: run["value"]) if found else None


def _read(path: Path) -> dict[str, Any]:
    return files.read_json(path, fix="the run folder is damaged; start a new run")
