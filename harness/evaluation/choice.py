"""How members weigh and what is decided: chosen greedily, and kept where it gains on rows that did not choose.

N rows, S statistics per row, M members.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from harness.metrics import Metric

Weights = tuple[float, ...]
Chosen = tuple[Weights, Any]  # the members' weights and the decision


class Evidence(Protocol):
    """What some rows' predictions and truths say, for any decision."""

    @property
    def groups(self) -> np.ndarray:
        """int64 [N]: what the metric pools over."""
        ...

    def take(self, rows: np.ndarray) -> Evidence:
        """The same for some rows."""
        ...

    def choose(self, metric: Metric) -> Any:
        """The decision that is best on these rows."""
        ...

    def untold(self) -> Any:
        """The decision fixed in advance, where there are no rows to choose on."""
        ...

    def steps(self, before: Any, after: Any) -> dict[str, Any]:
        """What of a decision is a choice of its own -> `before` with this and all earlier ones as in `after`."""
        ...

    def statistics(self, decision: Any, metric: Metric) -> np.ndarray:
        """float64 [N, S] under a decision."""
        ...


Blend = Callable[[Weights], Evidence]


def by_part(
    blend: Blend, parts: np.ndarray, weights: Mapping[int, Weights], decisions: Mapping[int, Any], metric: Metric
) -> np.ndarray:
    """float64 [N, S]: the statistics of every row under the weights and the decision of its part."""
    statistics: np.ndarray | None = None
    for part, decision in decisions.items():
        rows = np.flatnonzero(parts == part)
        own = blend(weights[part]).take(rows).statistics(decision, metric)
        statistics = np.empty((len(parts), own.shape[1])) if statistics is None else statistics
        statistics[rows] = own
    assert statistics is not None, "there is a part"
    return statistics


@dataclass(frozen=True)
class Choice:
    """What rows choose, with some parts left out; every choice is made once and used wherever it is asked for.

    Attributes:
        blend: the members' weights -> the evidence of all rows.
        parts: int64 [N].
        kinds: [M], members of one kind stand for each other.
        picks: of the greedy walk.
        constant: whether the last member is a constant answer, which looks at no input.
        known: what was chosen, by the parts left out.
    """

    blend: Blend
    parts: np.ndarray
    metric: Metric
    kinds: Sequence[int]
    picks: int
    constant: bool = False
    known: dict[frozenset[int], tuple[Chosen, Chosen, Chosen]] = field(default_factory=dict)

    def checked(self, without: frozenset[int]) -> Chosen:
        """The constant answer, unless the best other member gains on it; or a mixture, if that gains more.

        What is chosen looks better on the rows that chose it. So all three are chosen again with each part left out in
        turn, and the pooled answers to those parts are compared: a mixture is kept if it is better than the best member
        alone, and either only if it is better than the constant. With a single part left there are no such rows:
        nothing is mixed, and the constant is compared on the rows that chose.

        To ask for a gain of more than one standard error (Breiman, Friedman, Olshen and Stone 1984, Classification and
        Regression Trees, section 3.4.3) keeps noise out no better, and lost a fifth of the score of a net that is half
        again as good as the constant, on 53 frames of 12 groups: two of five folds could not be sure of it.
        """
        alone, mixture, simplest = self._made(without)
        mixing = mixture[0] != alone[0] and len(self._inner(without)) > 1
        if not self.constant and not mixing:
            return alone
        rows, sign = self._rows(without), 1.0 if self.metric.higher_is_better else -1.0
        groups = self.blend(alone[0]).groups[rows]

        def value(of: np.ndarray) -> float:
            return sign * float(self.metric.reduce(of, groups))

        best, statistics = alone, self._crossed(0, without)
        if mixing and value(mixed := self._crossed(1, without)) > value(statistics):
            best, statistics = mixture, mixed
        return best if not self.constant or value(statistics) > value(self._crossed(2, without)) else simplest

    def _inner(self, without: frozenset[int]) -> list[int]:
        return sorted({int(number) for number in np.unique(self.parts)} - without)

    def _rows(self, without: frozenset[int]) -> np.ndarray:
        return np.flatnonzero(~np.isin(self.parts, sorted(without)))

    def _crossed(self, place: int, without: frozenset[int]) -> np.ndarray:
        """[n, S]: what is not left out, each part as the others chose (an only one as it chose), for one of three."""
        inner = self._inner(without)
        again = {number: self._made(without | {number} if len(inner) > 1 else without)[place] for number in inner}
        weights = {number: chosen[0] for number, chosen in again.items()}
        decisions = {number: chosen[1] for number, chosen in again.items()}
        return by_part(self.blend, self.parts, weights, decisions, self.metric)[self._rows(without)]

    def _made(self, without: frozenset[int]) -> tuple[Chosen, Chosen, Chosen]:
        """(the best member alone, the best mixture, the last member alone) on the rows of the other parts."""
        if without not in self.known:
            # the constant has no share beside others: three times as many mixtures would be looked at, for little
            rows, left_out = self._rows(without), (0.0,) if self.constant else ()
            kinds = self.kinds[: len(self.kinds) - len(left_out)]
            alone, mixture = greedy(
                lambda weights: self.blend((*weights, *left_out)), rows, self.metric, kinds=kinds, picks=self.picks
            )
            last = (*(0.0 for _ in self.kinds[1:]), 1.0)
            self.known[without] = (
                ((*alone[0], *left_out), alone[1]),
                ((*mixture[0], *left_out), mixture[1]),
                (last, self.blend(last).take(rows).choose(self.metric)),
            )
        return self.known[without]


def greedy(
    blend: Blend,
    rows: np.ndarray,
    metric: Metric,
    *,
    kinds: Sequence[int],
    picks: int,
) -> tuple[Chosen, Chosen]:
    """The best member alone, and the best mixture on the walk that adds what gains most or costs least.

    Source: Caruana et al. 2004, "Ensemble selection from libraries of models", section 2: with replacement, a fixed
    number of picks, and the best of what was walked through. Weights are shares of at most `picks` picks. Of members of
    one kind (a net with and without test-time views) only the best walks, of equals the first.
    """
    sign = 1.0 if metric.higher_is_better else -1.0

    @functools.cache
    def judged(weights: Weights) -> tuple[float, Any]:
        evidence = blend(weights).take(rows)
        decision = evidence.choose(metric)
        value = float(metric.reduce(evidence.statistics(decision, metric), evidence.groups))
        return (sign * value if np.isfinite(value) else -np.inf), decision

    def value(counts: tuple[int, ...]) -> float:
        return judged(_shares(counts))[0]

    def plus(counts: tuple[int, ...], member: int) -> tuple[int, ...]:
        return tuple(count + (index == member) for index, count in enumerate(counts))

    nothing = (0,) * len(kinds)
    walkers = [
        max(
            (member for member in range(len(kinds)) if kinds[member] == kind), key=lambda one: value(plus(nothing, one))
        )
        for kind in dict.fromkeys(kinds)
    ]
    counts = alone = max((plus(nothing, member) for member in walkers), key=value)
    walk = [alone]
    for _ in range(picks - 1 if len(walkers) > 1 else 0):
        counts = max((plus(counts, member) for member in walkers), key=value)
        walk.append(counts)
    chosen = [_shares(counts) for counts in (alone, max(walk, key=value))]
    return (chosen[0], judged(chosen[0])[1]), (chosen[1], judged(chosen[1])[1])


def _shares(counts: tuple[int, ...]) -> Weights:
    total = sum(counts)
    return tuple(count / total for count in counts)
