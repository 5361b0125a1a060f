"""Scores that no row had a say in: nested choice over folds, intervals over groups.

N rows, S statistics per row, M members. A choice is how much each member weighs and how what they say together becomes
an answer (thresholds); both are made for each part of the rows (a fold) on the rows of the *other* parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.evaluation.choice import Blend, Choice, Evidence, Weights, by_part
from harness.metrics import Metric


def alone(evidence: Evidence) -> Blend:
    """The blend of one member: it weighs all there is."""
    return lambda weights: evidence


@dataclass(frozen=True)
class Nested:
    """Out-of-fold results of one member, or of several together.

    Attributes:
        weights: part -> the members' weights that the *other* parts chose for its rows.
        decisions: part -> the decision they chose.
        final_weights, final: what all rows chose, for the submission.
        statistics: float64 [N, S], each row weighed and decided by its part's choice.
        value: the metric over all rows that count at once.
        choices: what is chosen ("weights", then what a decision consists of) -> how much better its final choice
            looks on the rows that made it than the nested one. Each is changed after those before it, so that they
            add up to the optimism.
    """

    weights: dict[int, Weights]
    decisions: dict[int, Any]
    final_weights: Weights
    final: Any
    statistics: np.ndarray
    value: float
    choices: dict[str, float]

    @property
    def optimism(self) -> float:
        """How much better the final choice looks on the rows that made it than the nested value."""
        return sum(self.choices.values())


def choice_parts(folds: np.ndarray, units: Sequence[str], *, contiguous: bool, number: int = 5) -> np.ndarray:
    """int64 [N]: the parts that choices are crossed over: the folds, or parts of the rows of an only fold.

    No fold trained on its own rows, so that one half of them may choose for the other.

    Args:
        folds: int64 [N].
        units: [N], rows that stay together.
        contiguous: whether neighbouring units resemble each other and a part is to be a run of them.
        number: at most so many parts of an only fold.
    """
    if len(np.unique(folds)) > 1:
        return np.asarray(folds, dtype=np.int64)
    order = {unit: index for index, unit in enumerate(dict.fromkeys(units))}
    codes = np.array([order[unit] for unit in units])
    number = min(number, len(order))
    return codes * number // len(order) if contiguous else codes % number


def finer_parts(parts: np.ndarray, units: Sequence[str], *, contiguous: bool) -> np.ndarray:
    """int64 [N]: the parts, each in halves where there are two: what one of them chooses is checked within it.

    Args:
        parts: int64 [N].
        units, contiguous: as `choice_parts` takes them.
    """
    numbers = np.unique(parts)
    if len(numbers) != 2:
        return parts
    finer = np.empty_like(parts)
    for place, number in enumerate(numbers):
        rows = np.flatnonzero(parts == number)
        own = choice_parts(np.zeros(len(rows)), [units[row] for row in rows.tolist()], contiguous=contiguous, number=2)
        finer[rows] = 2 * place + own
    return finer


def nested(
    blend: Blend,
    parts: np.ndarray,
    metric: Metric,
    *,
    kinds: Sequence[int] = (0,),
    picks: int = 10,
    constant: bool = False,
    finer: np.ndarray | None = None,
    counted: np.ndarray | None = None,
) -> Nested:
    """Scores every row with the weights and the decision chosen on the rows of the other parts.

    With a single part there are no others to choose on: the first member decides alone, as fixed in advance.

    Args:
        blend: the members' weights -> the evidence of all rows; asked for the same more than once.
        parts: int64 [N], the folds, or parts of an only one (`choice_parts`).
        kinds: [M], members of one kind stand for each other: see `greedy`.
        picks: of the greedy choice.
        finer: int64 [N], the parts that mixtures and the constant are checked over (`finer_parts`); `parts` by default.
        constant: whether the last member is a constant answer, which the others must gain on: see `Choice`.
        counted: bool [N], the rows that are scored; others only help to choose. All by default.
    """
    numbers = [int(number) for number in np.unique(parts)]
    first = (1.0, *(0.0 for _ in kinds[1:]))
    if len(numbers) == 1:
        weights, decisions = {numbers[0]: first}, {numbers[0]: blend(first).untold()}
        final_weights, final = first, decisions[numbers[0]]
    else:
        finer = parts if finer is None else finer
        choice = Choice(blend, finer, metric, kinds, picks, constant)
        chosen = {number: choice.checked(frozenset(finer[parts == number].tolist())) for number in numbers}
        weights = {number: weights for number, (weights, _) in chosen.items()}
        decisions = {number: decision for number, (_, decision) in chosen.items()}
        final_weights, final = choice.checked(frozenset())
    statistics = by_part(blend, parts, weights, decisions, metric)
    score = _scorer(blend(first).groups, metric, counted)
    path = _path(blend, parts, metric, weights=weights, decisions=decisions, final=(final_weights, final))
    value, choices = score(statistics), dict[str, float]()
    before = value
    for name, after in path.items():
        now = score(after)
        choices[name] = now - before if metric.higher_is_better else before - now
        before = now
    return Nested(weights, decisions, final_weights, final, statistics, value, choices)


def _scorer(groups: np.ndarray, metric: Metric, counted: np.ndarray | None) -> Callable[[np.ndarray], float]:
    rows = np.arange(len(groups)) if counted is None else np.flatnonzero(counted)
    return lambda statistics: float(metric.reduce(statistics[rows], groups[rows]))


def _path(
    blend: Blend,
    parts: np.ndarray,
    metric: Metric,
    *,
    weights: Mapping[int, Weights],
    decisions: Mapping[int, Any],
    final: tuple[Weights, Any],
) -> dict[str, np.ndarray]:
    """What is chosen -> float64 [N, S] with this and all before it as finally chosen, and the rest still nested."""
    evidence, last = blend(final[0]), dict.fromkeys(decisions, final[0])
    again = {
        part: decision
        if weights[part] == final[0] or len(decisions) == 1
        else evidence.take(np.flatnonzero(parts != part)).choose(metric)
        for part, decision in decisions.items()
    }
    found = {"weights": by_part(blend, parts, last, again, metric)}
    steps = {part: evidence.steps(decision, final[1]) for part, decision in again.items()}
    for name in next(iter(steps.values())):
        found[name] = by_part(blend, parts, last, {part: own[name] for part, own in steps.items()}, metric)
    return found
