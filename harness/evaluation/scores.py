"""Scores that no row had a say in: nested choice over folds, intervals over groups.

N rows, S statistics per row, M members. A choice is how much each member weighs and how what they say together becomes
an answer (thresholds); both are made for each part of the rows (a fold) on the rows of the *other* parts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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

    def statistics(self, decision: Any, metric: Metric) -> np.ndarray:
        """float64 [N, S] under a decision."""
        ...


Blend = Callable[[Weights], Evidence]


def alone(evidence: Evidence) -> Blend:
    """The blend of one member: it weighs all there is."""
    return lambda weights: evidence


@dataclass(frozen=True)
class Nested:
    """Out-of-fold results of one member, or of several together.

    Attributes:
        weights: part -> the members' weights that the *other* parts chose for its rows.
        decisions: part -> the decision they chose.
        final_weights, final: what all rows chose, for the submission.
        statistics: float64 [N, S], each row weighed and decided by its part's choice.
        value: the metric over all rows at once.
        optimism: how much better the final choice looks on the rows that made it than the nested value.
    """

    weights: dict[int, Weights]
    decisions: dict[int, Any]
    final_weights: Weights
    final: Any
    statistics: np.ndarray
    value: float
    optimism: float


def choice_parts(folds: np.ndarray, units: Sequence[str], *, contiguous: bool, number: int = 5) -> np.ndarray:
    """int64 [N]: the parts that choices are crossed over: the folds, or parts of the rows of an only fold.

    No fold trained on its own rows, so that one half of them may choose for the other.

    Args:
        folds: int64 [N].
        units: [N], rows that stay together.
        contiguous: whether neighbouring units resemble each other and a part is to be a run of them.
        number: at most so many parts of an only fold.
    """
    if len(np.unique(folds)) > 1:
        return np.asarray(folds, dtype=np.int64)
    order = {unit: index for index, unit in enumerate(dict.fromkeys(units))}
    codes = np.array([order[unit] for unit in units])
    number = min(number, len(order))
    return codes * number // len(order) if contiguous else codes % number


def nested(blend: Blend, parts: np.ndarray, metric: Metric, *, kinds: Sequence[int] = (0,), picks: int = 10) -> Nested:
    """Scores every row with the weights and the decision chosen on the rows of the other parts.

    With a single part there are no others to choose on: the first member decides alone, as fixed in advance.

    Args:
        blend: the members' weights -> the evidence of all rows; asked for the same more than once.
        parts: int64 [N], the folds, or parts of an only one (`choice_parts`).
        kinds: [M], members of one kind stand for each other: see `greedy`.
        picks: of the greedy choice.
    """
    numbers = [int(number) for number in np.unique(parts)]
    first = (1.0, *(0.0 for _ in kinds[1:]))
    groups = blend(first).groups
    if len(numbers) == 1:
        weights, decisions = {numbers[0]: first}, {numbers[0]: blend(first).untold()}
        final_weights, final = first, decisions[numbers[0]]
    else:
        choice = _Choice(blend, parts, metric, kinds, picks)
        chosen = {number: choice.checked(frozenset({number})) for number in numbers}
        weights = {number: weights for number, (weights, _) in chosen.items()}
        decisions = {number: decision for number, (_, decision) in chosen.items()}
        final_weights, final = choice.checked(frozenset())
    statistics = by_part(blend, parts, weights, decisions, metric)
    value = float(metric.reduce(statistics, groups))
    on_itself = float(metric.reduce(blend(final_weights).statistics(final, metric), groups))
    gain = on_itself - value if metric.higher_is_better else value - on_itself
    return Nested(weights, decisions, final_weights, final, statistics, value, gain)


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


class _Choice:
    """What rows choose, with some parts left out; every choice is made once and used wherever it is asked for."""

    def __init__(self, blend: Blend, parts: np.ndarray, metric: Metric, kinds: Sequence[int], picks: int) -> None:
        self.blend, self.parts, self.metric = blend, parts, metric
        self.numbers = frozenset(int(number) for number in np.unique(parts))
        self.kinds, self.picks = kinds, picks
        self.made: dict[frozenset[int], tuple[Chosen, Chosen]] = {}

    def checked(self, without: frozenset[int]) -> Chosen:
        """A mixture, if mixing is known to gain: else the best member alone.

        A mixture always looks better on the rows that chose it. It is kept only if it is better on rows that did not:
        both are chosen again with each part left out in turn, and the pooled answers to those parts are scored.
        """
        alone, mixture = self._made(without)
        inner = sorted(self.numbers - without)
        if mixture[0] == alone[0] or len(inner) < 2:
            return alone
        again = {number: self._made(without | {number}) for number in inner}
        rows = np.flatnonzero(np.isin(self.parts, inner))
        groups, sign = self.blend(alone[0]).groups[rows], 1.0 if self.metric.higher_is_better else -1.0
        values = []
        for kind in (0, 1):
            weights = {number: made[kind][0] for number, made in again.items()}
            decisions = {number: made[kind][1] for number, made in again.items()}
            statistics = by_part(self.blend, self.parts, weights, decisions, self.metric)[rows]
            values.append(sign * float(self.metric.reduce(statistics, groups)))
        return mixture if values[1] > values[0] else alone

    def _made(self, without: frozenset[int]) -> tuple[Chosen, Chosen]:
        if without not in self.made:
            rows = np.flatnonzero(~np.isin(self.parts, sorted(without)))
            self.made[without] = greedy(self.blend, rows, self.metric, kinds=self.kinds, picks=self.picks)
        return self.made[without]


def greedy(
    blend: Blend, rows: np.ndarray, metric: Metric, *, kinds: Sequence[int], picks: int
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


def interval(
    statistics: np.ndarray,
    metric_groups: np.ndarray,
    resampled: Sequence[str] | np.ndarray,
    metric: Metric,
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the score, whole groups drawn with replacement; NaN for a single group.

    Rows of a group (a patient's slices, a subject's frames) resemble each other: drawing rows would claim more
    certainty than there is. Source: Efron and Tibshirani 1993, chapter 13; cluster bootstrap.

    Args:
        statistics: [N, S].
        metric_groups: [N], what the metric pools over.
        resampled: [N], the units drawn.
    """
    codes = np.unique(np.asarray(resampled), return_inverse=True)[1]
    units = int(codes.max()) + 1
    if units < 2:
        return float("nan"), float("nan")
    random = np.random.default_rng(seed)
    if metric.additive:
        values = _additive(statistics, codes, metric, resamples=resamples, random=random)
    else:
        values = _drawn(statistics, metric_groups, codes, metric, resamples=resamples, random=random)
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _additive(
    statistics: np.ndarray, codes: np.ndarray, metric: Metric, *, resamples: int, random: np.random.Generator
) -> np.ndarray:
    """[resamples]: scores of drawn units, of their sums alone: no row is copied."""
    units, values = int(codes.max()) + 1, np.empty(resamples)
    rows = np.bincount(codes).astype(np.float64)
    sums = np.stack([np.bincount(codes, weights=column, minlength=units) for column in statistics.T], axis=1)
    for index in range(resamples):
        times = np.bincount(random.integers(units, size=units), minlength=units)
        mean = times @ sums / (times @ rows)
        values[index] = metric.reduce(mean[None], np.zeros(1, dtype=np.int64))
    return values


def _drawn(
    statistics: np.ndarray,
    metric_groups: np.ndarray,
    codes: np.ndarray,
    metric: Metric,
    *,
    resamples: int,
    random: np.random.Generator,
) -> np.ndarray:
    """[resamples]: scores of drawn units, row by row."""
    members = [np.flatnonzero(codes == code) for code in range(int(codes.max()) + 1)]
    values = np.empty(resamples)
    largest = int(metric_groups.max()) + 1
    for index in range(resamples):
        drawn = random.integers(len(members), size=len(members))
        rows = np.concatenate([members[unit] for unit in drawn])
        # a group drawn twice counts as two groups, not as one of twice the size
        copies = np.repeat(np.arange(len(drawn)), [len(members[unit]) for unit in drawn])
        values[index] = metric.reduce(statistics[rows], copies * largest + metric_groups[rows])
    return values
