"""One worker's view of a study: everything that is scored is a trial, claimed by one worker.

A trial is created RUNNING with all it needs, by one write. Of two workers that take the same at once, the lower trial
number has it. A worker that is gone (its process on this machine, or for a minute no sign of life from another one)
leaves its trial to whoever sees that first: the trial fails, and what it was to score is wanted again. So it is for any
storage, also those that know no heartbeat.
"""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from harness import liveness
from harness.errors import RunError
from harness.search.branch import DIVERGED, Look, Outcome

BEAT = 5.0  # seconds between two signs of life
PATIENCE = 60.0  # seconds without one after which a worker elsewhere is gone
LOOK: dict[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-10, 1e3, log=True),
    "epochs": FloatDistribution(1e-6, 1e6, log=True),
}
_AT_WORK: set[str] = set()  # workers of this process


@dataclass
class Book:
    """One worker's view of a study.

    Attributes:
        study: shared by all workers.
        patience: seconds without a sign of life after which a worker on another machine is gone.
        beat: seconds between two signs of life.
    """

    study: optuna.Study
    patience: float = PATIENCE
    beat: float = BEAT
    worker: str = field(default_factory=lambda: f"{liveness.own()}/{uuid.uuid4().hex[:8]}")
    _watched: dict[int, tuple[Any, float]] = field(default_factory=dict)

    @property
    def sign(self) -> float:
        """What turns the metric into the higher the better."""
        return 1.0 if self.study.direction == optuna.study.StudyDirection.MAXIMIZE else -1.0

    def agree(self, facts: Mapping[str, Any]) -> None:
        """Notes what all trials of the study share (data, folds, configuration), or compares it.

        Raises:
            RunError: the study was begun with something else.
        """
        for name, value in facts.items():
            known = self.study.user_attrs.get(name)
            if known is None:
                self.study.set_user_attr(name, value)
            elif known != value:
                fix = "search with what it began with, or give --study another name"
                raise RunError(f"the study {self.study.study_name} was begun with other {name}", fix=fix)

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """All trials, or those in some states, in the order of their numbers."""
        return self.study.get_trials(deepcopy=False, states=states or None)

    def done(self) -> dict[Look, Outcome]:
        """What is scored; of a look scored twice (a worker that was thought gone) the first."""
        found: dict[Look, Outcome] = {}
        for trial in self.trials(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL):
            if trial.state != TrialState.FAIL or trial.user_attrs.get("memory"):
                found.setdefault(look_of(trial), self.outcome(trial))
        return found

    def outcome(self, trial: FrozenTrial) -> Outcome:
        """What a finished trial scored."""
        metric, loss = trial.user_attrs.get("metric"), trial.user_attrs.get("loss")
        return DIVERGED if metric is None else Outcome(self.sign * metric, math.inf if loss is None else loss)

    def claim(
        self,
        key: str,
        params: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
        *,
        seen: Mapping[int, float] | None = None,
        **facts: Any,
    ) -> Trial | None:
        """A running trial of this worker's own; None where another has the key, or had it first.

        Args:
            seen: intermediate values that are known already.
            facts: user attributes.
        """
        if self._holder(key) is not None:
            return None
        token = uuid.uuid4().hex
        facts |= {"key": key, "worker": self.worker, "token": token}
        template = create_trial(
            state=TrialState.RUNNING,
            params=dict(params),
            distributions=dict(distributions),
            intermediate_values=dict(seen or {}),
            user_attrs=facts,
        )
        self.study.add_trial(template)
        own = next(trial for trial in self.trials(TrialState.RUNNING) if trial.user_attrs.get("token") == token)
        if self._holder(key) != own.number:
            self.fail(own.number, "another worker was first")
            return None
        return Trial(self.study, own._trial_id)

    def _holder(self, key: str) -> int | None:
        """Number of the trial that scores a key, or has scored it."""
        return next((trial.number for trial in self.trials() if key_of(trial) == key and _holds(trial)), None)

    def fail(self, number: int, why: str, **facts: Any) -> None:
        """Ends a trial that scored nothing; one that has ended stays as it is."""
        own = next(trial for trial in self.trials() if trial.number == number)
        if own.state.is_finished():
            return
        trial = Trial(self.study, own._trial_id)
        try:
            for name, value in {"why": why, **facts}.items():
                trial.set_user_attr(name, value)
            self.study.tell(number, state=TrialState.FAIL, skip_if_finished=True)
        except (ValueError, RuntimeError):
            if not self.trials()[number].state.is_finished():
                raise  # and not ended by another worker in between

    def tell(self, trial: Trial, outcome: Outcome, *, pruned: bool = False, **facts: Any) -> None:
        """Ends a trial with what it scored; one that diverged as pruned."""
        lost = not math.isfinite(outcome.metric)
        facts |= {"metric": None if lost else self.sign * outcome.metric}
        facts |= {"loss": outcome.loss if math.isfinite(outcome.loss) else None}
        try:
            for name, value in facts.items():
                trial.set_user_attr(name, value)
            if lost or pruned:
                self.study.tell(trial, state=TrialState.PRUNED)
            else:
                self.study.tell(trial, self.sign * outcome.metric)
        except (ValueError, RuntimeError):
            if not self.trials()[trial.number].state.is_finished():
                raise  # and not thought gone, by a worker that scores the same again

    def sweep(self) -> list[int]:
        """Fails the trials whose worker is gone; returns their numbers."""
        gone = [trial for trial in self.trials(TrialState.RUNNING) if self._gone(trial)]
        for trial in gone:
            self.fail(trial.number, "its worker is gone")
        return [trial.number for trial in gone]

    def _gone(self, trial: FrozenTrial) -> bool:
        owner, _, tail = str(trial.user_attrs.get("worker", "")).rpartition("/")
        if owner == self.worker.rpartition("/")[0]:
            return tail not in _AT_WORK
        alive = liveness.alive(owner)
        if alive is not None:
            return not alive
        beat, now = trial.user_attrs.get("beat"), time.monotonic()
        before, since = self._watched.get(trial.number, (None, now))
        if beat != before or trial.number not in self._watched:
            self._watched[trial.number] = (beat, now)
            return False
        return now - since > self.patience

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While it lasts, this worker is not gone."""
        name = self.worker.rpartition("/")[2]
        _AT_WORK.add(name)
        try:
            yield
        finally:
            _AT_WORK.discard(name)

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
                except (ValueError, RuntimeError):
                    return  # it has ended

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def key_of(trial: FrozenTrial) -> str:
    """What the trial scores; of a sampled one its own number, until it is tried again."""
    return str(trial.user_attrs.get("key", trial.number))


def _holds(trial: FrozenTrial) -> bool:
    """Whether nobody else is to score the same."""
    return trial.state != TrialState.FAIL or bool(trial.user_attrs.get("memory"))


def look_of(trial: FrozenTrial) -> Look:
    """Rate and steps of a trial."""
    return Look(trial.params["rate"], trial.user_attrs["steps"])
