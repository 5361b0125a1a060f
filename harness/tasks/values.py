"""Tasks of numbers and of text.

B rows, K members of a net that holds several, T tokens, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from harness.errors import DataError
from harness.tasks.base import Fixed, Kind, members

if TYPE_CHECKING:
    import numpy as np
    import torch


@dataclass(frozen=True)
class Regression:
    """One number. Decodes to that number, [B, 1].

    Attributes:
        log: learn the logarithm (prices differ by factors); targets must then be above 0.
        huber: beyond this many spreads an error counts linearly (Huber 1964), so that a few odd rows do not steer the
            net; None for the plain square.
        centre, spread: of a fold's training targets (after the logarithm): the net's outputs are around zero.
    """

    log: bool = False
    huber: float | None = None
    centre: float = 0.0
    spread: float = 1.0
    name: str = "regression"
    outputs: int = 1
    kind: Kind = "value"

    def learn(self, cells: Iterable[Any]) -> Self:
        """The same task."""
        return self

    def fit(self, targets: np.ndarray) -> Self:
        """With the centre and spread of a fold's training targets, float64 [N, 1]."""
        import numpy as np

        values = np.log(targets) if self.log else targets
        return replace(self, centre=float(values.mean()), spread=float(max(values.std(), 1e-6)))

    def encode(self, cell: Any, file: str) -> np.ndarray:
        """float64 [1].

        Raises:
            DataError: no finite number, or one that has no logarithm.
        """
        import numpy as np

        try:
            value = float(cell)
        except (ValueError, TypeError) as error:
            raise DataError(f"{cell!r} is no number", file=file, fix="write a plain number") from error
        if not math.isfinite(value) or (self.log and value <= 0):
            need = "above 0" if self.log else "finite"
            raise DataError(f"the target {cell!r} is not {need}", file=file, fix="mend or remove the row")
        return np.array([value])

    def present(self, decision: Any) -> float:
        """The number."""
        import numpy as np

        return float(np.asarray(decision).reshape(-1)[0])

    def loss(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Squared or Huber error in units of the spread; logits [B, 1] or [B, K, 1], target [B, 1]."""
        import torch.nn.functional as functional

        target = target.double()
        scaled = (((target.log() if self.log else target) - self.centre) / self.spread).float()
        predicted, scaled = members(logits.float(), scaled)
        if self.huber is None:
            return functional.mse_loss(predicted, scaled)
        return functional.huber_loss(predicted, scaled, delta=self.huber)

    def decode(self, logits: torch.Tensor) -> torch.Tensor:
        """The number, float32 [B, 1]; a net's members are averaged in the target's own units."""
        value = logits.float() * self.spread + self.centre
        # e^80 is beyond any price and within float32
        value = value.clamp(max=80).exp() if self.log else value
        return value.mean(dim=1) if value.dim() == 3 else value


@dataclass(frozen=True)
class NextToken(Fixed):
    """The next token of a text. What is kept of a row are the nats of each of its tokens."""

    name: str = "language model"
    outputs: int = 1
    kind: Kind = "tokens"

    def encode(self, cell: Any, file: str) -> Any:
        """(nats, tokens, bytes) as `submission.read` gives it."""
        return cell

    def loss(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Mean nats per token; logits [B, T, V], target int64 [B, T]."""
        import torch.nn.functional as functional

        return functional.cross_entropy(logits.float().flatten(0, 1), target.flatten())

    def decode(self, logits: torch.Tensor) -> torch.Tensor:
        """Logarithms of the probabilities of every next token, float32 [B, T, V]."""
        return logits.float().log_softmax(dim=-1)
