"""Decisions on mask probabilities: threshold, minimum area and empty gate, chosen by one sweep over histograms.

A picture's probabilities are uint8 `round(255 p)`. Two histograms per picture (inside and outside the true mask) hold
all that a threshold can change, so that 255 thresholds cost one cumulative sum and no second look at a pixel.

N rows, H height, W width, T = 255 thresholds 1..255.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.metrics import Metric

TOP_SHARE = 0.002  # of the picture: the pixels whose mean probability says whether anything is there
AREA_STEPS, GATE_STEPS = 24, 24


@dataclass(frozen=True)
class Decision:
    """How a probability becomes a mask.

    Attributes:
        threshold: inside where `round(255 p)` is at least this, 1..255.
        area: a mask smaller than this share of the picture becomes empty.
        gate: a picture whose presence (mean of the top 0.2 % of its pixels, 0..255) is below this becomes empty.
    """

    threshold: int = 128
    area: float = 0.0
    gate: float = 0.0

    def __call__(self, probability: np.ndarray) -> np.ndarray:
        """The bool [H, W] mask of uint8 [H, W] probabilities."""
        mask = probability >= self.threshold
        empty = np.count_nonzero(mask) < self.area * mask.size
        if not empty and self.gate > 0:
            histogram = np.bincount(probability.ravel(), minlength=256)[None]
            empty = bool(presence(histogram)[0] < self.gate)
        return np.zeros_like(mask) if empty else mask


@dataclass(frozen=True)
class Histograms:
    """All that decisions need of a set of pictures.

    Attributes:
        inside, outside: int64 [N, 256] counts of probabilities where the truth is true, false.
        groups: int64 [N], what the metric pools over.
    """

    inside: np.ndarray
    outside: np.ndarray
    groups: np.ndarray

    def take(self, rows: np.ndarray) -> Histograms:
        """The same for some rows."""
        return Histograms(self.inside[rows], self.outside[rows], self.groups[rows])

    def __len__(self) -> int:
        return len(self.groups)

    @functools.cached_property
    def counts(self) -> np.ndarray:
        """int64 [N, 256] of both."""
        return self.inside + self.outside

    @functools.cached_property
    def pixels(self) -> np.ndarray:
        """int64 [N]: of each picture."""
        return self.counts.sum(axis=1)

    @functools.cached_property
    def presence(self) -> np.ndarray:
        """float64 [N]: see `presence`."""
        return presence(self.counts)

    def choose(self, metric: Metric) -> Decision:
        """The decision with the best metric on these rows."""
        return choose(self, metric)

    def untold(self) -> Decision:
        """Probability one half, fixed in advance."""
        return Decision()

    def steps(self, before: Decision, after: Decision) -> dict[str, Decision]:
        """The threshold, then what becomes empty."""
        return {"threshold": replace(before, threshold=after.threshold), "post-processing": after}

    def statistics(self, decision: Decision, metric: Metric) -> np.ndarray:
        """float64 [N, 3]: overlap, predicted and true pixels, which every mask metric starts from."""
        return statistics(self, decision)


def collect(
    rows: Sequence[int],
    groups: np.ndarray,
    probability: Callable[[int], np.ndarray],
    truth: Callable[[int], np.ndarray],
) -> Histograms:
    """The histograms of a member; one picture is held at a time.

    Args:
        rows: the rows, in the order of `groups`.
        probability: row -> uint8 [H, W].
        truth: row -> bool [H, W].
    """
    inside, outside = np.zeros((2, len(rows), 256), dtype=np.int64)
    for index, row in enumerate(rows):
        inside[index], outside[index] = histogram(probability(row), truth(row))
    return Histograms(inside, outside, groups)


def histogram(probability: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int64 [256] each: counts inside and outside the true mask [H, W]."""
    both = np.bincount(probability.ravel(), minlength=256)
    inside = np.bincount(probability[truth], minlength=256)
    return inside, both - inside


def presence(counts: np.ndarray) -> np.ndarray:
    """float64 [N]: mean of the top 0.2 % of the pixels of histograms [N, 256]."""
    pixels = counts.sum(axis=1, keepdims=True)
    wanted = np.maximum(1, np.ceil(TOP_SHARE * pixels))
    above = np.cumsum(counts[:, ::-1], axis=1)
    taken = np.diff(np.minimum(above, wanted), axis=1, prepend=0)
    return (taken * np.arange(255, -1, -1)).sum(axis=1) / wanted[:, 0]


def sweep(histograms: Histograms) -> np.ndarray:
    """float64 [T, N, 3]: (intersection, predicted, true) pixel counts at the thresholds 1..255."""
    inside = np.cumsum(histograms.inside[:, ::-1], axis=1)[:, ::-1]
    outside = np.cumsum(histograms.outside[:, ::-1], axis=1)[:, ::-1]
    predicted = (inside + outside)[:, 1:].T
    true = np.broadcast_to(inside[:, 0], predicted.shape)
    return np.stack([inside[:, 1:].T, predicted, true], axis=-1).astype(np.float64)


def statistics(histograms: Histograms, decision: Decision) -> np.ndarray:
    """float64 [N, 3]: the counts of one decision; equal to deciding every picture and counting."""
    counts = sweep(histograms)[decision.threshold - 1]
    return _emptied(counts, _empty(histograms, counts, decision.area, decision.gate))


def choose(histograms: Histograms, metric: Metric) -> Decision:
    """The decision with the best metric on these rows.

    Threshold and minimum area are swept together, then the gate, then both once more. Among equals the middle threshold
    of the widest run, the smallest area and the lowest gate win: a plateau's middle moves least on new rows.
    """
    counts = sweep(histograms)
    sign = 1.0 if metric.higher_is_better else -1.0
    decision = Decision()
    for _ in range(2):
        best = (-np.inf, 0.0, 0)
        for area in _areas(histograms, counts):
            empty = _empty(histograms, counts, area, decision.gate)
            values = sign * metric.reduce(_emptied(counts, empty), histograms.groups)
            if values.max() > best[0] + 1e-12:
                best = (float(values.max()), float(area), _middle(values) + 1)
        decision = Decision(best[2], best[1], decision.gate)
        at = counts[decision.threshold - 1]
        gates = np.unique(np.r_[0.0, np.quantile(histograms.presence, np.linspace(0, 0.9, GATE_STEPS))])
        gated = np.stack([_emptied(at, _empty(histograms, at, decision.area, gate)) for gate in gates])
        values = sign * metric.reduce(gated, histograms.groups)
        decision = Decision(decision.threshold, decision.area, float(gates[int(values.argmax())]))
    return decision


def _areas(histograms: Histograms, counts: np.ndarray) -> np.ndarray:
    """Candidates for the minimum area: none, and quantiles of the predicted areas at half probability."""
    share = counts[127, :, 1] / histograms.pixels
    filled = share[share > 0]
    return np.unique(np.r_[0.0, np.quantile(filled, np.linspace(0, 0.6, AREA_STEPS)) if len(filled) else []])


def _empty(histograms: Histograms, counts: np.ndarray, area: float, gate: float) -> np.ndarray:
    """Whether each picture becomes empty: bool [..., N] for counts [..., N, 3]."""
    empty = counts[..., 1] < area * histograms.pixels
    return empty | (histograms.presence < gate) if gate > 0 else empty


def _emptied(counts: np.ndarray, empty: np.ndarray) -> np.ndarray:
    out = counts.copy()
    out[..., :2][empty] = 0
    return out


def _middle(values: np.ndarray) -> int:
    """Index of the middle of the longest run of best values."""
    best = np.flatnonzero(values >= values.max() - 1e-12)
    runs = np.split(best, np.flatnonzero(np.diff(best) > 1) + 1)
    longest = max(runs, key=len)
    return int(longest[len(longest) // 2])
