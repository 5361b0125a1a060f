"""Losses of masks and class maps beside the tasks' own, from segmentation-models-pytorch, all in float32.

B rows, C classes, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from segmentation_models_pytorch import losses

from harness.metrics import VOID

NAMES = ("dice", "focal", "lovasz", "tversky")
MISSED = 0.7  # of Tversky's weight: missed pixels cost more than false ones (Salehi et al. 2017, arXiv:1706.05721)


@dataclass(frozen=True)
class MaskLoss:
    """A loss by name, in equal parts with the task's own; focal stands alone.

    Dice, Tversky and Lovasz see no pixel of a class that a batch lacks: the other half is what empties a picture.

    Attributes:
        name: "dice" (Milletari et al. 2016), "focal" (Lin et al. 2017, arXiv:1708.02002), "lovasz" (Berman et al. 2018,
            arXiv:1705.08790) or "tversky" (Salehi et al. 2017). Focal and class maps: each class against the rest.
        own: the task's loss.
        classes: the target is a class map with void, not a mask of 0 and 1.
    """

    name: str
    own: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    classes: bool

    def __call__(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Float32 scalar of logits [B, 1 or C, H, W] of any dtype and targets [B, 1, H, W]."""
        logits = logits.float()
        mode = "multiclass" if self.classes else "binary"
        truth = target[:, 0].long() if self.classes else target.float()
        # these two pick pixels by a mask, which waits for a GPU at every step; the others do not
        if self.classes and self.name in ("focal", "lovasz") and bool((truth == VOID).all()):
            return logits.sum() * 0.0  # a batch that is all void teaches nothing
        ignore = VOID if self.classes else None
        if self.name == "focal":
            return losses.FocalLoss(mode, ignore_index=ignore)(logits, truth)
        if self.name == "lovasz":
            hard = truth if self.classes else (truth > 0.5).float()  # it sorts errors: a mixed truth has none
            other = losses.LovaszLoss(mode, ignore_index=ignore)(logits, hard)
        elif self.name == "tversky":
            other = losses.TverskyLoss(mode, ignore_index=ignore, alpha=1 - MISSED, beta=MISSED)(logits, truth)
        else:
            other = losses.DiceLoss(mode, ignore_index=ignore)(logits, truth)
        return (self.own(logits, target) + other) / 2
