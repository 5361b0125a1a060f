"""Test rows that each fold predicts right after its training, so that nothing but their mean is left for the end.

A run that must end in time keeps them, where a prediction is a few numbers: of masks they would fill the disk. Their
mean has the bits that all folds predicting together give.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from harness import files
from harness.competition import Competition
from harness.pipeline.network import Predicted, kept_file
from harness.pipeline.parts import Part
from harness.runs import Run


def fit_for(competition: Competition) -> bool:
    """Whether a prediction is small enough to be kept."""
    return competition.task.kind not in ("mask", "classes")


def there(run: Run, folds: Sequence[int], member: str) -> bool:
    """Whether every fold's are."""
    return all(kept_file(run, fold, member).exists() for fold in folds)


def stream(run: Run, part: Part, rows: Sequence[int], *, fold: int, member: str) -> Iterator[np.ndarray]:
    """Yields what one fold's member says of `rows`, each of the shape `part.shape(row)`."""
    ends = np.cumsum([int(np.prod(part.shape(row))) for row in range(len(part))])
    flat = files.read_array(kept_file(run, fold, member), "float32", int(ends[-1]) if len(ends) else 0)
    for row in rows:
        shape = part.shape(row)
        yield flat[ends[row] - int(np.prod(shape)) : ends[row]].reshape(shape)


def mean(run: Run, part: Part, rows: Sequence[int], *, folds: Sequence[int], member: str) -> Predicted:
    """Yields (row, mean over the folds) of the network, as `network.predicted` takes it."""
    streams = [stream(run, part, rows, fold=fold, member=member) for fold in folds]
    for row, found in zip(rows, zip(*streams, strict=True), strict=True):
        total = np.zeros(part.shape(row), dtype=np.float64)
        for prediction in found:
            total += prediction if part.tokens is None else np.exp(-prediction.astype(np.float64)) / len(folds)
        if part.tokens is None:
            yield row, (total / len(folds)).astype(np.float32)
        else:
            yield row, (-np.log(np.maximum(total, 1e-30))).astype(np.float32)
