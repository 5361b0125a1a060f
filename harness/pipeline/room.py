"""Whether the disk has room for what a run is going to write, asked before a fold is trained."""

from __future__ import annotations

import math

from harness.data.folds import FoldPlan
from harness.errors import SpaceError
from harness.pipeline.job import Job
from harness.pipeline.network import variants
from harness.pipeline.parts import Data
from harness.training.state import TrainState

SPARE = 50_000_000  # bytes for logs, pictures, answers


def needed(job: Job, training: TrainState, data: Data, plan: FoldPlan, *, fold: int, left: int) -> int:
    """Bytes of the files of `left` folds that are still to be trained, each as large as `fold`'s.

    Weights as float16 after each stage, predictions of all members, and of the fold at hand two states, of which one
    may hold two snapshots (weights, average, and two moments of AdamW).
    """
    tensors = list(training.net.state_dict().values())
    whole = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    half = sum(tensor.numel() * (2 if tensor.is_floating_point() else tensor.element_size()) for tensor in tensors)
    state = whole * (3 + bool(training.average))
    each = 1 if job.competition.task.kind in ("mask", "classes") else 4
    rows = plan.validation(fold).tolist()
    predictions = each * sum(math.prod(data.shape(row)) for row in rows)
    members = len(variants(job.competition, job.config)) + 1
    return 3 * state + left * (half * len(job.config.stages) + members * predictions) + SPARE


def check(job: Job, training: TrainState, data: Data, plan: FoldPlan, *, fold: int) -> None:
    """Looks at the disk before a fold is trained.

    Raises:
        SpaceError: it has less room than the run still needs.
    """
    needs, has = needed(job, training, data, plan, fold=fold, left=job.left), job.world.free(job.run.path)
    if needs > has:
        folds = "a fold" if job.left == 1 else f"{job.left} folds"
        raise SpaceError(
            f"{folds} to train need {needs / 1e9:.2f} GB on this disk, {has / 1e9:.2f} GB are free",
            file=job.run.path,
            fix=f"free some space and go on with: harness resume {job.run.path}, or start with --out on another disk",
        )
