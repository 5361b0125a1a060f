"""What every task answers: the protocol, and what tasks share.

B rows, K members of a net that holds several, L labels.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

if TYPE_CHECKING:
    import numpy as np
    import torch

Kind = Literal["mask", "classes", "label", "tags", "value", "tokens"]


class Task(Protocol):
    """What the trainer, the models and evaluation ask of a task."""

    @property
    def kind(self) -> Kind:
        """Which of the six kinds; the pipeline picks caches, rungs and decisions by it."""
        ...

    @property
    def name(self) -> str:
        """The field's term, as `harness list` shows it."""
        ...

    @property
    def outputs(self) -> int:
        """Channels of the model's last layer."""
        ...

    def learn(self, cells: Iterable[Any]) -> Self:
        """The task with what it must know of all target cells (the labels there are)."""
        ...

    def fit(self, targets: np.ndarray) -> Self:
        """The task with what one fold's encoded training targets say (centre and spread of prices)."""
        ...

    def encode(self, cell: Any, file: str) -> np.ndarray:
        """The target of one row as an array, checked."""
        ...

    def present(self, decision: Any) -> Any:
        """A decision, or an encoded target, as `submission.write` takes it; `encode` takes it back."""
        ...

    def loss(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """A float32 scalar, averaged over the batch."""
        ...

    def decode(self, logits: torch.Tensor) -> torch.Tensor:
        """Float32, averageable over folds, views and models."""
        ...


class Fixed:
    """What tasks share that learn nothing from their targets."""

    def learn(self, cells: Iterable[Any]) -> Self:
        """The same task."""
        return self

    def fit(self, targets: np.ndarray) -> Self:
        """The same task."""
        return self

    def present(self, decision: Any) -> Any:
        """The decision itself."""
        return decision


def members(logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [B, K, L] and targets [B, L] as rows of one batch: each member of a net learns on its own."""
    if logits.dim() == 2:
        return logits, target
    return logits.flatten(0, 1), target[:, None].expand(-1, logits.shape[1], -1).flatten(0, 1)
