"""How long a run has, how long it took so far, and what its parts cost on this machine, as it measured them.

All seconds are told to it: it reads no clock but the one it is given.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from harness.errors import ConfigError

Clock = Callable[[], float]
LEAST_BUDGET = 10.0  # seconds: libraries alone take half of that
SLOWER = 3.0  # times: a slow-down that what cannot be stopped must bear
FASTER = 0.5  # times at least: first steps may have been slow for reasons of their own
SLOWEST = 10.0  # times: a speed beyond that is no measurement
SETTLED = 1.0  # seconds of steps that a speed is measured over at least: the first ones pay for starting to load
WINDOW = 3.0  # seconds of the latest steps that count, of large ones eight: another program's burst is no speed


def seconds_of(text: str) -> float:
    """Seconds of a duration such as `9h`, `40m`, `300s` or `1h30m`.

    Raises:
        ConfigError: no duration, or one that is over before anything is trained.
    """
    number = r"(\d+(?:\.\d+)?)"
    found = re.fullmatch(rf"(?:{number}h)?(?:{number}m)?(?:{number}s)?", text.strip())
    if not text.strip() or found is None:
        raise ConfigError(f"--budget {text}", fix="give hours, minutes or seconds: 9h, 40m, 300s, 1h30m")
    seconds = sum(float(part or 0) * unit for part, unit in zip(found.groups(), (3600, 60, 1), strict=True))
    if seconds < LEAST_BUDGET:
        raise ConfigError(
            f"--budget {text}", fix=f"give {LEAST_BUDGET:g}s or more: loading the libraries takes seconds"
        )
    return seconds


@dataclass
class Meter:
    """Seconds of a process, and of the parts of its work.

    Costs are seconds per fold: "start" (a net before its first step), "cheap", "validate" and "test" (rows predicted
    right after training), "late" (rows that all folds predict at the end), with "views", "test views" and "late views"
    for what views add; and "write", once. Scores have a cost for each number of folds. The speed is what steps take now
    against what they took when they were first measured; other costs are taken to grow with it, and not to shrink:
    steps that became faster (their pictures lie in memory) do not make a score faster.

    Attributes:
        seconds: that this process may take.
        clock: seconds since whenever.
        begun: the clock when the process began.
        costs: kind -> seconds at the first speed.
        taken: kind -> its shortest and its latest measured seconds.
        scored: folds -> seconds that choosing and scoring took, at the first speed.
        usual: stage -> seconds of an optimizer step at the first speed.
        speed: how many times slower than first everything is now.
        stopped: where the clock stands still, or None.
        recent: seconds of each of the latest steps.
    """

    seconds: float
    clock: Clock
    begun: float
    costs: dict[str, float] = field(default_factory=lambda: {"write": 1.5})
    taken: dict[str, tuple[float, float]] = field(default_factory=dict)
    scored: dict[int, float] = field(default_factory=dict)
    usual: dict[int, float] = field(default_factory=dict)
    speed: float = 1.0
    stopped: float | None = None
    recent: deque[float] = field(default_factory=deque)

    @contextmanager
    def one_look(self) -> Iterator[float]:
        """Within the block the clock stands still, at what is yielded: all that is decided is of one moment."""
        self.stopped = self.clock()
        try:
            yield self.stopped
        finally:
            self.stopped = None

    def used(self) -> float:
        """Seconds since the process began."""
        return (self.clock() if self.stopped is None else self.stopped) - self.begun

    def left(self) -> float:
        """Seconds until it must have ended, less those in which an interpreter ends."""
        return self.seconds - self.used() - min(5.0, 1.0 + 0.01 * self.seconds)

    @contextmanager
    def measured(self, kind: str) -> Iterator[None]:
        """What the block takes is what `kind` costs."""
        before = self.clock()
        yield
        self.tell(kind, self.clock() - before)

    @property
    def slowness(self) -> float:
        """How many times slower than first everything but steps is taken to be."""
        return min(SLOWER, max(1.0, self.speed))

    def tell(self, kind: str, seconds: float) -> None:
        """What `kind` costs at the present speed."""
        self.costs[kind] = seconds / self.slowness
        self.taken[kind] = (min(seconds, self.taken.get(kind, (seconds, 0.0))[0]), seconds)

    def cost(self, kind: str) -> float:
        """Seconds that `kind` takes now; 0 where it was never measured."""
        seconds = self.costs.get(kind, 0.0) * self.slowness
        if kind not in self.taken:
            return seconds
        # measured when all was slow already and the steps had not yet told: it is not to be multiplied twice
        shortest, latest = self.taken[kind]
        return min(seconds, max(SLOWER * shortest, latest))

    def stage_begins(self, stage: int) -> None:
        """The steps before were another stage's, or another fold's."""
        self.recent.clear()

    def step_took(self, stage: int, seconds: float) -> None:
        """One optimizer step, but for the first after a pause."""
        self.recent.append(seconds)
        whole = sum(self.recent)
        while len(self.recent) > 8 and whole - self.recent[0] >= WINDOW:
            whole -= self.recent.popleft()
        mean = whole / len(self.recent)
        if stage not in self.usual and len(self.recent) >= 3:
            self.usual[stage] = mean / self.speed
        if self.usual.get(stage, 0.0) > 0 and whole >= SETTLED:
            self.speed = min(SLOWEST, max(FASTER, mean / self.usual[stage]))

    def felt(self, seconds: float, expected: float) -> None:
        """Corrects the speed by what took `seconds`, where it was expected to take others."""
        if seconds > 0 and expected > 0:
            self.recent.clear()
            self.speed = min(SLOWEST, max(FASTER, self.speed * seconds / expected))

    def step(self, stage: int) -> float:
        """Seconds of a step of a stage; of one that never ran, those of the stage before it."""
        known = [number for number in self.usual if number <= stage]
        return self.usual[max(known)] * self.speed if known else 0.0

    def tell_score(self, folds: int, seconds: float) -> None:
        """What it took to choose and score with so many folds."""
        self.scored[folds] = seconds / self.slowness

    def score(self, folds: int) -> float:
        """Seconds of choosing and scoring.

        Some metrics are counted pixel by pixel, others swept by label whatever the rows: with one number of folds
        known, half of the way between is taken, with two the line through them, and never less than was ever taken: an
        only fold's rows choose for each other in many parts.
        """
        if not self.scored:
            return 0.0
        first, last = min(self.scored), max(self.scored)
        slope = 0.5 * self.scored[last] / last
        if first < last:
            slope = (self.scored[last] - self.scored[first]) / (last - first)
        slope = min(max(0.0, slope), self.scored[last] / last)
        return max(self.scored[last] + slope * (folds - last), *self.scored.values(), 0.0) * self.slowness
