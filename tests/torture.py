"""Tiny whole runs that are killed, or that the disk fails, at any moment; and what must be left of them.

A run's writes are seen by an audit hook (PEP 578): it hears of every file that is opened to be written, renamed or
removed, whoever does it, and may kill the process there or let the call fail. The hook cannot be taken off again, so
that each attempt is a process of its own, forked from one that has imported everything.
"""

from __future__ import annotations

import errno
import functools
import json
import os
import shutil
import signal
import sys
import traceback
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from harness import pipeline, registry, runs
from harness.cli import MACHINE
from harness.config import override
from harness.errors import HarnessError
from harness.pipeline import Request
from harness.pipeline.job import Search
from harness.pipeline.preparation import World
from harness.training import snapshots
from tests.kit import sample_root, small

CHANGING = {"os.rename": 1, "os.remove": 0, "os.rmdir": 0, "os.mkdir": 0, "os.truncate": 0}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
LOST = (errno.ENOSPC, errno.EROFS, errno.EACCES)
ROWS = 12
# what a run imports where it needs it: loaded before the fork
LATE = ("albumentations", "harness.report.plots", "harness.search.study", "sklearn.ensemble", "matplotlib.pyplot")


@dataclass(frozen=True)
class Case:
    """A tiny run.

    Attributes:
        name: of the competition.
        settings: on top of the small ones of all tests.
        tune: whether rate and length are searched first.
    """

    name: str
    settings: tuple[str, ...] = ()
    tune: bool = False


FEW = ("data.folds=2", "stages.0.epochs=3", "train.save_every=2", "train.size=32x32", "report.resamples=20")
SMALLEST = "model.encoder=test_resnet"  # of timm: for tests, 0.3 million weights
SEARCHED = ("space.epochs=1:4", "train.save_every=3")
CASES = {
    "masks": Case("ultrasound-nerve-segmentation", (*FEW, SMALLEST)),
    "labels": Case(
        "gemstones-images", (*FEW, SMALLEST, "views=symmetries", "stages.1.epochs=1", "stages.0.name=first")
    ),
    "table": Case("playground-series-s3e8", FEW),
    "text": Case("text-language-model", (*FEW, "model.text=lstm", "stages.0.epochs=1", "train.save_every=8")),
    "gpt": Case("text-language-model", (*FEW, "stages.0.epochs=1", "train.save_every=8")),
    "search": Case("playground-series-s3e8", (*FEW, *SEARCHED), tune=True),
}


def work(case: str, out: Path, cache: Path, data: Path, act: Callable[[str, Path], None] | None = None) -> None:
    """Begins or goes on with a case's run; ends the process with 2 and a line where the user can mend what is wrong.

    Args:
        act: called before each write below `out` and `cache` with what is done and where.
    """
    torch.set_num_threads(1)
    if act is not None:
        sys.addaudithook(heard(act, (out, cache)))
    asked, world = CASES[case], World(cache)
    try:
        if (out / "config.json").exists():
            pipeline.resume(runs.find(str(out)), data=None, world=world)
            return
        competition = registry.load(asked.name)
        config = override(small(competition), asked.settings)
        tune, search = ("first", Search("branch")) if asked.tune else ("", Search())
        request = Request(data=str(data), device="cpu", tune=tune, search=search)
        pipeline.run(competition, config, request, out=out, world=world)
    except HarnessError as error:
        ended(act, str(error))
    except OSError as error:
        if error.errno not in MACHINE:
            raise
        ended(act, f"{error.filename}: {error.strerror}")


def ended(act: Any, line: str) -> None:
    """Notes why, and ends like the command line does."""
    if isinstance(act, Failing):
        act.said.write_text(line + "\n")
    sys.exit(2)


def heard(act: Callable[[str, Path], None], roots: tuple[Path, ...]) -> Callable[[str, tuple], None]:
    """An audit hook that passes on the writes below some folders."""
    below = tuple(f"{root}{os.sep}" for root in roots) + tuple(map(str, roots))

    def hook(event: str, arguments: tuple) -> None:
        if event == "open":
            path, _, flags = arguments
            if not isinstance(path, str | os.PathLike) or not (flags or 0) & WRITING:
                return
        elif event in CHANGING:
            path = arguments[CHANGING[event]]
        else:
            return
        name = os.fspath(path)
        if isinstance(name, str) and name.startswith(below):
            act(event, Path(name))

    return hook


HEARING: list[Callable[[str, tuple], None]] = []  # a hook stays for ever: one passes on to those that stand here


@contextmanager
def listening(act: Callable[[str, Path], None], root: Path) -> Iterator[None]:
    """In this process, calls `act` before each write below a folder while the block lasts."""
    _heard_once()
    hook = heard(act, (root,))
    HEARING.append(hook)
    try:
        yield
    finally:
        HEARING.remove(hook)


@functools.cache
def _heard_once() -> None:
    def everything(event: str, arguments: tuple) -> None:
        for hook in HEARING:
            hook(event, arguments)

    sys.addaudithook(everything)


@dataclass
class Killing:
    """Kills its own process at the write of a number; counted from 1."""

    number: int
    seen: int = 0

    def __call__(self, event: str, path: Path) -> None:
        self.seen += 1
        if self.seen == self.number:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Failing:
    """Lets the write of a number fail, or all from it on.

    Attributes:
        code: of the error.
        number: of the first write that fails, from 1.
        lasting: whether all that follow fail too.
        said: file for the line that the run ends with.
    """

    code: int
    number: int
    lasting: bool
    said: Path
    seen: int = 0

    def __call__(self, event: str, path: Path) -> None:
        self.seen += 1
        # removing frees space: a full disk lets it pass
        if self.code == errno.ENOSPC and event in ("os.remove", "os.rmdir"):
            return
        if self.seen == self.number or (self.lasting and self.seen > self.number):
            raise OSError(self.code, os.strerror(self.code), str(path))


@dataclass
class Counting:
    """Counts the writes into a file at the end."""

    into: Path
    seen: int = 0

    def __call__(self, event: str, path: Path) -> None:
        self.seen += 1
        if path.name == "write.json" or path.name.startswith(".write.json"):
            descriptor = os.open(f"{self.into}", os.O_WRONLY | os.O_CREAT)  # outside the folders that are heard
            os.write(descriptor, str(self.seen).encode())
            os.close(descriptor)


def packed(case: str, folder: Path) -> Path:
    """The case's sample data as a zip: to be unpacked is a phase too."""
    target = folder / f"{CASES[case].name}.zip"
    if not target.exists():
        root = sample_root(CASES[case].name, folder, rows=ROWS)
        with zipfile.ZipFile(target, "w") as bundle:
            for path in sorted(root.rglob("*")):
                bundle.write(path, path.relative_to(root))
    return target


def results(out: Path) -> dict[str, bytes]:
    """The files of a finished run that must be the same: weights, predictions, answers, and the score."""
    paths = [*out.glob("weights/**/*.safetensors"), *out.glob("oof/**/*.npy"), *out.glob("*.csv")]
    found = {str(path.relative_to(out)): path.read_bytes() for path in paths}
    scores = json.loads((out / "scores.json").read_text())
    kept = {key: scores[key] for key in ("score", "members", "fold_scores", "folds_hash", "decision")}
    return {**found, "scores": json.dumps(kept, sort_keys=True).encode()}


def unreadable(out: Path) -> list[str]:
    """What is left of a run that cannot be read: whole files only, but for the log's last line."""
    wrong = []
    for path in out.rglob("*"):
        if path.name.startswith(".") or not path.is_file():
            continue
        try:
            if path.suffix == ".json":
                json.loads(path.read_text())
            elif path.suffix == ".npy":
                import numpy as np

                np.load(path, mmap_mode="r")
            elif path.parent.name == "state" and path.suffix == ".safetensors":
                snapshots.read(path)
            elif path.suffix == ".safetensors":
                from safetensors.torch import load_file

                load_file(path)
        except Exception:
            wrong.append(f"{path}: {traceback.format_exc(limit=1)}")
    return wrong


def attempt(forks: Any, case: str, folder: Path, data: Path, act: Any = None) -> Any:
    """A process at work on a case's run in `folder`, started."""
    process = forks.Process(target=work, args=(case, folder / "run", folder / "cache", data, act))
    process.start()
    return process


def cleared(folder: Path) -> Path:
    """An empty folder of that name."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
