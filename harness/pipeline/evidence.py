"""From predictions to what decisions are made of: members mixed, and the evidence that a task's decision needs.

N rows, S statistics per row, M members, L labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.evaluation.choice import Evidence
from harness.evaluation.labels import LabelDecision, LabelEvidence, choose
from harness.evaluation.masks import Decision as MaskDecision
from harness.evaluation.masks import collect
from harness.evaluation.plain import AsIs, Fixed, Likeliest
from harness.metrics import Metric
from harness.tasks import Kind

Reader = Callable[[int], np.ndarray]


def mixed(kind: Kind, predictions: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """The members' predictions of one row, weighed: probabilities and numbers are averaged, nats as probabilities."""
    used = [(prediction, weight) for prediction, weight in zip(predictions, weights, strict=True) if weight > 0]
    if len(used) == 1:
        return used[0][0]
    if kind == "tokens":
        total = sum(weight * np.exp(-prediction.astype(np.float64)) for prediction, weight in used)
        return (-np.log(np.maximum(total, 1e-30))).astype(np.float32)
    total = np.asarray(sum(np.float32(weight) * prediction.astype(np.float32) for prediction, weight in used))
    return np.rint(total).astype(np.uint8) if kind in ("mask", "classes") else total.astype(np.float32)


@dataclass(frozen=True)
class Tags:
    """Label probabilities whose thresholds are swept for the F score that the metric is."""

    held: LabelEvidence
    groups: np.ndarray

    def take(self, rows: np.ndarray) -> Tags:
        """The same for some rows."""
        return Tags(self.held.take(rows), self.groups[rows])

    def choose(self, metric: Metric) -> LabelDecision:
        """The thresholds that are best on these rows."""
        if metric.f_score is None:
            return self.untold()
        return choose(self.held, beta=metric.f_score.beta, average=metric.f_score.average)

    def untold(self) -> LabelDecision:
        """Probability one half, and the likeliest label where none reaches it."""
        return untold("tags")

    def steps(self, before: LabelDecision, after: LabelDecision) -> dict[str, LabelDecision]:
        """The thresholds."""
        return {"threshold": after}

    def statistics(self, decision: LabelDecision, metric: Metric) -> np.ndarray:
        """float64 [N, S]."""
        given = self.held.probability if metric.of == "prediction" else decision(self.held.probability)
        return np.asarray(metric.statistics(given, self.held.truth), dtype=np.float64)


@dataclass(frozen=True)
class Scored:
    """The rows that are scored, with readers of what is true of them.

    Attributes:
        kind: of the task.
        rows: positions in the training rows, fold by fold.
        parts: int64 [N], the part of each that choices are crossed over: its fold, or a part of an only fold.
        groups: int64 [N], what the metric pools over.
        truth: row -> the true decision.
        spelling: float64 [N]: nats that spelling the unknown words of a text would cost; zeros elsewhere.
        metrics: the metric and the secondary ones.
    """

    kind: Kind
    rows: list[int]
    parts: np.ndarray
    groups: np.ndarray
    truth: Callable[[int], Any]
    spelling: np.ndarray
    metrics: tuple[Metric, ...]

    def evidence(self, prediction: Reader) -> Evidence:
        """What one prediction of every row says."""
        if self.kind == "mask":
            return collect(self.rows, self.groups, prediction, self.truth)
        if self.kind == "tags":
            probability = np.stack([prediction(row) for row in self.rows]).clip(0, 1)
            truth = np.stack([self.truth(row) for row in self.rows])
            return Tags(LabelEvidence(probability, truth, self.parts), self.groups)
        decision = untold(self.kind)
        counts: dict[str, list[Any]] = {metric.name: [] for metric in self.metrics}
        for index, row in enumerate(self.rows):
            predicted, truth = prediction(row), self.truth(row)
            decided = decided_value(self.kind, decision, predicted)
            for metric in self.metrics:
                given = decided if metric.of == "decision" else self._prediction(predicted, index)
                counts[metric.name].append(metric.statistics(given, truth))
        return Fixed({name: np.array(rows, dtype=np.float64) for name, rows in counts.items()}, self.groups, decision)

    def _prediction(self, predicted: np.ndarray, index: int) -> Any:
        if self.kind == "tokens":
            return float(predicted.sum(dtype=np.float64)) + self.spelling[index], predicted.size, 0
        return predicted


def untold(kind: Kind) -> Any:
    """The decision fixed in advance."""
    if kind == "mask":
        return MaskDecision()
    if kind == "tags":
        return LabelDecision((0.5,), likeliest=True)
    return {"classes": Likeliest(axis=0), "label": Likeliest()}.get(kind, AsIs())


def decision_from(kind: Kind, saved: dict[str, Any]) -> Any:
    """The decision that `dataclasses.asdict` gave."""
    if kind == "tags":
        return LabelDecision(tuple(saved["thresholds"]), saved["likeliest"])
    return type(untold(kind))(**saved)


def decided_value(kind: Kind, decision: Any, prediction: np.ndarray) -> Any:
    """What a decision makes of one row's prediction: a mask, labels, a number, or (nats, tokens, 0)."""
    if kind == "tokens":
        return float(prediction.sum(dtype=np.float64)), prediction.size, 0
    return float(prediction[0]) if kind == "value" else decision(prediction)
