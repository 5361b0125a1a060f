"""Branch search: rates and lengths tried along trunks of constant rate, each scored by cooling a copy.

On a warmup-stable-decay schedule nothing before the cooldown depends on the length (Haegele et al. 2024,
arXiv:2405.18392). One trunk per rate therefore serves every length: where a length is to be scored, a copy is cooled
over its last quarter, and the trunk goes on as if nothing had happened. Scores of one length are compared with each
other alone: there is no short run that looks good because its rate has already fallen, which is how pruners by step
choose short runs.

A plan is a pure function of what is scored already: it survives a killed process, and several workers can follow it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

FACTOR = 3.0  # between neighbouring rates
RATIO = 2  # between neighbouring rungs
COOLED = 0.25  # share of a rung in which its copy cools
FEWEST = 100  # steps of the first rung at least
FIRST = 8  # the first rung is at least this part of the longest
BELOW = 10  # lite: the range test's minimum divided by this


@dataclass(frozen=True)
class Outcome:
    """What a cooled copy scores on rows it was not trained on.

    Attributes:
        metric: the higher the better (a metric that wants to be low comes with its sign turned); -inf where training
            diverged.
        loss: the lower the better; inf where training diverged.
    """

    metric: float
    loss: float


DIVERGED = Outcome(-math.inf, math.inf)


@dataclass(frozen=True)
class Look:
    """What can be scored: training at a rate for so many optimizer steps (a rung, its cooldown included)."""

    rate: float
    steps: int


Done = Mapping[Look, Outcome]


@dataclass(frozen=True)
class Plan:
    """What is to be scored next, any of it by any worker; or the answer.

    Attributes:
        wanted: not scored yet.
        alive: what is scored and may still be the answer.
        best: the answer, once there is one.
    """

    wanted: tuple[Look, ...] = ()
    alive: frozenset[Look] = frozenset()
    best: Look | None = None


Planner = Callable[[Done], Plan]


def first_rung(longest: int, shortest: int = 1) -> int:
    """Steps of the shortest rung: at least 100, an eighth of the longest and what is allowed, at most the longest."""
    return min(longest, max(FEWEST, -(-longest // FIRST), shortest))


def rungs(longest: int, shortest: int = 1) -> list[int]:
    """The lengths to climb, each about twice the one before, up to the longest."""
    found = [longest]
    while found[-1] // RATIO >= first_rung(longest, shortest):
        found.append(found[-1] // RATIO)
    return found[::-1]


def bracketed(done: Done, *, edge: float, longest: int, rates: tuple[float, float], shortest: int = 1) -> Plan:
    """A bracket of rates on the first rung until the best lies inside, then a climb of it and the next lower one.

    Args:
        edge: highest rate at which training still holds (of a range test).
        longest: the last rung, in steps.
        rates: lowest and highest rate to try.
        shortest: no rung has fewer steps.
    """
    assert longest >= 1, "there is something to train"
    low, high = rates
    edge, (first, *longer) = min(max(edge, low), high), rungs(longest, shortest)

    def look(step: int) -> Look:
        return Look(rounded(edge / FACTOR**step), first)

    def inside(step: int) -> bool:
        return low * 0.99 <= look(step).rate <= high * 1.01

    steps = [step for step in (1, 2, 3) if inside(step)] or [0]
    while True:
        if missing := tuple(look(step) for step in steps if look(step) not in done):
            return Plan(missing, frozenset(look(step) for step in steps) & done.keys())
        best = min(steps, key=lambda step: _place(done[look(step)], [done[look(other)] for other in steps]))
        if all(done[look(step)] == DIVERGED for step in steps):
            best = max(steps)  # below it there may be a rate that holds
        beyond = [step for step in (min(steps) - 1, max(steps) + 1) if abs(step - best) == 1 and inside(step)]
        if not beyond:
            break
        steps += beyond
    if done[look(best)] == DIVERGED:
        return Plan(best=look(best))
    pair = [look(step).rate for step in (best, best + 1) if step in steps]
    return _climbed(done, pair, longer, top=look(best))


def lite(done: Done, *, edge: float, longest: int, rates: tuple[float, float], shortest: int = 1) -> Plan:
    """One trunk, at a tenth of the range test's minimum, scored at every length while that gains.

    Args:
        edge: the rate with the range test's lowest loss.
        longest, rates, shortest: as of `bracketed`.
    """
    low, high = rates
    first, *longer = rungs(longest, shortest)
    only = Look(rounded(min(max(edge / BELOW, low), high)), first)
    return _climbed(done, [only.rate], longer, top=only) if only in done else Plan((only,))


def grid(done: Done, *, rates: Sequence[float], lengths: Sequence[int]) -> Plan:
    """Every rate with every length, the best metric (of equals the lowest loss, then the fewest steps)."""
    cells = [Look(rounded(rate), steps) for steps in lengths for rate in rates]
    if missing := tuple(cell for cell in cells if cell not in done):
        return Plan(missing)
    return Plan(best=max(cells, key=lambda cell: (done[cell].metric, -done[cell].loss, -cell.steps)))


def spaced(low: float, high: float, number: int) -> list[float]:
    """Numbers from low to high, each the same multiple of the one before."""
    return [low * (high / low) ** (index / (number - 1)) for index in range(number)]


def rounded(rate: float) -> float:
    """Three significant digits: a rate that is read, typed again and found equal on every machine."""
    return float(f"{rate:.3g}")


def so_far(done: Done) -> Look:
    """The answer where a search must end now: what a climb over the rungs that were scored would take."""
    top: Look | None = None
    for steps in sorted({look.steps for look in done}):
        looks = [look for look in done if look.steps == steps]
        best = min(looks, key=lambda look: _place(done[look], [done[other] for other in looks]))
        if top is None or _improves(done[best], done[top]):
            top = best
    assert top is not None, "something was scored"
    return top


def _climbed(done: Done, pair: Sequence[float], longer: Sequence[int], *, top: Look) -> Plan:
    """Ever longer rungs of one or two rates while the better of them gains.

    A rate that loses twice in a row, by metric and by loss, is left: where the other pulls away it costs a third.
    """
    before = top.steps
    for rung in longer:
        looks = [Look(rate, rung) for rate in pair]
        if missing := tuple(look for look in looks if look not in done):
            return Plan(missing, frozenset((top, *looks)) & done.keys())
        better = min(looks, key=lambda look: _place(done[look], [done[other] for other in looks]))
        if not _improves(done[better], done[top]):
            break
        top = better
        beaten = [look.rate for look in looks if _beaten(done, look, better) and _beaten(done, look, better, before)]
        pair, before = [rate for rate in pair if rate not in beaten], rung
    return Plan(best=top, alive=frozenset((top,)))


def _beaten(done: Done, look: Look, winner: Look, steps: int | None = None) -> bool:
    """Whether a rate lost by metric and by loss on the rung of `look`, or on another one."""
    own, other = (done[Look(one.rate, steps or one.steps)] for one in (look, winner))
    return own.metric < other.metric and own.loss > other.loss


def _place(outcome: Outcome, among: Sequence[Outcome]) -> tuple[int, float]:
    """Sum of the places by metric and by loss among outcomes of one rung, then the metric: the lower the better.

    A metric on few rows moves in steps, and a loss need not follow the metric: neither is trusted alone.
    """
    by_metric = sum(other.metric > outcome.metric for other in among)
    by_loss = sum(other.loss < outcome.loss for other in among)
    return by_metric + by_loss, -outcome.metric


def _improves(new: Outcome, old: Outcome) -> bool:
    """Whether a longer rung gains by the metric, or by the loss where the metric stands still."""
    return (new.metric, -new.loss) > (old.metric, -old.loss)
