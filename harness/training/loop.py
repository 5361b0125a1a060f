"""The loop: one readable function, continued from any step to any step.

B rows per step.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import nn

from harness import files
from harness.batch import Batch
from harness.errors import ConfigError, DivergedError, MemoryShortError, RunError
from harness.training import backward, snapshots
from harness.training.memory import out_of_memory
from harness.training.schedule import Schedule
from harness.training.shards import ALONE, Shard, wrapped
from harness.training.state import TrainState

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Report = Callable[[int, float, float], None]


def unmixed(batch: Batch, step: int) -> Batch:
    """The batch as it comes."""
    return batch


def unsaid(text: str) -> None:
    """Nobody listens."""


def unasked() -> None:
    """Nothing ends a training but its last step."""


@dataclass(frozen=True)
class Recipe:
    """What stays the same while a stage trains.

    Attributes:
        loss: (logits, target) -> float32 scalar.
        batches: (cursor in rows, number of steps) -> that many batches.
        autocast: context of the forward pass.
        device: "cpu" or "cuda".
        clip: largest gradient norm.
        ema: decay of the averaged weights.
        report_every: steps between two readings of the loss; each costs one wait for the device.
        report: (step, mean loss since the last reading, learning rate).
        mix: (batch on the device, step) -> the batch that is trained on.
        shard: which of several processes this is; they take the same steps, each on its rows.
        least: rows of a micro-batch at least: a batch norm of one value has no spread.
        say: one line to the user.
        tick: called before each step; what it raises leaves a state that can be gone on from.
    """

    loss: Loss
    batches: Callable[[int, int], Iterable[Batch]]
    autocast: AbstractContextManager
    device: str
    clip: float
    ema: float
    report_every: int
    report: Report
    mix: Callable[[Batch, int], Batch] = unmixed
    shard: Shard = ALONE
    least: int = 1
    say: Callable[[str], None] = unsaid
    tick: Callable[[], None] = unasked


def advance(state: TrainState, until_step: int, rate: Schedule, recipe: Recipe) -> None:
    """Trains from `state.step` to `until_step` of the stage; calling it twice for half the steps gives the same bits.

    Raises:
        DivergedError: the loss read at a report is not finite, or fp16 gradients overflow even when scaled down.
        MemoryShortError: memory runs out, however small the micro-batches.
        Stopped: what the recipe's tick raises; the state stands between two steps.
    """
    state.net.train()
    call = wrapped(state.net, recipe.shard)
    for batch in _fetched(recipe, state.cursor, until_step - state.step):
        now = rate(state.step)
        for group in state.optimizer.param_groups:
            group["lr"] = now.learning_rate * batch.share * group["scale"] * state.pace
            group["betas"] = (now.momentum, group["betas"][1])
        moved = recipe.mix(batch.to(recipe.device), state.step)
        recipe.shard.reseed(state.step)
        loss, state.carry = _gradients(state, moved, recipe, call)
        state.scaler.unscale_(state.optimizer)  # before clipping: the norm is of true gradients
        nn.utils.clip_grad_norm_(state.net.parameters(), recipe.clip)
        state.scaler.step(state.optimizer)
        state.scaler.update()
        state.optimizer.zero_grad(set_to_none=True)
        state.update_average(recipe.ema)
        # summed on the device: no wait per step
        state.unread, state.unread_steps = loss if state.unread is None else state.unread + loss, state.unread_steps + 1
        state.step, state.age, state.cursor = state.step + 1, state.age + 1, state.cursor + len(batch.rows)
        if state.step % recipe.report_every == 0 or state.step == until_step:
            _read(state, rate, recipe)
    if state.unread_steps:  # the batches ended before that step: the time was over
        _read(state, rate, recipe)


def _fetched(recipe: Recipe, cursor: int, count: int) -> Iterator[Batch]:
    """The batches, with a look before each at whether the training is asked to end."""
    batches = iter(recipe.batches(cursor, count))
    for _ in range(count):
        recipe.tick()
        try:
            batch = next(batches)
        except StopIteration:
            return
        except RuntimeError:
            recipe.tick()  # a signal to all processes may have ended those that load pictures first
            raise
        yield batch


def _read(state: TrainState, rate: Schedule, recipe: Recipe) -> None:
    """Reads the mean loss of the steps since the last reading, checks it, and reports it."""
    assert state.unread is not None, "steps were taken"
    mean = state.unread.item() / state.unread_steps
    state.unread, state.unread_steps = None, 0
    _check(mean, state)
    recipe.report(state.step, mean, rate(state.step - 1).learning_rate * state.pace)


def _check(mean: float, state: TrainState) -> None:
    fix = "lower the rate: -o train.rate=..., or --precision fp32"
    if not math.isfinite(mean):
        raise DivergedError(f"the loss is {mean} at step {state.step}", fix=fix)
    if state.scaler.is_enabled() and state.scaler.get_scale() < 1:
        raise DivergedError(f"fp16 gradients overflow at step {state.step}, scaled by less than 1", fix=fix)


def _gradients(state: TrainState, batch: Batch, recipe: Recipe, call: nn.Module) -> tuple[torch.Tensor, backward.Carry]:
    """(loss, carry) of the batch, its gradients in the net.

    Where memory runs out, the same step is made again in twice as many micro-batches, and so are those that follow.
    (Batch norms keep what they saw of the attempt that failed.)

    Raises:
        MemoryShortError: a single row does not fit.
    """
    assert batch.target is not None, "training batches carry targets"
    randoms = backward.generators(batch.target.device)
    while True:
        try:
            return backward.accumulate(
                state, batch, loss=recipe.loss, autocast=recipe.autocast, call=call, shard=recipe.shard
            )
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            if recipe.shard.number > 1:  # the others are in the middle of the same step
                fix = f"cut steps by hand: -o train.accumulate={2 * state.parts}"
                raise MemoryShortError("a step does not fit into a process's memory", fix=fix) from error
        # only here, where the error and with it the activations are gone, is there memory to free
        state.optimizer.zero_grad(set_to_none=True)
        backward.restore(randoms, batch.target.device)
        if recipe.device == "cuda":
            torch.cuda.empty_cache()
        rows = len(batch.rows)
        most = max(1, rows // recipe.least)
        if state.parts >= most:
            fix = "lower train.size or model.context, take a smaller net, or set model.checkpoint=true"
            fewest = "a single row" if recipe.least == 1 else f"{recipe.least} rows"
            raise MemoryShortError(f"a step on {fewest} does not fit into memory", fix=fix)
        state.parts = min(most, 2 * state.parts)
        size = -(-rows // state.parts)
        recipe.say(f"out of memory at step {state.step}: the same step again, {size} of its {rows} rows at a time")


def seed_everything(seed: int, fold: int) -> None:
    """Seeds Python, numpy and torch from (seed, fold): a fold trained alone has the bits it has among others."""
    words = np.random.SeedSequence([seed, fold]).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]))
    torch.manual_seed(int(words[2]))


def write_weights(weights: dict[str, torch.Tensor], path: Path) -> None:
    """Writes float tensors as float16, the others as they are; what is on disk is what is scored.

    Raises:
        DivergedError: a weight beyond float16's 65,504.
    """
    rounded = {}
    for name, tensor in weights.items():
        tensor = tensor.cpu().contiguous()
        rounded[name] = tensor.half() if tensor.is_floating_point() else tensor
        if tensor.is_floating_point() and not torch.isfinite(rounded[name]).all():
            raise DivergedError(
                f"weight {name} is too large for float16", fix="raise train.weight_decay or lower the rate"
            )
    files.write_bytes(path, safetensors.torch.save(rounded))


def read_weights(net: nn.Module, path: Path) -> None:
    """Loads what `write_weights` wrote into `net`, in the net's own number format.

    Raises:
        RunError: a damaged file, or none of tensors.
        ConfigError: weights of another net.
    """
    try:
        weights = safetensors.torch.load_file(path)
    except snapshots.DAMAGED as error:
        problem = f"unreadable as weights ({' '.join(str(error).split())[:200]})"
        raise RunError(problem, file=path, fix="train the run again") from error
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigError("the weights are of another net", file=path, fix="train the run again") from error
