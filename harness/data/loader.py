"""Rows become batches: training batches from the row stream, prediction batches in row order.

B rows, C channels, H height, W width, F numbers, K categories.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from harness.batch import Batch
from harness.competition import Size
from harness.data import order
from harness.data.augment import Augmentation
from harness.data.cache import Cache
from harness.data.order import flipped, place, view_seed
from harness.data.pictures import shrink

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Stream(Dataset):
    """The training examples of one stage of one fold, indexed by their position in the row stream.

    Attributes:
        name: the picture input's name in the batch; "" where there is no picture.
        pictures, masks: caches over all rows, where there are any.
        targets: [N, ...] encoded targets of all rows, where they are no masks.
        arrays: further inputs by name, [N, ...] over all rows: a table's numbers and codes.
        rows: int64, the training rows' positions in the caches.
        ids: the ids of all rows.
        augmentation: what is done to a view of a picture.
        seed, fold, stage: of the order.
        alternating: a picture's left-right flip is not drawn each epoch, but takes turns.
        classes: one byte a training row, its class; all are drawn equally often. Empty: each epoch is a permutation.
    """

    name: str
    pictures: Cache | None
    masks: Cache | None
    rows: np.ndarray
    ids: Sequence[str]
    augmentation: Augmentation | None
    seed: int
    fold: int
    stage: int
    targets: np.ndarray | None = None
    arrays: Arrays = field(default_factory=dict)
    alternating: bool = False
    classes: bytes = b""

    def __getitem__(self, position: int) -> tuple[dict[str, torch.Tensor], torch.Tensor, int]:
        """({input: tensor}, target, row) of the example at a position of the stream.

        Pictures are uint8 [C, H, W], masks float32 [1, H, W].
        """
        row, epoch, view = self._row(position)  # a row drawn twice in an epoch is seen two ways
        inputs = {name: torch.from_numpy(array[row]) for name, array in self.arrays.items()}
        mask = None if self.masks is None else self.masks[row][:, :, 0]
        if self.pictures is not None:
            assert self.augmentation is not None, "pictures need an augmentation, of strength 0 where none is wanted"
            identity, flip = self.ids[row], None
            seed = view_seed(self.seed, stage=self.stage, epoch=epoch, identity=identity, view=view)
            if self.alternating:
                flip = flipped(self.seed, stage=self.stage, epoch=epoch, identity=identity)
            picture, mask = self.augmentation(self.pictures[row], mask, seed, flip=flip)
            inputs[self.name] = _channels_first(picture)
        if mask is not None:
            return inputs, torch.from_numpy(mask.astype(np.float32))[None], row
        assert self.targets is not None, "a training row has a mask or another target"
        return inputs, torch.from_numpy(self.targets[row]), row

    def _row(self, position: int) -> tuple[int, int, int]:
        """(row, epoch, how often the epoch had it before) at a position of the stream."""
        index, epoch, before = place(
            position, len(self.rows), seed=self.seed, fold=self.fold, stage=self.stage, classes=self.classes
        )
        return int(self.rows[index]), epoch, before

    def steps(self, epochs: float, batch: int) -> int:
        """Optimizer steps that read `epochs` passes."""
        return order.steps(len(self.rows), batch, epochs)

    def batches(self, cursor: int, count: int, *, batch: int, workers: int, pin: bool) -> Iterator[Batch]:
        """`count` full batches from row `cursor` of the stream on; no state beside these numbers."""
        positions = [range(cursor + step * batch, cursor + (step + 1) * batch) for step in range(count)]
        if self.pictures is None:
            # a table's rows are taken at once: collating them one by one would cost more than the step
            yield from (self._table_batch(part) for part in positions)
            return
        # its own generator: drawing the workers' seeds must not move the global one that a resumed run compares
        loader = DataLoader(
            self,
            batch_sampler=[list(part) for part in positions],
            num_workers=workers,
            pin_memory=pin,
            generator=torch.Generator(),
            worker_init_fn=_begin if workers else None,
        )
        for inputs, targets, rows in loader:
            yield Batch(inputs, targets, rows)

    def _table_batch(self, positions: range) -> Batch:
        rows = np.array([self._row(position)[0] for position in positions])
        assert self.targets is not None, "rows without pictures have targets that are no masks"
        inputs = {name: torch.from_numpy(array[rows]) for name, array in self.arrays.items()}
        return Batch(inputs, torch.from_numpy(self.targets[rows]), torch.from_numpy(rows))


def prediction_batches(
    pictures: Cache | None,
    rows: Sequence[int] | np.ndarray,
    *,
    name: str,
    size: Size,
    batch: int,
    arrays: Arrays | None = None,
) -> Iterator[Batch]:
    """The rows in the order given, as they are; the last batch may be smaller."""
    for start in range(0, len(rows), batch):
        chosen = [int(row) for row in rows[start : start + batch]]
        inputs = {key: torch.from_numpy(array[chosen]) for key, array in (arrays or {}).items()}
        if pictures is not None:
            inputs[name] = torch.stack([_channels_first(shrink(pictures[row], size)) for row in chosen])
        yield Batch(inputs, None, torch.tensor(chosen))


def worker_count(setting: int, device: str) -> int:
    """Loader processes: on a CPU the training itself wants every core."""
    if setting >= 0:
        return setting
    return 0 if device == "cpu" else min(8, max(0, (os.cpu_count() or 1) - 1))


def _channels_first(picture: np.ndarray) -> torch.Tensor:
    # copied: the cache is a read-only memory map
    return torch.from_numpy(np.array(picture.transpose(2, 0, 1), order="C"))


def _begin(_: int) -> None:
    """In a loading process: one thread, and no answer to Ctrl-C, which the run answers."""
    cv2.setNumThreads(0)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
