"""Whether cross-validation ranks submissions as the leaderboard does, said in one line.

Kendall's rank correlation with an exact one-sided permutation test (Kendall 1938, A New Measure of Rank Correlation):
scores of a handful of submissions are neither many nor normal.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.submission.ledger import Entry

LEAST = 5  # of four submissions even the same order is chance once in 24
CHANCE = 0.05
EXACT = 8  # submissions whose orders are all counted
DRAWN = 2000  # orders of more submissions


@dataclass(frozen=True)
class Trust:
    """What the ledger says of cross-validation.

    Attributes:
        trusted: whether to choose by it.
        line: the verdict and its reason.
        pairs: submissions with both scores, of the same folds.
        correlation: Kendall's tau-b of them, 1 where both rank alike; None below two.
        chance: how often chance ranks as well, or better.
        shift: mean of leaderboard less cross-validation, in the metric's units.
    """

    trusted: bool
    line: str
    pairs: int
    correlation: float | None = None
    chance: float | None = None
    shift: float | None = None


def trust(entries: Sequence[Entry]) -> Trust:
    """The verdict on the submissions of one competition.

    Cross-validation scores on other folds are of other rows: the folds with most submissions count.
    """
    scored = [entry for entry in entries if entry.cv is not None and entry.public is not None]
    folds = Counter(entry.folds_hash for entry in scored).most_common(1)
    used = [entry for entry in scored if folds and entry.folds_hash == folds[0][0]]
    rest = f" ({len(scored) - len(used)} on other folds left out)" if len(used) < len(scored) else ""
    sign = 1.0 if used and used[0].higher_is_better else -1.0
    cv, public = ([sign * float(value or 0) for value in column] for column in _columns(used))
    if len(used) < LEAST:
        few = f"only {_count(len(used))} a CV and a leaderboard score{rest}, of {LEAST} needed"
        tau = _tau(cv, public) if len(used) > 1 else None
        return Trust(False, f"do not trust CV yet, because {few}", len(used), correlation=tau)
    shift = statistics.fmean(there - here for here, there in zip(cv, public, strict=True))
    tau, chance = _tau(cv, public), _chance(cv, public)
    told = f"rank correlation {tau:+.2f} over {len(used)} submissions{rest}, which chance reaches in {chance:.1%}"
    facts: dict[str, Any] = {"correlation": tau, "chance": chance, "shift": sign * shift}
    if chance > CHANCE:
        return Trust(False, f"do not trust CV, because of its {told}", len(used), **facts)
    widths = [(entry.interval[1] - entry.interval[0]) / 2 for entry in used if entry.interval]
    apart = f"; its values are not the leaderboard's, which is {'worse' if shift < 0 else 'better'} by {abs(shift):.4g}"
    beyond = bool(widths) and abs(shift) > statistics.median(widths)
    return Trust(True, f"trust CV: {told}{apart if beyond else ''}", len(used), **facts)


def _columns(entries: Sequence[Entry]) -> tuple[list[float | None], list[float | None]]:
    return [entry.cv for entry in entries], [entry.public for entry in entries]


def _count(number: int) -> str:
    return f"{number} submission{' has' if number == 1 else 's have'}"


def _tau(one: Sequence[float], other: Sequence[float]) -> float:
    """Kendall's tau-b: concordant less discordant pairs, over those that are no ties; 0 where all are."""
    pairs = list(itertools.combinations(range(len(one)), 2))
    agreed = sum(_sign(one[a] - one[b]) * _sign(other[a] - other[b]) for a, b in pairs)
    apart = [sum(side[a] != side[b] for a, b in pairs) for side in (one, other)]
    return agreed / math.sqrt(apart[0] * apart[1]) if all(apart) else 0.0


def _chance(one: Sequence[float], other: Sequence[float]) -> float:
    """Share of the orders of `other` that rank it as much like `one` as it is, or more."""
    import numpy as np

    if len(one) <= EXACT:
        orders: list[tuple[int, ...]] = list(itertools.permutations(range(len(one))))
    else:
        random = np.random.default_rng(0)
        orders = [tuple(random.permutation(len(one)).tolist()) for _ in range(DRAWN)] + [tuple(range(len(one)))]
    first, second = (np.sign(np.subtract.outer(side, side)) for side in (np.array(one), np.array(other)))
    reached = float((first * second).sum())
    found = [float((first * second[np.ix_(order, order)]).sum()) >= reached for order in orders]
    return sum(found) / len(found)


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
