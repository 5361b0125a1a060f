"""The ladder below the network: a constant answer, and a cheap classical model that fits in under a minute.

Both are fitted on a fold's training rows and predict its validation rows in the form the network's predictions have, so
that all rungs are scored, weighed and decided alike. A cheap model is not stored: it is fitted again, to the same bits,
when new rows are predicted.

N rows, L labels, C classes, H height, W width.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np

from harness.competition import Competition
from harness.data import blocks
from harness.data.folds import FoldPlan
from harness.models import classical, ngram
from harness.models.columns import Features, TableFeatures
from harness.models.inference import native_classes, native_mask
from harness.pipeline.job import Job
from harness.pipeline.nets import Fitted, fit_rows
from harness.pipeline.parts import Data, Part
from harness.pipeline.preparation import stage_size

Predictor = Callable[[Part, Sequence[int]], Iterator[tuple[int, np.ndarray]]]
GRID = 48  # pixels a side at most, of the mean of all masks

CHEAP = {
    "mask": "mean mask",
    "classes": "mode of each pixel",
    "label": "extra trees",
    "tags": "extra trees",
    "value": "extra trees",
    "tokens": "n-gram",
}
CONSTANT = {
    "mask": "all empty",
    "classes": "commonest class",
    "label": "commonest label",
    "tags": "label frequencies",
    "value": "mean",
    "tokens": "word frequencies",
}


def cheap_name(competition: Competition) -> str:
    """What the cheap rung is called for this competition."""
    return "gradient boosting" if competition.table is not None else CHEAP[competition.task.kind]


def constant_name(competition: Competition) -> str:
    """What the constant rung is called for this competition."""
    return CONSTANT[competition.task.kind]


def names(competition: Competition) -> tuple[str, str]:
    """The cheap rung and the constant one, in the order in which they follow the network."""
    return cheap_name(competition), constant_name(competition)


def fit_cheap(job: Job, data: Data, plan: FoldPlan, fold: int) -> Predictor:
    """The cheap model of a fold."""
    rows = plan.training(fold)
    if data.tokens is not None:
        return _ngram(job, data, rows, None)
    if data.masks is not None:
        return _mean_pixels(job, data, rows)
    return _classical(job, data, rows)


def fit_constant(job: Job, data: Data, plan: FoldPlan, fold: int) -> Predictor:
    """The constant answer of a fold: what its training targets say without a look at the input."""
    rows = plan.training(fold)
    if data.tokens is not None:
        return _ngram(job, data, rows, 1)
    kind = data.competition.task.kind
    if kind == "mask":
        vector = np.zeros(1)
    elif kind == "classes":
        counts = sum(
            np.bincount(data.truth(row).ravel(), minlength=256)[: data.competition.task.outputs] for row in rows
        )
        vector = np.asarray(counts) / max(1, int(np.sum(counts)))
    else:
        assert data.targets is not None, "labels and numbers are encoded targets"
        vector = data.targets[rows].mean(axis=0, dtype=np.float64)
    return functools.partial(_repeated, vector)


def read_constant(job: Job, data: Data, plan: FoldPlan) -> Callable[[int], np.ndarray]:
    """Reads the constant answer of each row's fold."""
    predictors: dict[int, Predictor] = {}

    @functools.cache  # of pixels a value seen everywhere, of a text its nats: small either way
    def prediction(row: int) -> np.ndarray:
        fold = int(plan.fold[row])
        if fold not in predictors:
            predictors[fold] = fit_constant(job, data, plan, fold)
        return next(predictors[fold](data, [row]))[1]

    return prediction


def _repeated(vector: np.ndarray, part: Part, rows: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    kind = part.competition.task.kind
    for row in rows:
        if kind == "mask":
            yield row, np.broadcast_to(np.uint8(0), part.shape(row))
        elif kind == "classes":
            plane = np.rint(255 * vector).astype(np.uint8)[:, None, None]
            yield row, np.broadcast_to(plane, part.shape(row))
        else:
            yield row, vector.astype(np.float32)


def _mean_pixels(job: Job, data: Data, rows: np.ndarray) -> Predictor:
    """The mean of the masks, or the share of each class at each pixel, at the last stage's size."""
    size = stage_size(data.competition, job.config, len(job.config.stages) - 1)
    if data.competition.task.kind == "mask":
        total = np.zeros((1, *size))
        for row in rows:
            total[0] += cv2.resize(data.truth(row).astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
        return functools.partial(_pixels, (total / len(rows)).astype(np.float32))
    size = (min(size[0], GRID * 4), min(size[1], GRID * 4))
    numbers = np.arange(data.competition.task.outputs)[:, None, None]
    total = np.zeros((len(numbers), *size))
    for row in rows:
        small = cv2.resize(data.truth(row), size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        total += small[None] == numbers
    # a pixel that is void in every mask has no shares: it is as likely to be any class
    return functools.partial(_pixels, ((total + 1e-3) / (total + 1e-3).sum(axis=0)).astype(np.float32))


def _pixels(mean: np.ndarray, part: Part, rows: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    native = native_mask if part.competition.task.kind == "mask" else native_classes
    for row in rows:
        yield row, native(mean.copy(), part.size(row))


def _classical(job: Job, data: Data, rows: np.ndarray) -> Predictor:
    """Trees on small pixels and colour histograms, boosting on a table's columns."""
    fitted = fit_rows(data.competition, job.config, data=data, rows=rows)
    assert data.targets is not None, "labels and numbers are encoded targets"
    features, targets, seed = _features(fitted, data, rows), data.targets[rows], job.config.seed
    kind = data.competition.task.kind
    if kind == "label":
        model = classical.fit_labels(features, targets.argmax(axis=1), number=targets.shape[1], seed=seed)
    elif kind == "tags":
        model = classical.fit_tags(features, targets, seed=seed)
    else:
        model = classical.fit_values(features, targets[:, 0], seed=seed)
    return functools.partial(_classical_rows, model, fitted)


def _classical_rows(
    model: classical.Predictor, fitted: Fitted, part: Part, rows: Sequence[int]
) -> Iterator[tuple[int, np.ndarray]]:
    if not rows:
        return
    found = model.predict(_features(fitted, part, np.array(rows, dtype=np.int64)))
    yield from zip(rows, found.reshape(len(rows), -1), strict=True)


def _features(fitted: Fitted, part: Part, rows: np.ndarray) -> Features:
    """What a classical model sees of some rows: features of pictures, and a table's columns where there are any."""
    pictures = None if part.features is None else part.features[rows]
    if fitted.table is None:
        assert pictures is not None, "rows have pictures or a table"
        return pictures
    arrays = {name: array[rows] for name, array in fitted.arrays(part).items()}
    declared = part.competition.table
    assert declared is not None, "fitted on it"
    numbers = arrays.get("numbers", np.zeros((len(rows), 0), dtype=np.float32))
    codes = arrays.get("codes", np.zeros((len(rows), 0), dtype=np.int64))
    # a declared order is worth keeping: such codes are numbers; code 0 is a value that the training rows do not have
    ordered = np.array([bool(order) for order in declared.categories.values()], dtype=np.bool_)
    known = np.where(codes[:, ordered] > 0, codes[:, ordered], np.nan)
    return TableFeatures(np.hstack([numbers, known]), codes[:, ~ordered] - 1, pictures)


def _ngram(job: Job, data: Data, rows: np.ndarray, order: int | None) -> Predictor:
    fitted = fit_rows(data.competition, job.config, data=data, rows=rows)
    assert fitted.vocabulary is not None, "texts have a vocabulary"
    words = len(fitted.vocabulary)
    model = ngram.fit(fitted.runs(data, rows.tolist()), vocabulary=words, order=order or ngram.default_order(words))
    return functools.partial(_ngram_rows, model, fitted)


def _ngram_rows(
    model: ngram.NGram, fitted: Fitted, part: Part, rows: Sequence[int]
) -> Iterator[tuple[int, np.ndarray]]:
    for run in blocks.stretches(part.rows, sorted(rows)):
        before = np.zeros(0, dtype=np.int32)
        for row in run:
            tokens = fitted.ids(part, row)
            yield row, model.nats(tokens, before).astype(np.float32)
            before = tokens
