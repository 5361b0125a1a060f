"""A run that was asked to end: the best submission that it has by then, and the word that goes on with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.competition import Competition
from harness.config import TrainConfig
from harness.data.folds import FoldPlan
from harness.errors import Stopped
from harness.evaluation.scores import Nested
from harness.pipeline import answer, early, members, score
from harness.pipeline.job import Job
from harness.pipeline.parts import Data, Part
from harness.pipeline.preparation import World, untimed
from harness.pipeline.score import OutOfFold
from harness.runs import Run
from harness.stopping import AtOnce


@contextmanager
def resumable(run: Run) -> Iterator[None]:
    """What ends the block before its time says how to go on with the run."""
    try:
        yield
    except Stopped as error:
        raise Stopped(error.problem, fix=f"go on with: harness resume {run.path}") from error
    except AtOnce as error:
        raise Stopped("stopped at once", fix=f"go on with: harness resume {run.path}") from error


def unasked(world: World) -> World:
    """The world of what is still done after a signal; the next one ends it."""
    return replace(world, tick=untimed, halt=untimed)


def sample_values(competition: Competition, config: TrainConfig, root: Path, run: Run, world: World) -> None:
    """A valid `submission.csv`, unless there is one."""
    if not (run.path / "submission.csv").exists():
        early.write(competition, config, root, run, unasked(world))
        world.say("submission.csv: sample values")


@contextmanager
def answering(
    job: Job,
    wanted: Sequence[int],
    *,
    first: Callable[[], None],
    inputs: list[Any],
    data: Data,
    test: Part | None,
    plan: FoldPlan,
) -> Iterator[None]:
    """Where the block is asked to end, `submission.csv` is answered by the folds that are finished by then.

    Args:
        first: writes sample values: a second signal, or the system, may end the predictions.
    """
    try:
        yield
    except Stopped:
        first()
        _answer(job, wanted, inputs=inputs, data=data, test=test, plan=plan)
        raise


def _answer(
    job: Job, wanted: Sequence[int], *, inputs: list[Any], data: Data, test: Part | None, plan: FoldPlan
) -> None:
    missing = members.missing(job, wanted, inputs=inputs, data=data)
    done = [number for number in wanted if number not in missing]
    if not done:
        return
    job = replace(job, world=unasked(job.world))
    found = score.out_of_fold(job, done, data=data, plan=plan)
    _, together = score.score(job, found, data=data, plan=plan)
    so_far(job, found, together, done, data=data, test=test, plan=plan)
    job.world.say(f"submission.csv: fold {', '.join(map(str, done))} of {len(wanted)}")


def so_far(
    job: Job,
    found: OutOfFold,
    together: Nested,
    folds: Sequence[int],
    *,
    data: Data,
    test: Part | None,
    plan: FoldPlan,
) -> None:
    """Writes `submission.csv` by some of the folds; without a test set, rows of the others get sample values.

    Args:
        found, together: of these folds' out-of-fold predictions.
    """
    if test is not None:
        weights = dict(zip(found.members, together.final_weights, strict=True))
        how = answer.Answering(folds, weights, together.final, data, plan, test)
        answer.write_submission(job, test=test, how=how)
        return
    mean = None if data.targets is None else data.targets.mean(axis=0)
    samples = early.values(data.competition, mean, data.rows.ids, [data.size(row) for row in range(len(data))])
    answer.write_own_so_far(job, found, data=data, together=together, samples=samples)
