"""What outputs mean: how a target cell is encoded, the loss, and decoding to something that may be averaged.

Losses are computed in float32 whatever the logits are.
"""

from __future__ import annotations

from harness.tasks.base import Kind, Task
from harness.tasks.labels import Multilabel, SingleLabel
from harness.tasks.masks import BinaryMask, ClassMask
from harness.tasks.values import NextToken, Regression

__all__ = [
    "BinaryMask",
    "ClassMask",
    "Kind",
    "Multilabel",
    "NextToken",
    "Regression",
    "SingleLabel",
    "Task",
]
