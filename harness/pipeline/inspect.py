"""Checks of a submission file against the data it is for, without decoding a picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.competition import Competition, Size
from harness.config import TrainConfig, from_json
from harness.data.blocks import blocks_of
from harness.data.pictures import guessed_sizes, known_size
from harness.pipeline.answer import expectation, own_ids
from harness.pipeline.preparation import World, adapted, data_root, quiet
from harness.rows import Rows
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
    run = Run(csv_file.parent)
    config = from_json(run.settings()["config"]) if (csv_file.parent / "config.json").exists() else TrainConfig()
    rows, own = asked_rows(competition, config, root)
    if own and run.scores() is not None:
        wanted = own_ids(run)
        rows = rows.take([row for row, identity in enumerate(rows.ids) if identity in wanted])
    return validator.validate(csv_file, expectation(competition, rows.ids, sizes(competition, rows)))


def asked_rows(competition: Competition, config: TrainConfig, root: Path) -> tuple[Rows, bool]:
    """(the rows that a submission answers, whether they are training rows since there is no test set).

    Args:
        competition: as `adapt` gives it.
    """
    rows, tokens = competition.test(root), competition.tokens
    own = rows is None
    if rows is None:
        rows = competition.train(root)
    if tokens is not None:
        rows, _ = blocks_of(rows, tokens, config.data.unit, whole=tokens.whole_train if own else tokens.whole_test)
    return rows, own


def sizes(competition: Competition, rows: Rows) -> list[Size]:
    """(height, width) of rows from their headers; (bytes, tokens) of a text's blocks; (1, 1) of anything else.

    A picture without a readable header has the size that a run gives it.
    """
    if competition.picture is not None:
        found = guessed_sizes([known_size(path) for path in rows[competition.picture.column]])
        return [(height, width) for height, width in found.tolist()]
    return list(zip(rows["bytes"], rows["length"], strict=True)) if "bytes" in rows else [(1, 1)] * len(rows)
