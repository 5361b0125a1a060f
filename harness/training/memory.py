"""What a step needs of memory: running out of it recognised, the largest micro-batch that fits, activations forgotten.

B rows.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from harness.errors import MemoryShortError

PROBES = 5  # steps at most that `largest` measures
SMALLEST = 2  # rows of the first: a batch norm of one value has no spread
MESSAGES = ("can't allocate memory", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory has run out: PyTorch's own, the CPU allocator's, or a CUDA library's."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(message in str(error) for message in MESSAGES)
    )


def largest(measure: Callable[[int], int | None], rows: int, limit: int) -> int:
    """Rows of the largest micro-batch, `rows` halved some times, whose step stays below `limit` bytes.

    Two small steps give a straight line (weights and moments cost the same whatever the batch, activations by the row);
    what it foretells is tried, and halved while it does not fit, five steps in all.

    Args:
        measure: rows -> peak bytes of a step, None where it ran out of memory.
        rows: of the whole batch.
        limit: bytes there are.
    """
    sizes = [rows]
    while sizes[-1] > 1:
        sizes.append(-(-sizes[-1] // 2))
    small = [size for size in reversed(sizes) if size >= min(SMALLEST, rows)][:2]
    peaks = [measure(size) for size in small]
    if len(small) < 2 or None in peaks:
        return small[0]
    first, second = (float(peak) for peak in peaks if peak is not None)
    slope = max(0.0, (second - first) / (small[1] - small[0]))
    tries = [size for size in sizes if size > small[1] and second + slope * (size - small[1]) < limit]
    for size in tries[: PROBES - len(small)]:
        peak = measure(size)
        if peak is not None and peak < limit:
            return size
    return small[1] if second < limit else small[0]


@contextmanager
def told() -> Iterator[None]:
    """Says in one line where memory runs out outside of a step that can be made again.

    Raises:
        MemoryShortError: in the place of the error.
    """
    try:
        yield
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        fix = "lower train.batch or train.size, take a smaller net, or free the device"
        raise MemoryShortError("memory has run out", fix=fix) from error


@contextmanager
def still_norms(net: nn.Module) -> Iterator[None]:
    """Batch norms normalise by their batch, and leave their running statistics alone: a pass made again counts once."""
    norms = [module for module in net.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, counted) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, counted


def forgetful(encoder: nn.Module) -> None:
    """Lets an encoder's blocks forget their activations in training; the backward pass computes them again.

    Costs about one more forward pass of the encoder, and changes no value. Chen et al. 2016, arXiv:1604.06174.
    """
    for block in _blocks(encoder):
        block.forward = functools.partial(_recomputed, block, block.forward)


def _recomputed(block: nn.Module, forward: Callable[..., torch.Tensor], *inputs: Any, **named: Any) -> torch.Tensor:
    if not block.training or not torch.is_grad_enabled():
        return forward(*inputs, **named)
    contexts = lambda: (nullcontext(), still_norms(block))  # noqa: E731
    return checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts, **named)


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The largest parts that are no mere sequences and consist of several layers."""
    for child in module.children():
        if isinstance(child, nn.Sequential | nn.ModuleList):
            yield from _blocks(child)
        elif any(True for _ in child.children()):
            yield child
