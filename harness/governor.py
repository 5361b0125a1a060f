"""What fits into the time that a run has, and what is shed where it does not.

Every decision is made of measured seconds, and asked for by the pipeline and by a simulated run alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.errors import OutOfTime
from harness.meter import SLOWER, Meter

CUSHION = 0.05  # of the budget at most is kept beside the measured seconds of what can be stopped
LEAST_STEPS = 10  # of a stage, or the configured ones: below that nothing is learnt
KEPT_FOLDS = 3  # folds are shed down to so many, where so many can be trained at all
KEPT_EPOCHS = 0.75  # a fold is shed before more than the rest of the epochs are: a fold is a large unit of time
WORTH = 0.25  # of the epochs: a last fold beyond `KEPT_FOLDS` that gets less is left out
SEARCHED = 1 / 3  # of what is left, at most, goes to a search


@dataclass(frozen=True)
class Plan:
    """What fits.

    Attributes:
        folds: that are still trained.
        total: of folds, with those that are finished.
        views: whether test-time views are looked at.
        epochs: share of the configured epochs that there is time for, 0 to 1.
    """

    folds: list[int]
    total: int
    views: bool
    epochs: float


@dataclass
class Governor(Meter):
    """How many folds a run trains, for how long, and when it must stop.

    Attributes:
        steps: configured optimizer steps of each stage.
        views: whether views are looked at.
        guard: seconds that what can be stopped leaves to what follows it; see `check`.
    """

    steps: Sequence[int] = ()
    views: bool = False
    guard: float = 0.0

    def check(self) -> None:
        """Asked between two pieces of work that can be stopped.

        Raises:
            OutOfTime: only `guard` seconds are left.
        """
        if self.left() < self.guard:
            raise OutOfTime("the time is up", fix="go on with: harness resume RUN --budget TIME")

    def epochs(self, share: float = 1.0) -> float:
        """Seconds of a share of one fold's steps."""
        return sum(max(1.0, count * share) * self.step(stage) for stage, count in enumerate(self.steps))

    def least(self, done: int, waiting: int) -> float:
        """Seconds of the fewest steps that `waiting` folds are trained for; of an only one that is one a stage."""
        fewest = LEAST_STEPS if done + waiting > 1 else 1
        return waiting * sum(min(count, fewest) * self.step(stage) for stage, count in enumerate(self.steps))

    def ending(self, folds: int) -> float:
        """Seconds of choosing, scoring, predicting and writing at the end of `folds` folds."""
        late = self.cost("late") + self.views * self.cost("late views")
        return self.score(folds) + folds * late + self.cost("write")

    def predicting(self) -> float:
        """Seconds of what one fold predicts after its training."""
        return self.cost("validate") + self.cost("test") + self.views * (self.cost("views") + self.cost("test views"))

    def looks(self, done: int, folds: int) -> float:
        """Seconds of the submissions that are made before the last: after the first fold and after the second."""
        return sum(self.ending(number) - self.cost("write") for number in (1, 2) if done < number < folds)

    def margin(self, folds: int) -> float:
        """Seconds kept beside the measured ones of what follows the last step.

        A step and the writing of files cannot be stopped: they may take three times as long as at the first speed. For
        scores and predictions that is kept only as far as a twentieth of the budget goes: they are given up where they
        take longer, and what was written before stands.
        """
        last = max((self.step(stage) for stage in range(len(self.steps))), default=0.0)
        fixed = (self.slower() - 1) * (self.cost("write") + last)
        rest = (self.slower() - 1) * (self.ending(folds) + self.predicting())
        return max(fixed, min(rest, CUSHION * self.seconds))

    def slower(self) -> float:
        """How many times longer than now what cannot be stopped may take: less where the machine is slow already."""
        return max(1.5, SLOWER / max(1.0, self.speed))

    def hopeful(self, done: int, missing: int) -> bool:
        """Whether a look at the folds that are done could show that a missing one fits: that all is faster again."""
        now, again = self.speed, self.ending(done)
        self.speed = min(1.0, 0.8 * now)
        fits = self.trainable(done, 1) - again > self.least(done, 1)
        self.speed = now
        return missing > 0 and fits and self.left() > 2 * again + self.margin(done)

    def kept_free(self, folds: int) -> float:
        """Seconds to leave, while a fold is at work, to the ending of those that are finished: the margin may go."""
        return self.ending(folds) if folds else 0.0

    def trainable(self, done: int, waiting: int, *, begun: bool = False) -> float:
        """Seconds that the steps of all `waiting` folds may take.

        Args:
            done: folds that are finished.
            begun: the first of the waiting is built and has its cheap model.
        """
        folds = done + waiting
        each = waiting * self.predicting() + (waiting - begun) * (self.cost("start") + self.cost("cheap"))
        return self.left() - each - self.looks(done, folds) - self.ending(folds) - self.margin(folds)

    def share(self, done: int, waiting: int, *, begun: bool = False, spent: float = 0.0) -> float:
        """Share of the configured epochs that `waiting` folds may have, were all of them trained alike."""
        whole = waiting * self.epochs()
        return (spent + self.trainable(done, waiting, begun=begun)) / whole if whole else 1.0

    def room(self, done: int, missing: int, *, begun: bool = False, spent: float = 0.0) -> int:
        """How many of the missing folds are trained; one that has begun is.

        Folds go down to three, and one only where more than a quarter of the epochs would be missing: a smaller gap is
        closed by fewer epochs alone, since a fold less would leave time unused; so is a larger one if it would. Below
        three they go only where even `LEAST_STEPS` steps of each do not fit; an only fold takes what steps there are.
        """
        number, fewest = missing, int(begun)
        while number > 1 and done + number > KEPT_FOLDS:
            here, fewer = (self.share(done, folds, begun=begun, spent=spent) for folds in (number, number - 1))
            if here >= KEPT_EPOCHS or (here >= WORTH and fewer > 1):
                break
            number -= 1
        if done >= KEPT_FOLDS and number == 1 and not begun and self.share(done, 1) < WORTH:
            number = 0
        while number > fewest and spent + self.trainable(done, number, begun=begun) < self.least(done, number):
            number -= 1
        return number

    def plan(self, missing: Sequence[int], *, done: int = 0) -> Plan:
        """What of the missing folds fits: views are shed first, then folds (see `room`), then epochs."""
        if self.views and self.share(done, len(missing)) < (KEPT_EPOCHS if done else 1.0):
            self.views = False
        number = self.room(done, len(missing))
        epochs = min(1.0, max(0.0, self.share(done, number))) if number else 0.0
        return Plan(list(missing[:number]), done + number, self.views, epochs)

    def allowance(self, stage: int, *, done: int, missing: int, spent: float, spent_stage: float) -> float:
        """Seconds that the stage at hand may still train: the fold's even share of what the folds to come have.

        Args:
            done, missing: folds; the one at hand is missing too.
            spent: seconds that the fold has trained.
            spent_stage: of them in this stage.
        """
        waiting = self.room(done, missing, begun=True, spent=spent)
        fold = (spent + self.trainable(done, waiting, begun=True)) / waiting - spent
        works = [count * self.step(number) for number, count in enumerate(self.steps)]
        share = works[stage] / sum(works[stage:]) if sum(works[stage:]) else 1.0
        return share * (spent_stage + fold) - spent_stage

    def search_steps(self, step: float) -> int:
        """Optimizer steps, of `step` seconds each, that a search may take: a third of the time left at most.

        What three folds of the fewest steps and the ending need is left alone.
        """
        needed = KEPT_FOLDS * (self.predicting() + self.cost("start") + self.cost("cheap") + LEAST_STEPS * step)
        free = self.left() - needed - self.ending(KEPT_FOLDS) - self.margin(KEPT_FOLDS)
        return max(0, int(min(SEARCHED * self.left(), free) / step)) if step > 0 else 0


def follow(
    governor: Governor,
    waiting: Sequence[int],
    done: Sequence[int],
    *,
    tell: Callable[[Plan], None],
    work: Callable[[int, int, int], None],
    look: Callable[[list[int]], None],
) -> tuple[list[int], list[int]]:
    """Works on fold after fold as long as there is time; returns (finished folds, folds begun in vain).

    The first is submitted at once. What fits is planned anew before each: a machine that got slower sheds more, one
    that got faster less. Where folds are missing and none seems to fit, the finished ones are scored and submitted,
    which also tells whether the machine is still as slow as the last steps said.

    Args:
        waiting, done: folds to train, and those of an earlier process.
        tell: what is shed, said before each fold.
        work: (fold, number of finished folds, number of missing ones); ends with OutOfTime where its predictions come
            too late.
        look: a submission by the finished folds.

    Raises:
        OutOfTime: before any fold is finished.
    """
    left, finished, vain, looked = list(waiting), list(done), list[int](), 0
    while left:
        plan = governor.plan(left, done=len(finished))
        tell(plan)
        if not plan.folds and looked < len(finished) and governor.hopeful(len(finished), len(left)):
            looked, before, expected = len(finished), governor.clock(), governor.ending(len(finished))
            look(finished)
            governor.felt(governor.clock() - before, expected - governor.cost("write"))
            continue
        if not plan.folds:
            break
        number = plan.folds[0]
        governor.guard = governor.kept_free(len(finished))
        try:
            work(number, len(finished), len(left))
        except OutOfTime:
            if not finished:
                raise
            vain.append(number)
            break
        left.remove(number)
        finished.append(number)
        if len(finished) <= 2 and left and governor.room(len(finished), len(left)):
            governor.guard = 0.0
            look(finished)
    governor.guard = 0.0
    return finished, vain
