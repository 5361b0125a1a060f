"""How certain a score is: bootstraps over whole groups.

N rows, S statistics per row, U units (groups of rows) that are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.metrics import Metric


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
    values = bootstrap(statistics, metric_groups, resampled, metric, resamples=resamples, seed=seed)
    if not len(values):
        return float("nan"), float("nan")
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def bootstrap(
    statistics: np.ndarray,
    metric_groups: np.ndarray,
    resampled: Sequence[str] | np.ndarray,
    metric: Metric,
    *,
    resamples: int,
    seed: int,
) -> np.ndarray:
    """float64 [resamples]: scores of drawn units, the same ones for the same seed; [0] where there is one unit."""
    codes = np.unique(np.asarray(resampled), return_inverse=True)[1]
    if int(codes.max()) < 1:
        return np.zeros(0)
    random = np.random.default_rng(seed)
    if metric.additive:
        return _additive(statistics, codes, metric, resamples=resamples, random=random)
    return _drawn(statistics, metric_groups, codes, metric, resamples=resamples, random=random)


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
