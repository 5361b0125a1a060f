"""Tasks of labels: exactly one, or any number.

B rows, L labels, K members of a net that holds several.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from harness.errors import DataError
from harness.tasks.base import Kind, members

if TYPE_CHECKING:
    import numpy as np
    import torch


@dataclass(frozen=True)
class _Labels:
    """What SingleLabel and Multilabel share: a vocabulary, targets bool [L].

    Attributes:
        labels: the vocabulary, in the order of the outputs; read from the data where it is empty.
    """

    labels: tuple[str, ...] = ()

    @property
    def outputs(self) -> int:
        """One output a label."""
        return len(self.labels)

    def fit(self, targets: np.ndarray) -> Self:
        """The same task."""
        return self

    def encode(self, cell: str | Sequence[str], file: str) -> np.ndarray:
        """bool [L] of a label, or of a collection of labels.

        Raises:
            DataError: a label that is not in the vocabulary.
        """
        import numpy as np

        target = np.zeros(len(self.labels), dtype=np.bool_)
        for label in (cell,) if isinstance(cell, str) else cell:
            if label not in self.labels:
                fix = f"known labels: {', '.join(self.labels[:12])}{', ...' if len(self.labels) > 12 else ''}"
                raise DataError(f"unknown label {label!r}", file=file, fix=fix)
            target[self.labels.index(label)] = True
        return target


@dataclass(frozen=True)
class SingleLabel(_Labels):
    """Exactly one of L labels. Decodes to probabilities [B, L] that sum to 1."""

    name: str = "single label"
    kind: Kind = "label"

    def learn(self, cells: Iterable[Any]) -> Self:
        """With the labels that occur, sorted, where none were declared."""
        return self if self.labels else replace(self, labels=tuple(sorted(set(cells))))

    def present(self, decision: np.ndarray) -> str:
        """The label of a bool [L] decision."""
        return self.labels[int(decision.argmax())]

    def loss(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Cross-entropy; logits [B, L], target [B, L] of 0 and 1 (or shares)."""
        import torch.nn.functional as functional

        return functional.cross_entropy(*members(logits.float(), target.float()))

    def decode(self, logits: torch.Tensor) -> torch.Tensor:
        """Probabilities, float32 [B, L]; a net's members [B, K, L] are averaged."""
        probability = logits.float().softmax(dim=-1)
        return probability.mean(dim=1) if probability.dim() == 3 else probability


@dataclass(frozen=True)
class Multilabel(_Labels):
    """Any number of L labels. Decodes to a probability for each, [B, L]."""

    name: str = "multilabel"
    kind: Kind = "tags"

    def learn(self, cells: Iterable[Any]) -> Self:
        """With the labels that occur, sorted, where none were declared."""
        return self if self.labels else replace(self, labels=tuple(sorted({label for cell in cells for label in cell})))

    def present(self, decision: np.ndarray) -> tuple[str, ...]:
        """The labels of a bool [L] decision, in the vocabulary's order."""
        return tuple(label for label, there in zip(self.labels, decision, strict=True) if there)

    def loss(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Binary cross-entropy, mean over labels; logits [B, L], target [B, L]."""
        import torch.nn.functional as functional

        return functional.binary_cross_entropy_with_logits(*members(logits.float(), target.float()))

    def decode(self, logits: torch.Tensor) -> torch.Tensor:
        """Probabilities, float32 [B, L]; a net's members [B, K, L] are averaged."""
        probability = logits.float().sigmoid()
        return probability.mean(dim=1) if probability.dim() == 3 else probability
