"""Stretches of text become windows in which a language net scores each token once.

B lanes or windows, T positions of a window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from harness.batch import Batch

Stretch = Sequence[tuple[int, np.ndarray]]  # neighbouring rows in text order: (row, int32 ids)
UNSCORED = -1  # a target that is context or padding


def row_lengths(stretches: Sequence[Stretch]) -> dict[int, int]:
    """Row -> its number of tokens, for checking that each token is scored."""
    rows = [(row, len(ids)) for stretch in stretches for row, ids in stretch]
    lengths = dict(rows)
    assert len(lengths) == len(rows), "a row stands in one stretch, once"
    return lengths


def evaluation_windows(
    stretches: Sequence[Stretch], *, context: int, batch: int, start: int, recurrent: bool
) -> Iterator[Batch]:
    """Windows in which every token of every row is a scored target exactly once, the very first included.

    Recurrent nets: each lane reads a stretch from end to end and then takes the next one, "fresh";
    results do not depend on `context` and `batch`, which cost memory and time only. Others: windows of
    `context` positions half over each other; all but a stretch's first `context` tokens are predicted from at least
    context/2 before them.

    Each batch has inputs "tokens" int64 [B, T] and "fresh" bool [B], target int64 [B, T] with -1 where nothing is
    scored, and rows int64 [B, T], the row of each target (-1 there too). Targets of a row come in text order.

    Args:
        stretches: rows that follow each other in the text; no stretch continues another.
        context: positions of a window, in tokens.
        batch: most windows at once.
        start: the id on which the first token of a stretch is conditioned.
        recurrent: what kind of net scores.
    """
    texts = [_joined(stretch, start) for stretch in stretches if any(len(ids) for _, ids in stretch)]
    if recurrent:
        yield from _carried(texts, context, batch, start)
        return
    pieces: list[_Text] = []
    for text in texts:
        for piece in _overlapping(text, context):
            pieces.append(piece)
            if len(pieces) == batch:
                yield _stacked(pieces, [True] * batch, start)
                pieces = []
    if pieces:
        yield _stacked(pieces, [True] * len(pieces), start)


@dataclass(frozen=True)
class _Text:
    """A stretch or a piece of it: int64 [T] each of what is read, what follows, and the row of what follows."""

    inputs: np.ndarray
    targets: np.ndarray
    rows: np.ndarray

    def piece(self, begin: int, end: int, *, scored: int) -> _Text:
        """Positions [begin, end), those before `scored` as context only."""
        targets, rows = self.targets[begin:end].copy(), self.rows[begin:end].copy()
        targets[: scored - begin] = rows[: scored - begin] = UNSCORED
        return _Text(self.inputs[begin:end], targets, rows)


def _joined(stretch: Stretch, start: int) -> _Text:
    targets = np.concatenate([ids for _, ids in stretch]).astype(np.int64)
    rows = np.repeat(np.array([row for row, _ in stretch], dtype=np.int64), [len(ids) for _, ids in stretch])
    return _Text(np.concatenate([[start], targets[:-1]]), targets, rows)


def _overlapping(text: _Text, context: int) -> Iterator[_Text]:
    """Windows of min(context, all) positions, each scoring what those before it did not."""
    total, done = len(text.targets), 0
    stride = max(1, context // 2)
    while done < total:
        end = min(total, context if done == 0 else done + stride)
        yield text.piece(max(0, end - context), end, scored=done)
        done = end


def _carried(texts: Sequence[_Text], context: int, batch: int, start: int) -> Iterator[Batch]:
    waiting = iter(texts)
    # (text, positions read) of each lane; a lane without text idles
    lanes: list[tuple[_Text, int] | None] = [(text, 0) for _, text in zip(range(batch), waiting, strict=False)]
    nothing = _Text(*[np.zeros(0, dtype=np.int64)] * 3)
    while any(lanes):
        pieces = [lane[0].piece(lane[1], lane[1] + context, scored=lane[1]) if lane else nothing for lane in lanes]
        yield _stacked(pieces, [lane is None or lane[1] == 0 for lane in lanes], start)
        for index, lane in enumerate(lanes):
            if lane and lane[1] + context < len(lane[0].targets):
                lanes[index] = (lane[0], lane[1] + context)
            else:
                following = next(waiting, None)
                lanes[index] = None if following is None else (following, 0)


def _stacked(pieces: Sequence[_Text], fresh: Sequence[bool], start: int) -> Batch:
    """One batch; shorter pieces are padded behind their end, where causal nets cannot look."""
    shape = (len(pieces), max(len(piece.inputs) for piece in pieces))
    inputs, targets, rows = np.full(shape, start), np.full(shape, UNSCORED), np.full(shape, UNSCORED)
    for lane, piece in enumerate(pieces):
        size = len(piece.inputs)
        inputs[lane, :size], targets[lane, :size], rows[lane, :size] = piece.inputs, piece.targets, piece.rows
    tensors = {"tokens": torch.from_numpy(inputs), "fresh": torch.tensor(fresh, dtype=torch.bool)}
    return Batch(tensors, torch.from_numpy(targets), torch.from_numpy(rows))
