"""What a metric is, and the reductions that several share.

N rows, S statistics per row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

VOID = 255  # in class maps: neither trained on nor scored
SKLEARN = "https://scikit-learn.org/stable/modules/model_evaluation.html"
Average = Literal["samples", "macro", "micro"]


@dataclass(frozen=True)
class FScore:
    """Which F score a metric is, so that thresholds can be swept for it exactly."""

    beta: float
    average: Average


@dataclass(frozen=True)
class Metric:
    """What the competition's page calls its evaluation.

    Attributes:
        name: as printed.
        statistics: (decision, truth) of one row -> S numbers; of labels also of many rows, [..., L] -> [..., S].
        reduce: (statistics [..., N, S], group numbers [N]) -> score [...].
        best: the value of a perfect answer.
        higher_is_better: the direction, declared, never guessed.
        source: page or paper.
        additive: whether `reduce` looks at the mean of the statistics over rows alone.
        of: "decision", or "prediction" for one that looks at probabilities and cannot be told from a submission.
        f_score: set where the metric is an F score of labels.
    """

    name: str
    statistics: Callable[[Any, Any], Any]
    reduce: Callable[[np.ndarray, np.ndarray], np.ndarray]
    best: float
    higher_is_better: bool
    source: str
    additive: bool = False
    of: Literal["decision", "prediction"] = "decision"
    f_score: FScore | None = None


def mean(statistics: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Mean over rows of the only statistic."""
    return statistics[..., 0].mean(axis=-1)


def root_mean(statistics: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Square root of the mean over rows."""
    return mean(statistics, groups) ** 0.5


def thirds(counts: np.ndarray) -> list[np.ndarray]:
    """The three kinds of counts that stand side by side on the last axis."""
    import numpy as np

    return np.split(counts, 3, axis=-1)
