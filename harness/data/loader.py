"""Rows become batches: training batches from the row stream, prediction batches in row order.

B rows, C channels, H height, W width.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from harness.batch import Batch
from harness.competition import Size
from harness.data.augment import Augmentation
from harness.data.cache import Cache
from harness.data.order import place, view_seed
from harness.data.pictures import shrink


@dataclass(frozen=True)
class Stream(Dataset):
    """The training examples of one stage of one fold, indexed by their position in the row stream.

    Attributes:
        name: the input's name in the batch.
        pictures, masks: caches over all rows.
        rows: int64, the training rows' positions in the caches.
        ids: the ids of all rows.
        augmentation: what is done to a view.
        seed, fold, stage: of the order.
    """

    name: str
    pictures: Cache
    masks: Cache
    rows: np.ndarray
    ids: Sequence[str]
    augmentation: Augmentation
    seed: int
    fold: int
    stage: int

    def __getitem__(self, position: int) -> tuple[torch.Tensor, torch.Tensor, int]:
        """(uint8 [C, H, W], float32 [1, H, W], row) of the example at a position of the stream."""
        index, epoch = place(position, len(self.rows), seed=self.seed, fold=self.fold, stage=self.stage)
        row = int(self.rows[index])
        seed = view_seed(self.seed, stage=self.stage, epoch=epoch, identity=self.ids[row], view=0)
        picture, mask = self.augmentation(self.pictures[row], self.masks[row][:, :, 0], seed)
        assert mask is not None
        return _channels_first(picture), torch.from_numpy(mask.astype(np.float32))[None], row

    def batches(self, cursor: int, count: int, *, batch: int, workers: int, pin: bool) -> Iterator[Batch]:
        """`count` full batches from row `cursor` of the stream on; no state beside these numbers."""
        positions = [list(range(cursor + step * batch, cursor + (step + 1) * batch)) for step in range(count)]
        # its own generator: drawing the workers' seeds must not move the global one that a resumed run compares
        loader = DataLoader(
            self,
            batch_sampler=positions,
            num_workers=workers,
            pin_memory=pin,
            generator=torch.Generator(),
            worker_init_fn=_single_thread if workers else None,
        )
        for pictures, targets, rows in loader:
            yield Batch({self.name: pictures}, targets, rows)

    def first(self, batch: int) -> Batch:
        """The first batch, for a look or a probe."""
        return next(iter(self.batches(0, 1, batch=batch, workers=0, pin=False)))


def prediction_batches(
    pictures: Cache, rows: Sequence[int] | np.ndarray, *, name: str, size: Size, batch: int
) -> Iterator[Batch]:
    """The rows in the order given, as they are; the last batch may be smaller."""
    for start in range(0, len(rows), batch):
        chosen = [int(row) for row in rows[start : start + batch]]
        stack = torch.stack([_channels_first(shrink(pictures[row], size)) for row in chosen])
        yield Batch({name: stack}, None, torch.tensor(chosen))


def worker_count(setting: int, device: str) -> int:
    """Loader processes: on a CPU the training itself wants every core."""
    if setting >= 0:
        return setting
    return 0 if device == "cpu" else min(8, max(0, (os.cpu_count() or 1) - 1))


def _channels_first(picture: np.ndarray) -> torch.Tensor:
    # copied: the cache is a read-only memory map
    return torch.from_numpy(np.array(picture.transpose(2, 0, 1), order="C"))


def _single_thread(_: int) -> None:
    cv2.setNumThreads(0)
