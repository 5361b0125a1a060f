"""What costs no training: a score below these is no score.

N rows, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from harness.competition import Size
from harness.evaluation.masks import Histograms, histogram


def empty_statistics(histograms: Histograms) -> np.ndarray:
    """float64 [N, 3]: the counts of answering every picture with an empty mask."""
    true = histograms.inside.sum(axis=1).astype(np.float64)
    return np.stack([np.zeros_like(true), np.zeros_like(true), true], axis=1)


def mean_masks(
    truth: Callable[[int], np.ndarray], rows: Sequence[int], folds: np.ndarray, size: Size
) -> dict[int, np.ndarray]:
    """fold -> float32 [H, W]: the mean of the masks of all *other* folds, at `size`.

    Args:
        truth: row -> bool [h, w] mask.
        rows, folds: the rows and the fold of each.
    """
    numbers = [int(number) for number in np.unique(folds)]
    assert len(numbers) > 1, "one fold alone has no other rows to average"
    sums = {number: np.zeros(size, dtype=np.float64) for number in numbers}
    for row, fold in zip(rows, folds.tolist(), strict=True):
        sums[fold] += cv2.resize(truth(row).astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
    counts = {number: int((folds == number).sum()) for number in numbers}
    total, rows_total = sum(sums.values()), len(folds)
    return {number: ((total - sums[number]) / (rows_total - counts[number])).astype(np.float32) for number in numbers}


def collect(
    rows: Sequence[int],
    groups: np.ndarray,
    probability: Callable[[int], np.ndarray],
    truth: Callable[[int], np.ndarray],
) -> Histograms:
    """The histograms of a member; one picture is held at a time.

    Args:
        rows: the rows, in the order of `groups`.
        probability: row -> uint8 [H, W].
        truth: row -> bool [H, W].
    """
    inside, outside = np.zeros((2, len(rows), 256), dtype=np.int64)
    for index, row in enumerate(rows):
        inside[index], outside[index] = histogram(probability(row), truth(row))
    return Histograms(inside, outside, groups)
