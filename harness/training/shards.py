"""One step shared out over the processes that torchrun started: each passes its part of the batch through the net.

The loss is taken of everybody's logits, in every process, so that it is the loss of one process with the whole batch,
whatever kind of loss it is; gradients are summed by DistributedDataParallel while the backward pass goes on.

B rows.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

PATIENCE = timedelta(days=2)  # the others wait while the first prepares data, predicts and writes


@dataclass(frozen=True)
class Shard:
    """One of several processes that train a net together; alone by default.

    Attributes:
        rank: which; the first writes and speaks for all.
        number: how many.
        draws: seed, fold and stage, which the others' random draws depend on.
    """

    rank: int = 0
    number: int = 1
    draws: tuple[int, ...] = ()

    def own(self, rows: int) -> slice:
        """This process's rows of a batch."""
        return slice(*self._edges(rows)[self.rank : self.rank + 2])

    def gather(self, own: torch.Tensor, rows: int) -> torch.Tensor:
        """[B, ...]: everybody's rows, without gradients, in the order of the batch."""
        if self.number == 1:
            return own.detach()
        edges = self._edges(rows)
        sizes = [stop - start for start, stop in pairwise(edges)]
        padded = own.new_zeros(max(sizes), *own.shape[1:])  # what is gathered has one shape
        padded[: len(own)] = own.detach()
        everybody = [torch.empty_like(padded) for _ in sizes]
        distributed.all_gather(everybody, padded)
        return torch.cat([part[:size] for part, size in zip(everybody, sizes, strict=True)])

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        """The sum of everybody's values."""
        if self.number > 1:
            distributed.all_reduce(value)
        return value

    def reseed(self, step: int) -> None:
        """Draws of a step, of their own in each process; the first goes on with the state's generators."""
        if self.rank:
            torch.manual_seed(int(np.random.SeedSequence([*self.draws, step, self.rank]).generate_state(1)[0]))

    def send(self, message: Any) -> None:
        """From the first process to all others."""
        if self.number > 1:
            distributed.broadcast_object_list([message], src=0)

    def receive(self) -> Any:
        """What the first process sends next."""
        box: list[Any] = [None]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def _edges(self, rows: int) -> list[int]:
        return [rows * index // self.number for index in range(self.number + 1)]


ALONE = Shard()


def join(device: str) -> Shard:
    """This process's place among those that torchrun started; alone where it did not.

    Over gloo on a CPU and NCCL between GPUs, each process on the card of its local rank.
    """
    if not launched():
        return ALONE
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    if not distributed.is_initialized():
        distributed.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo", timeout=PATIENCE)
    return Shard(distributed.get_rank(), distributed.get_world_size())


def launched() -> bool:
    """Whether torchrun started this process among others."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "MASTER_ADDR" in os.environ


def leave() -> None:
    """Ends what `join` began."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def agree(shard: Shard, *facts: int) -> None:
    """Stops where processes are about to train from different places: their gradients would add up to nonsense."""
    everybody = shard.gather(torch.tensor([facts]), shard.number)
    assert bool((everybody == everybody[0]).all()), f"processes stand at different places: {everybody.tolist()}"


def wrapped(net: nn.Module, shard: Shard) -> nn.Module:
    """The net as several processes call it; which weights are frozen must not change afterwards."""
    return net if shard.number == 1 else DistributedDataParallel(net)


def joined_norms(net: nn.Module, shard: Shard, device: str) -> nn.Module:
    """Batch norms over everybody's rows, where the device has them: on CUDA."""
    return nn.SyncBatchNorm.convert_sync_batchnorm(net) if shard.number > 1 and device == "cuda" else net


def quietly(net: nn.Module, *, last: bool) -> AbstractContextManager:
    """Gradients are exchanged once a step, with its last backward pass."""
    return net.no_sync() if isinstance(net, DistributedDataParallel) and not last else nullcontext()
