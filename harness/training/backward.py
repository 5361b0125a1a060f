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

from harness.batch import Batch
from harness.training.memory import still_norms
from harness.training.state import TrainState

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Carry = dict[str, torch.Tensor]
Generators = list[torch.Tensor]


def accumulate(
    state: TrainState, batch: Batch, *, loss: Loss, autocast: AbstractContextManager
) -> tuple[torch.Tensor, Carry]:
    """Adds the batch's gradients to the net's, in `state.parts` micro-batches; returns (loss, the next carry).

    Batch norms see one micro-batch at a time; everything else is as if the batch were whole. A net's own `penalty` is
    averaged over the rows.

    Raises:
        RuntimeError: among others out of memory; the net then holds some gradients, and the state nothing new.
    """
    assert batch.target is not None, "training batches carry targets"
    parts = _parts(len(batch.rows), state.parts)
    device = batch.target.device
    outputs: list[torch.Tensor] = []
    carries: list[Carry] = []
    before: list[Generators] = []
    penalty = torch.zeros((), device=device)
    for part in parts:
        before.append(generators(device) if len(parts) > 1 else [])
        with torch.set_grad_enabled(part == parts[-1]), autocast:
            output, carry = _forward(state, batch, part)
        outputs.append(output)
        carries.append(carry)
        penalty = penalty + _share(batch, part) * getattr(state.net, "penalty", penalty).detach()
    after = generators(device) if len(parts) > 1 else []
    whole = (torch.cat(outputs) if len(parts) > 1 else outputs[0]).detach().requires_grad_()
    value = loss(whole, batch.target)
    state.scaler.scale(value).backward()
    assert whole.grad is not None, "a loss depends on the logits"
    for part, randoms in zip(reversed(parts), reversed(before), strict=True):
        output = outputs.pop()  # and with it, at the end of this turn, the activations it hangs on
        if not output.requires_grad:
            restore(randoms, device)
            with still_norms(state.net), autocast:
                output, _ = _forward(state, batch, part)
        _pass_back(state, output, whole.grad[part], _share(batch, part))
    restore(after, device)
    return value.detach() + penalty, {name: torch.cat([carry[name] for carry in carries]) for name in carries[0]}


def generators(device: torch.device) -> Generators:
    """The states of the random generators that a forward pass on `device` draws from."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


def restore(states: Generators, device: torch.device) -> None:
    """Puts back what `generators` gave; nothing for an empty list."""
    for state, put in zip(
        states, (torch.set_rng_state, lambda cuda: torch.cuda.set_rng_state(cuda, device)), strict=False
    ):
        put(state)


def _parts(rows: int, number: int) -> list[slice]:
    """`rows` cut into `number` slices of nearly the same length, none empty."""
    edges = [rows * index // number for index in range(number + 1)]
    return [slice(start, stop) for start, stop in pairwise(edges) if stop > start]


def _share(batch: Batch, part: slice) -> float:
    return (part.stop - part.start) / len(batch.rows)


def _forward(state: TrainState, batch: Batch, part: slice) -> tuple[torch.Tensor, Carry]:
    """The net's logits of a part; a recurrent net takes the part's carry of the step before and gives its own."""
    inputs = {name: tensor[part] for name, tensor in batch.inputs.items()}
    if not getattr(state.net, "recurrent", False):
        return state.net(inputs), {}
    # a carry of another number of lanes belongs to no lane of this batch
    fits = all(len(tensor) == len(batch.rows) for tensor in state.carry.values())
    return state.net(inputs, {name: tensor[part] for name, tensor in state.carry.items()} if fits else {})


def _pass_back(state: TrainState, output: torch.Tensor, gradient: torch.Tensor, share: float) -> None:
    penalty = getattr(state.net, "penalty", None)
    if penalty is None:
        output.backward(gradient)
    else:
        scaled = state.scaler.scale(torch.full_like(penalty, share))
        torch.autograd.backward([output, penalty], [gradient, scaled])
