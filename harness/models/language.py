"""Language nets and their scoring: the surprise of every token of every row, in text order.

A net is recurrent (`AwdLstm`: called with inputs and a carry, gives logits and the next carry) or not (`Gpt`: called
with inputs, gives logits); its attribute `recurrent` says which.

B windows or lanes, T positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from harness.batch import Batch
from harness.models.awd_lstm import AwdLstm, Carry
from harness.models.gpt import Gpt

__all__ = ["UNSCORED", "AwdLstm", "Carry", "Gpt", "token_nats"]

UNSCORED = -1  # as a target: context or padding, whose surprise is not asked for


def token_nats(
    net: nn.Module,
    windows: Iterable[Batch],
    lengths: Mapping[int, int],
    *,
    device: str,
    autocast: AbstractContextManager,
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (row, float32 [tokens of the row]) of -log p(token | what stands before it), each row once complete.

    Only unfinished rows are held. Rows of no tokens come first; the others in the order in which they are completed.

    Args:
        net: on `device`, with the attribute `recurrent`; it is set to evaluation.
        windows: batches with inputs "tokens" int64 [B, T] and "fresh" bool [B], target int64 [B, T] with `UNSCORED`
            where nothing is to be scored, and `rows` int64 [B, T], the row of each target. The scored targets of a row
            come in text order; lane b of a recurrent net goes on in lane b of the next batch.
        lengths: row -> its number of tokens.
        device: "cpu" or "cuda".
        autocast: context of the forward pass; the logarithms are float32 whatever it says.
    """
    net.eval()
    yield from ((row, np.zeros(0, dtype=np.float32)) for row, length in lengths.items() if length == 0)
    parts: dict[int, list[np.ndarray]] = {}
    counts: dict[int, int] = {}
    carry: Carry = {}
    for batch in windows:
        assert batch.target is not None, "windows to score carry targets"
        nats, carry = _nats(net, batch.to(device), carry, autocast)
        scored = (batch.target != UNSCORED).numpy()
        surprises, rows = nats.cpu().numpy()[scored], batch.rows.numpy()[scored]
        if not len(rows):
            continue
        borders = np.flatnonzero(np.diff(rows)) + 1
        for row, piece in zip(rows[np.r_[0, borders]].tolist(), np.split(surprises, borders), strict=True):
            parts.setdefault(row, []).append(piece)
            counts[row] = counts.get(row, 0) + len(piece)
            if counts[row] == lengths[row]:
                yield row, np.concatenate(parts.pop(row))
    short = [row for row in parts if counts[row] != lengths[row]]
    assert not short, f"rows {short[:3]} have tokens that no window scores, or scores twice"


def _nats(net: nn.Module, batch: Batch, carry: Carry, autocast: AbstractContextManager) -> tuple[torch.Tensor, Carry]:
    """(float32 [B, T] surprise of the targets, 0 where unscored; the next carry, empty for nets without one)."""
    assert batch.target is not None
    with torch.inference_mode(), autocast:
        if net.recurrent:
            logits, carry = net(batch.inputs, carry)
        else:
            logits = net(batch.inputs)
    with torch.inference_mode():
        # [B, V, T]: cross_entropy wants the classes second
        nats = F.cross_entropy(logits.float().transpose(1, 2), batch.target, reduction="none", ignore_index=UNSCORED)
    return nats, carry
