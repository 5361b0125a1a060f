"""One batch, whatever the competition: inputs by name, a target, and which rows they are.

B rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Batch:
    """What a model is fed.

    Attributes:
        inputs: input column -> tensor [B, ...]; pictures are uint8 [B, C, H, W].
        target: [B, ...] as the task encodes it, or None when predicting.
        rows: int64 [B], positions in the rows table.
        share: of the learning rate that this batch's step takes (short windows of text take smaller steps).
    """

    inputs: dict[str, torch.Tensor]
    target: torch.Tensor | None
    rows: torch.Tensor
    share: float = 1.0

    def first(self, rows: int) -> Batch:
        """Its first rows."""
        inputs = {name: tensor[:rows] for name, tensor in self.inputs.items()}
        target = None if self.target is None else self.target[:rows]
        return Batch(inputs, target, self.rows[:rows], self.share)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on `device`; copies from pinned memory do not wait."""
        return Batch(
            inputs={name: tensor.to(device, non_blocking=True) for name, tensor in self.inputs.items()},
            target=None if self.target is None else self.target.to(device, non_blocking=True),
            rows=self.rows,
            share=self.share,
        )
