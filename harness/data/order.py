"""The order of rows, and the randomness of each view, as pure functions: nothing to save but a counter of rows.

A stage reads an endless stream of rows: epoch after epoch, each a permutation of the training rows. Position p of the
stream is row `order(epoch = p // N)[p % N]`, so that batches may cross the border of two epochs, every batch is full,
and no tail is dropped.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np


@lru_cache(maxsize=8)
def order(rows: int, *, seed: int, fold: int, stage: int, epoch: int) -> np.ndarray:
    """int64 [rows]: the permutation of one epoch."""
    return np.random.default_rng([seed, fold, stage, epoch]).permutation(rows)


def place(position: int, rows: int, *, seed: int, fold: int, stage: int) -> tuple[int, int]:
    """(index into the training rows, epoch) at a position of the stream."""
    epoch, rest = divmod(position, rows)
    return int(order(rows, seed=seed, fold=fold, stage=stage, epoch=epoch)[rest]), epoch


def steps(rows: int, batch: int, epochs: float) -> int:
    """Optimizer steps of a stage: at least one, and enough to read `epochs` passes."""
    return max(1, -int(-rows * epochs // batch))


def view_seed(seed: int, *, stage: int, epoch: int, identity: str, view: int) -> int:
    """64 bits for the augmentation of one view of one row; the fold is left out, so that folds can share a stream."""
    return _bits(f"{seed}/{stage}/{epoch}/{identity}/{view}")


def flipped(seed: int, *, stage: int, epoch: int, identity: str) -> bool:
    """Whether a row's picture is flipped left to right: drawn for the stage's first epoch, then in turns.

    Any two epochs that follow each other show both (Jordan 2024, arXiv:2404.00498, on alternating flip).
    """
    return (_bits(f"{seed}/{stage}/flip/{identity}") + epoch) % 2 == 1


def _bits(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
