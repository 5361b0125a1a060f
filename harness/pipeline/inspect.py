"""Checks of a submission file against the data it is for, without decoding a picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.competition import Competition, Size
from harness.config import TrainConfig, from_json
from harness.data.blocks import blocks_of
from harness.data.pictures import picture_size
from harness.pipeline.answer import expectation, own_ids
from harness.pipeline.preparation import World, adapted, data_root, quiet
from harness.runs import Run
from harness.submission import validator


def validate(
    competition: Competition, csv_file: Path, *, data: Path | None, sample: bool, world: World
) -> validator.Validation:
    """Checks ids, order and cells against the test rows.

    Without a test set these are all training rows; a file in a run folder is held against the rows that run scored, and
    a text's blocks against those of its unit.

    Raises:
        DataError: no data to check against.
    """
    root = data_root(competition, data=data, sample=sample, sample_rows=60, seed=0, world=world)
    competition = adapted(competition, root, replace(world, say=quiet))
    rows, run = competition.test(root), Run(csv_file.parent)
    config = from_json(run.settings()["config"]) if (csv_file.parent / "config.json").exists() else TrainConfig()
    whole = competition.tokens is not None and competition.tokens.whole_test
    own = rows is None
    if rows is None:
        rows = competition.train(root)
        whole = competition.tokens is not None and competition.tokens.whole_train
    if competition.tokens is not None:
        rows, _ = blocks_of(rows, competition.tokens, config.data.unit, whole=whole)
    if own and run.scores() is not None:
        wanted = own_ids(run)
        rows = rows.take([row for row, identity in enumerate(rows.ids) if identity in wanted])
    if competition.picture is not None:
        sizes: list[Size] = [picture_size(path) for path in rows[competition.picture.column]]
    else:
        sizes = list(zip(rows["bytes"], rows["length"], strict=True)) if "bytes" in rows else [(1, 1)] * len(rows)
    return validator.validate(csv_file, expectation(competition, rows.ids, sizes))
