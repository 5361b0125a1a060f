"""Evidence of tasks whose decision is fixed: the likeliest class, the number itself, the nats as they are.

N rows, S statistics per row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.metrics import Metric


@dataclass(frozen=True)
class Likeliest:
    """The likeliest of some classes."""

    axis: int = -1

    def __call__(self, probability: np.ndarray) -> np.ndarray:
        """Of labels bool [L], one of them true; of class maps [C, H, W] (axis 0) uint8 [H, W]."""
        best = probability.argmax(axis=self.axis)
        if self.axis == 0:
            return best.astype(np.uint8)
        decision = np.zeros(probability.shape, dtype=np.bool_)
        np.put_along_axis(decision, best[..., None], True, axis=-1)
        return decision


@dataclass(frozen=True)
class AsIs:
    """The prediction itself."""

    def __call__(self, prediction: Any) -> Any:
        """What came in."""
        return prediction


@dataclass(frozen=True)
class Fixed:
    """Statistics that no choice changes.

    Attributes:
        counts: metric name -> float64 [N, S].
        groups: int64 [N], what the metric pools over.
        decision: the one there is.
    """

    counts: Mapping[str, np.ndarray]
    groups: np.ndarray
    decision: Any

    def take(self, rows: np.ndarray) -> Fixed:
        """The same for some rows."""
        return Fixed({name: counts[rows] for name, counts in self.counts.items()}, self.groups[rows], self.decision)

    def __len__(self) -> int:
        return len(self.groups)

    def choose(self, metric: Metric) -> Any:
        """The only decision."""
        return self.decision

    def untold(self) -> Any:
        """The only decision."""
        return self.decision

    def steps(self, before: Any, after: Any) -> dict[str, Any]:
        """Nothing is chosen."""
        return {}

    def statistics(self, decision: Any, metric: Metric) -> np.ndarray:
        """float64 [N, S]."""
        return self.counts[metric.name]
