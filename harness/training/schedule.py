"""Learning rate and momentum as pure functions of the step: resume is trivial, plots are exact."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """What the optimizer uses in one step."""

    learning_rate: float
    momentum: float


Schedule = Callable[[int], Rate]


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


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
