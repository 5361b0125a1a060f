"""From out-of-fold predictions to decisions, scores and the ladder: constant, cheap model, network, all together.

N rows.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from harness import files
from harness.competition import Competition
from harness.data.blocks import count_bytes
from harness.data.folds import FoldPlan
from harness.evaluation import scores
from harness.evaluation.scores import Evidence, Weights
from harness.pipeline import rungs
from harness.pipeline.evidence import Reader, Scored, mixed
from harness.pipeline.job import Job
from harness.pipeline.nets import read_fitted
from harness.pipeline.network import MEMBER, fitted_file, out_of_fold_file
from harness.pipeline.parts import Data, Part
from harness.pipeline.planning import fold_groups

# decisions of masks look at every pixel anew for each share of a member: quarters are fine enough
PICKS = {"mask": 4, "classes": 4, "tags": 5}


@dataclass(frozen=True)
class OutOfFold:
    """The rows of the folds that ran, with readers of the members' predictions.

    Attributes:
        scored: rows, folds, groups and truths.
        units: [N], what an interval resamples.
        members: member -> reader of its predictions, the network first.
    """

    scored: Scored
    units: list[str]
    members: dict[str, Reader]

    @property
    def rows(self) -> list[int]:
        """Positions in the training rows, fold by fold."""
        return self.scored.rows

    @property
    def folds(self) -> np.ndarray:
        """int64 [N], the fold of each row."""
        return self.scored.folds

    def blend(self, weights: Weights) -> Evidence:
        """The evidence of the members mixed."""
        return self.scored.evidence(lambda row: self.mixed(row, weights))

    def mixed(self, row: int, weights: Weights) -> np.ndarray:
        """One row's prediction, the members mixed."""
        return mixed(self.scored.kind, [read(row) for read in self.members.values()], weights)


def out_of_fold(job: Job, folds: Sequence[int], *, data: Data, plan: FoldPlan) -> OutOfFold:
    """Opens `oof/<member>/fold<k>.npy` of the folds that ran, and writes `oof/rows.csv` beside."""
    rows: list[int] = []
    places: dict[int, tuple[int, int]] = {}
    for fold in folds:
        offset = 0
        for row in plan.validation(fold).tolist():
            places[row] = (fold, offset)
            rows.append(row)
            offset += int(np.prod(data.shape(row)))
    with files.replacing(job.run.path / "oof" / "rows.csv", "w") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(("id", "fold", "offset", "shape"))
        writer.writerows((data.rows.ids[row], *places[row], "x".join(map(str, data.shape(row)))) for row in rows)
    groups = fold_groups(data)
    scored = Scored(
        kind=job.competition.task.kind,
        rows=rows,
        folds=plan.fold[rows],
        groups=metric_groups(job.competition, data, rows),
        truth=data.truth,
        spelling=spelling(job, data, rows, plan.fold[rows]),
        metrics=(job.competition.metric, *job.competition.secondary),
    )
    names = (MEMBER, rungs.cheap_name(data))
    members = {name: _reader(job, name, folds, places, data) for name in names}
    return OutOfFold(scored, [groups[row] for row in rows], members)


def _reader(job: Job, member: str, folds: Sequence[int], places: dict[int, tuple[int, int]], data: Part) -> Reader:
    flat = {fold: np.load(out_of_fold_file(job.run, fold, member), mmap_mode="r") for fold in folds}

    def prediction(row: int) -> np.ndarray:
        fold, start = places[row]
        shape = data.shape(row)
        return flat[fold][start : start + int(np.prod(shape))].reshape(shape)

    return prediction


def spelling(job: Job, data: Data, rows: Sequence[int], folds: np.ndarray) -> np.ndarray:
    """float64 [N]: nats of spelling each row's unknown words byte by byte: `<unk>` is not to flatter bits per byte."""
    costs = np.zeros(len(rows))
    if data.tokens is None:
        return costs
    fitted = {fold: read_fitted(job.competition, fitted_file(job.run, fold)) for fold in set(folds.tolist())}
    for index, (row, fold) in enumerate(zip(rows, folds.tolist(), strict=True)):
        vocabulary, tokens = fitted[fold].vocabulary, data.tokens[row]
        assert vocabulary is not None, "texts have a vocabulary"
        unknown = [tokens[place] for place in np.flatnonzero(vocabulary.out_of_vocabulary(tokens)).tolist()]
        costs[index] = math.log(256) * count_bytes(unknown, job.config.data.unit)
    return costs


def unknown_rate(job: Job, data: Data, found: OutOfFold) -> float | None:
    """Share of the scored tokens that their fold's vocabulary does not hold; None for what is no text."""
    if data.tokens is None:
        return None
    total = unknown = 0
    fitted = {fold: read_fitted(job.competition, fitted_file(job.run, fold)) for fold in set(found.folds.tolist())}
    for row, fold in zip(found.rows, found.folds.tolist(), strict=True):
        vocabulary = fitted[fold].vocabulary
        assert vocabulary is not None, "texts have a vocabulary"
        unknown += int(vocabulary.out_of_vocabulary(data.tokens[row]).sum())
        total += len(data.tokens[row])
    return unknown / max(1, total)


def metric_groups(competition: Competition, data: Part, rows: Sequence[int]) -> np.ndarray:
    """int64 [N]: the metric's groups of some rows; each row its own where the metric has none."""
    column = data.rows[competition.metric_group or "id"]
    return np.unique([column[row] for row in rows], return_inverse=True)[1]


def score(job: Job, found: OutOfFold, *, data: Data, plan: FoldPlan) -> tuple[dict[str, Any], scores.Nested]:
    """(the scores' part of the run's JSON, the nested result of all members together)."""
    metric, settings, scored = job.competition.metric, job.config.report, found.scored
    picks = PICKS.get(scored.kind, 10)
    together = scores.nested(found.blend, found.folds, metric, members=len(found.members), picks=picks)
    alone = {name: _alone(scored, read, found.folds, metric) for name, read in found.members.items()}
    interval = scores.interval(
        together.statistics,
        scored.groups,
        found.units,
        metric,
        resamples=settings.resamples,
        confidence=settings.confidence,
        seed=job.config.seed,
    )
    constant = _alone(scored, _constant(job, data, plan), found.folds, metric)
    cheap = rungs.cheap_name(data)
    final = found.blend(together.final_weights)
    return {
        "score": {
            "metric": metric.name,
            "value": together.value,
            "interval": list(interval),
            "higher_is_better": metric.higher_is_better,
        },
        "secondary": {other.name: _secondary(final, together, found, other) for other in job.competition.secondary},
        "members": {
            name: {"value": one.value, "fold_scores": one.fold_scores, "weight": weight}
            for (name, one), weight in zip(alone.items(), together.final_weights, strict=True)
        },
        "baselines": {rungs.constant_name(data): constant.value, cheap: alone[cheap].value},
        "fold_scores": together.fold_scores,
        "optimism": together.optimism,
        "decision": asdict(together.final),
    }, together


def _alone(scored: Scored, read: Reader, folds: np.ndarray, metric: Any) -> scores.Nested:
    return scores.nested(scores.alone(scored.evidence(read)), folds, metric)


def _secondary(final: Evidence, together: scores.Nested, found: OutOfFold, metric: Any) -> float:
    """A secondary metric of the nested answers: each fold's rows under its own weights and decision."""
    groups, parts = found.scored.groups, {}
    for fold, weights in together.weights.items():
        evidence = final if weights == together.final_weights else found.blend(weights)
        own = evidence.take(np.flatnonzero(found.folds == fold))
        parts[fold] = own.statistics(together.decisions[fold], metric)
    statistics = np.empty((len(found.rows), next(iter(parts.values())).shape[1]))
    for fold, part in parts.items():
        statistics[found.folds == fold] = part
    return float(metric.reduce(statistics, groups))


def _constant(job: Job, data: Data, plan: FoldPlan) -> Reader:
    """Reads the constant answer of each row's fold."""
    predictors: dict[int, rungs.Predictor] = {}

    def prediction(row: int) -> np.ndarray:
        fold = int(plan.fold[row])
        if fold not in predictors:
            predictors[fold] = rungs.fit_constant(job, data, plan, fold)
        return next(predictors[fold](data, [row]))[1]

    return prediction
