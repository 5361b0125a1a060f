"""Which of two ways to take a step is faster on this device: one protocol for every such question, on real steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

GAIN = 1.03  # a candidate must be this much faster: less is noise
BUDGET = 10.0  # seconds of turn about, first steps apart
ROUNDS = 5
# What a compiler may hope for. On one CPU thread at 96 pixels compiling took 71 s (resnet34) to 125 s
# (mobilenetv3_small_050); the trial costs as much, so a run that could not pay this is not asked to find out.
HOPE = 0.2  # of a step's seconds
TYPICAL_START = 60.0  # seconds

Step = Callable[[], None]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Times:
    """What was measured, in seconds.

    Attributes:
        plain: a step as it is by default.
        other: a step of the candidate; None where it was given up.
        start: what the candidate's first step took beyond a later one; for a compiled net the compilation.
        problem: why the candidate could not run, or None.
    """

    plain: float
    other: float | None = None
    start: float = 0.0
    problem: str | None = None

    @property
    def faster(self) -> bool:
        """Whether the candidate is faster by more than noise."""
        return self.other is not None and self.plain > GAIN * self.other

    @property
    def best(self) -> float:
        """Seconds of a step the way that is taken."""
        return self.other if self.other is not None and self.faster else self.plain


class _TooSlow(Exception):
    """A candidate passed its time within its first step."""


def compare(plain: Step, other: Step, *, watched: nn.Module | None, clock: Clock) -> Times:
    """The medians of two ways to take the same step.

    Plain goes first; a candidate whose first step takes twice as long is abandoned at the next layer, forward or
    backward (small recurrent nets in bf16 on a CPU can be a hundred times slower). Then the two alternate until ten
    seconds have passed or five steps each are measured. Where a step takes seconds, it costs five or six of them.

    Args:
        watched: the candidate's net; None lets its first step take any time, as a compilation must.
        clock: seconds; on a GPU one that waits for it.
    """
    plain()  # the first step pays for memory and kernel choice
    usual = _timed(plain, clock)
    try:
        first = _timed(other, clock) if watched is None else _bounded(other, watched, 2 * usual, clock)
    except _TooSlow:
        return Times(usual)
    begin = clock()
    times, others = [usual], [_timed(other, clock)]
    while others[0] <= 1.5 * usual and clock() - begin < BUDGET - usual and len(others) < ROUNDS:
        times.append(_timed(plain, clock))
        others.append(_timed(other, clock))
    median = _middle(others)
    return Times(_middle(times), median, start=max(0.0, first - median))


def alone(step: Step, *, clock: Clock) -> Times:
    """The median of three steps where there is nothing to compare."""
    step()
    return Times(_middle([_timed(step, clock) for _ in range(3)]))


def pays(gain: float, *, steps: int, cost: float) -> bool:
    """Whether `gain` seconds a step over the remaining `steps` are more than `cost` seconds."""
    return gain * steps > cost


def worth_compiling(times: Times, *, steps: int, starts: int) -> bool:
    """Whether a compiled step is faster, and by enough for the remaining steps to pay for every compilation.

    Args:
        starts: compilations: one a stage of a fold, each counted in full, though files of the first one serve the next.
    """
    return times.faster and pays(times.plain - times.best, steps=steps, cost=times.start * starts)


def hopeful(seconds: float, *, steps: int, starts: int) -> bool:
    """Whether a compiler could pay at all, its trial included, where a plain step takes `seconds`."""
    return pays(HOPE * seconds, steps=steps, cost=TYPICAL_START * (starts + 1))


def clock_of(device: str) -> Clock:
    """Seconds; on a GPU once it has done all it was given."""
    return time.perf_counter if device == "cpu" else _waiting


def _waiting() -> float:
    torch.cuda.synchronize()
    return time.perf_counter()


def _timed(step: Step, clock: Clock) -> float:
    begin = clock()
    step()
    return clock() - begin


def _middle(seconds: list[float]) -> float:
    return sorted(seconds)[len(seconds) // 2]


def _bounded(step: Step, net: nn.Module, limit: float, clock: Clock) -> float:
    """Seconds of a step of `net` that may take `limit` of them."""
    stop = _stop_after(clock() + limit, clock)
    hooks = [module.register_forward_hook(stop) for module in net.modules()]
    try:
        return _timed(step, clock)
    finally:
        for hook in hooks:
            hook.remove()


def _stop_after(deadline: float, clock: Clock) -> Callable[..., None]:
    """A forward hook that raises once the deadline has passed, and leaves a hook that does so on the way back."""

    def stop(*arguments: object) -> None:
        if clock() > deadline:
            raise _TooSlow
        output = arguments[-1]
        if isinstance(output, torch.Tensor) and output.requires_grad:
            output.register_hook(lambda gradient: stop(gradient.detach()))

    return stop
