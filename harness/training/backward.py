"""The gradients of one optimizer step, whatever its batch is cut into.

The loss is taken of the logits of the whole batch at once, so that cutting changes no loss, not even one that no sum of
parts gives (Dice over a batch). All micro-batches but the last pass forward twice: once for their logits, with nothing
kept, and once more for their gradients (Gao et al. 2021, arXiv:2101.06983, section 3).

B rows.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import pairwise

import torch
from torch import nn

from harness.batch import Batch
from harness.training.memory import still_norms
from harness.training.shards import ALONE, Shard, quietly
from harness.training.state import TrainState

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Carry = dict[str, torch.Tensor]
Generators = list[torch.Tensor]


def accumulate(
    state: TrainState,
    batch: Batch,
    *,
    loss: Loss,
    autocast: AbstractContextManager,
    call: nn.Module | None = None,
    shard: Shard = ALONE,
) -> tuple[torch.Tensor, Carry]:
    """Adds the batch's gradients to the net's, in `state.parts` micro-batches; returns (loss, the next carry).

    Batch norms see one micro-batch at a time; everything else is as if the batch were whole. A net's own `penalty` is
    averaged over the rows.

    Args:
        call: the net, wrapped for several processes.
        shard: which of them this is; its rows alone pass through the net.

    Raises:
        RuntimeError: among others out of memory; the net then holds some gradients, and the state nothing new.
    """
    assert batch.target is not None, "training batches carry targets"
    net, rows = call or state.net, len(batch.rows)
    # as many in every process: synchronised norms wait for each other at each pass
    parts = _parts(shard.own(rows), min(state.parts, rows // shard.number))
    device = batch.target.device
    outputs: list[torch.Tensor] = []
    carries: list[Carry] = []
    before: list[Generators] = []
    penalty = torch.zeros((), device=device)
    for part in parts:
        before.append(generators(device) if len(parts) > 1 else [])
        with torch.set_grad_enabled(part == parts[-1]), autocast, quietly(net, last=part == parts[0]):
            output, carry = _forward(net, state.carry, batch, part)
        outputs.append(output)
        carries.append(carry)
        penalty = penalty + _share(rows, part) * getattr(state.net, "penalty", penalty).detach()
    after = generators(device) if len(parts) > 1 else []
    whole = shard.gather(torch.cat(outputs) if len(parts) > 1 else outputs[0], rows).requires_grad_()
    value = loss(whole, batch.target)
    state.scaler.scale(value).backward()
    assert whole.grad is not None, "a loss depends on the logits"
    for part, randoms in zip(reversed(parts), reversed(before), strict=True):
        output = outputs.pop()  # and with it, at the end of this turn, the activations it hangs on
        if not output.requires_grad:
            restore(randoms, device)
            with still_norms(state.net), autocast, quietly(net, last=part == parts[0]):
                output, _ = _forward(net, state.carry, batch, part)
        with quietly(net, last=part == parts[0]):
            # gradients are averaged over the processes, and are to be summed
            _pass_back(state, output, whole.grad[part] * shard.number, _share(rows, part) * shard.number)
    restore(after, device)
    carry = {name: torch.cat([carry[name] for carry in carries]) for name in carries[0]}
    if hasattr(state.net, "penalty"):
        value = value.detach() + shard.sum(penalty)
    return value.detach(), {name: shard.gather(own, rows) for name, own in carry.items()}


def generators(device: torch.device) -> Generators:
    """The states of the random generators that a forward pass on `device` draws from."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


def restore(states: Generators, device: torch.device) -> None:
    """Puts back what `generators` gave; nothing for an empty list."""
    for state, put in zip(
        states, (torch.set_rng_state, lambda cuda: torch.cuda.set_rng_state(cuda, device)), strict=False
    ):
        put(state)


def _parts(rows: slice, number: int) -> list[slice]:
    """`rows` cut into `number` slices of nearly the same length, none empty."""
    edges = [rows.start + (rows.stop - rows.start) * index // number for index in range(number + 1)]
    return [slice(start, stop) for start, stop in pairwise(edges) if stop > start]


def _share(rows: int, part: slice) -> float:
    return (part.stop - part.start) / rows


def _forward(net: nn.Module, carry: Carry, batch: Batch, part: slice) -> tuple[torch.Tensor, Carry]:
    """The net's logits of a part; a recurrent net takes the part's carry of the step before and gives its own."""
    inputs = {name: tensor[part] for name, tensor in batch.inputs.items()}
    if not getattr(getattr(net, "module", net), "recurrent", False):
        return net(inputs), {}
    # a carry of another number of lanes belongs to no lane of this batch
    fits = all(len(tensor) == len(batch.rows) for tensor in carry.values())
    return net(inputs, {name: tensor[part] for name, tensor in carry.items()} if fits else {})


def _pass_back(state: TrainState, output: torch.Tensor, gradient: torch.Tensor, share: float) -> None:
    penalty = getattr(state.net, "penalty", None)
    if penalty is None:
        output.backward(gradient)
    else:
        scaled = state.scaler.scale(torch.full_like(penalty, share))
        torch.autograd.backward([output, penalty], [gradient, scaled])
