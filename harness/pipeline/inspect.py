"""Checks of a submission file against the data it is for, without decoding a picture."""

from __future__ import annotations

from pathlib import Path

from harness.competition import Competition
from harness.data.pictures import picture_size
from harness.pipeline.answer import expectation, own_ids
from harness.pipeline.preparation import World, data_root
from harness.runs import Run
from harness.submission import validator


def validate(
    competition: Competition, csv_file: Path, *, data: Path | None, sample: bool, world: World
) -> validator.Validation:
    """Checks ids, order and cells against the test rows.

    Without a test set these are all training rows; a file in a run folder is held against the rows that run scored.

    Raises:
        DataError: no data to check against.
    """
    root = data_root(competition, data=data, sample=sample, sample_rows=60, seed=0, world=world)
    rows = competition.test(root)
    if rows is None:
        rows, run = competition.train(root), Run(csv_file.parent)
        if run.scores() is not None:
            wanted = own_ids(run)
            rows = rows.take([row for row, identity in enumerate(rows.ids) if identity in wanted])
    sizes = [picture_size(path) for path in rows[competition.picture.column]]
    return validator.validate(csv_file, expectation(competition, rows.ids, sizes))
