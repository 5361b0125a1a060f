"""Learning rate and momentum as pure functions of the step: resume is trivial, plots are exact."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

STEADY = 0.9  # AdamW's first beta, where the momentum is not cycled


@dataclass(frozen=True)
class Rate:
    """What the optimizer uses in one step."""

    learning_rate: float
    momentum: float


Schedule = Callable[[int], Rate]


def planned(name: str, *, total: int, peak: float, warmup: float, cooldown: float) -> Schedule:
    """The schedule called `name`: "one-cycle", "cosine", "warmup-stable-decay" or "constant".

    Args:
        total: steps.
        peak: the highest learning rate.
        warmup: share of the steps in which the rate rises.
        cooldown: share of the steps in which a warmup-stable-decay schedule falls.
    """
    if name == "warmup-stable-decay":
        return functools.partial(warmup_stable_decay, total=total, peak=peak, warmup=warmup, cooldown=cooldown)
    shape = {"one-cycle": one_cycle, "cosine": cosine, "constant": constant}[name]
    return functools.partial(shape, total=total, peak=peak, warmup=warmup)


def one_cycle(step: int, *, total: int, peak: float, warmup: float = 0.25) -> Rate:
    """The rate of `step` (0-based) of `total`: up from peak/25 in a cosine, down to peak/250,000; momentum mirrors.

    Source: Smith and Topin 2018, arXiv:1708.07120; the two cosines and divisors are fastai's `fit_one_cycle`.
    """
    rise = max(1.0, warmup * total)
    if step < rise:
        share = step / rise
        return Rate(_cosine(peak / 25, peak, share), _cosine(0.95, 0.85, share))
    share = min(1.0, (step - rise) / max(1.0, total - rise))
    return Rate(_cosine(peak, peak / 250_000, share), _cosine(0.85, 0.95, share))


def cosine(step: int, *, total: int, peak: float, warmup: float) -> Rate:
    """Up in a straight line, then half a cosine down to nothing.

    Source: Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts; the warm-up is Goyal et al. 2017,
    arXiv:1706.02677, section 2.2.
    """
    rise = warmup * total
    if step < rise:
        return Rate(_rising(step, rise, peak), STEADY)
    return Rate(_cosine(peak, 0.0, min(1.0, (step - rise) / max(1.0, total - rise))), STEADY)


def warmup_stable_decay(step: int, *, total: int, peak: float, warmup: float, cooldown: float) -> Rate:
    """Up in a straight line, level, and down as 1 - sqrt(share of the cooldown done).

    Until the cooldown begins no step depends on `total`, so that one trunk can be cooled at many lengths.
    Source: Haegele et al. 2024, arXiv:2405.18392, section 3.
    """
    # rounded: a warm-up of so many steps, given as a share of whatever length, is to be the same to the bit
    rise, fall = round(warmup * total, 6), cooldown * total
    if step < rise:
        return Rate(_rising(step, rise, peak), STEADY)
    done = (step - (total - fall)) / fall if fall else 0.0
    return Rate(peak * (1 - math.sqrt(min(1.0, max(0.0, done)))), STEADY)


def constant(step: int, *, total: int, peak: float, warmup: float) -> Rate:
    """Up in a straight line, then level."""
    rise = warmup * total
    return Rate(_rising(step, rise, peak) if step < rise else peak, STEADY)


def exponential(step: int, *, first: int, steps: int, low: float, high: float) -> Rate:
    """From `low` in step `first` to `high` in the last of `steps`, by the same factor each step.

    Source: Smith 2017, arXiv:1506.01186, section 3.3; exponential as in fastai's `lr_find`.
    """
    return Rate(low * (high / low) ** ((step - first) / max(1, steps - 1)), STEADY)


def _rising(step: int, rise: float, peak: float) -> float:
    # the first step moves too: a rate of 0 would waste its batch
    return peak * (step + 1) / (rise + 1)


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
