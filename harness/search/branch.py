"""Branch search: rates and lengths tried along trunks of constant rate, each scored by cooling a copy.

On a warmup-stable-decay schedule nothing before the cooldown depends on the length (Haegele et al. 2024,
arXiv:2405.18392). One trunk per rate therefore serves every length: where a length is to be scored, a copy is cooled
over its last quarter, and the trunk goes on as if nothing had happened. Scores of one length are compared with each
other alone: there is no short run that looks good because its rate has already fallen, which is how pruners by step
choose short runs.

A rung is a length in optimizer steps, its cooldown included.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

FACTOR = 3.0  # between neighbouring rates
RATIO = 2  # between neighbouring rungs
COOLED = 0.25  # share of a rung in which its copy cools
FEWEST = 100  # steps of the first rung at least
FIRST = 8  # the first rung is at least this part of the longest


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


class Trunk(Protocol):
    """Training at one constant rate that can go on for ever, and of which copies can be cooled."""

    def cooled(self, rung: int) -> Outcome:
        """Trains on to where the rung's cooldown begins, and scores a copy cooled to its end; DIVERGED if it does."""
        ...


@dataclass(frozen=True)
class Branch:
    """A cooled copy: the rate's trunk, its rung, what it scored."""

    rate: float
    rung: int
    outcome: Outcome


@dataclass(frozen=True)
class Found:
    """What a search found, and all it looked at, in order.

    Attributes:
        best: the branch to train like.
        branches: all of them.
    """

    best: Branch
    branches: tuple[Branch, ...]


def first_rung(longest: int) -> int:
    """Steps of the shortest rung: at least 100, at least an eighth of the longest, and no more than that."""
    return min(longest, max(FEWEST, -(-longest // FIRST)))


def rungs(longest: int) -> list[int]:
    """The lengths to climb, each about twice the one before, up to the longest."""
    found = [longest]
    while found[-1] // RATIO >= first_rung(longest):
        found.append(found[-1] // RATIO)
    return found[::-1]


def search(
    trunk: Callable[[float], Trunk],
    *,
    edge: float,
    longest: int,
    rates: tuple[float, float],
    seen: Callable[[Branch], None],
    leads: Callable[[Branch], None] = lambda branch: None,
) -> Found:
    """The best rate and length: a bracket of rates on the first rung, then a climb of the best and the next lower.

    Args:
        trunk: rate -> a fresh trunk; asked for once a rate.
        edge: highest rate at which training still holds (of a range test).
        longest: the last rung, in steps.
        rates: lowest and highest rate to try.
        seen: called with each branch as it ends.
        leads: called with each branch that is the best so far, while its rate's trunk has cooled nothing since.
    """
    assert longest >= 1, "there is something to train"
    low, high = rates
    edge = min(max(edge, low), high)
    trunks: dict[int, Trunk] = {}
    branches: list[Branch] = []

    def look(step: int, rung: int) -> Branch:
        rate = edge / FACTOR**step
        if step not in trunks:
            trunks[step] = trunk(rate)
        branch = Branch(rate, rung, trunks[step].cooled(rung))
        branches.append(branch)
        seen(branch)
        return branch

    def inside(step: int) -> bool:
        return low * 0.999 <= edge / FACTOR**step <= high * 1.001

    climb = rungs(longest)
    tried = {step: look(step, climb[0]) for step in (1, 2, 3) if inside(step)} or {0: look(0, climb[0])}
    while True:
        best = min(tried, key=lambda step: _place(tried[step], list(tried.values())))
        beyond = [step for step in (min(tried) - 1, max(tried) + 1) if abs(step - best) == 1 and inside(step)]
        if not beyond:
            break
        tried |= {step: look(step, climb[0]) for step in beyond}
    pair = [step for step in (best, best + 1) if step in tried]
    top = tried[best]
    leads(top)
    for rung in climb[1:]:
        reached = [look(step, rung) for step in pair]
        better = min(reached, key=lambda branch: _place(branch, reached))
        if not _improves(better.outcome, top.outcome):
            break
        top = better
        leads(top)
    return Found(top, tuple(branches))


def _place(branch: Branch, among: Sequence[Branch]) -> tuple[int, float]:
    """Sum of the places by metric and by loss among branches of one rung, then the metric: the lower the better.

    A metric on few rows moves in steps, and a loss need not follow the metric: neither is trusted alone.
    """
    outcomes = [other.outcome for other in among]
    by_metric = sum(other.metric > branch.outcome.metric for other in outcomes)
    by_loss = sum(other.loss < branch.outcome.loss for other in outcomes)
    return by_metric + by_loss, -branch.outcome.metric


def _improves(new: Outcome, old: Outcome) -> bool:
    """Whether a longer rung gains by the metric, or by the loss where the metric stands still."""
    return (new.metric, -new.loss) > (old.metric, -old.loss)
