"""Signs of life: whose trial a running one is, and whether that worker is still at it."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial

from harness import liveness

BEAT = 5.0  # seconds between two signs of life
PATIENCE = 60.0  # seconds without one after which a worker elsewhere is gone
_AWAKE: set[str] = set()  # workers of this process


@dataclass
class Watch:
    """One worker, and what it sees of the others.

    Attributes:
        patience: seconds without a sign of life after which a worker on another machine is gone.
        beat: seconds between two signs of life.
        name: machine, process, when that was started, and which of its workers.
    """

    patience: float = PATIENCE
    beat: float = BEAT
    name: str = field(default_factory=lambda: f"{liveness.own()}/{uuid.uuid4().hex[:8]}")
    _seen: dict[int, tuple[Any, float]] = field(default_factory=dict)

    @contextmanager
    def awake(self) -> Iterator[None]:
        """While it lasts, this worker is not gone."""
        own = self.name.rpartition("/")[2]
        _AWAKE.add(own)
        try:
            yield
        finally:
            _AWAKE.discard(own)

    def gone(self, trial: FrozenTrial) -> bool:
        """Whether the worker of a running trial is gone."""
        owner, _, which = str(trial.user_attrs.get("worker", "")).rpartition("/")
        if owner == self.name.rpartition("/")[0]:
            return which not in _AWAKE
        alive = liveness.alive(owner)
        if alive is not None:
            return not alive
        beat, now = trial.user_attrs.get("beat"), time.monotonic()
        before, since = self._seen.get(trial.number, (None, now))
        if beat != before or trial.number not in self._seen:
            self._seen[trial.number] = (beat, now)
            return False
        return now - since > self.patience

    @contextmanager
    def beating(self, trial: Trial) -> Iterator[None]:
        """Gives signs of life for a trial, from a thread of its own: scoring may take minutes."""
        over = threading.Event()

        def beat() -> None:
            number = 0
            while not over.wait(self.beat):
                number += 1
                try:
                    trial.set_user_attr("beat", number)
                except UpdateFinishedTrialError:
                    return
                except StorageInternalError:
                    continue  # it may answer again

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
