"""Workers of a real search whose training only counts: it keeps checkpoints, and can be killed at any moment.

No torch is imported here: a worker starts in some milliseconds, as a fork of a process that has the rest imported.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from harness.config import Dimension
from harness.errors import DivergedError
from harness.search import sampled, study, worker
from harness.search.book import Book
from harness.search.branch import COOLED, Look, Outcome, bracketed

LONGEST = 3200
EDGE = 3e-2
PIECE = 50  # steps between two checkpoints
TRIALS = 8
SPACE = {"rate": Dimension("rate", 1e-4, 1e-1, log=True), "epochs": Dimension("epochs", 1.0, 16.0, log=True)}
PLAN = partial(bracketed, edge=EDGE, longest=LONGEST, rates=(1e-6, 10.0))


@dataclass
class Counter:
    """Trains nothing, in steps.

    Attributes:
        folder: of checkpoints, and of `pieces`, a line for every checkpoint: "what from to".
        pause: seconds that PIECE steps take.
    """

    folder: Path
    pause: float
    trained: int = 0

    def branch(self, look: Look) -> Outcome:
        """As a trunk with a cooled copy, diverging above 5e-2."""
        began = round(look.steps - COOLED * look.steps)
        self._count(f"trunk-{look.rate:g}", began)
        if look.rate > 5e-2:
            raise DivergedError("too fast", fix="lower the rate")
        self._count(f"branch-{look.rate:g}-{look.steps}", look.steps, begin=began)
        return scored(look.rate, look.steps)

    def whole(self, look: Look) -> Outcome:
        self._count(f"whole-{look.rate:g}-{look.steps}", look.steps)
        return scored(look.rate, look.steps)

    def sample(self, key: str, params: Mapping[str, Any], report: Callable[[int, float], None]) -> Outcome:
        total = self.steps(params)
        for mark in (*sampled.FRACTIONS[:-1], sampled.WHOLE):
            self._count(f"trial-{key}", total * mark // 1000)
            report(mark, scored(params["rate"], total * mark // 1000).metric)
        return scored(params["rate"], total)

    def epochs(self, steps: int) -> float:
        return steps / 100

    def steps(self, params: Mapping[str, Any]) -> int:
        return round(100 * params["epochs"])

    def _count(self, name: str, until: int, *, begin: int = 0) -> None:
        path = self.folder / f"{name}.json"
        step = max(begin, json.loads(path.read_text()) if path.exists() else 0)
        while step < until:
            time.sleep(self.pause)
            after = min(until, step + PIECE)
            temporary = path.with_suffix(f".{os.getpid()}")
            temporary.write_text(json.dumps(after))
            temporary.replace(path)
            with open(self.folder / "pieces", "a") as pieces:
                pieces.write(f"{os.getpid()} {name} {step} {after}\n")
            self.trained += after - step
            step = after


def scored(rate: float, steps: int) -> Outcome:
    """Best at rate 4e-3, and the better the longer."""
    loss = 1 / math.sqrt(steps) + 0.1 * math.log10(rate / 4e-3) ** 2
    return Outcome(-loss, loss)


def book_of(storage: str | Path, name: str, *, method: str = "branch") -> Book:
    """A view of the study; its metric is to be high."""
    how = {"sampler": sampled.sampler(0), "pruner": sampled.Pruner()} if method == "tpe" else sampled.idle()
    return Book(study.opened(name, storage, higher_is_better=True, **how))


def work(
    storage: str | Path, name: str, folder: Path, *, method: str = "branch", pause: float, told: Any = None
) -> Look:
    """One worker, from its start to its answer, which it also writes into the folder."""
    bench, book = Counter(folder, pause), book_of(storage, name, method=method)
    heard = {} if told is None else {"told": told}
    if method == "tpe":
        trial = worker.sampled(
            book,
            SPACE,
            bench,
            trials=TRIALS,
            steps=bench.steps,
            pause=lambda seconds: time.sleep(0.2 * seconds),
            **heard,
        )
        answer = Look(trial.params["rate"], trial.user_attrs["steps"])
    else:
        answer = worker.planned(
            book,
            PLAN,
            bench.branch,
            bench=bench,
            longest=LONGEST,
            method=method,
            pause=lambda seconds: time.sleep(0.2 * seconds),
            **heard,
        )
    (folder / f"answer-{os.getpid()}").write_text(json.dumps([answer.rate, answer.steps]))
    return answer
