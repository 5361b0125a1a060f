"""What outputs mean: how a target cell is encoded, the loss, and decoding to something that may be averaged.

B rows, H height, W width. Losses are computed in float32 whatever the logits are: a Dice sum over 256x256 ones
overflows half precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from harness.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import torch


class Task(Protocol):
    """What the trainer, the models and evaluation ask of a task."""

    @property
    def name(self) -> str:
        """The field's term, as `harness list` shows it."""
        ...

    @property
    def outputs(self) -> int:
        """Channels of the model's last layer."""
        ...

    def encode(self, cell: np.ndarray, file: str) -> np.ndarray:
        """The target of one row as an array, checked."""
        ...

    def loss(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """A float32 scalar, averaged over the batch."""
        ...

    def decode(self, logits: torch.Tensor) -> torch.Tensor:
        """Float32, averageable over folds, views and models."""
        ...


@dataclass(frozen=True)
class BinaryMask:
    """One foreground: each pixel is inside or outside. Decodes to probabilities [B, 1, H, W].

    Attributes:
        dice_weight: share of the Dice loss; the rest is binary cross-entropy.
    """

    dice_weight: float = 0.5
    name: str = "binary mask"
    outputs: int = 1

    def encode(self, cell: np.ndarray, file: str) -> np.ndarray:
        """A bool [H, W] mask of a decoded mask file with at most two grey values.

        Raises:
            DataError: more than two values, or two values of which none is 0.
        """
        import numpy as np

        low, high = int(cell.min()), int(cell.max())
        inside = high if low != high or high in (0, 1) else 255
        grey = int(np.count_nonzero((cell != 0) & (cell != inside)))
        if grey:
            raise DataError(
                f"the mask has {grey} grey pixels, with values besides 0 and {inside}",
                file=file,
                fix="save masks without compression or smoothing: 0 outside, 255 inside",
            )
        return cell != 0

    def loss(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Binary cross-entropy plus soft Dice over the batch (Milletari et al. 2016, arXiv:1606.04797).

        logits [B, 1, H, W] of any dtype, target [B, 1, H, W] of 0 and 1.
        """
        import torch.nn.functional as functional

        logits, target = logits.float(), target.float()
        entropy = functional.binary_cross_entropy_with_logits(logits, target)
        probability = logits.sigmoid()
        # +1 keeps the Dice of an all-empty batch at 1 for an empty answer, and its gradient finite
        overlap = 2 * (probability * target).sum() + 1
        soft_dice = overlap / (probability.sum() + target.sum() + 1)
        return (1 - self.dice_weight) * entropy + self.dice_weight * (1 - soft_dice)

    def decode(self, logits: torch.Tensor) -> torch.Tensor:
        """Probabilities, float32 [B, 1, H, W]."""
        return logits.float().sigmoid()
