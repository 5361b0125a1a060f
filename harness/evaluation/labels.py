"""Decisions on label probabilities: thresholds chosen by an exact sweep over every cut of the probabilities.

A score moves only where a threshold passes a probability, so that one sort and one cumulative sum give it at every cut.
Scores closer than TIE count as equal.

N rows, L labels, M probabilities swept together, C = distinct ones + 1 cuts. U units (rows, labels, or one of
everything) of K probabilities each are what a mean goes over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

TIE = 1e-12  # above what rounding does to a mean of F scores (1e-13 at a million rows)
PASSES = 5  # of coordinate ascent; most gains come in the first two

Average = Literal["samples", "macro", "micro"]


@dataclass(frozen=True)
class LabelDecision:
    """How probabilities become labels.

    Attributes:
        thresholds: a label is named where its probability is at least this; one for all labels, or one per label.
        likeliest: an empty answer becomes the likeliest label, the first among equals.
    """

    thresholds: tuple[float, ...] = (0.5,)
    likeliest: bool = False

    def __call__(self, probability: np.ndarray) -> np.ndarray:
        """The bool [..., L] labels of float [..., L] probabilities."""
        labels = probability.shape[-1]
        assert len(self.thresholds) in (1, labels), f"{len(self.thresholds)} thresholds do not fit {labels} labels"
        # a float64 array: beside a bare float numpy would round the threshold to float32, perhaps onto a probability
        decided = probability >= np.array(self.thresholds, dtype=np.float64)
        if self.likeliest:
            empty = ~decided.any(axis=-1, keepdims=True)
            decided |= empty & (np.arange(labels) == probability.argmax(axis=-1, keepdims=True))
        return decided


@dataclass(frozen=True)
class LabelEvidence:
    """What thresholds are chosen from.

    Attributes:
        probability: float32 or float64 [N, L], 0..1, of rows that the model did not train on.
        truth: bool [N, L].
        folds: int64 [N], the fold that each row was held out in.
    """

    probability: np.ndarray
    truth: np.ndarray
    folds: np.ndarray

    def __post_init__(self) -> None:
        assert self.probability.ndim == 2, "probabilities are [N, L]"
        assert self.probability.shape == self.truth.shape, "probabilities and truth differ in shape"
        assert self.folds.shape == self.probability.shape[:1], "there is one fold per row"
        inside = (self.probability >= 0) & (self.probability <= 1)
        assert inside.all(), "probabilities are finite and within 0..1"

    def take(self, rows: np.ndarray) -> LabelEvidence:
        """The same for some rows."""
        return LabelEvidence(self.probability[rows], self.truth[rows], self.folds[rows])

    def __len__(self) -> int:
        return len(self.folds)


def f_score(decided: np.ndarray, truth: np.ndarray, *, beta: float, average: Average) -> float:
    """The F score of bool [N, L] decisions against bool [N, L] truth; a division by zero gives 0.

    F = (1 + beta^2) tp / ((1 + beta^2) tp + fp + beta^2 fn) (van Rijsbergen, Information Retrieval, 1979, chapter 7).
    `samples` is the mean over rows, an empty answer scores 0 even where the truth is empty; `macro` is the mean over
    labels that occur in decisions or truth; `micro` pools all counts.
    """
    decided, truth = _units(decided, average), _units(truth, average)
    hits, predicted, positives = (part.sum(axis=1) for part in (decided & truth, decided, truth))
    values = _f(hits, predicted, positives, beta)
    if average == "macro":
        values = values[(predicted > 0) | (positives > 0)]
    return float(values.mean()) if len(values) else 0.0


def choose(evidence: LabelEvidence, *, beta: float, average: Average) -> LabelDecision:
    """The thresholds with the best F score on these rows: one for all labels, unless one per label is known to gain.

    Per-label thresholds always look better on the rows they were chosen from. They are kept only if they are better on
    rows they were not chosen from: for each fold both kinds are chosen on the other folds, and the pooled decisions are
    scored. One fold alone cannot tell, so it gets one threshold. With `samples` an empty answer scores 0, so it becomes
    the likeliest label; all sweeps count that exactly.
    """
    assert len(evidence) > 0, "thresholds cannot be chosen without rows"
    assert beta > 0, "beta is positive"
    single = choose_single(evidence, beta=beta, average=average)
    folds = np.unique(evidence.folds)
    if len(folds) == 1 or evidence.truth.shape[1] == 1:
        return single
    decided = np.zeros((2, *evidence.truth.shape), dtype=bool)
    for fold in folds:
        held = evidence.folds == fold
        others = evidence.take(np.flatnonzero(~held))
        one = choose_single(others, beta=beta, average=average)
        many = choose_per_label(others, one, beta=beta, average=average)
        decided[0, held], decided[1, held] = one(evidence.probability[held]), many(evidence.probability[held])
    of_one, of_many = (f_score(kind, evidence.truth, beta=beta, average=average) for kind in decided)
    return choose_per_label(evidence, single, beta=beta, average=average) if of_many > of_one + TIE else single


def choose_single(evidence: LabelEvidence, *, beta: float, average: Average) -> LabelDecision:
    """The best threshold for all labels, over every cut of the N L probabilities.

    Among equals the middle of the widest plateau wins: it moves least on new rows.
    """
    probability, truth = _units(evidence.probability, average), _units(evidence.truth, average)
    ordered, after = _after_each(probability, truth, beta)
    if average == "samples":
        after[:, 0] = after[:, 1]  # an empty answer becomes the likeliest label
    cuts = _cuts(ordered.ravel())
    total = after[:, 0].sum() + cuts.cumulate(np.diff(after, axis=1).ravel())
    number = np.array(len(truth))
    if average == "macro":
        # a label without positives enters the mean when its highest probability is named
        present = truth.any(axis=1)
        entries = np.sort(-ordered[~present, 0].astype(np.float64))
        number = np.maximum(present.sum() + np.searchsorted(entries, -cuts.thresholds, side="right"), 1)
    best = _middle(total / _scale(len(truth)) / number, cuts)
    return LabelDecision((float(cuts.thresholds[best]),), likeliest=average == "samples")


def choose_per_label(evidence: LabelEvidence, single: LabelDecision, *, beta: float, average: Average) -> LabelDecision:
    """One threshold per label by coordinate ascent from the single one; each step sweeps every cut of one label.

    A label that gains nothing keeps the single threshold. With `macro` the labels do not depend on each other, so the
    first pass finds the optimum; otherwise no label alone can gain after the last pass (unless PASSES ended it).
    """
    probability, truth = evidence.probability, evidence.truth
    thresholds = np.repeat(single.thresholds, truth.shape[1])
    decided = probability >= thresholds
    columns = [_cuts(column) for column in probability.T]
    hits, predicted, positives = (part.sum(axis=1) for part in (decided & truth, decided, truth))
    likeliest = truth[np.arange(len(truth)), probability.argmax(axis=1)]  # whether it is true
    for _ in range(PASSES):
        before = thresholds.copy()
        for label, cuts in enumerate(columns):
            true = truth[:, label]
            # counts of the other labels, per row
            hits, predicted = hits - (decided[:, label] & true), predicted - decided[:, label]
            if average == "samples":
                named = _fixed(_f(hits + true, predicted + 1, positives, beta), len(true))
                alone = predicted == 0  # without this label the row falls back to the likeliest
                left = _fixed(_f(np.where(alone, likeliest, hits), predicted + alone, positives, beta), len(true))
                scores = (left.sum() + cuts.cumulate(named - left)) / _scale(len(true)) / len(true)
            elif average == "micro":
                scores = _f(hits.sum() + cuts.cumulate(true), predicted.sum() + cuts.ends, positives.sum(), beta)
            elif true.any():
                scores = _f(cuts.cumulate(true), cuts.ends, true.sum(), beta)
            else:
                scores = 1.0 * (cuts.ends == 0)  # scores 0 once named, and leaves the mean otherwise
            best, now = _middle(scores, cuts), np.searchsorted(cuts.ends, decided[:, label].sum())
            if scores[best] > scores[now] + TIE:
                thresholds[label] = cuts.thresholds[best]
                decided[cuts.order, label] = np.arange(len(true)) < cuts.ends[best]
            hits, predicted = hits + (decided[:, label] & true), predicted + decided[:, label]
        if np.array_equal(before, thresholds):
            break
    return LabelDecision(tuple(thresholds.tolist()), single.likeliest)


@dataclass(frozen=True)
class _Cuts:
    """All ways to cut M probabilities in two, from naming none to naming all; equal ones are never parted.

    Attributes:
        order: int64 [M], highest probability first.
        ends: int64 [C], how many probabilities lie above each cut.
        above, below: float64 [C], the neighbouring probabilities (or 1 and 0) of each cut.
        thresholds: float64 [C], midway between the neighbours.
    """

    order: np.ndarray
    ends: np.ndarray
    above: np.ndarray
    below: np.ndarray
    thresholds: np.ndarray

    def cumulate(self, values: np.ndarray) -> np.ndarray:
        """int64 [C]: sums of bool or integer [M] values over what lies above each cut."""
        return np.append(0, np.cumsum(values[self.order], dtype=np.int64))[self.ends]


def _cuts(probability: np.ndarray) -> _Cuts:
    order = np.argsort(probability)[::-1]
    values = probability[order].astype(np.float64)
    ends = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1, [len(values)]])
    distinct = values[ends[:-1]]
    above, below = np.append(1.0, distinct), np.append(distinct, 0.0)
    thresholds = (above + below) / 2
    # between neighbouring floats there is no middle: it may round down onto the one that has to stay below
    thresholds = np.where(thresholds > below, thresholds, above)
    if distinct[0] == 1:
        thresholds[0] = np.nextafter(1.0, 2.0)
    return _Cuts(order, ends, above, below, thresholds)


def _middle(scores: np.ndarray, cuts: _Cuts) -> int:
    """Index of the cut at the middle, in probability, of the widest run of best cuts."""
    best = np.flatnonzero(scores >= scores.max() - TIE)
    steps = np.flatnonzero(np.diff(best) > 1)
    first, last = best[np.append(0, steps + 1)], best[np.append(steps, len(best) - 1)]
    widest = int(np.argmax(cuts.above[first] - cuts.below[last]))
    start, stop = int(first[widest]), int(last[widest])
    middle = (cuts.above[start] + cuts.below[stop]) / 2
    return start + int(np.count_nonzero(cuts.below[start:stop] >= middle))


def _f(hits: np.ndarray, predicted: np.ndarray, positives: np.ndarray | int, beta: float) -> np.ndarray:
    """float64 F scores of counts; 0 where nothing is predicted and nothing is true."""
    divisor = predicted + beta**2 * positives
    return (1 + beta**2) * hits / np.where(divisor > 0, divisor, 1.0)


def _scale(number: int) -> float:
    """The power of two by which F scores become integers, so that a sum of `number` of them stays below 2^62."""
    return 2.0 ** min(52, 62 - number.bit_length())


def _fixed(scores: np.ndarray, number: int) -> np.ndarray:
    """int64 F scores: their sums are exact in any order, so that running sums over millions of steps do not drift."""
    return np.rint(scores * _scale(number)).astype(np.int64)


def _after_each(probability: np.ndarray, truth: np.ndarray, beta: float) -> tuple[np.ndarray, np.ndarray]:
    """[U, K] probabilities, highest first within each unit, and int64 [U, K + 1] F scores of naming the first 0..K."""
    order = np.argsort(-probability, axis=1, kind="stable")  # stable: the first of equals is what argmax names
    hits = np.pad(np.cumsum(np.take_along_axis(truth, order, axis=1), axis=1), ((0, 0), (1, 0)))
    after = _f(hits, np.arange(hits.shape[1]), hits[:, -1:], beta)
    return np.take_along_axis(probability, order, axis=1), _fixed(after, len(hits))


def _units(matrix: np.ndarray, average: Average) -> np.ndarray:
    """The [U, K] view of [N, L] whose rows are what the mean goes over."""
    return {"samples": matrix, "macro": matrix.T, "micro": matrix.reshape(1, -1)}[average]
