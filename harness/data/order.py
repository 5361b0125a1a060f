"""The order of rows, and the randomness of each view, as pure functions: nothing to save but a counter of rows.

A stage reads an endless stream of rows: epoch after epoch, each a permutation of the training rows, or N draws from
classes of them. Position p of the stream is row `order(epoch = p // N)[p % N]`, so that batches may cross the border of
two epochs, every batch is full, and no tail is dropped.

N rows.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np

from harness.data.strata import quantile_labels

PARTS = 4  # classes that masks with something in them are divided into


@lru_cache(maxsize=8)
def order(rows: int, *, seed: int, fold: int, stage: int, epoch: int, classes: bytes = b"") -> np.ndarray:
    """int64 [N]: one epoch: a permutation, or as many draws from each class, with replacement.

    Args:
        rows: N.
        classes: one byte a row, its class (bytes: a key of the cache that is hashed once); with fewer than two of them
            there is nothing to even out.
    """
    random = np.random.default_rng([seed, fold, stage, epoch])
    if len(set(classes)) < 2:
        return random.permutation(rows)
    assert len(classes) == rows, "each row has a class"
    of_row = np.frombuffer(classes, dtype=np.uint8)
    known = random.permutation(np.unique(of_row))  # each epoch others get the draws that do not divide evenly
    turns = random.permutation(np.resize(known, rows))
    drawn = np.empty(rows, dtype=np.int64)
    for number in known:
        turn = turns == number
        drawn[turn] = random.choice(np.flatnonzero(of_row == number), np.count_nonzero(turn))
    return drawn


def place(position: int, rows: int, *, seed: int, fold: int, stage: int, classes: bytes = b"") -> tuple[int, int, int]:
    """(index into the training rows, epoch, how often the epoch had that row before) at a position of the stream."""
    epoch, rest = divmod(position, rows)
    drawn = order(rows, seed=seed, fold=fold, stage=stage, epoch=epoch, classes=classes)
    before = int(np.count_nonzero(drawn[:rest] == drawn[rest])) if classes else 0
    return int(drawn[rest]), epoch, before


def area_classes(areas: np.ndarray) -> bytes:
    """One byte a row: 0 of an empty mask, else from 1 on which quarter of the others its area [N] lies in.

    Equal areas share a class: there may be fewer than four.
    """
    classes, filled = np.zeros(len(areas), dtype=np.uint8), areas > 0
    if filled.any():
        classes[filled] = 1 + quantile_labels(areas[filled], bins=PARTS).argmax(axis=1)
    return classes.tobytes()


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
