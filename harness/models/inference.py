"""Predictions from batches: averaged over nets and views, decoded by the task, in constant memory.

B rows, C channels or classes, H height, W width.
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
    picture: str | None = None,
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (row, float32 prediction) in the batches' order: the mean over all nets and over the identity and `views`.

    Only one batch is held at a time. Views turn the input called `picture` (None means every input); what is predicted
    of each pixel, [C, H, W], is turned back.
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
                    turned = {
                        key: turn(tensor, name) if picture in (None, key) else tensor
                        for key, tensor in moved.inputs.items()
                    }
                    decoded = task.decode(net(turned))
                    part = turn_back(decoded, name) if decoded.dim() == 4 else decoded
                    total = part if total is None else total.add_(part)
            assert total is not None, "predict needs at least one net"
            mean = (total / (len(nets) * len(names))).float().cpu().numpy()
        yield from zip(batch.rows.tolist(), mean, strict=True)


def native_mask(probability: np.ndarray, size: Size) -> np.ndarray:
    """uint8 [H, W] `round(255 p)` at native `size` of a probability [1, h, w]."""
    return _native_plane(probability[0], size)


def native_classes(probability: np.ndarray, size: Size) -> np.ndarray:
    """uint8 [C, H, W] `round(255 p)` at native `size` of class probabilities [C, h, w]."""
    return np.stack([_native_plane(plane, size) for plane in probability])


def _native_plane(plane: np.ndarray, size: Size) -> np.ndarray:
    if plane.shape != size:
        plane = cv2.resize(plane, size[::-1], interpolation=cv2.INTER_LINEAR)
    # in place: a second float picture of native size would be the largest thing in memory
    return np.rint(np.multiply(plane, 255, out=plane if plane.flags.writeable else None)).astype(np.uint8)
