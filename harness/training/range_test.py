"""The learning-rate range test: one short run in which the rate grows until the loss diverges, and then is undone.

S steps.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np

from harness.errors import DivergedError
from harness.training import schedule
from harness.training.loop import Recipe, advance
from harness.training.state import TrainState

SMOOTHING = 0.9  # of the running mean; fastai's 0.98 lags by half the sweep when a net starts from scratch
DIVERGED = 4.0  # times the best smoothed loss, as in fastai, and above where it began
EARLIEST = 10  # a sweep of fewer steps than this says nothing about its minimum


@dataclass(frozen=True)
class Sweep:
    """What a range test saw.

    Attributes:
        rates: float64 [S], ascending.
        losses: float64 [S], of one batch each.
        smooth: float64 [S], their running mean.
        diverged: whether the loss ran away before the last planned step.
    """

    rates: np.ndarray
    losses: np.ndarray
    smooth: np.ndarray
    diverged: bool

    def suggestions(self) -> dict[str, float]:
        """Learning rates by four rules; empty when the loss never fell."""
        if len(self.rates) < EARLIEST or self.smooth.argmin() == 0:
            return {}
        return {
            "valley": float(self.rates[valley(self.smooth)]),
            "minimum/10": float(self.rates[self.smooth.argmin()]) / 10,
            "steepest": float(self.rates[steepest(self.smooth)]),
            "slide": float(self.rates[slide(self.smooth)]) * 0.4,
        }

    def suggested(self) -> float | None:
        """The rate to try: the lower of "steepest" and "minimum/10", or None.

        "valley" sits on level ground where a long plateau wiggles (TabM on diamonds: 1.6e-4, the loss falls from 1e-3
        on), and "slide" at the edge where the loss is flat for long (a U-Net's Dice loss: 0.35).
        """
        found = self.suggestions()
        return min(found["steepest"], found["minimum/10"]) if found else None


class _Enough(Exception):
    """The loss has run away."""


def range_test(state: TrainState, recipe: Recipe, *, low: float = 1e-6, high: float = 1.0, steps: int = 100) -> Sweep:
    """Sweeps the rate from `low` to `high` and puts everything back: weights, optimizer, scaler, cursor, generators.

    Stops where the smoothed loss passes four times its best and where it began, or is no number. Rates are the head's;
    other parameter groups keep their ratios to it.

    Args:
        state: trained from where it stands, and restored to the bit.
        recipe: of the stage; its report is not called.
    """
    assert 0 < low < high, "the sweep goes up"
    assert steps >= 2, "a sweep has a beginning and an end"
    before, first = state.snapshot(), state.step
    rates: list[float] = []
    losses: list[float] = []
    smooth: list[float] = []
    running = 0.0

    def look(step: int, loss: float, rate: float) -> None:
        nonlocal running
        running = SMOOTHING * running + (1 - SMOOTHING) * loss
        rates.append(rate)
        losses.append(loss)
        smooth.append(running / (1 - SMOOTHING ** len(losses)))  # without the pull of the zero it began with
        if len(smooth) >= EARLIEST and smooth[-1] > max(DIVERGED * min(smooth), smooth[0]):
            raise _Enough

    rate = functools.partial(schedule.exponential, first=first, steps=steps, low=low, high=high)
    diverged = False
    try:
        advance(state, first + steps, rate, replace(recipe, report_every=1, report=look))
    except (_Enough, DivergedError):
        diverged = True
    finally:
        state.restore(before)
        state.optimizer.zero_grad(set_to_none=True)
    return Sweep(np.array(rates), np.array(losses), np.array(smooth), diverged)


def valley(losses: np.ndarray) -> int:
    """Index of the middle of the longest falling subsequence: where the loss falls for longest, far from both ends.

    Source: the rule that fastai calls "valley" and suggests by default.
    """
    length, before = np.ones(len(losses), dtype=int), np.full(len(losses), -1)
    for index in range(1, len(losses)):
        higher = np.flatnonzero(losses[:index] > losses[index])
        if len(higher):
            best = max(higher, key=lambda place: (length[place], place))  # of equals the last: level ground is no fall
            length[index], before[index] = length[best] + 1, best
    end = start = int(length.argmax())
    while before[start] >= 0:
        start = int(before[start])
    return (start + end) // 2


def steepest(losses: np.ndarray) -> int:
    """Index at which the loss falls fastest over the logarithm of the rate, before its minimum."""
    slope = np.gradient(losses)
    return int(slope[: losses.argmin() + 1].argmin())


def slide(losses: np.ndarray, *, width: int = 15, threshold: float = 0.05) -> int:
    """Index at which a window that slides down from the highest rates finds even ground.

    The window moves left while the slopes at its two ends differ by more than the threshold.
    Source: the rule "slide" of fastai, after Novetta's automated learning-rate finder.
    """
    slope = np.gradient(losses)
    width = min(width, len(losses) - 1)
    left = len(losses) - 1 - width
    while left > 0 and abs(slope[left + width] - slope[left]) > threshold:
        left -= 1
    return left
