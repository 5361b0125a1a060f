"""Tasks of pixels: one foreground, or a class for each.

B rows, H height, W width, C classes. Losses are computed in float32 whatever the logits are: a Dice sum over 256x256
ones overflows half precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import DataError
from harness.metrics import VOID
from harness.tasks.base import Fixed, Kind

if TYPE_CHECKING:
    import numpy as np
    import torch


@dataclass(frozen=True)
class BinaryMask(Fixed):
    """One foreground: each pixel is inside or outside. Decodes to probabilities [B, 1, H, W].

    Attributes:
        dice_weight: share of the Dice loss; the rest is binary cross-entropy.
    """

    dice_weight: float = 0.5
    name: str = "binary mask"
    outputs: int = 1
    kind: Kind = "mask"

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


@dataclass(frozen=True)
class ClassMask(Fixed):
    """Each pixel has one of C classes, or is void. Decodes to probabilities [B, C, H, W].

    Attributes:
        classes: their names; a mask file holds their positions.
        void: the value of pixels that are neither trained on nor scored.
    """

    classes: tuple[str, ...]
    void: int | None = None
    name: str = "class mask"
    kind: Kind = "classes"

    @property
    def outputs(self) -> int:
        """One channel a class."""
        return len(self.classes)

    def encode(self, cell: np.ndarray, file: str) -> np.ndarray:
        """A uint8 [H, W] class map of a decoded mask file; void is 255.

        Raises:
            DataError: a value that is no class.
        """
        import numpy as np

        void = np.zeros(cell.shape, dtype=np.bool_) if self.void is None else cell == self.void
        odd = cell[(cell >= len(self.classes)) & ~void]
        if odd.size:
            also = "" if self.void is None else f", or {self.void} for void"
            fix = f"masks hold 0 to {len(self.classes) - 1}{also}"
            raise DataError(f"the mask has {odd.size} pixels of value {int(odd[0])}", file=file, fix=fix)
        return np.where(void, VOID, cell).astype(np.uint8)

    def loss(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Cross-entropy over the pixels that are not void. logits [B, C, H, W], target [B, 1, H, W]."""
        import torch.nn.functional as functional

        classes = target[:, 0].long()
        entropy = functional.cross_entropy(logits.float(), classes, ignore_index=VOID, reduction="sum")
        # a batch that is all void has no mean
        return entropy / (classes != VOID).sum().clamp(min=1)

    def decode(self, logits: torch.Tensor) -> torch.Tensor:
        """Probabilities, float32 [B, C, H, W]."""
        return logits.float().softmax(dim=1)
