"""The submission before there is a model: sample values for every row, written before a picture is decoded."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.competition import Competition, Size
from harness.config import TrainConfig
from harness.errors import DataError
from harness.pipeline import answer
from harness.pipeline.evidence import decided_value, untold
from harness.pipeline.inspect import asked_rows, sizes
from harness.pipeline.preparation import World, adapted, quiet
from harness.rows import Rows
from harness.runs import Run
from harness.submission import writer


def write(competition: Competition, config: TrainConfig, root: Path, run: Run, world: World) -> None:
    """Writes and validates `submission.csv` with `values`: of the test rows, or of all training rows where none are.

    Raises:
        DataError: as reading the rows does.
    """
    competition = adapted(competition, root, replace(world, say=quiet))
    rows, _ = asked_rows(competition, config, root)
    if not len(rows):
        return  # said when the data is prepared
    train = competition.train(root)
    competition = replace(competition, task=competition.task.learn(train[competition.target]))
    found = sizes(competition, rows)
    mean = None if competition.tokens or competition.task.kind in ("mask", "classes") else _mean(competition, train)
    target = run.path / "submission.csv"
    writer.write_submission(target, competition.submission, values(competition, mean, rows.ids, found))
    answer.check(target, answer.expectation(competition, rows.ids, found))


def values(
    competition: Competition, mean: np.ndarray | None, ids: Sequence[str], found: Sequence[Size]
) -> Iterator[tuple[str, Any]]:
    """Yields (row id, answer): no foreground, class 0, the commonest labels, the mean, or eight bits a byte.

    Args:
        mean: of the encoded training targets, where they are labels or numbers.
        found: (height, width) of each row, of texts (bytes, tokens).
    """
    task = competition.task
    for identity, size in zip(ids, found, strict=True):
        if task.kind == "mask":
            decision: Any = np.zeros(size, dtype=np.bool_)
        elif task.kind == "classes":
            decision = np.zeros(size, dtype=np.uint8)
        elif task.kind == "tokens":
            decision = (size[0] * math.log(256), size[1], 0)
        else:
            assert mean is not None, "labels and numbers have a mean"
            decision = decided_value(task.kind, untold(task.kind), mean)
        yield identity, task.present(decision)


def _mean(competition: Competition, train: Rows) -> np.ndarray:
    """float32 [L]: mean of the encoded training targets."""
    names = train[competition.picture.column] if competition.picture else train.ids
    encoded: list[np.ndarray] = []
    for cell, name in zip(train[competition.target], names, strict=True):
        with contextlib.suppress(DataError):  # a row that may be left out, or ends the run when the data is prepared
            encoded.append(competition.task.encode(cell, name))
    return np.stack(encoded).mean(axis=0, dtype=np.float64) if encoded else np.zeros(competition.task.outputs)
