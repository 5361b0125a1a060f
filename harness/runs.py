"""Run folders: where they are, which phases are done, what they scored. Reads and writes no data, trains nothing."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import files
from harness.errors import RunError
from harness.hashing import hash_value

BASE = Path("submissions")
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True)
class Run:
    """One run's folder.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.path.name

    def settings(self) -> dict[str, Any]:
        """config.json: the request and the resolved configuration."""
        return _read(self.path / "config.json")

    def scores(self) -> dict[str, Any] | None:
        """scores.json of a finished run."""
        path = self.path / "scores.json"
        return _read(path) if path.exists() else None

    def done(self, phase: str, inputs: Any) -> dict[str, Any] | None:
        """What a finished phase recorded, when it was finished on the same inputs."""
        path = self.path / "phases" / f"{phase}.json"
        if not path.exists():
            return None
        record = _read(path)
        return record if record["inputs"] == hash_value(inputs) else None

    def finish(self, phase: str, inputs: Any, **facts: Any) -> dict[str, Any]:
        """Marks a phase as done on these inputs; returns the record."""
        record = {"phase": phase, "inputs": hash_value(inputs), **facts}
        files.write_json(self.path / "phases" / f"{phase}.json", record)
        self.log("phase", **record)
        return record

    def discard(self) -> None:
        """Removes a run in which nothing was done yet."""
        shutil.rmtree(self.path)

    def log(self, event: str, **facts: Any) -> None:
        """Adds a line to log.jsonl."""
        files.append_line(self.path / "log.jsonl", {"event": event, "time": round(time.time(), 3), **facts})


def create(out: Path | None, competition: str, *, clock: files.Clock = time.time) -> Run:
    """A new, empty run folder: `out`, or `submissions/<competition>/<UTC time>-<4 characters>`.

    Raises:
        RunError: `out` holds a run already (with the command that goes on with it) or other files.
    """
    if out is None:
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(clock()))
        out = BASE / competition / f"{stamp}-{''.join(secrets.choice(LETTERS) for _ in range(4))}"
    elif (out / "config.json").exists():
        finished = Run(out).scores() is not None
        fix = "choose another --out" if finished else f"go on with: harness resume {out}"
        raise RunError(f"holds a {'finished' if finished else 'started'} run", file=out, fix=fix)
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError("exists and is not an empty folder", file=out, fix="choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    return Run(out)


def find(name: str) -> Run:
    """The run of a folder or of an id under `submissions/`.

    Raises:
        RunError: no such run.
    """
    folder = Path(name)
    candidates = [folder] if (folder / "config.json").exists() else sorted(BASE.glob(f"*/{name}"))
    if not candidates or not (candidates[0] / "config.json").exists():
        raise RunError(f"no run '{name}'", fix=f"name a run folder, or an id under {BASE}/<competition>/")
    return Run(candidates[0])


def best(competition: str, *, higher_is_better: bool) -> dict[str, Any] | None:
    """The best finished run of a competition under `submissions/`: {"run", "value"}; sample runs do not count."""
    found = []
    for path in sorted(BASE.glob(f"{competition}/*/scores.json")):
        scores = _read(path)
        if not scores.get("sample") and scores.get("score", {}).get("value") is not None:
            found.append({"run": path.parent.name, "value": scores["score"]["value"]})
    return (max if higher_is_better else min)(found, key=lambda run: run["value"]) if found else None


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"unreadable ({error})", file=path, fix="the run folder is damaged; start a new run") from error
