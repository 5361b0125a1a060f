"""Metrics of labels, bool [..., L], and of their probabilities.

S statistics per row, L labels.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from harness.metrics.base import SKLEARN, FScore, Metric, mean, thirds

if TYPE_CHECKING:
    import numpy as np


def exact(decision: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """float64 [..., 1]: 1 where all labels [..., L] agree."""
    import numpy as np

    return (decision == truth).all(axis=-1, keepdims=True).astype(np.float64)


def label_counts(decision: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """float64 [..., 3 L]: true positives, false positives and false negatives of each label."""
    import numpy as np

    parts = [decision & truth, decision & ~truth, ~decision & truth]
    return np.concatenate(parts, axis=-1).astype(np.float64)


def row_f(decision: np.ndarray, truth: np.ndarray, *, beta: float) -> np.ndarray:
    """float64 [..., 1]: the F score of each row's labels; 0 where nothing is right."""
    import numpy as np

    hits = (decision & truth).sum(axis=-1, keepdims=True)
    weight = truth.sum(axis=-1, keepdims=True) * beta**2 + decision.sum(axis=-1, keepdims=True)
    return (1 + beta**2) * hits / np.maximum(weight, 1e-300)


def macro_f1(statistics: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Mean F1 over the labels that occur in a truth or an answer; 0 for a label with no hit.

    Source: scikit-learn's f1_score(average="macro", zero_division=0) on labels as texts; on an indicator matrix it
    would count a label that nobody named as 0 as well.
    """
    import numpy as np

    hits, wrong, missed = thirds(statistics.sum(axis=-2))
    total = 2 * hits + wrong + missed
    present = total > 0
    scores = np.where(present, 2 * hits / np.where(present, total, 1), 0)
    return scores.sum(axis=-1) / np.maximum(present.sum(axis=-1), 1)


def micro_f1(statistics: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """F1 of all labels' hits pooled."""
    import numpy as np

    hits, wrong, missed = (part.sum(axis=-1) for part in thirds(statistics.sum(axis=-2)))
    return 2 * hits / np.maximum(2 * hits + wrong + missed, 1e-300)


def log_loss_row(prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """float64 [..., 1]: -ln of the probability of the true class, clipped as scikit-learn clips float64."""
    import numpy as np

    probability = np.asarray(prediction, dtype=np.float64)
    probability = probability / probability.sum(axis=-1, keepdims=True)
    true = (probability * truth).sum(axis=-1, keepdims=True)
    return -np.log(np.clip(true, np.finfo(np.float64).eps, 1))


ACCURACY = Metric("accuracy", exact, mean, 1.0, True, SKLEARN, additive=True)
MACRO_F1 = Metric("macro F1", label_counts, macro_f1, 1.0, True, SKLEARN, additive=True, f_score=FScore(1, "macro"))
MICRO_F1 = Metric("micro F1", label_counts, micro_f1, 1.0, True, SKLEARN, additive=True, f_score=FScore(1, "micro"))
SAMPLES_F2 = Metric(
    name="mean F2",
    statistics=functools.partial(row_f, beta=2.0),
    reduce=mean,
    best=1.0,
    higher_is_better=True,
    source="https://www.kaggle.com/c/planet-understanding-the-amazon-from-space/overview/evaluation",
    additive=True,
    f_score=FScore(2, "samples"),
)
LOG_LOSS = Metric("log loss", log_loss_row, mean, 0.0, False, SKLEARN, additive=True, of="prediction")
