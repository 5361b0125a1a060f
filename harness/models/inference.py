"""Predictions from batches: averaged over nets and views, decoded by the task, in constant memory.

B rows, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager

import cv2
import numpy as np
import torch
from torch import nn

from harness.batch import Batch
from harness.competition import Size, Symmetry
from harness.symmetries import turn, turn_back
from harness.tasks import Task


def predict(
    nets: Sequence[nn.Module],
    batches: Iterable[Batch],
    *,
    task: Task,
    views: Sequence[Symmetry],
    device: str,
    autocast: AbstractContextManager,
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (row, float32 [C, H, W]) in the batches' order: the mean over all nets and over the identity and `views`.

    Only one batch is held at a time.
    """
    for net in nets:
        net.eval()
    names = ("identity", *views)
    for batch in batches:
        moved = batch.to(device)
        with torch.inference_mode(), autocast:
            total: torch.Tensor | None = None
            for net in nets:
                for name in names:
                    inputs = {key: turn(tensor, name) for key, tensor in moved.inputs.items()}
                    part = turn_back(task.decode(net(inputs)), name)
                    total = part if total is None else total.add_(part)
            assert total is not None, "predict needs at least one net"
            mean = (total / (len(nets) * len(names))).float().cpu().numpy()
        yield from zip(batch.rows.tolist(), mean, strict=True)


def native_mask(probability: np.ndarray, size: Size) -> np.ndarray:
    """uint8 [H, W] `round(255 p)` at native `size` of a probability [1, h, w]."""
    plane = probability[0]
    if plane.shape != size:
        plane = cv2.resize(plane, size[::-1], interpolation=cv2.INTER_LINEAR)
    # in place: a second float picture of native size would be the largest thing in memory
    return np.rint(np.multiply(plane, 255, out=plane if plane.flags.writeable else None)).astype(np.uint8)
