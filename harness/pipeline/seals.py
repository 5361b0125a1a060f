"""What would flatter a score, looked for once folds are trained: fits on other rows, predictions of other folds.

Each check ends the run with a sentence that names the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from harness import files
from harness.data.folds import FoldPlan
from harness.errors import LeakError, RunError
from harness.hashing import hash_file
from harness.naming import named
from harness.pipeline.job import Job
from harness.pipeline.nets import Fitted, fit_rows, read_fitted
from harness.pipeline.network import fitted_file, out_of_fold_file
from harness.pipeline.parts import Data
from harness.pipeline.rungs import constant_name
from harness.pipeline.score import member_names

SAME = 1e-9  # relative: what another processor rounds otherwise
PHASES = ("fold", "cheap")
AGAIN = "remove it and resume the run: it is made again"
Cell = Callable[[int], Sequence[str]]


def check(job: Job, folds: Sequence[int], *, data: Data, plan: FoldPlan) -> None:
    """Holds the files of trained folds against the run's own folds.

    Raises:
        LeakError: something was fitted on rows that do not train in its fold, or predicted with other folds.
        RunError: a file that does not say whose it is.
    """
    for fold in folds:
        check_fit(job, fold, data=data, plan=plan)
    check_members(job, folds, data=data, plan=plan)


def check_fit(job: Job, fold: int, *, data: Data, plan: FoldPlan) -> None:
    """Fits again on the training rows of a fold, and compares: vocabularies, means, spreads, bins, the target's scale.

    Raises:
        LeakError: as `check`.
    """
    path, training = fitted_file(job.run, fold), plan.training(fold)
    found = read_fitted(job.competition, path)
    own = fit_rows(job.competition, job.config, data=data, rows=training)
    outside = np.setdiff1d(np.arange(len(data)), training).tolist()
    for what, cells, more in _differences(found, own, data):
        rows = [row for row in outside if more.intersection(cells(row))] if cells else outside
        problem = f"the {what} of fold {fold} is not that of its {len(training)} training rows"
        names = named([data.rows.ids[row] for row in rows or outside])
        raise LeakError(f"{problem}: it knows rows outside ({names})", file=path, fix="train the run again")


def check_members(job: Job, folds: Sequence[int], *, data: Data, plan: FoldPlan) -> None:
    """Holds out-of-fold files and the records of their phases against the hash of the run's folds.

    Raises:
        LeakError, RunError: as `check`.
    """
    own = plan.digest(data.rows.ids)
    for fold in folds:
        names = named([data.rows.ids[row] for row in plan.validation(fold).tolist()])
        for phase in PHASES:
            record = files.read_json(job.run.path / "phases" / f"{phase}{fold}.json", fix=AGAIN)
            _same_folds(record.get("folds_hash", own), own, f"the record {phase}{fold}", fold, names)
        for member in member_names(job):
            if member == constant_name(job.competition):
                continue  # worked out anew from the training rows
            path = out_of_fold_file(job.run, fold, member)
            seal = path.with_suffix(".json")
            if not seal.exists():
                fix = f"remove phases/fold{fold}.json and phases/cheap{fold}.json, and resume the run"
                raise RunError("is missing: it says whose the predictions beside it are", file=seal, fix=fix)
            facts = files.read_json(seal, fix=AGAIN)
            _same_folds(facts.get("folds_hash", "unknown"), own, f"{member} of fold {fold}", fold, names)
            said = [facts.get(name) for name in ("member", "fold", "content")]
            if said != [member, fold, hash_file(path)]:
                problem = f"is not what {member} of fold {fold} predicted (rows {names})"
                raise RunError(problem, file=path, fix="remove it and resume the run: it is predicted again")


def _same_folds(found: str, own: str, whose: str, fold: int, names: str) -> None:
    if found != own:
        problem = f"{whose} was made with the folds {found}, the run has {own}: it may have trained on rows {names}"
        raise LeakError(problem, fix=f"members of one answer share their folds; train fold {fold} again")


def _differences(found: Fitted, own: Fitted, data: Data) -> Iterator[tuple[str, Cell | None, set[str]]]:
    """Yields (what differs, the cells of a row that tell which rows it knows, those it should not know)."""
    if own.vocabulary is not None and found.vocabulary != own.vocabulary:
        tokens, known = data.tokens, set(found.vocabulary.tokens if found.vocabulary else ())
        assert tokens is not None, "texts have tokens"
        yield "vocabulary", tokens.__getitem__, known - set(own.vocabulary.tokens)
    if own.table is not None:
        categories = {one.name: one for one in found.table.categories} if found.table else {}
        for one in own.table.categories:
            if categories.get(one.name) != one:
                cells, other = data.rows[one.name], categories.get(one.name)
                known = set(other.vocabulary if other else ()) - set(one.vocabulary)
                yield f"vocabulary of column '{one.name}'", lambda row, cells=cells: [str(cells[row]).strip()], known
        numbers = {one.name: one for one in found.table.numbers} if found.table else {}
        for one in own.table.numbers:
            other = numbers.get(one.name)
            # a standardised column's mean is rounding alone: it is compared with the spread
            moved = other is None or abs(other.mean - one.mean) > SAME * max(one.spread, abs(one.mean))
            if other is None or moved or not _close((other.spread,), (one.spread,)):
                yield f"scale of column '{one.name}'", None, set()
            elif (other.mean, other.spread) == (one.mean, one.spread) and other != one:
                yield f"bins of column '{one.name}'", None, set()
    if own.task.kind == "value" and not _close(_scale(found), _scale(own)):
        yield "target's scale", None, set()
    if found.rows and found.rows != own.rows:  # runs of earlier versions do not say
        yield f"fit of {found.rows.partition(':')[0]} rows", None, set()


def _scale(fitted: Fitted) -> tuple[float, float]:
    task: Any = fitted.task
    return task.centre, task.spread


def _close(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return bool(np.allclose(one, other, rtol=SAME, atol=0))
