"""The submission of a finished run written again, for its own or for other data."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness import registry, runs
from harness.competition import Competition
from harness.config import from_json
from harness.data.folds import FoldPlan
from harness.errors import DataError, RunError
from harness.pipeline import answer, hardware, rungs
from harness.pipeline.evidence import decision_from
from harness.pipeline.job import Job, Request, elsewhere, request_root
from harness.pipeline.parts import Data
from harness.pipeline.planning import plan_folds
from harness.pipeline.preparation import World, adapted, prepare, prepare_test
from harness.pipeline.score import member_names


def predict(folder: runs.Run, *, data: str | None, sample: bool = False, world: World) -> Path:
    """Writes `submission.csv` of a finished run, from its weights; returns its path.

    The network needs nothing but its files. A rung below it that answers is fitted again on the run's training rows,
    looked for in the data given and then where the run found them.

    Raises:
        RunError: the run is not finished; other data for a competition without a test set; training rows that a rung
            needs and that are gone or changed.
        DataError: no test rows in the data, of a run whose own data had some.
    """
    settings, finished = folder.settings(), folder.scores()
    if finished is None:
        raise RunError("the run is not finished", file=folder.path, fix=f"harness resume {folder.path}")
    competition, config = registry.load(settings["competition"]), from_json(settings["config"])
    request = from_json(settings["request"], Request)
    root = request_root(competition, elsewhere(request, data, sample), world)
    machine = hardware.here(from_json(settings["hardware"], hardware.Hardware), world)
    competition = _with_labels(_adapted(competition, root, request, world), settings.get("labels"))
    job = Job(competition, config, folder, machine, world)
    test = prepare_test(competition, config, root, world)
    had = finished.get("rows", {}).get("test")
    if test is None and had:  # a mount that is packed yet, say: rows out of the folds are no answer to it
        raise DataError(f"no test rows found, and the run had {had:,}", file=root, fix="name the folder that has them")
    try:
        weights = {str(name): float(member["weight"]) for name, member in finished["members"].items()}
        folds = [int(number) for number in finished["folds_trained"]]
        decision = decision_from(competition.task.kind, finished["decision"])
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        path, fix = folder.path / "scores.json", "the run folder is damaged; train it again"
        raise RunError(f"holds no finished run ({type(error).__name__}: {error})", file=path, fix=fix) from error
    if not set(weights) <= set(member_names(job)):
        what = f"the run has the members {', '.join(weights)}, which this version answers otherwise"
        raise RunError(what, file=folder.path, fix="predict with the version that trained it, or train it again")
    fitted = any(weights.get(name) for name in rungs.names(competition))
    own = None if test is not None and not fitted else _own_rows(job, request, root, settings)
    if test is None:
        assert own is not None, "read above"
        answer.write_own_submission(job, data=own)
        return folder.path / "submission.csv"
    plan = None if own is None else _plan_of(job, own, finished)
    how = answer.Answering(folds=folds, weights=weights, decision=decision, data=own, plan=plan)
    answer.write_submission(job, test=test, how=how)
    return folder.path / "submission.csv"


def _plan_of(job: Job, own: Data, finished: dict[str, Any]) -> FoldPlan:
    """The folds of the run, dealt again.

    Raises:
        RunError: they are others: an earlier version dealt them.
    """
    plan = plan_folds(job.competition, job.config, own)
    if plan.digest(own.rows.ids) != finished.get("folds_hash"):
        fix = "predict with the version that trained it, or train it again"
        raise RunError("the run has folds that this version deals otherwise", file=job.run.path, fix=fix)
    return plan


def _adapted(competition: Competition, root: Path, request: Request, world: World) -> Competition:
    """As this data has it; new rows that carry no labels are read as the run's own data was."""
    try:
        return adapted(competition, root, world)
    except DataError:
        own = request_root(competition, request, world)
        if own == root:
            raise
        return replace(adapted(competition, own, world), test_truth=False)


def _own_rows(job: Job, request: Request, root: Path, settings: dict[str, Any]) -> Data:
    """The rows that the run was trained on, from where the run found them or from the data named now."""
    reasons: list[str] = []
    for where in (functools.partial(request_root, job.competition, request, job.world), root.absolute):
        try:
            own = prepare(job.competition, job.config, where(), job.world)
        except DataError as error:  # gone, or a folder that holds test rows alone
            reasons.append(str(error))
            continue
        if own.hash == settings["rows_hash"]:
            return own
        reasons.append("it is not what the run was trained on")
    if job.competition.test(root) is None:
        fix = "a competition without a test set predicts only the data of its run"
        raise RunError(f"the data of the run is needed: {reasons[-1]}", file=job.run.path, fix=fix)
    fix = "a cheap member of its answer is fitted on them: put back what was there"
    raise RunError(f"the training rows of the run are needed: {reasons[0]}", file=job.run.path, fix=fix)


def _with_labels(competition: Competition, labels: list[str] | None) -> Competition:
    """The competition with the labels that the run was trained on: other data may not have them all."""
    if not labels:
        return competition
    task: Any = competition.task
    return replace(competition, task=replace(task, labels=tuple(labels)))
