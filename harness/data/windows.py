"""Training windows of token ids, a pure function of (seed, fold, stage, epoch). Those for scoring: `stretches.py`.

B lanes or windows, T positions of a window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch

from harness.batch import Batch
from harness.data.order import order as permutation

Order = Literal["sequential", "shuffled"]
LENGTHS = 1  # tells the generator of window lengths and offsets from that of the order of windows
SHORTEST = 5  # tokens; AWD-LSTM's training script never cuts fewer


@dataclass(frozen=True)
class TextWindows:
    """Training windows from runs of text, joined into a ring that each epoch enters at another place.

    "sequential" is for recurrent nets: the ring is cut into lanes; lane b of a window goes on in lane b of the next;
    all windows of a step have one length, drawn around `context` (Merity et al. 2017, arXiv:1708.02182, section 4.1),
    by which a step's rate is scaled (`Batch.share`). "shuffled" is for others: windows of `context`
    tokens that do not overlap, in a random order, batches may cross the border of two epochs.

    Attributes:
        runs: int32 ids of stretches that are contiguous in the text.
        context: positions of a window, in tokens.
        order: what kind of net is fed.
        seed, fold, stage: of the randomness.
    """

    runs: Sequence[np.ndarray]
    context: int
    order: Order
    seed: int
    fold: int
    stage: int

    def __post_init__(self) -> None:
        assert sum(map(len, self.runs)) >= 2, "training text has at least two tokens: one to read, one to predict"
        assert self.context >= 1, "a window has at least one token"

    @cached_property
    def _ring(self) -> np.ndarray:
        return np.concatenate([np.asarray(run, dtype=np.int32) for run in self.runs])

    @cached_property
    def _run(self) -> np.ndarray:
        """int32 [ring]: which run each token is of."""
        return np.repeat(np.arange(len(self.runs), dtype=np.int32), [len(run) for run in self.runs])

    def lanes(self, batch: int) -> int:
        """B: `batch`, or fewer where a recurrent net's lanes would be shorter than one window."""
        return batch if self.order == "shuffled" else max(1, min(batch, len(self._ring) // self.context))

    def steps(self, epochs: float, batch: int) -> int:
        """Optimizer steps that read `epochs` passes over the text; at least one."""
        if self.order == "shuffled":
            return max(1, -int(-self._windows * epochs // batch))
        counts = [len(self._cuts(epoch, batch)) for epoch in range(int(epochs) + 1)]
        return max(1, sum(counts[:-1]) - int(-counts[-1] * (epochs - int(epochs)) // 1))

    def batches(self, cursor: int, count: int, *, batch: int, workers: int = 0, pin: bool = False) -> Iterator[Batch]:
        """`count` batches from row `cursor` of the stream on, where a step reads B rows; no state beside these numbers.

        Each has inputs "tokens" int64 [B, T] and "fresh" bool [B] (this lane's carry is to be zeroed), target int64
        [B, T] the tokens that follow, and rows int64 [B], the place of each window's first token in the joined runs.

        Args:
            cursor: rows read so far; a multiple of B for a recurrent net.
            count: of batches.
            batch: rows of a batch; `lanes(batch)` is B.
            workers: ignored: cutting a window costs less than passing it between processes.
            pin: whether to lock the memory for faster copies to a GPU.
        """
        del workers
        places = self._shuffled(cursor, count, batch) if self.order == "shuffled" else self._lanes(cursor, count, batch)
        for starts, length, fresh in places:
            indices = (starts[:, None] + np.arange(length + 1)) % len(self._ring)
            tokens = torch.from_numpy(self._ring[indices].astype(np.int64))
            inputs = {"tokens": tokens[:, :-1].contiguous(), "fresh": torch.from_numpy(fresh)}
            target, rows = tokens[:, 1:].contiguous(), torch.from_numpy(starts.astype(np.int64))
            if pin:
                inputs, target = {name: part.pin_memory() for name, part in inputs.items()}, target.pin_memory()
            yield Batch(inputs, target, rows, share=length / self.context)

    @property
    def _windows(self) -> int:
        """Windows of an epoch, shuffled."""
        return max(1, len(self._ring) // self.context)

    def _generator(self, epoch: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.fold, self.stage, epoch, LENGTHS])

    def _shuffled(self, cursor: int, count: int, batch: int) -> Iterator[tuple[np.ndarray, int, np.ndarray]]:
        """(first tokens [B], length, fresh [B]) of each batch."""
        for first in range(cursor, cursor + count * batch, batch):
            epochs, rest = np.divmod(np.arange(first, first + batch), self._windows)
            starts = np.empty(batch, dtype=np.int64)
            for epoch in range(int(epochs[0]), int(epochs[-1]) + 1):
                order = permutation(self._windows, seed=self.seed, fold=self.fold, stage=self.stage, epoch=epoch)
                chosen = order[rest[epochs == epoch]]
                starts[epochs == epoch] = (self._offset(epoch) + chosen * self.context) % len(self._ring)
            yield starts, self.context, np.ones(batch, dtype=np.bool_)

    def _offset(self, epoch: int) -> int:
        return int(self._generator(epoch).integers(len(self._ring)))

    def _cuts(self, epoch: int, batch: int) -> np.ndarray:
        """int64: where the windows of an epoch start within their lane; the lane's length is not among them."""
        lane = len(self._ring) // self.lanes(batch)
        rng = self._generator(epoch)
        rng.integers(len(self._ring))  # the offset comes first in the stream
        draws = 2 * lane // self.context + 2 * SHORTEST
        base = np.where(rng.random(draws) < 0.95, self.context, self.context / 2)
        lengths = np.maximum(rng.normal(base, 5.0).astype(np.int64), min(SHORTEST, self.context))
        starts = np.concatenate([[0], np.cumsum(lengths)])
        assert starts[-1] >= lane, "too few lengths drawn for a lane"
        # a rest of fewer tokens than the shortest window joins the window before it
        return starts[(starts == 0) | (starts <= lane - min(SHORTEST, self.context))]

    def _lanes(self, cursor: int, count: int, batch: int) -> Iterator[tuple[np.ndarray, int, np.ndarray]]:
        """(first tokens [B], length, fresh [B]) of each batch."""
        lanes = self.lanes(batch)
        lane, step, epoch = len(self._ring) // lanes, cursor // lanes, 0
        while (windows := len(self._cuts(epoch, batch))) <= step:
            step, epoch = step - windows, epoch + 1
        while count > 0:
            cuts = self._cuts(epoch, batch)
            begins = self._offset(epoch) + np.arange(lanes) * lane
            lengths = np.diff([*cuts, lane])
            for window in range(step, min(len(cuts), step + count)):
                starts = (begins + cuts[window]) % len(self._ring)
                before = (begins + cuts[max(0, window - 1)]) % len(self._ring)
                # a lane that entered another run (or the ring's begin) within the window before starts anew here:
                # cheaper than cutting windows at the borders, for one window with a strange context per border
                fresh = (self._run[starts] != self._run[before]) | (starts < before) | (window == 0)
                yield starts, int(lengths[window]), fresh
            count, step, epoch = count - (min(len(cuts), step + count) - step), 0, epoch + 1
