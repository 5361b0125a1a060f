"""Metrics of masks: Dice of one foreground, intersection over union of classes.

N rows, S statistics per row, C classes.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from harness.metrics.base import VOID, Metric, thirds

if TYPE_CHECKING:
    import numpy as np


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


def class_counts(decision: np.ndarray, truth: np.ndarray, *, classes: int) -> np.ndarray:
    """float64 [3 C]: intersection, predicted and true pixels of each class, where the truth is not void."""
    import numpy as np

    known = truth != VOID
    decided, true = decision[known], truth[known]
    hits = np.bincount(true[decided == true], minlength=VOID + 1)[:classes]
    predicted = np.bincount(decided, minlength=VOID + 1)[:classes]
    return np.concatenate([hits, predicted, np.bincount(true, minlength=VOID + 1)[:classes]]).astype(np.float64)


def set_iou(statistics: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Intersection over union of each class, pixels summed over the whole set; mean over the classes that occur."""
    import numpy as np

    hits, predicted, true = thirds(statistics.sum(axis=-2))
    union = predicted + true - hits
    present = union > 0
    return (hits / np.maximum(union, 1e-300) * present).sum(axis=-1) / np.maximum(present.sum(axis=-1), 1)


def set_accuracy(statistics: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Share of the pixels that are not void whose class is right, over the whole set."""
    import numpy as np

    hits, _, true = thirds(statistics.sum(axis=-2))
    return hits.sum(axis=-1) / np.maximum(true.sum(axis=-1), 1e-300)


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


def mean_iou(classes: int) -> Metric:
    """Mean intersection over union of `classes` classes over the whole set, void left out.

    Source: Jegou et al. 2017, arXiv:1611.09326 (FC-DenseNet on CamVid).
    """
    counts = functools.partial(class_counts, classes=classes)
    return Metric("mean IoU", counts, set_iou, 1.0, True, "arXiv:1611.09326, section 4", additive=True)


def global_accuracy(classes: int) -> Metric:
    """Share of the labelled pixels that are right, over the whole set. Source: as `mean_iou`."""
    counts = functools.partial(class_counts, classes=classes)
    return Metric("global accuracy", counts, set_accuracy, 1.0, True, "arXiv:1611.09326, section 4", additive=True)
