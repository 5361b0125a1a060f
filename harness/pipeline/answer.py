"""From decisions to files: the submission, the out-of-fold submission, its answers, and the validator's word."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.competition import Competition, Size
from harness.data.folds import HELD_OUT, FoldPlan
from harness.errors import RunError
from harness.evaluation.scores import Nested
from harness.pipeline import kept, rungs
from harness.pipeline.evidence import decided_value, mixed
from harness.pipeline.job import Job
from harness.pipeline.network import predict_rows
from harness.pipeline.parts import Data, Part
from harness.pipeline.score import OutOfFold, counted_folds, metric_groups
from harness.runs import Run
from harness.submission import validator, writer


@dataclass(frozen=True)
class Answering:
    """How new rows are answered: which folds predict, how members weigh, what is decided.

    Attributes:
        folds: that were trained.
        weights: member -> its weight; the network's first, as they are mixed.
        decision: chosen on all out-of-fold rows.
        data, plan: the training rows, which the rungs are fitted on; None where the network answers alone.
        test: the run's own test rows, of which predictions may be kept; None where there are none.
    """

    folds: Sequence[int]
    weights: Mapping[str, float]
    decision: Any
    data: Data | None
    plan: FoldPlan | None
    test: Part | None = None


def decided(job: Job, part: Part, rows: Sequence[int], how: Answering) -> Iterator[tuple[int, Any]]:
    """Yields (row, decision) of rows that no fold trained on."""
    kind = job.competition.task.kind
    members: list[Iterator[np.ndarray]] = []
    used = {name: weight for name, weight in how.weights.items() if weight > 0}
    for name in used:
        known = part is how.test and kept.there(job.run, how.folds, name)
        if name in rungs.names(job.competition):
            members.append(_rung(job, part, rows, how, name, known=known))
        else:
            every = {"folds": how.folds, "member": name}
            found = kept.mean(job.run, part, rows, **every) if known else predict_rows(job, rows, part=part, **every)
            members.append(prediction for _, prediction in found)
    for row, predictions in zip(rows, zip(*members, strict=True), strict=True):
        yield row, decided_value(kind, how.decision, mixed(kind, predictions, tuple(used.values())))


def _rung(job: Job, part: Part, rows: Sequence[int], how: Answering, name: str, *, known: bool) -> Iterator[np.ndarray]:
    """The predictions of the cheap or the constant rung, averaged over the folds.

    Args:
        known: they are kept.
    """
    assert how.data is not None, "a rung needs the training rows"
    assert how.plan is not None, "a rung needs the folds"
    if known:
        streams = [kept.stream(job.run, part, rows, fold=fold, member=name) for fold in how.folds]
    else:
        fit = rungs.fit_cheap if name == rungs.cheap_name(job.competition) else rungs.fit_constant
        predictors = [fit(job, how.data, how.plan, fold) for fold in how.folds]
        streams = [(prediction for _, prediction in predictor(part, rows)) for predictor in predictors]
    even = tuple(1 / len(streams) for _ in streams)
    for predictions in zip(*streams, strict=True):
        yield mixed(job.competition.task.kind, predictions, even)


def write_out_of_fold(job: Job, found: OutOfFold, *, data: Data, together: Nested) -> None:
    """Writes `oof_submission.csv`, each scored row answered with what the other parts chose, and `answers.csv`.

    Grading one with the other gives the score.
    """
    part_of = dict(zip(found.rows, found.parts.tolist(), strict=True))
    rows = sorted(row for row, counted in zip(found.rows, found.counted, strict=True) if counted)
    submission, task = job.competition.submission, job.competition.task

    def decisions() -> Iterator[tuple[str, Any]]:
        for row in rows:
            part = part_of[row]
            prediction = found.mixed(row, together.weights[part])
            yield data.rows.ids[row], task.present(decided_value(task.kind, together.decisions[part], prediction))

    writer.write_submission(job.run.path / "oof_submission.csv", submission, decisions())
    writer.write_answers(job.run.path / "answers.csv", submission, truths(job.competition, data, rows))


def truths(competition: Competition, data: Part, rows: Sequence[int]) -> Iterator[tuple[str, Any, str, Size]]:
    """(row id, true answer as the submission writes it, metric group, (height, width)) of rows with a known truth."""
    groups = data.rows[competition.metric_group or "id"]
    for row in rows:
        yield data.rows.ids[row], competition.task.present(data.truth(row)), groups[row], data.size(row)


def held_out_score(job: Job, *, data: Data, plan: FoldPlan, how: Answering) -> float | None:
    """The metric of the held-out rows, predicted by all folds and decided by the final decision; None without any.

    Also writes `holdout_submission.csv` and `holdout_answers.csv`.
    """
    rows = np.flatnonzero(plan.fold == HELD_OUT).tolist()
    if not rows:
        return None
    competition, folder = job.competition, job.run.path
    statistics: list[Any] = []
    answers = _scored(job, data, rows, how, statistics)
    writer.write_submission(folder / "holdout_submission.csv", competition.submission, answers)
    writer.write_answers(folder / "holdout_answers.csv", competition.submission, truths(competition, data, rows))
    return float(competition.metric.reduce(np.array(statistics), metric_groups(competition, data, rows)))


def _scored(
    job: Job, part: Part, rows: Sequence[int], how: Answering, statistics: list[Any]
) -> Iterator[tuple[str, Any]]:
    """(row id, answer) of rows with a known truth; what the metric sees of each is added to `statistics`."""
    for row, decision in decided(job, part, rows, how):
        statistics.append(job.competition.metric.statistics(decision, part.truth(row)))
        yield part.rows.ids[row], job.competition.task.present(decision)


def write_submission(job: Job, *, test: Part, how: Answering) -> float | None:
    """Writes `submission.csv`: the test rows answered, streamed, and checks it; the score where the truth is known."""
    competition, target = job.competition, job.run.path / "submission.csv"
    rows, statistics = list(range(len(test))), list[Any]()

    def answers() -> Iterator[tuple[str, Any]]:
        if competition.test_truth:
            yield from _scored(job, test, rows, how, statistics)
            return
        for done, (row, decision) in enumerate(decided(job, test, rows, how), start=1):
            yield test.rows.ids[row], competition.task.present(decision)
            job.world.progress("predict", done, len(test))

    writer.write_submission(target, competition.submission, answers())
    check(target, expectation(competition, test.rows.ids, [test.size(row) for row in rows]))
    if not competition.test_truth:
        return None
    writer.write_answers(job.run.path / "test_answers.csv", competition.submission, truths(competition, test, rows))
    return float(competition.metric.reduce(np.array(statistics), metric_groups(competition, test, rows)))


def write_own_so_far(
    job: Job, found: OutOfFold, *, data: Data, together: Nested, samples: Iterator[tuple[str, Any]]
) -> None:
    """Writes `submission.csv` of a competition without a test set while folds are missing: all training rows.

    Args:
        found: rows that are scored already; each is answered with what the other parts chose.
        samples: (row id, answer) of all rows, for those that are not.
    """
    part_of, task = dict(zip(found.rows, found.parts.tolist(), strict=True)), job.competition.task

    def answers() -> Iterator[tuple[str, Any]]:
        for row, sample in enumerate(samples):
            if (part := part_of.get(row)) is None:
                yield sample
            else:
                prediction = found.mixed(row, together.weights[part])
                yield data.rows.ids[row], task.present(decided_value(task.kind, together.decisions[part], prediction))

    target = job.run.path / "submission.csv"
    writer.write_submission(target, job.competition.submission, answers())
    check(target, expectation(job.competition, data.rows.ids, [data.size(row) for row in range(len(data))]))


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
    rows = [row for row, identity in enumerate(data.rows.ids) if identity in wanted]
    expected = expectation(job.competition, [data.rows.ids[row] for row in rows], [data.size(row) for row in rows])
    check(job.run.path / "submission.csv", expected)


def own_ids(run: Run) -> set[str]:
    """Ids of the training rows that the submission of a run without a test set holds."""
    with open(run.path / "folds.csv", newline="", encoding="utf-8") as handle:
        folds = {row["id"]: int(row["fold"]) for row in csv.DictReader(handle)}
    held_out = {identity for identity, fold in folds.items() if fold == HELD_OUT}
    earlier = "choices" not in (run.scores() or {"choices": {}})  # versions that scored the folds that chose too
    chose = () if earlier else run.settings().get("tuned", {}).get("chosen_on", ())
    scored = counted_folds(run.folds_trained(), chose)
    return held_out or {identity for identity, fold in folds.items() if fold in scored}


def expectation(competition: Competition, ids: Sequence[str], sizes: Sequence[Size]) -> validator.Expected:
    """The CSV ids and picture sizes of rows."""
    pairs = [(name, size) for row, size in zip(ids, sizes, strict=True) for name in competition.submission.ids(row)]
    span = len(competition.submission.ids(ids[0])) if len(ids) else 1
    return validator.Expected(competition.submission, [name for name, _ in pairs], [size for _, size in pairs], span)


def check(path: Path, expected: validator.Expected) -> None:
    """Holds a file that was just written against the validator."""
    wrong = validator.validate(path, expected).errors
    assert not wrong, f"the writer made a file that its validator refuses: {wrong[0].line()}"
