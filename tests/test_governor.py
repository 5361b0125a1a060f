"""A run that must end in time, simulated on a machine that slows down whenever it likes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from harness.errors import ConfigError, OutOfTime
from harness.governor import Governor, Plan, follow
from harness.meter import seconds_of
from harness.training.course import Course, Watch

COOLDOWN = 0.2


@pytest.mark.parametrize(
    ("text", "seconds"), [("9h", 32400), ("40m", 2400), ("300s", 300), ("1h30m", 5400), (" 1.5m ", 90)]
)
def test_a_budget_is_hours_minutes_and_seconds(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "9", "m", "-5m", "1m1h", "9 hours", "nan", "5s", "0h"])
def test_a_budget_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--budget"):
        seconds_of(text)


@dataclass
class Machine:
    """A clock, and how many times slower than at first everything is from which second on."""

    slow: list[tuple[float, float]] = field(default_factory=list)
    now: float = 0.0

    def work(self, seconds: float) -> None:
        """Works for so many seconds of its first speed."""
        while seconds > 0:
            factor = next((factor for since, factor in reversed(self.slow) if since <= self.now), 1.0)
            until = min((since for since, _ in self.slow if since > self.now), default=float("inf"))
            done = min(seconds, (until - self.now) / factor)
            self.now, seconds = (until if done < seconds else self.now + done * factor), seconds - done


@dataclass
class Training:
    """As much of a training state as the clock steers."""

    step: int = 0
    course: Course | None = None


@dataclass
class Simulated:
    """A run like the pipeline's, of drawn costs: every decision is the governor's and the watch's own."""

    budget: float
    machine: Machine
    steps: int
    step: float
    folds: int
    costs: dict[str, float]
    pieces: int = 20
    trained: dict[int, int] = field(default_factory=dict)
    plans: list[Plan] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.governor = Governor(self.budget, lambda: self.machine.now, 0.0, steps=[self.steps])
        self.governor.views = self.costs["views"] > 0

    def predict(self, kind: str) -> None:
        """Rows in batches, each with a look at the clock."""
        for _ in range(self.pieces):
            self.governor.check()
            self.machine.work(self.costs[kind] / self.pieces)

    def measure(self) -> None:
        """The start-up, the first cheap model and its score, some steps, some predictions."""
        self.machine.work(self.costs["start-up"])
        with self.governor.measured("cheap"):
            self.machine.work(self.costs["cheap"])
        self.look([0])
        before = self.machine.now
        self.machine.work(5 * self.step)
        self.governor.usual[0] = (self.machine.now - before) / 5
        for kind in ("start", "validate", "test", "views", "test views", "late", "late views"):
            before = self.machine.now
            self.machine.work(self.costs[kind] / self.pieces)
            self.governor.tell(kind, (self.machine.now - before) * self.pieces)

    def fold(self, number: int, finished: int, left: int) -> None:
        views = self.governor.views
        if finished:
            self.machine.work(self.costs["cheap"])
        self.machine.work(self.costs["start"])
        training, began = Training(), self.machine.now
        watch = Watch(self.governor, training, 0, self.steps, COOLDOWN, finished, left, began)
        watch.start(0.1)
        while training.step < watch.end():
            count = min(watch.end(), training.step + 200) - training.step
            for _ in watch.watched(self.batches)(0, count):
                self.machine.work(self.step)
                training.step += 1
        self.trained[number] = training.step
        for kind in ("validate", "test", *(("views", "test views") if views else ())):
            with self.governor.measured(kind):
                self.predict(kind)

    def look(self, folds: list[int]) -> None:
        """Scores and answers with the folds there are."""
        before = self.machine.now
        for _ in range(self.pieces):
            self.governor.check()
            self.machine.work((self.costs["choice"] + len(folds) * self.costs["score"]) / self.pieces)
        self.governor.tell_score(len(folds), self.machine.now - before)
        for kind in ("late", *(("late views",) if self.governor.views else ())):
            for _ in folds:
                self.predict(kind)

    @staticmethod
    def batches(cursor: int, count: int) -> Iterator[Any]:
        yield from range(count)

    def run(self) -> tuple[bool, bool]:
        """(whether all is finished, whether anything of what was configured is missing)."""
        try:
            self.measure()
            waiting = list(range(self.folds))
            done, _ = follow(self.governor, waiting, [], tell=self.plans.append, work=self.fold, look=self.look)
            if not done:
                return False, True
            self.look(done)
        except OutOfTime:
            return False, True
        self.machine.work(1.0)  # writes scores.json
        whole = len(done) == self.folds and all(self.trained[fold] == self.steps for fold in done)
        return True, not whole


def drawn(seed: int) -> Simulated:
    """A run of minutes to hours with a third to thirty times the work that fits, and up to three slow-downs."""
    random = np.random.default_rng(seed)
    budget = float(np.exp(random.uniform(np.log(90), np.log(36000))))
    step = budget * float(np.exp(random.uniform(np.log(5e-4), np.log(3e-3))))
    folds = int(random.integers(2, 7))
    work = float(np.exp(random.uniform(np.log(0.3), np.log(30))))
    largest = {
        "start-up": 0.05,
        "start": 0.004,
        "cheap": 0.02,
        "choice": 0.005,
        "score": 0.002,
        "validate": 0.01,
        "test": 0.01,
        "late": 0.006,
    }
    costs = {kind: budget * share * float(random.random()) for kind, share in largest.items()}
    views = float(random.integers(0, 2)) * 3
    costs |= {"views": views * costs["validate"], "test views": views * costs["test"]}
    costs |= {"late views": views * costs["late"]}
    moments = sorted(random.uniform(0, budget, size=int(random.integers(0, 4))).tolist())
    slow = [(moment, float(random.uniform(1, 3))) for moment in moments]
    steps = max(5, int(work * budget / folds / step))
    return Simulated(budget, Machine(slow), steps, step, folds, costs)


def test_fifty_runs_that_slow_down_all_end_in_time_and_use_their_time() -> None:
    late, idle, finished = [], [], 0
    for seed in range(50):
        run = drawn(seed)
        whole, missing = run.run()
        used = run.machine.now / run.budget
        finished += whole
        late += [(seed, used)] if used > 1 else []
        idle += [(seed, used)] if missing and used < 0.9 else []
    assert late == []
    assert idle == []
    assert finished == 50


def test_steps_that_become_faster_make_nothing_else_cheaper() -> None:
    governor = Governor(1000.0, lambda: 0.0, 0.0, steps=[100])
    for _ in range(8):
        governor.step_took(0, 1.0)
    governor.tell("validate", 4.0)
    governor.tell_score(2, 6.0)
    for _ in range(8):
        governor.step_took(0, 0.5)
    assert governor.step(0) == 0.5
    assert governor.cost("validate") == 4.0
    assert governor.score(2) == 6.0
    for _ in range(8):
        governor.step_took(0, 2.0)
    assert governor.cost("validate") == 8.0


def test_a_score_is_never_expected_to_take_less_than_one_took() -> None:
    governor = Governor(1000.0, lambda: 0.0, 0.0)
    governor.tell_score(1, 6.0)
    governor.tell_score(2, 0.5)
    assert governor.score(5) == 6.0


def test_the_first_steps_of_a_fold_and_a_short_burst_are_no_speed() -> None:
    governor = Governor(180.0, lambda: 0.0, 0.0, steps=[750])
    for _ in range(200):
        governor.step_took(0, 0.025)
    governor.stage_begins(0)
    for _ in range(3):
        governor.step_took(0, 0.25)
    assert governor.step(0) == pytest.approx(0.025)
    for _ in range(200):
        governor.step_took(0, 0.025)
    assert governor.step(0) == pytest.approx(0.025)
