"""Metrics as per-row statistics and one reduction over all rows; never a mean of batch means.

N rows, S statistics per row. Reductions take any leading axes ([..., N, S] -> [...]), so that a sweep over thresholds
is one call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Metric:
    """What the competition's page calls its evaluation.

    Attributes:
        name: as printed.
        statistics: (decision, truth) of one row -> S numbers.
        reduce: (statistics [..., N, S], group numbers [N]) -> score [...].
        best: the value of a perfect answer.
        higher_is_better: the direction, declared, never guessed.
        source: page or paper.
    """

    name: str
    statistics: Callable[[Any, Any], tuple[float, ...]]
    reduce: Callable[[np.ndarray, np.ndarray], np.ndarray]
    best: float
    higher_is_better: bool
    source: str


def overlap(decision: np.ndarray, truth: np.ndarray) -> tuple[float, ...]:
    """(intersection, predicted, true) pixel counts of two bool masks of one shape."""
    import numpy as np

    return (
        float(np.count_nonzero(decision & truth)),
        float(np.count_nonzero(decision)),
        float(np.count_nonzero(truth)),
    )


def dice(counts: np.ndarray) -> np.ndarray:
    """Dice `2 |P & T| / (|P| + |T|)` of counts [..., 3]; 1 where both are empty.

    Source: Dice 1945; the empty rule is the nerve competition's ("if both are empty, the score is 1").
    """
    import numpy as np

    total = counts[..., 1] + counts[..., 2]
    return np.where(total == 0, 1.0, 2 * counts[..., 0] / np.maximum(total, 1))


def mean_dice(statistics: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Mean over rows of each picture's Dice."""
    return dice(statistics).mean(axis=-1)


def mean_group_dice(statistics: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Mean over groups of the Dice of each group's pooled pixels (a patient's volume)."""
    import numpy as np

    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=groups[order[0]] - 1))
    pooled = np.add.reduceat(statistics[..., order, :], starts, axis=-2)
    return dice(pooled).mean(axis=-1)


DICE_PER_PICTURE = Metric(
    name="mean Dice",
    statistics=overlap,
    reduce=mean_dice,
    best=1.0,
    higher_is_better=True,
    source="https://www.kaggle.com/c/ultrasound-nerve-segmentation/overview/evaluation",
)
DICE_PER_VOLUME = Metric(
    name="mean Dice per volume",
    statistics=overlap,
    reduce=mean_group_dice,
    best=1.0,
    higher_is_better=True,
    source="Buda et al. 2019, doi:10.1016/j.compbiomed.2019.05.002: Dice of each patient's volume, mean over patients",
)
