"""A worker's round: sweep, look what is wanted, claim, train, tell; until the study has its answer.

Only training that diverged prunes, and only running out of memory is caught: any other error ends the search of all
workers, and what was being scored is wanted again when it goes on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from optuna.trial import FrozenTrial, Trial, TrialState

from harness.config import Dimension
from harness.errors import DivergedError, MemoryShortError, RunError
from harness.search.book import LOOK, Book, key_of
from harness.search.branch import DIVERGED, Done, Look, Outcome, Plan, Planner
from harness.search.sampled import distribution

STOPPED = "stopped"  # attribute of the study: why the search ended for all


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

    def branch(self, look: Look) -> Outcome:
        """Scores a cooled copy of the rate's trunk."""
        ...

    def whole(self, look: Look) -> Outcome:
        """Scores training with the configured schedule, from the beginning."""
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
    settled: Callable[[Plan], None] = lambda plan: None,
    pause: Callable[[float], None] = time.sleep,
) -> Look:
    """Works until the plan has its answer, and returns it.

    Args:
        train: scores a look.
        longest: steps of the longest schedule, of which trials' intermediate values are fractions.
        told: called with what this worker scored.
        settled: called with every new plan; what is not alive in it is never asked for again.
        pause: waits some seconds where others work on all that is wanted.
    """
    with _round(book):
        while True:
            _look_around(book)
            done = book.done()
            plan = planner(done)
            settled(plan)
            if plan.best is not None:
                return plan.best
            for look in plan.wanted:
                trial = _claimed(book, look, done, bench=bench, longest=longest, method=method)
                if trial is not None:
                    outcome = _score(book, trial, lambda look=look: train(look), bench)
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
    told: Callable[[Mapping[str, Any], Outcome], None] = lambda params, outcome: None,
    pause: Callable[[float], None] = time.sleep,
) -> FrozenTrial:
    """Works until so many trials have ended, and returns the best of those that were not pruned.

    Args:
        space: what the sampler draws.
        steps: of a trial's schedule.

    Raises:
        RunError: all trials diverged, or none was finished.
    """
    dimensions = {name: distribution(dimension) for name, dimension in space.items()}
    with _round(book):
        while True:
            _look_around(book)
            trial = _retried(book) or _asked(book, dimensions, trials)
            if trial is None:
                if not book.trials(TrialState.RUNNING):
                    break
                pause(1.0)
                continue
            params = dict(trial.params)
            trial.set_user_attr("steps", steps(params))
            outcome = _score(book, trial, lambda trial=trial: _sample(bench, book, trial), bench)
            told(params, outcome)
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


def _asked(book: Book, dimensions: Mapping[str, Any], trials: int) -> Trial | None:
    """A trial newly drawn, while there are too few; with W workers there may be W - 1 too many."""
    if len({key_of(trial) for trial in book.trials()}) >= trials:
        return None
    trial = book.study.ask(dict(dimensions))
    for name, value in (("worker", book.worker), ("key", str(trial.number)), ("method", "tpe")):
        trial.set_user_attr(name, value)
    return trial


def _retried(book: Book) -> Trial | None:
    """A trial that another worker left behind, or that an error ended, to be gone on with."""
    for trial in book.trials(TrialState.FAIL):
        key = key_of(trial)
        if not trial.params or trial.user_attrs.get("memory"):
            continue
        facts = {name: trial.user_attrs[name] for name in ("steps",) if name in trial.user_attrs}
        claimed = book.claim(
            key, trial.params, trial.distributions, seen=trial.intermediate_values, method="tpe", **facts
        )
        if claimed is not None:
            return claimed
    return None


def _sample(bench: Bench, book: Book, trial: Trial) -> Outcome:
    frozen = book.trials()[trial.number]
    known = dict(frozen.intermediate_values)

    def report(step: int, metric: float) -> None:
        if step not in known:
            trial.report(book.sign * metric, step)
        if trial.should_prune():
            raise Pruned(Outcome(metric, math.inf))

    return bench.sample(key_of(frozen), trial.params, report)


def _score(book: Book, trial: Trial, train: Callable[[], Outcome], bench: Bench) -> Outcome:
    """Trains and tells; whatever happens, the trial does not stay running."""
    began, state = bench.trained, book.trials()[trial.number]
    try:
        with book.beating(trial):
            pruned = False
            try:
                outcome = train()
            except Pruned as early:
                outcome, pruned = early.outcome, True
            except DivergedError:
                outcome = DIVERGED
        at = state.user_attrs.get("at")
        if at is not None and outcome != DIVERGED:
            trial.report(book.sign * outcome.metric, at)
        book.tell(trial, outcome, pruned=pruned, trained=bench.trained - began)
        return outcome
    except MemoryShortError as error:  # other settings may fit
        book.fail(trial.number, str(error), memory=True, trained=bench.trained - began)
        return DIVERGED
    except BaseException as error:
        book.fail(trial.number, f"{type(error).__name__}: {error}")
        if isinstance(error, Exception):
            book.study.set_user_attr(STOPPED, f"{type(error).__name__}: {error}")
        raise


def _round(book: Book) -> Any:
    """This worker at work; an earlier end of the search is forgotten."""
    book.sweep()
    if book.study.user_attrs.get(STOPPED) and not book.trials(TrialState.RUNNING):
        book.study.set_user_attr(STOPPED, "")
    return book.at_work()


def _look_around(book: Book) -> None:
    if why := book.study.user_attrs.get(STOPPED):
        raise RunError(f"another worker of the search met {why}", fix="mend that, and run the same command again")
    book.sweep()
