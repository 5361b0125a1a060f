"""From decisions to files: the submission, the out-of-fold submission, its answers, and the validator's word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from harness.competition import Competition, Size
from harness.config import TrainConfig
from harness.data.folds import HELD_OUT, FoldPlan
from harness.evaluation.masks import Decision
from harness.evaluation.scores import Nested
from harness.pipeline.fold import predict_rows
from harness.pipeline.hardware import Hardware
from harness.pipeline.preparation import Data, World
from harness.pipeline.score import OutOfFold
from harness.runs import Run
from harness.submission import validator, writer


def out_of_fold_decisions(data: Data, found: OutOfFold, network: Nested) -> Iterator[tuple[str, np.ndarray]]:
    """(row id, mask) of every out-of-fold row in row order, decided with what the other folds chose."""
    fold_of = dict(zip(found.rows, found.folds.tolist(), strict=True))
    for row in sorted(found.rows):
        yield data.train.ids[row], network.decisions[fold_of[row]](found.probability(row))


def truths(competition: Competition, data: Data, rows: Sequence[int]) -> Iterator[tuple[str, np.ndarray, str, Size]]:
    """(row id, true mask, metric group, (height, width)) of training rows."""
    for row in rows:
        height, width = (int(side) for side in data.pictures.sizes[row])
        group = data.train[competition.metric_group][row] if competition.metric_group else data.train.ids[row]
        yield data.train.ids[row], data.masks[row][:, :, 0].view(np.bool_), group, (height, width)


def write_out_of_fold(competition: Competition, data: Data, found: OutOfFold, network: Nested, run: Run) -> None:
    """Writes `oof_submission.csv` and `answers.csv`: grading one with the other gives the score."""
    decisions = out_of_fold_decisions(data, found, network)
    writer.write_submission(run.path / "oof_submission.csv", competition.submission, decisions)
    writer.write_answers(
        run.path / "answers.csv", competition.submission, truths(competition, data, sorted(found.rows))
    )


def held_out_score(
    competition: Competition,
    config: TrainConfig,
    data: Data,
    plan: FoldPlan,
    folds: Sequence[int],
    decision: Decision,
    *,
    run: Run,
    hardware: Hardware,
) -> float | None:
    """The metric of the held-out rows, predicted by all folds and decided by the final decision; None without any.

    Also writes `holdout_submission.csv` and `holdout_answers.csv`.
    """
    rows = np.flatnonzero(plan.fold == HELD_OUT)
    if len(rows) == 0:
        return None
    statistics = []

    def decisions() -> Iterator[tuple[str, np.ndarray]]:
        for row, plane in predict_rows(competition, config, data.pictures, rows, folds, run=run, hardware=hardware):
            mask = decision(plane)
            statistics.append(competition.metric.statistics(mask, data.masks[row][:, :, 0].view(np.bool_)))
            yield data.train.ids[row], mask

    writer.write_submission(run.path / "holdout_submission.csv", competition.submission, decisions())
    answers = truths(competition, data, rows.tolist())
    writer.write_answers(run.path / "holdout_answers.csv", competition.submission, answers)
    column = data.train[competition.metric_group] if competition.metric_group else data.train.ids
    groups = np.unique([column[row] for row in rows], return_inverse=True)[1]
    return float(competition.metric.reduce(np.array(statistics), groups))


def write_submission(
    competition: Competition,
    config: TrainConfig,
    data: Data,
    folds: Sequence[int],
    decision: Decision,
    *,
    run: Run,
    hardware: Hardware,
    world: World,
) -> None:
    """Writes `submission.csv`: the test rows predicted by all folds, streamed, and checks it.

    Without a test set it holds the held-out rows where there are any, else the out-of-fold rows.
    """
    target = run.path / "submission.csv"
    if data.test is None or data.test_pictures is None:
        held_out = run.path / "holdout_submission.csv"
        source = held_out if held_out.exists() else run.path / "oof_submission.csv"
        writer.copy(source, target)
        return
    test, pictures = data.test, data.test_pictures

    def decisions() -> Iterator[tuple[str, np.ndarray]]:
        predicted = predict_rows(competition, config, pictures, range(len(test)), folds, run=run, hardware=hardware)
        for done, (row, plane) in enumerate(predicted, start=1):
            yield test.ids[row], decision(plane)
            world.progress("predict", done, len(test))

    writer.write_submission(target, competition.submission, decisions())
    wrong = validator.validate(target, expected(competition, data)).errors
    assert not wrong, f"the writer made a file that its validator refuses: {wrong[0]}"


def expected(competition: Competition, data: Data) -> validator.Expected:
    """What a valid submission of this data holds; without a test set, every training row."""
    rows: Any = data.test if data.test is not None else data.train
    cached = data.test_pictures if data.test_pictures is not None else data.pictures
    return expectation(competition, rows.ids, [(int(height), int(width)) for height, width in cached.sizes])


def expectation(competition: Competition, ids: Sequence[str], sizes: Sequence[Size]) -> validator.Expected:
    """The CSV ids and picture sizes of rows."""
    pairs = [(name, size) for row, size in zip(ids, sizes, strict=True) for name in competition.submission.ids(row)]
    return validator.Expected(competition.submission, [name for name, _ in pairs], [size for _, size in pairs])
