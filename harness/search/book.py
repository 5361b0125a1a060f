"""One worker's view of a study: everything that is scored is a trial, claimed by one worker.

A trial is created RUNNING with all it needs, by one write. Of two workers that take the same at once, the lower trial
number has it. A worker that is gone (its process on this machine, or for a minute no sign of life from another one)
leaves its trial to whoever sees that first: the trial fails, and what it was to score is wanted again. So it is for any
storage, also those that know no heartbeat.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from harness.errors import RunError
from harness.search.branch import DIVERGED, Look, Outcome
from harness.search.signs import Watch

LOOK: dict[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-10, 1e3, log=True),
    "epochs": FloatDistribution(1e-6, 1e6, log=True),
}
STOPPED = "stopped"  # attribute of the study: [which error, its words] that last ended the search for all


@dataclass
class Book:
    """One worker's view of a study.

    Attributes:
        study: shared by all workers.
        watch: over the others, under this worker's name.
        facts: what all workers must have agreed on.
    """

    study: optuna.Study
    watch: Watch = field(default_factory=Watch)
    facts: dict[str, Any] = field(default_factory=dict)
    _stopped: Any = None

    @property
    def sign(self) -> float:
        """What turns the metric into the higher the better."""
        return 1.0 if self.study.direction == optuna.study.StudyDirection.MAXIMIZE else -1.0

    def agree(self, facts: Mapping[str, Any]) -> None:
        """Notes what all trials of the study share (data, folds, configuration), or compares it.

        Raises:
            RunError: the study was begun with something else.
        """
        known = self.study.user_attrs
        for name, value in facts.items():
            if name not in known:
                self.study.set_user_attr(name, value)
        self.facts = dict(facts)
        self._agreed()

    def _agreed(self) -> None:
        known = self.study.user_attrs
        for name, value in self.facts.items():
            if known[name] != value:
                fix = "search with what it began with, or give --study another name"
                raise RunError(f"the study {self.study.study_name} was begun with other {name}", fix=fix)

    def look_around(self) -> None:
        """Sweeps, between two trials.

        Raises:
            RunError: another worker met an error meanwhile, or began the study at the same time with something else.
        """
        self._agreed()
        stopped = self.study.user_attrs.get(STOPPED)
        if stopped is not None and stopped != self._stopped:
            fix = "mend that, and run the same command again"
            raise RunError(f"another worker of the search met {stopped[1]}", fix=fix)
        self.sweep()

    def stop(self, why: str) -> None:
        """Ends the search of all who are at work now."""
        self._stopped = [uuid.uuid4().hex, why]
        self.study.set_user_attr(STOPPED, self._stopped)

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
        if _holder(self.trials(), key) is not None:
            return None
        # the owner is written with the trial: whenever this process is killed, others see whose it was
        token = uuid.uuid4().hex
        facts |= {"key": key, "worker": self.watch.name, "token": token}
        template = create_trial(
            state=TrialState.RUNNING,
            params=dict(params),
            distributions=dict(distributions),
            intermediate_values=dict(seen or {}),
            user_attrs=facts,
        )
        self.study.add_trial(template)
        trials = self.trials()
        own = next(trial for trial in trials if trial.user_attrs.get("token") == token)
        if _holder(trials, key) != own.number:
            self.fail(own.number, "another worker was first")
            return None
        return Trial(self.study, own._trial_id)

    def fail(self, number: int, why: str, **facts: Any) -> None:
        """Ends a trial that scored nothing; one that has ended stays as it is."""
        own = next(trial for trial in self.trials() if trial.number == number)
        if own.state.is_finished():
            return
        storage = self.study._storage  # a Trial of its own would draw from the sampler
        try:
            for name, value in {"why": why, **facts}.items():
                storage.set_trial_user_attr(own._trial_id, name, value)
            storage.set_trial_state_values(own._trial_id, TrialState.FAIL)
        except UpdateFinishedTrialError:
            return  # by another worker, in between

    def tell(
        self, trial: Trial, outcome: Outcome, *, pruned: bool = False, at: int | None = None, **facts: Any
    ) -> None:
        """Ends a trial with what it scored; one that diverged as pruned.

        Args:
            at: per mille of the longest schedule at which that is reported.

        Raises:
            UpdateFinishedTrialError: others thought this worker gone, and score the same again.
        """
        lost = not math.isfinite(outcome.metric)
        facts |= {"metric": None if lost else self.sign * outcome.metric}
        facts |= {"loss": outcome.loss if math.isfinite(outcome.loss) else None}
        for name, value in facts.items():
            trial.set_user_attr(name, value)
        if at is not None and not lost:
            trial.report(self.sign * outcome.metric, at)
        try:
            if lost or pruned:
                self.study.tell(trial, state=TrialState.PRUNED)
            else:
                self.study.tell(trial, self.sign * outcome.metric)
        except ValueError as error:  # so Optuna says it where it looks first
            if self.trials()[trial.number].state.is_finished():
                raise UpdateFinishedTrialError(str(error)) from error
            raise

    def sweep(self) -> list[int]:
        """Fails the trials whose worker is gone; returns their numbers."""
        gone = [trial for trial in self.trials(TrialState.RUNNING) if self.watch.gone(trial)]
        for trial in gone:
            self.fail(trial.number, "its worker is gone")
        return [trial.number for trial in gone]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While it lasts, this worker is not gone; what it leaves running then is swept.

        Raises:
            RunError: the storage is gone.
        """
        try:
            self._stopped = self.study.user_attrs.get(STOPPED)  # of an earlier search: no matter
            try:
                with self.watch.awake():
                    yield
            finally:
                self.sweep()
        except StorageInternalError as error:
            reason = str(error.__cause__ or error).strip().splitlines()[0]
            raise RunError(
                f"the search's storage: {reason}", fix="run the same command again when it answers"
            ) from error


def key_of(trial: FrozenTrial) -> str:
    """What the trial scores: a look, or which of the sampled trials it is."""
    return str(trial.user_attrs.get("key", ""))


def _holder(trials: Sequence[FrozenTrial], key: str) -> int | None:
    """Number of the trial that scores a key, or has scored it."""
    return next((trial.number for trial in trials if key_of(trial) == key and holds(trial)), None)


def holds(trial: FrozenTrial) -> bool:
    """Whether nobody else is to score the same."""
    return trial.state != TrialState.FAIL or bool(trial.user_attrs.get("memory"))


def look_of(trial: FrozenTrial) -> Look:
    """Rate and steps of a trial."""
    return Look(trial.params["rate"], trial.user_attrs["steps"])
