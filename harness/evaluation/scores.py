"""Scores that no row had a say in: nested choice over folds, intervals over groups.

N rows, S statistics per row, M members. A choice is how much each member weighs and how what they say together becomes
an answer (thresholds); both are made for each fold on the rows of the *other* folds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from harness.metrics import Metric

Weights = tuple[float, ...]


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
        weights: fold -> the members' weights that the *other* folds chose for its rows.
        decisions: fold -> the decision they chose.
        final_weights, final: what all rows chose, for the submission.
        statistics: float64 [N, S], each row weighed and decided by its fold's choice.
        value: the metric over all rows at once.
        fold_scores: the metric of each fold's rows alone.
        optimism: how much better the final choice looks on the rows that made it than the nested value.
    """

    weights: dict[int, Weights]
    decisions: dict[int, Any]
    final_weights: Weights
    final: Any
    statistics: np.ndarray
    value: float
    fold_scores: list[float]
    optimism: float


def nested(blend: Blend, folds: np.ndarray, metric: Metric, *, members: int = 1, picks: int = 10) -> Nested:
    """Scores every row with the weights and the decision chosen on the rows of the other folds.

    With a single fold there are no others to choose on: the first member decides alone, as fixed in advance.

    Args:
        blend: the members' weights -> the evidence of all rows.
        folds: int64 [N].
        picks: of the greedy choice, see `greedy`.
    """
    blend = functools.cache(blend)
    numbers = [int(number) for number in np.unique(folds)]
    first = (1.0, *(0.0 for _ in range(members - 1)))
    if len(numbers) == 1:
        evidence = blend(first)
        choice = evidence.untold()
        statistics = evidence.statistics(choice, metric)
        value = float(metric.reduce(statistics, evidence.groups))
        return Nested({numbers[0]: first}, {numbers[0]: choice}, first, choice, statistics, value, [value], 0.0)
    weights, decisions, parts = {}, {}, {}
    for number in numbers:
        others = np.flatnonzero(folds != number)
        weights[number], decisions[number] = greedy(blend, others, metric, members=members, picks=picks)
        own = blend(weights[number]).take(np.flatnonzero(folds == number))
        parts[number] = own.statistics(decisions[number], metric)
    statistics = np.empty((len(folds), parts[numbers[0]].shape[1]))
    for number, part in parts.items():
        statistics[folds == number] = part
    groups = blend(first).groups
    value = float(metric.reduce(statistics, groups))
    scores = [float(metric.reduce(parts[number], groups[folds == number])) for number in numbers]
    final_weights, final = greedy(blend, np.arange(len(folds)), metric, members=members, picks=picks)
    on_itself = float(metric.reduce(blend(final_weights).statistics(final, metric), groups))
    gain = on_itself - value if metric.higher_is_better else value - on_itself
    return Nested(weights, decisions, final_weights, final, statistics, value, scores, gain)


def greedy(blend: Blend, rows: np.ndarray, metric: Metric, *, members: int, picks: int) -> tuple[Weights, Any]:
    """(weights, decision) that are best on `rows`: members are added, again and again, while the metric gains.

    Source: Caruana et al. 2004, "Ensemble selection from libraries of models", with replacement; weights are shares
    of at most `picks` picks.
    """
    sign = 1.0 if metric.higher_is_better else -1.0

    @functools.cache
    def judged(counts: tuple[int, ...]) -> tuple[float, Any]:
        evidence = blend(_shares(counts)).take(rows)
        decision = evidence.choose(metric)
        value = float(metric.reduce(evidence.statistics(decision, metric), evidence.groups))
        return (sign * value if np.isfinite(value) else -np.inf), decision

    def plus(counts: tuple[int, ...], member: int) -> tuple[int, ...]:
        return tuple(count + (index == member) for index, count in enumerate(counts))

    best = max((plus((0,) * members, member) for member in range(members)), key=lambda counts: judged(counts)[0])
    # more of the only member is the same answer
    while members > 1 and sum(best) < picks:
        step = max((plus(best, member) for member in range(members)), key=lambda counts: judged(counts)[0])
        if judged(step)[0] <= judged(best)[0] and not _same_answer(step, best):
            break
        best = step
    counts = tuple(min(count, 1) for count in best) if np.count_nonzero(best) == 1 else best
    return _shares(counts), judged(counts)[1]


def _same_answer(step: tuple[int, ...], best: tuple[int, ...]) -> bool:
    """Whether another pick only repeats the one member there is: the walk goes on, for a finer share of the other."""
    return np.count_nonzero(step) == 1 and np.count_nonzero(best) == 1


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
