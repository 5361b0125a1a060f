"""From out-of-fold predictions to decisions, scores and the ladder: constant, cheap model, network, all together.

N rows.
"""

from __future__ import annotations

import csv
import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from harness import files
from harness.competition import Competition
from harness.data.folds import FoldPlan
from harness.evaluation import intervals, scores
from harness.evaluation.choice import Blend, Evidence, Weights, by_part
from harness.metrics import Metric
from harness.pipeline import rungs
from harness.pipeline.evidence import Reader, Scored, mixed
from harness.pipeline.job import Job
from harness.pipeline.network import out_of_fold_file, variants
from harness.pipeline.parts import Data, Part
from harness.pipeline.preparation import untimed
from harness.pipeline.unknown import spelling, unknown_tokens

# every share of a member looks at all pixels of all masks anew: fewer shares there
PICKS = {"mask": 6, "classes": 6}


@dataclass(frozen=True)
class OutOfFold:
    """The rows of the folds that ran, with readers of the members' predictions.

    Attributes:
        scored: rows, parts, groups and truths.
        folds: int64 [N], the fold of each row.
        chose: folds by whose rows rate and length were chosen.
        units: [N], what an interval resamples.
        members: member -> reader of its predictions: the network first, the constant answer last.
        unknown_rate: share of the tokens that their fold's vocabulary does not hold; None for what is no text.
        tick: called for each row that is read; ends a run whose time is over.
    """

    scored: Scored
    folds: np.ndarray
    chose: tuple[int, ...]
    units: list[str]
    members: dict[str, Reader]
    unknown_rate: float | None
    tick: Callable[[], None] = untimed

    @property
    def rows(self) -> list[int]:
        """Positions in the training rows, fold by fold."""
        return self.scored.rows

    @property
    def parts(self) -> np.ndarray:
        """int64 [N], the part of each row that choices are crossed over."""
        return self.scored.parts

    @property
    def told(self) -> list[str]:
        """What an only fold means for the choice of weights and decision, and one that chose rate and length."""
        told, folds, parts = list[str](), set(self.folds.tolist()), len(set(self.parts.tolist()))
        if folds <= set(self.chose):
            told.append(
                "rate and epochs were chosen by the rows that are scored, which flatters the score: train more folds"
            )
        if len(folds) == 1 and parts == 1:
            told.append("an only fold of one group: the network alone answers, by the decision fixed in advance")
        elif len(folds) == 1:
            told.append(f"an only fold: weights and decision are chosen crosswise on {parts} parts of its rows")
        return told

    @functools.cached_property
    def counted(self) -> np.ndarray:
        """bool [N], the rows that are scored: those of the folds that chose rate and length only help to choose."""
        return np.isin(self.folds, counted_folds(self.folds.tolist(), self.chose))

    def blend(self, weights: Weights) -> Evidence:
        """The evidence of the members mixed."""
        return self.scored.evidence(lambda row: self.mixed(row, weights))

    def mixed(self, row: int, weights: Weights) -> np.ndarray:
        """One row's prediction, the members mixed."""
        self.tick()
        used = [(read(row), weight) for read, weight in zip(self.members.values(), weights, strict=True) if weight > 0]
        return mixed(self.scored.kind, [prediction for prediction, _ in used], [weight for _, weight in used])


def out_of_fold(
    job: Job, folds: Sequence[int], *, data: Data, plan: FoldPlan, names: Sequence[str] | None = None
) -> OutOfFold:
    """Opens `oof/<member>/fold<k>.npy` of the folds that ran, and writes `oof/rows.csv` beside.

    Args:
        names: of the members; None means those of a finished run.
    """
    rows: list[int] = []
    places: dict[int, tuple[int, int]] = {}
    for fold in folds:
        offset = 0
        for row in plan.validation(fold).tolist():
            places[row] = (fold, offset)
            rows.append(row)
            offset += math.prod(data.shape(row))
    with files.replacing(job.run.path / "oof" / "rows.csv", "w") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(("id", "fold", "offset", "shape"))
        writer.writerows((data.rows.ids[row], *places[row], "x".join(map(str, data.shape(row)))) for row in rows)
    units, folds_of = [data.units[row] for row in rows], plan.fold[rows]
    unknown = unknown_tokens(job, data, rows, folds_of) if names is None else [[] for _ in rows]
    scored = Scored(
        kind=job.competition.task.kind,
        rows=rows,
        parts=scores.choice_parts(folds_of, units, contiguous=job.competition.folds.contiguous),
        groups=metric_groups(job.competition, data, rows),
        truth=data.truth,
        spelling=spelling(unknown, job.config.data.unit),
        metrics=(job.competition.metric, *job.competition.secondary),
    )
    constant = rungs.constant_name(job.competition)
    members = {
        name: rungs.read_constant(job, data, plan) if name == constant else _reader(job, name, folds, places, data)
        for name in names or member_names(job)
    }
    share = None
    if data.tokens is not None:
        share = sum(map(len, unknown)) / max(1, sum(len(data.tokens[row]) for row in rows))
    return OutOfFold(scored, folds_of, job.chose, units, members, share, job.world.tick)


def member_names(job: Job) -> tuple[str, ...]:
    """Who is asked, in the order of the weights: the network's variants, the cheap model, the constant answer."""
    return (*variants(job.competition, job.config), *rungs.names(job.competition))


def counted_folds(folds: Sequence[int], chose: Sequence[int]) -> list[int]:
    """The folds that are scored: those that did not choose rate and length, unless there are no others."""
    return [fold for fold in folds if fold not in chose] or list(folds)


def _reader(job: Job, member: str, folds: Sequence[int], places: dict[int, tuple[int, int]], data: Part) -> Reader:
    lengths = dict.fromkeys(folds, 0)
    for row, (fold, _) in places.items():
        lengths[fold] += math.prod(data.shape(row))
    kind = "uint8" if job.competition.task.kind in ("mask", "classes") else "float32"
    flat = {fold: files.read_array(out_of_fold_file(job.run, fold, member), kind, lengths[fold]) for fold in folds}

    def prediction(row: int) -> np.ndarray:
        fold, start = places[row]
        shape = data.shape(row)
        return flat[fold][start : start + math.prod(shape)].reshape(shape)

    return prediction


def metric_groups(competition: Competition, data: Part, rows: Sequence[int]) -> np.ndarray:
    """int64 [N]: the metric's groups of some rows; each row its own where the metric has none."""
    column = data.rows[competition.metric_group or "id"]
    return np.unique([column[row] for row in rows], return_inverse=True)[1]


def score(job: Job, found: OutOfFold, *, data: Data, plan: FoldPlan) -> tuple[dict[str, Any], scores.Nested]:
    """(the scores' part of the run's JSON, the nested result of all members together)."""
    metric, settings, scored = job.competition.metric, job.config.report, found.scored
    blend = functools.cache(found.blend)
    together = weighed(job, found, blend)
    cheap, constant = rungs.names(job.competition)
    ones = {name: tuple(float(name == other) for other in found.members) for name in found.members}
    alone = {name: _alone(blend(weights), found, metric) for name, weights in ones.items()}
    interval = intervals.interval(
        together.statistics[found.counted],
        scored.groups[found.counted],
        np.array(found.units)[found.counted],
        metric,
        resamples=settings.resamples,
        confidence=settings.confidence,
        seed=job.config.seed,
    )
    of_folds = _of_folds(found, together, metric)
    return {
        "score": {
            "metric": metric.name,
            "value": together.value,
            "interval": list(interval),
            "higher_is_better": metric.higher_is_better,
        },
        "secondary": {other.name: _secondary(blend, found, together, other) for other in job.competition.secondary},
        "members": {
            name: {"value": one.value, "fold_scores": _of_folds(found, one, metric), "weight": weight}
            for (name, one), weight in zip(alone.items(), together.final_weights, strict=True)
        },
        "baselines": {name: alone[name].value for name in (constant, cheap)},
        "fold_scores": of_folds,
        "optimism": together.optimism,
        "choices": {**together.choices, **_of_length(job, found, of_folds)},
        "decision": asdict(together.final),
    }, together


def weighed(job: Job, found: OutOfFold, blend: Blend) -> scores.Nested:
    """The nested result of all members together; the network answers with views or without."""
    below = rungs.names(job.competition)
    kinds = [below.index(name) if name in below else -1 for name in found.members]
    metric, picks = job.competition.metric, PICKS.get(found.scored.kind, 10)
    return scores.nested(
        blend,
        found.parts,
        metric,
        kinds=kinds,
        picks=picks,
        constant=True,
        finer=scores.finer_parts(found.parts, found.units, contiguous=job.competition.folds.contiguous),
        counted=found.counted,
    )


def _of_length(job: Job, found: OutOfFold, of_folds: Sequence[float]) -> dict[str, float]:
    """How much better the folds that chose rate and length score than the others; nothing where none or all did."""
    chose = np.isin(np.unique(found.folds), job.chose)
    if not chose.any() or chose.all():
        return {}
    gain = float(np.mean(np.array(of_folds)[chose]) - np.mean(np.array(of_folds)[~chose]))
    return {"epochs": gain if job.competition.metric.higher_is_better else -gain}


def _alone(evidence: Evidence, found: OutOfFold, metric: Metric) -> scores.Nested:
    return scores.nested(scores.alone(evidence), found.parts, metric, counted=found.counted)


def _of_folds(found: OutOfFold, result: scores.Nested, metric: Metric) -> list[float]:
    """The metric of each fold's rows alone."""
    groups, values = found.scored.groups, []
    for fold in np.unique(found.folds):
        own = found.folds == fold
        values.append(float(metric.reduce(result.statistics[own], groups[own])))
    return values


def _secondary(blend: Blend, found: OutOfFold, together: scores.Nested, metric: Metric) -> float:
    """A secondary metric of the nested answers: each part's rows under its own weights and decision."""
    statistics = by_part(blend, found.parts, together.weights, together.decisions, metric)
    return float(metric.reduce(statistics[found.counted], found.scored.groups[found.counted]))
