"""Tables with gaps and categories, and picture features beside them, as a matrix for scikit-learn.

N rows, F picture features.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

CATEGORIES = 250  # the commonest of one column of codes; scikit-learn takes at most 255
COMPONENTS = 16  # of the picture features


@dataclass(frozen=True)
class TableFeatures:
    """Rows with named columns, and what their pictures add.

    Attributes:
        numbers: float [N, any]; nan is "not known"; infinities are refused by scikit-learn.
        codes: int [N, any]: unordered categories, -1 is "not known"; ordered ones belong into `numbers`.
        pictures: float32 [N, F] picture features, or None; enters as its first COMPONENTS principal components.
    """

    numbers: np.ndarray
    codes: np.ndarray
    pictures: np.ndarray | None = None


Features = np.ndarray | TableFeatures


@dataclass(frozen=True)
class Columns:
    """What turns features into a matrix for scikit-learn; an array stays as it is, and has no columns here.

    Attributes:
        known: the columns of `numbers` with at least one number.
        kept: (column of `codes`, its commonest codes, sorted).
        pictures: (mean [F], axes [F, COMPONENTS]) of the picture features, or None.
        medians: one for each column of the matrix, from the training rows.
    """

    known: np.ndarray
    kept: tuple[tuple[int, np.ndarray], ...]
    pictures: tuple[np.ndarray, np.ndarray] | None
    medians: np.ndarray

    def matrix(self, features: Features) -> np.ndarray:
        """[N, columns]: a zero (a table may know nothing), the numbers, the codes renumbered, the components."""
        if not isinstance(features, TableFeatures):
            return features.astype(np.float32, copy=False)
        parts = [np.zeros((len(features.numbers), 1)), features.numbers[:, self.known]]
        for column, kept in self.kept:
            codes = features.codes[:, column]
            place = np.minimum(np.searchsorted(kept, codes), len(kept) - 1)
            parts.append(np.where(kept[place] == codes, place, np.nan)[:, None])
        if self.pictures is not None:
            assert features.pictures is not None, "fitted with picture features, asked without"
            parts.append((features.pictures - self.pictures[0]) @ self.pictures[1])
        return np.hstack(parts)

    def filled(self, features: Features) -> np.ndarray:
        """The matrix with the median for what is not known."""
        matrix = self.matrix(features)
        return np.where(np.isnan(matrix), self.medians, matrix) if isinstance(features, TableFeatures) else matrix

    def boosting(self, rounds: int, seed: int) -> dict[str, Any]:
        """Arguments for boosting; no early stopping, whose own split fails on a class of one row."""
        first = 1 + len(self.known)
        categories = list(range(first, first + len(self.kept)))
        return {
            "max_iter": rounds,
            "categorical_features": categories,
            "early_stopping": False,
            "random_state": seed,
        }


def columns_of(features: Features) -> Columns:
    """What the training rows say about their columns; those that know nothing are left out."""
    if not isinstance(features, TableFeatures):
        return Columns(np.empty(0, dtype=np.int64), (), None, np.empty(0))
    kept = []
    for column, codes in enumerate(features.codes.T):
        found, counts = np.unique(codes[codes >= 0], return_counts=True)
        if len(found):
            kept.append((column, np.sort(found[np.argsort(-counts, kind="stable")[:CATEGORIES]])))
    known = np.flatnonzero(~np.isnan(features.numbers).all(axis=0))
    pictures = None if features.pictures is None else _components(features.pictures.astype(np.float64))
    columns = Columns(known, tuple(kept), pictures, np.empty(0))
    return replace(columns, medians=np.nanmedian(columns.matrix(features), axis=0))


def _components(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean [F], axes [F, COMPONENTS]): the first principal components of features scaled to a spread of 1."""
    mean, spread = features.mean(axis=0), features.std(axis=0)
    scale = np.where(spread > 0, 1 / np.where(spread > 0, spread, 1), 0)
    scaled = (features - mean) * scale
    axes = np.linalg.eigh(scaled.T @ scaled)[1][:, ::-1][:, :COMPONENTS]
    return mean, axes * scale[:, None]
