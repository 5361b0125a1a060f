"""Trees on simple features: the cheap models that stand beside the network on every run.

N training rows, M rows to answer for, F features, L labels, H height, W width, C channels. An array of features gets
extremely randomized trees (Geurts, Ernst and Wehenkel 2006, Machine Learning 63, pages 3-42); TableFeatures get
gradient boosting on histograms (Friedman 2001, Annals of Statistics 29; Ke et al. 2017, LightGBM). Both are
scikit-learn's.

The same rows, targets and seed give the same answers. The number of threads changes nothing, except that linear algebra
may round principal components (TableFeatures with pictures) in another order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import cv2
import numpy as np
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)

from harness.models.columns import Columns, Features, TableFeatures, columns_of

SIDE, SMALL = 64, 12  # features come from a picture of 64x64 pixels, and the picture's own pixels from one of 12x12
CELLS, DIRECTIONS = 4, 8  # gradients: a grid of 4x4 cells, and eight directions of 22.5 degrees each
# a 200th of every probability is the training rows' own frequencies: none is 0, and log loss stays finite
PRIOR = 0.005
ROWS_A_TREE, THREADS = 5000, 2


class Predictor(Protocol):
    """A fitted model."""

    def predict(self, features: Features) -> np.ndarray:
        """float32 answers for M rows of what it was fitted on; at least one row."""
        ...


def picture_features(picture: np.ndarray) -> np.ndarray:
    """float32 [F]: small pixels, channel means and spreads, histograms and gradient directions.

    F is 870 for colour and 306 for grey, whatever the size. Costs about 1 ms at 270x480.

    Args:
        picture: uint8 [H, W, C], C = 1, or 3 in RGB.
    """
    assert picture.shape[2:] in ((1,), (3,)), f"features of a picture of shape {picture.shape}"
    small = _bytes(cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
    pixels = cv2.resize(small, (SMALL, SMALL), interpolation=cv2.INTER_AREA).ravel()
    means, spreads = cv2.meanStdDev(small)
    if picture.shape[2] == 3:
        grey, colours = _bytes(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)), _colours(small)
    else:
        grey, colours = small.reshape(SIDE, SIDE), np.bincount(small.ravel() >> 3, minlength=32) / small.size
    parts = (pixels, means.ravel(), spreads.ravel(), colours, _directions(grey))
    return np.concatenate(parts).astype(np.float32)


def _colours(picture: np.ndarray) -> np.ndarray:
    """[304]: shares of pixels in 16 x 4 x 4 bins of hue, saturation and value, and in 16 of each of L, a and b."""
    hsv, lab = (_bytes(cv2.cvtColor(picture, way)) for way in (cv2.COLOR_RGB2HSV_FULL, cv2.COLOR_RGB2LAB))
    joint = (hsv[..., 0] & 0xF0) + ((hsv[..., 1] >> 6) << 2) + (hsv[..., 2] >> 6)
    counts = [np.bincount(lab[..., part].ravel() >> 4, minlength=16) for part in range(3)]
    return np.concatenate([np.bincount(joint.ravel(), minlength=256), *counts]) / joint.size


def _bytes(picture: cv2.typing.MatLike) -> np.ndarray:
    """The same array, typed: uint8 in, uint8 out of OpenCV."""
    return np.asarray(picture, dtype=np.uint8)


def _directions(grey: np.ndarray) -> np.ndarray:
    """[128]: the gradients' mean length in each cell, by direction modulo 180 degrees (Dalal and Triggs 2005)."""
    length, angle = cv2.cartToPolar(
        cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1), angleInDegrees=True
    )
    place = np.arange(SIDE) * CELLS // SIDE
    cell = place[:, None] * CELLS + place
    direction = (angle * (DIRECTIONS / 180)).astype(np.int64) % DIRECTIONS
    bins = cell * DIRECTIONS + direction
    total = np.bincount(bins.ravel(), weights=length.ravel(), minlength=CELLS * CELLS * DIRECTIONS)
    return total / (SIDE // CELLS) ** 2


def fit_labels(features: Features, classes: np.ndarray, *, number: int, seed: int) -> Predictor:
    """Answers float32 [M, number]: probabilities above 0 that sum to 1, also for classes without a training row.

    Args:
        features: float [N, F] for a forest, or TableFeatures of N rows for boosting; N > 0.
        classes: int64 [N] in 0..number-1.
        seed: 0 to 2**32 - 1.
    """
    counts = np.bincount(classes, minlength=number)
    assert len(counts) == number, f"class {len(counts) - 1} is outside 0..{number - 1}"
    columns, present, model = columns_of(features), np.flatnonzero(counts), None
    if len(present) > 1:  # one class alone needs no model, and boosting refuses it
        if isinstance(features, TableFeatures):
            # a round grows one tree a class: fewer and longer steps where there are many
            rounds = min(150, max(20, 1000 // len(present)))
            model = HistGradientBoostingClassifier(learning_rate=6 / rounds, **columns.boosting(rounds, seed))
        else:
            model = _forest(ExtraTreesClassifier, len(classes), seed)
        _fit(model, columns.matrix(features), classes)
    return _Labels(columns, model, present, (counts + 1) / (len(classes) + number))


def fit_tags(features: Features, truth: np.ndarray, *, seed: int) -> Predictor:
    """Answers float32 [M, L]: every label's probability, above 0 and below 1, also where all training rows agree.

    Args:
        features: float [N, F] or TableFeatures of N rows, for a forest either way; the median stands in for nan.
        truth: bool [N, L].
        seed: 0 to 2**32 - 1.
    """
    columns = columns_of(features)
    # the mean of 0 and 1 is a probability, and their variance half of Gini's impurity: one forest serves all labels
    model = _forest(ExtraTreesRegressor, len(truth), seed)
    target = truth.astype(np.float64)
    # scikit-learn warns of a single label that comes as a column
    _fit(model, columns.filled(features), target[:, 0] if target.shape[1] == 1 else target)
    return _Tags(columns, model, (truth.sum(axis=0) + 1) / (len(truth) + 2))


def fit_values(features: Features, values: np.ndarray, *, seed: int) -> Predictor:
    """Answers float32 [M]: values between the training rows' smallest and largest, so that prices stay positive.

    Args:
        features: float [N, F] for a forest, or TableFeatures of N rows for boosting; N > 0.
        values: float64 [N], finite; squared error is what is made small.
        seed: 0 to 2**32 - 1.
    """
    assert np.isfinite(values).all(), "a training value is not finite"
    columns = columns_of(features)
    if isinstance(features, TableFeatures):
        model = HistGradientBoostingRegressor(learning_rate=0.05, **columns.boosting(200, seed))
    else:
        model = _forest(ExtraTreesRegressor, len(values), seed)
    _fit(model, columns.matrix(features), values)
    return _Values(columns, model, float(values.min()), float(values.max()))


Forest = TypeVar("Forest", ExtraTreesClassifier, ExtraTreesRegressor)


def _forest(kind: type[Forest], rows: int, seed: int) -> Forest:
    """The budget: 200 trees up to 2,000 rows, else 100; beyond ROWS_A_TREE rows each draws so many of its own.

    So a fit on 40,000 pictures takes about 15 s on two cores (25 to 30 s of one), for 87 classes as for 17 labels. A
    fifth of the features is tried at each split: on gemstone photographs the usual square root of F has a log loss of
    0.66, a fifth 0.38.
    """
    settings: dict[str, Any] = {"max_features": 0.2, "random_state": seed, "n_jobs": THREADS}
    if rows > ROWS_A_TREE:
        settings |= {"bootstrap": True, "max_samples": ROWS_A_TREE, "min_samples_leaf": 2}
    return kind(n_estimators=200 if rows <= 2000 else 100, **settings)


def _fit(model: Any, matrix: np.ndarray, target: np.ndarray) -> None:
    """Fits `model`; a forest answers with one thread: with more, the order of the sum over trees is a race."""
    model.fit(matrix, target)
    if hasattr(model, "n_jobs"):
        model.n_jobs = 1


@dataclass(frozen=True)
class _Labels:
    columns: Columns
    model: Any
    present: np.ndarray
    shares: np.ndarray

    def predict(self, features: Features) -> np.ndarray:
        matrix = self.columns.matrix(features)
        answers = np.zeros((len(matrix), len(self.shares)))
        answers[:, self.present] = 1 if self.model is None else self.model.predict_proba(matrix)
        return ((1 - PRIOR) * answers + PRIOR * self.shares).astype(np.float32)


@dataclass(frozen=True)
class _Tags:
    columns: Columns
    model: Any
    shares: np.ndarray

    def predict(self, features: Features) -> np.ndarray:
        answers = self.model.predict(self.columns.filled(features)).reshape(-1, len(self.shares))
        return ((1 - PRIOR) * answers + PRIOR * self.shares).astype(np.float32)


@dataclass(frozen=True)
class _Values:
    columns: Columns
    model: Any
    smallest: float
    largest: float

    def predict(self, features: Features) -> np.ndarray:
        answers = self.model.predict(self.columns.matrix(features))
        return answers.clip(self.smallest, self.largest).astype(np.float32)
