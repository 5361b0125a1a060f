"""Scores that no row had a say in: nested choice over folds, intervals over groups.

N rows, S statistics per row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.evaluation import masks
from harness.evaluation.masks import Decision, Histograms
from harness.metrics import Metric


@dataclass(frozen=True)
class Nested:
    """Out-of-fold results of one member.

    Attributes:
        decisions: fold -> what the *other* folds chose for its rows.
        final: what all rows chose, for the submission.
        statistics: float64 [N, S], each row decided by its fold's decision.
        value: the metric over all rows at once.
        fold_scores: the metric of each fold's rows alone.
        optimism: how much better the final decision looks on the rows that chose it than the nested value.
    """

    decisions: dict[int, Decision]
    final: Decision
    statistics: np.ndarray
    value: float
    fold_scores: list[float]
    optimism: float


def nested(histograms: Histograms, folds: np.ndarray, metric: Metric) -> Nested:
    """Scores every row with the decision chosen on the rows of the other folds.

    With a single fold there are no others to choose on: the decision stays at probability one half, fixed in advance.
    """
    numbers = [int(number) for number in np.unique(folds)]
    single = len(numbers) == 1
    final = Decision() if single else masks.choose(histograms, metric)
    decisions, counts = {}, np.zeros((len(histograms), 3))
    for number in numbers:
        rows, others = np.flatnonzero(folds == number), np.flatnonzero(folds != number)
        decisions[number] = Decision() if single else masks.choose(histograms.take(others), metric)
        counts[rows] = masks.statistics(histograms.take(rows), decisions[number])
    value = float(metric.reduce(counts, histograms.groups))
    scores = [float(metric.reduce(counts[folds == number], histograms.groups[folds == number])) for number in numbers]
    on_itself = float(metric.reduce(masks.statistics(histograms, final), histograms.groups))
    gain = on_itself - value if metric.higher_is_better else value - on_itself
    return Nested(decisions, final, counts, value, scores, gain)


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
    members = [np.flatnonzero(codes == code) for code in range(int(codes.max()) + 1)]
    if len(members) < 2:
        return float("nan"), float("nan")
    random = np.random.default_rng(seed)
    values = np.empty(resamples)
    largest = int(metric_groups.max()) + 1
    for index in range(resamples):
        drawn = random.integers(len(members), size=len(members))
        rows = np.concatenate([members[unit] for unit in drawn])
        # a group drawn twice counts as two groups, not as one of twice the size
        copies = np.repeat(np.arange(len(drawn)), [len(members[unit]) for unit in drawn])
        values[index] = metric.reduce(statistics[rows], copies * largest + metric_groups[rows])
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
