"""Whether scores on noise are those of chance.

N rows, S statistics per row.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.evaluation.intervals import bootstrap
from harness.metrics import Metric

WITHIN, ERRORS, RESAMPLES = 0.9, 2.0, 200


@dataclass(frozen=True)
class Trial:
    """A run on noise.

    Attributes:
        type, seed: which labels.
        score: as the run reports it.
        chance: of the best constant answer.
        gain: the score minus chance, positive where it is better than chance.
        error: standard error of the score, over its groups.
        paired: standard error of the difference.
        constant: weight of the constant answer in the submission.
        optimism: as the run reports it.
        seconds: of the run and of this judgement.
    """

    type: str
    seed: int
    score: float
    chance: float
    gain: float
    error: float
    paired: float
    constant: float = 0.0
    optimism: float = 0.0
    seconds: float = 0.0

    @property
    def within(self) -> bool:
        """Whether the score is within two standard errors of chance."""
        return abs(self.gain) <= ERRORS * self.error + 1e-9 * abs(self.chance)


def judged(name: str, seed: int, pair: tuple[np.ndarray, np.ndarray], groups: np.ndarray, metric: Metric) -> Trial:
    """A score beside chance.

    Args:
        pair: [N, S] statistics of what is scored, and of the best constant answer, of the same rows.
        groups: int64 [N], what the metric pools over; rows of a group are drawn together.
    """
    value, chance = (float(metric.reduce(one, groups)) for one in pair)
    # both on the same draws, so that what is hard for both cancels in the difference
    drawn, other = (bootstrap(one, groups, groups, metric, resamples=RESAMPLES, seed=seed) for one in pair)
    units = len(np.unique(groups))
    # with few groups a bootstrap's spread is too small by (units - 1) / units
    error, paired = (float(np.std(one) * (units / (units - 1)) ** 0.5) for one in (drawn, drawn - other))
    gain = value - chance if metric.higher_is_better else chance - value
    return Trial(name, seed, value, chance, gain, error, paired)


@dataclass(frozen=True)
class Summary:
    """What the trials of a type say.

    Attributes:
        number: of trials.
        within: how many are within two standard errors of chance.
        mean, error: of the gains, and its standard error over the seeds.
    """

    number: int
    within: int
    mean: float
    error: float

    @property
    def honest(self) -> bool:
        """Whether nine of ten are within chance and the mean is not above it."""
        return self.within >= WITHIN * self.number and self.mean <= ERRORS * self.error + 1e-12


def summary(trials: Sequence[Trial]) -> Summary:
    """Counts, mean and standard error of the trials of one type."""
    gains = [one.gain for one in trials]
    error = statistics.stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else 0.0
    return Summary(len(trials), sum(one.within for one in trials), statistics.fmean(gains), error)
