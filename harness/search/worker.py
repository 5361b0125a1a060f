"""A worker's round: sweep, look what is wanted, claim, train, tell; until the study has its answer.

Only training that diverged prunes, and only running out of memory is caught: any other error ends the search of all
workers, and what was being scored is wanted again when it goes on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, Trial, TrialState

from harness.config import Dimension
from harness.errors import DivergedError, MemoryShortError, RunError, Stopped
from harness.search.book import LOOK, Book, holds, key_of
from harness.search.branch import DIVERGED, Done, Look, Outcome, Plan, Planner
from harness.search.sampled import distribution, sampler


class Pruned(Exception):
    """A trial is given up: what it scores so far."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Bench(Protocol):
    """What trains for a search."""

    @property
    def trained(self) -> int:
        """Optimizer steps so far."""
        ...

    def sample(self, key: str, params: Mapping[str, Any], report: Callable[[int, float], None]) -> Outcome:
        """Scores training with some settings; reports the metric at per mille of the schedule.

        Raises:
            Pruned: from `report`.
        """
        ...

    def epochs(self, steps: int) -> float:
        """Passes over the rows that take so many steps."""
        ...


Told = Callable[[Look, Outcome], None]


def planned(
    book: Book,
    planner: Planner,
    train: Callable[[Look], Outcome],
    *,
    bench: Bench,
    longest: int,
    method: str,
    told: Told = lambda look, outcome: None,
    settled: Callable[[Plan, Done], None] = lambda plan, done: None,
    pause: Callable[[float], None] = time.sleep,
) -> Look:
    """Works until the plan has its answer, and returns it.

    Args:
        train: scores a look.
        longest: steps of the longest schedule, of which trials' intermediate values are fractions.
        told: called with what this worker scored.
        settled: called with every new plan and what it stands on; what of that is not alive is never asked for again.
        pause: waits some seconds where others work on all that is wanted.
    """
    with book.at_work():
        while True:
            book.look_around()
            done = book.done()
            plan = planner(done)
            settled(plan, done)
            if plan.best is not None:
                return plan.best
            for look in plan.wanted:
                trial = _claimed(book, look, done, bench=bench, longest=longest, method=method)
                if trial is not None:
                    outcome = _score(book, trial, lambda look=look: train(look), bench)
                    if outcome is not None:
                        told(look, outcome)
                    break
            else:
                pause(1.0)


def sampled(
    book: Book,
    space: Mapping[str, Dimension],
    bench: Bench,
    *,
    trials: int,
    steps: Callable[[Mapping[str, Any]], int],
    seed: int = 0,
    told: Callable[[Mapping[str, Any], Outcome], None] = lambda params, outcome: None,
    pause: Callable[[float], None] = time.sleep,
) -> FrozenTrial:
    """Works until so many trials have ended, and returns the best of those that were not pruned.

    Args:
        space: what the sampler draws.
        steps: of a trial's schedule.
        seed: of what is drawn.

    Raises:
        RunError: all trials diverged, or none was finished.
    """
    dimensions = {name: distribution(dimension) for name, dimension in space.items()}
    with book.at_work():
        while True:
            book.look_around()
            known = book.trials()
            if len({key_of(trial) for trial in known if holds(trial) and trial.state.is_finished()}) >= trials:
                break
            trial = _drawn(book, known, dimensions, trials=trials, seed=seed)
            if trial is None:
                pause(1.0)
                continue
            outcome = _score(book, trial, lambda trial=trial: _sample(bench, book, trial, steps), bench)
            if outcome is not None:
                told(dict(trial.params), outcome)
    complete = book.trials(TrialState.COMPLETE)
    if not complete:
        raise RunError("no trial of the search came to its end", fix="lower space.rate, or raise --trials")
    return max(complete, key=lambda trial: book.outcome(trial).metric)


def _claimed(book: Book, look: Look, done: Done, *, bench: Bench, longest: int, method: str) -> Trial | None:
    """The look's trial; its intermediate values are what shorter rungs of its trunk scored."""
    shorter = {other: outcome for other, outcome in done.items() if other.rate == look.rate and outcome != DIVERGED}
    seen = {
        per_mille(other.steps, longest): book.sign * outcome.metric
        for other, outcome in shorter.items()
        if method != "grid" and other.steps < look.steps
    }
    facts = {"method": method, "steps": look.steps, "at": per_mille(look.steps, longest)}
    params = {"rate": look.rate, "epochs": bench.epochs(look.steps)}
    return book.claim(f"{look.rate:g}/{look.steps}", params, LOOK, seen=seen, **facts)


def per_mille(steps: int, longest: int) -> int:
    """How far a length goes of the longest."""
    return round(1000 * steps / longest)


def _drawn(
    book: Book, known: Sequence[FrozenTrial], dimensions: Mapping[str, Any], *, trials: int, seed: int
) -> Trial | None:
    """One of the trials: newly drawn, or left behind by a worker that is gone; None where others have all that is left.

    Each is drawn with a seed of its own: workers on several machines, and one that goes on, draw nothing twice.
    """
    held = {key_of(trial) for trial in known if holds(trial)}
    for index in range(trials):
        key = str(index)
        if key in held:
            continue
        left = [trial for trial in known if key_of(trial) == key and dimensions.keys() <= trial.params.keys()]
        again = {"params": left[-1].params, "distributions": left[-1].distributions} if left else {}
        seen = left[-1].intermediate_values if left else {}
        book.study.sampler = sampler(seed + index)
        trial = book.claim(key, **{"params": {}, "distributions": {}, **again}, seen=seen, method="tpe")
        if trial is not None:
            for name, dimension in dimensions.items():
                trial._suggest(name, dimension)  # as `ask` does, which would not name the owner
            return trial
    return None


def _sample(bench: Bench, book: Book, trial: Trial, steps: Callable[[Mapping[str, Any]], int]) -> Outcome:
    trial.set_user_attr("steps", steps(trial.params))
    frozen = book.trials()[trial.number]
    known = dict(frozen.intermediate_values)

    def report(step: int, metric: float) -> None:
        if step not in known:
            trial.report(book.sign * metric, step)
        if trial.should_prune():
            raise Pruned(Outcome(metric, math.inf))

    return bench.sample(key_of(frozen), trial.params, report)


def _score(book: Book, trial: Trial, train: Callable[[], Outcome], bench: Bench) -> Outcome | None:
    """Trains and tells; whatever happens, the trial does not stay running.

    Returns:
        What it scored; None where others thought this worker gone (a machine that slept) and score the same again.
    """
    began = bench.trained
    try:
        with book.watch.beating(trial):
            pruned = False
            try:
                outcome = train()
            except Pruned as early:
                outcome, pruned = early.outcome, True
            except DivergedError:
                outcome = DIVERGED
        book.tell(trial, outcome, pruned=pruned, at=trial.user_attrs.get("at"), trained=bench.trained - began)
        return outcome
    except UpdateFinishedTrialError:
        return None
    except MemoryShortError as error:  # other settings may fit
        book.fail(trial.number, str(error), memory=True, trained=bench.trained - began)
        return DIVERGED
    except BaseException as error:
        why = f"{type(error).__name__}: {error}"
        if isinstance(error, Exception) and not isinstance(error, Stopped):
            book.stop(why)  # first: else another worker takes what is failed below, and meets the same
        book.fail(trial.number, why)
        raise
