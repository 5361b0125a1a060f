"""Number formats of a step: fp16 with a gradient scaler on CUDA, a measured choice on a CPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from harness.errors import ConfigError

GAIN = 1.03  # a candidate must be this much faster: less is noise
BUDGET = 10.0  # seconds


def autocast(device: str, precision: str) -> AbstractContextManager:
    """The context of a forward pass; re-enterable."""
    if precision == "fp32":
        return nullcontext()
    kind = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device, dtype=kind)


def scaler(precision: str) -> torch.amp.GradScaler:
    """A gradient scaler; it does nothing unless the precision is fp16 (Micikevicius et al. 2018, arXiv:1710.03740)."""
    return torch.amp.GradScaler("cuda", enabled=precision == "fp16")


def check(device: str, precision: str) -> None:
    """Refuses what the device cannot do.

    Raises:
        ConfigError: fp16 on a CPU; bf16 below compute capability 8 (where `is_bf16_supported` is true by emulation).
    """
    if device == "cpu" and precision == "fp16":
        raise ConfigError("fp16 needs a GPU", fix="use --precision bf16 or fp32 on a CPU")
    if device == "cuda" and precision == "bf16" and torch.cuda.get_device_capability()[0] < 8:
        raise ConfigError("this card has no bf16 units", fix="use --precision fp16")


class _TooSlow(Exception):
    """A candidate passed its time within its first step."""


def probe(step: Callable[[str], None], net: nn.Module, *, clock: Callable[[], float] = time.perf_counter) -> str:
    """ "fp32" or "bf16", whichever runs `step(precision)` faster on this CPU; bf16 only when 3 % faster.

    Float32 goes first; a bf16 step that takes twice as long is abandoned at the next layer, forward or backward (small
    recurrent nets in bf16 can be a hundred times slower). Then the two alternate until ten seconds have passed or five
    steps each are measured, and medians are compared. A net whose single step takes seconds costs three of them.
    """
    begin = clock()
    step("fp32")  # the first step pays for memory and kernel choice
    plain = _timed(step, "fp32", clock)
    stop = _stop_after(clock() + 2 * plain, clock)
    hooks = [module.register_forward_hook(stop) for module in net.modules()]
    try:
        step("bf16")
    except _TooSlow:
        return "fp32"
    finally:
        for hook in hooks:
            hook.remove()
        net.zero_grad(set_to_none=True)
    times: dict[str, list[float]] = {"fp32": [plain], "bf16": [_timed(step, "bf16", clock)]}
    if times["bf16"][0] > 1.5 * plain:
        return "fp32"
    while clock() - begin < BUDGET - plain and len(times["bf16"]) < 5:
        for precision, seconds in times.items():
            seconds.append(_timed(step, precision, clock))
    net.zero_grad(set_to_none=True)
    middle = {precision: sorted(seconds)[len(seconds) // 2] for precision, seconds in times.items()}
    return "bf16" if middle["fp32"] > GAIN * middle["bf16"] else "fp32"


def _timed(step: Callable[[str], None], precision: str, clock: Callable[[], float]) -> float:
    begin = clock()
    step(precision)
    return clock() - begin


def _stop_after(deadline: float, clock: Callable[[], float]) -> Callable[..., None]:
    """A forward hook that raises once the deadline has passed, and leaves a hook that does so on the way back."""

    def stop(*arguments: object) -> None:
        if clock() > deadline:
            raise _TooSlow
        output = arguments[-1]
        if isinstance(output, torch.Tensor) and output.requires_grad:
            output.register_hook(lambda gradient: stop(gradient.detach()))

    return stop
