"""From decisions to files: the submission, the out-of-fold submission, its answers, and the validator's word."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from harness.competition import Competition, Size
from harness.data.folds import HELD_OUT, FoldPlan
from harness.errors import RunError
from harness.evaluation.masks import Decision
from harness.evaluation.scores import Nested
from harness.pipeline.fold import predict_rows
from harness.pipeline.job import Job
from harness.pipeline.preparation import Data, TestData
from harness.pipeline.score import OutOfFold, metric_groups
from harness.runs import Run
from harness.submission import validator, writer


def write_out_of_fold(job: Job, found: OutOfFold, *, data: Data, network: Nested) -> None:
    """Writes `oof_submission.csv`, each row decided with what the other folds chose, and `answers.csv`.

    Grading one with the other gives the score.
    """
    fold_of = dict(zip(found.rows, found.folds.tolist(), strict=True))
    rows, submission = sorted(found.rows), job.competition.submission
    decisions = ((data.train.ids[row], network.decisions[fold_of[row]](found.probability(row))) for row in rows)
    writer.write_submission(job.run.path / "oof_submission.csv", submission, decisions)
    writer.write_answers(job.run.path / "answers.csv", submission, truths(job.competition, data, rows))


def truths(competition: Competition, data: Data, rows: Sequence[int]) -> Iterator[tuple[str, np.ndarray, str, Size]]:
    """(row id, true mask, metric group, (height, width)) of training rows."""
    groups = data.train[competition.metric_group or "id"]
    for row in rows:
        yield data.train.ids[row], data.truth(row), groups[row], data.size(row)


def held_out_score(job: Job, folds: Sequence[int], *, data: Data, plan: FoldPlan, decision: Decision) -> float | None:
    """The metric of the held-out rows, predicted by all folds and decided by the final decision; None without any.

    Also writes `holdout_submission.csv` and `holdout_answers.csv`.
    """
    rows = np.flatnonzero(plan.fold == HELD_OUT).tolist()
    if not rows:
        return None
    competition, folder, statistics = job.competition, job.run.path, []

    def decisions() -> Iterator[tuple[str, np.ndarray]]:
        for row, plane in predict_rows(job, rows, pictures=data.pictures, folds=folds):
            mask = decision(plane)
            statistics.append(competition.metric.statistics(mask, data.truth(row)))
            yield data.train.ids[row], mask

    writer.write_submission(folder / "holdout_submission.csv", competition.submission, decisions())
    writer.write_answers(folder / "holdout_answers.csv", competition.submission, truths(competition, data, rows))
    return float(competition.metric.reduce(np.array(statistics), metric_groups(competition, data, rows)))


def write_submission(job: Job, folds: Sequence[int], *, test: TestData, decision: Decision) -> None:
    """Writes `submission.csv`: the test rows predicted by all folds, streamed, and checks it."""
    target = job.run.path / "submission.csv"

    def decisions() -> Iterator[tuple[str, np.ndarray]]:
        predicted = predict_rows(job, range(len(test.rows)), pictures=test.pictures, folds=folds)
        for done, (row, plane) in enumerate(predicted, start=1):
            yield test.rows.ids[row], decision(plane)
            job.world.progress("predict", done, len(test.rows))

    writer.write_submission(target, job.competition.submission, decisions())
    sizes = [(height, width) for height, width in test.pictures.sizes.tolist()]
    _check(target, expectation(job.competition, test.rows.ids, sizes))


def write_own_submission(job: Job, *, data: Data) -> None:
    """Writes `submission.csv` of a competition without a test set: the held-out rows, else the out-of-fold rows.

    Raises:
        RunError: the file it is made from is gone.
    """
    held_out = job.run.path / "holdout_submission.csv"
    source = held_out if held_out.exists() else job.run.path / "oof_submission.csv"
    if not source.exists():
        raise RunError("is missing", file=source, fix="train the run again")
    writer.copy(source, job.run.path / "submission.csv")
    wanted = own_ids(job.run)
    rows = [row for row, identity in enumerate(data.train.ids) if identity in wanted]
    expected = expectation(job.competition, [data.train.ids[row] for row in rows], [data.size(row) for row in rows])
    _check(job.run.path / "submission.csv", expected)


def own_ids(run: Run) -> set[str]:
    """Ids of the training rows that the submission of a run without a test set holds."""
    with open(run.path / "folds.csv", newline="", encoding="utf-8") as handle:
        folds = {row["id"]: int(row["fold"]) for row in csv.DictReader(handle)}
    held_out = {identity for identity, fold in folds.items() if fold == HELD_OUT}
    return held_out or {identity for identity, fold in folds.items() if fold in run.folds_trained()}


def expectation(competition: Competition, ids: Sequence[str], sizes: Sequence[Size]) -> validator.Expected:
    """The CSV ids and picture sizes of rows."""
    pairs = [(name, size) for row, size in zip(ids, sizes, strict=True) for name in competition.submission.ids(row)]
    return validator.Expected(competition.submission, [name for name, _ in pairs], [size for _, size in pairs])


def _check(path: Path, expected: validator.Expected) -> None:
    wrong = validator.validate(path, expected).errors
    assert not wrong, f"the writer made a file that its validator refuses: {wrong[0].line()}"
