"""Words of a text that a fold's vocabulary does not hold: which they are, and what spelling them would cost.

N rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from harness.data.blocks import count_bytes
from harness.pipeline.job import Job
from harness.pipeline.nets import read_fitted
from harness.pipeline.network import fitted_file
from harness.pipeline.parts import Data


def unknown_tokens(job: Job, data: Data, rows: Sequence[int], folds: np.ndarray) -> list[list[str]]:
    """[N]: the tokens of each row that its fold's vocabulary does not hold; none of what is no text."""
    if data.tokens is None:
        return [[] for _ in rows]
    fitted = {fold: read_fitted(job.competition, fitted_file(job.run, fold)) for fold in set(folds.tolist())}
    found: list[list[str]] = []
    for row, fold in zip(rows, folds.tolist(), strict=True):
        vocabulary, tokens = fitted[fold].vocabulary, data.tokens[row]
        assert vocabulary is not None, "texts have a vocabulary"
        found.append([tokens[place] for place in np.flatnonzero(vocabulary.out_of_vocabulary(tokens)).tolist()])
    return found


def spelling(unknown: Sequence[Sequence[str]], unit: str) -> np.ndarray:
    """float64 [N]: nats of spelling each row's unknown tokens byte by byte: `<unk>` is not to flatter bits per byte."""
    return np.array([math.log(256) * count_bytes(tokens, unit) for tokens in unknown])
