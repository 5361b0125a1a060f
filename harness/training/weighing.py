"""Losses in which rare classes count more, and the weights that say how much more.

B rows, N training rows, L labels or classes, K members of a net that holds several, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional

from harness.metrics import VOID
from harness.tasks.base import members

LEAST, MOST = 1 / 20, 20.0  # a class that hardly occurs must not drown the others


def label_weights(targets: np.ndarray) -> np.ndarray:
    """float64 [L]: the inverse of each label's frequency in bool [N, L], scaled to a mean of 1 over the rows.

    A label without rows has weight 1: no row asks for it.
    """
    counts = targets.sum(axis=0)
    there = counts > 0
    return np.where(there, len(targets) / (max(1, np.count_nonzero(there)) * np.maximum(counts, 1)), 1.0)


def tag_weights(targets: np.ndarray) -> np.ndarray:
    """float64 [L]: rows of bool [N, L] without each label for one with it, between a twentieth and twenty."""
    counts = targets.sum(axis=0)
    return np.clip((len(targets) - counts) / np.maximum(counts, 1), LEAST, MOST)


def pixel_weights(counts: np.ndarray) -> np.ndarray:
    """float64 [L]: weights of classes from int64 [N, L], the pixels of each class in each mask (void left out).

    Median frequency balancing (Eigen and Fergus 2015, arXiv:1411.4734; for CamVid: SegNet, arXiv:1511.00561): a class's
    frequency is its share of the pixels of those masks that show it, its weight the median frequency over its own. Then
    clipped to a twentieth to twenty, and scaled to a mean of 1 over the pixels. A class without pixels has weight 1.
    """
    pixels = counts.sum(axis=0)
    there = pixels > 0
    if not there.any():
        return np.ones(counts.shape[1])
    beside = ((counts > 0) * counts.sum(axis=1, keepdims=True)).sum(axis=0)
    frequency = pixels[there] / beside[there]
    weights = np.ones(counts.shape[1])
    weights[there] = np.clip(np.median(frequency) / frequency, LEAST, MOST)
    weights[there] /= (weights * pixels).sum() / pixels.sum()
    return weights


@dataclass(frozen=True)
class WeightedLabel:
    """Cross-entropy of one label in which each truth has its label's weight.

    Of a mixed row each part has the weight of its own label; smoothing then spreads a share of the row's weight evenly
    (weighed after smoothing, a common label's row would lean to the rarest).

    Attributes:
        weights: float32 [L].
        share: of the smoothing.
    """

    weights: torch.Tensor
    share: float = 0.0

    def __call__(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Float32 scalar, mean over rows, of logits [B, L] or [B, K, L] and target [B, L] of shares."""
        weighed = target.float() * self.weights
        spread = weighed.mean(dim=1, keepdim=True)
        # cross-entropy is linear in the truth: a truth of mass w counts w times
        return functional.cross_entropy(*members(logits.float(), torch.lerp(weighed, spread, self.share)))


@dataclass(frozen=True)
class WeightedTags:
    """Binary cross-entropy of several labels in which a label that is there counts its weight, else 1.

    Attributes:
        weights: float32 [L].
        share: of the smoothing: a truth of weight w moves half of this share of w to the other answer.
    """

    weights: torch.Tensor
    share: float = 0.0

    def __call__(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Float32 scalar, mean over rows and labels, of logits [B, L] or [B, K, L] and target [B, L] of shares."""
        there, absent = target.float() * self.weights, 1 - target.float()
        logits = logits.float()
        each, yes = members(logits, torch.lerp(there, absent, self.share / 2))
        _, no = members(logits, torch.lerp(absent, there, self.share / 2))
        return -(yes * functional.logsigmoid(each) + no * functional.logsigmoid(-each)).mean()


@dataclass(frozen=True)
class WeightedClasses:
    """Cross-entropy of pixels in which each has the weight of its class; void has none.

    Attributes:
        weights: float32 [L].
    """

    weights: torch.Tensor

    def __call__(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Float32 scalar, mean over the pixels that are not void, of logits [B, L, H, W] and target [B, 1, H, W]."""
        classes = target[:, 0].long()
        entropy = functional.cross_entropy(
            logits.float(), classes, weight=self.weights, ignore_index=VOID, reduction="sum"
        )
        # not over the sum of weights: a batch of common classes alone would count as much as one of rare ones
        return entropy / (classes != VOID).sum().clamp(min=1)
