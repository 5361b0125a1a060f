"""A warmup-stable-decay schedule whose length is settled while it is trained.

Until its cooldown begins no step depends on how many follow. The clock is looked at before every step; shedding epochs
moves the start of the cooldown and nothing else. If the machine changes its speed in mid-cooldown, what is left of the
fall is stretched or compressed from where it stands: the rate never jumps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from harness.batch import Batch
from harness.governor import Governor
from harness.training.schedule import STEADY, Rate

NOISE = 0.1  # of the steps left: a change of speed below that moves nothing

Batches = Callable[[int, int], Iterable[Batch]]


@dataclass(frozen=True)
class Course:
    """Where the schedule stands; it is saved with the training state.

    Attributes:
        rise: steps in which the rate rises.
        end: steps of the stage, as far as is known.
        begun: step from which the rate falls, or -1.
        done: share of the fall that is behind at that step.
    """

    rise: int
    end: int
    begun: int = -1
    done: float = 0.0

    def fallen(self, step: int) -> float:
        """Share of the cooldown that is behind at a step."""
        if self.begun < 0:
            return 0.0
        return min(1.0, self.done + (1 - self.done) * (step - self.begun) / max(1, self.end - self.begun))

    def rate(self, step: int, peak: float) -> Rate:
        """Up in a straight line, level, and down as 1 - sqrt(share of the cooldown done)."""
        risen = min(1.0, (step + 1) / (self.rise + 1))
        return Rate(peak * risen * (1 - math.sqrt(self.fallen(step))), STEADY)

    def steered(self, step: int, *, fits: float, total: int, cooldown: float) -> Course:
        """The course after a look at the clock before a step.

        Args:
            fits: steps that there is time for.
            total: configured steps.
            cooldown: share of all steps in which the rate falls.
        """
        most = total - step
        steps = min(most, max(1, int(fits)))
        if self.begun < 0:
            # so long a fall makes up its share of the steps up to its end
            fall = max(1, round(step * cooldown / (1 - cooldown))) if cooldown < 1 else most
            if most <= max(1, round(cooldown * total)) or fits < fall + 1:
                return replace(self, begun=step, end=step + steps)
            return self
        rest = self.end - step
        if rest > 0 and abs(steps - rest) > NOISE * rest:
            return replace(self, begun=step, done=self.fallen(step), end=step + steps)
        return self


class Trained(Protocol):
    """What a watch steers: a training state."""

    step: int
    course: Course | None


@dataclass
class Watch:
    """One stage of one fold, steered by the clock.

    Attributes:
        governor: that says how long it may train.
        training: whose course is set.
        stage: which one.
        total: configured steps.
        cooldown: share of the steps.
        done, missing: folds; the one at hand is missing too.
        fold_begun: the clock when the fold began to train.
    """

    governor: Governor
    training: Trained
    stage: int
    total: int
    cooldown: float
    done: int
    missing: int
    fold_begun: float

    def __post_init__(self) -> None:
        self.begun = self.governor.clock()
        self.governor.stage_begins(self.stage)

    def start(self, warmup: float) -> None:
        """Sets out, with a warm-up that is its share of the steps which fit; a saved course goes on."""
        if self.training.course is None:
            with self.governor.one_look() as now:
                expected = min(self.total, max(1, int(min(self.fits(now), 1e9))))
            self.training.course = Course(rise=round(warmup * expected), end=self.total)

    def fits(self, now: float) -> float:
        """Steps that there is time for."""
        step = self.governor.step(self.stage)
        allowed = self.governor.allowance(
            self.stage,
            done=self.done,
            missing=self.missing,
            spent=now - self.fold_begun,
            spent_stage=now - self.begun,
        )
        return allowed / step if step > 0 else math.inf

    def before_step(self, now: float) -> bool:
        """Steers; whether the step is to be taken."""
        course, step = self.training.course, self.training.step
        assert course is not None, "a watch is started first"
        fits = min(self.fits(now), 1e9)
        self.training.course = course.steered(step, fits=fits, total=self.total, cooldown=self.cooldown)
        return step < self.training.course.end

    def end(self) -> int:
        """Steps that the stage has by now."""
        assert self.training.course is not None, "a watch is started first"
        return self.training.course.end

    def watched(self, batches: Batches) -> Batches:
        """The same batches, which end where the time does."""

        def few(cursor: int, count: int) -> Iterator[Batch]:
            before: float | None = None
            for number, batch in enumerate(batches(cursor, count)):
                with self.governor.one_look() as now:
                    if before is not None and number > 1:  # the first step after a pause pays for warming up
                        self.governor.step_took(self.stage, now - before)
                    before = now
                    if not self.before_step(now):
                        return
                yield batch

        return few
