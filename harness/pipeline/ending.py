"""What a run ends with: scores, decisions, and the submission."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.data.folds import FoldPlan
from harness.pipeline import answer, members, score, seals
from harness.pipeline.job import Job
from harness.pipeline.parts import Data, Part
from harness.training import determinism, memory


@dataclass(frozen=True)
class Ended:
    """What is to be told of it.

    Attributes:
        scored: of `score.score`.
        rows: how many were scored.
        test_score: of the labelled test set, else of the held-out rows, or None.
        held_out: of the held-out rows, or None.
        unknown_rate: of a text's tokens, or None.
        told: what was decided about the rows.
        broken_by: operations that have no deterministic form.
    """

    scored: dict[str, Any]
    rows: int
    test_score: float | None
    held_out: float | None
    unknown_rate: float | None
    told: Sequence[str]
    broken_by: list[str]


def answered(
    job: Job, wanted: Sequence[int], *, inputs: list[Any], data: Data, test: Part | None, plan: FoldPlan
) -> Ended:
    """Scores all members out of fold, decides, and writes the submission; a finished phase is not repeated.

    Args:
        wanted: folds, all of which are trained.
        inputs: what the phases depend on.
    """
    run = job.run
    finished = members.records(job, wanted, inputs=inputs, data=data)
    broken = {name for record in finished for name in record["broken_by"]}
    seals.check(job, wanted, data=data, plan=plan)
    found = score.out_of_fold(job, wanted, data=data, plan=plan)
    for sentence in found.told:
        job.world.say(sentence)
    scored, together = score.score(job, found, data=data, plan=plan)
    run.finish("choose", [*inputs, wanted], **scored["decision"])
    answer.write_out_of_fold(job, found, data=data, together=together)
    weights = dict(zip(found.members, together.final_weights, strict=True))
    how = answer.Answering(wanted, weights, together.final, data, plan, test)
    held_out = answer.held_out_score(job, data=data, plan=plan, how=how)
    test_score = held_out
    predicted = [*inputs, wanted, scored["decision"], together.final_weights]
    if test is None:
        answer.write_own_submission(job, data=data)
        run.finish("predict", predicted)
    elif (record := run.done("predict", predicted, run.path / "submission.csv")) is None:
        with determinism.level(job.config.determinism) as breaking, memory.told():
            on_test = answer.write_submission(job, test=test, how=how)
        broken |= breaking
        test_score = held_out if on_test is None else on_test
        run.finish("predict", predicted, test_score=on_test)
    elif record.get("test_score") is not None:
        test_score = record["test_score"]
    return Ended(scored, int(found.counted.sum()), test_score, held_out, found.unknown_rate, found.told, sorted(broken))
