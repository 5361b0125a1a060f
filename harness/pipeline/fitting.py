"""How many rows of a batch a GPU can take at a time: measured once for each card, net, size and precision.

B rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch

from harness import files
from harness.config import as_json
from harness.hashing import hash_value
from harness.pipeline.job import Job
from harness.pipeline.preparation import stage_size
from harness.training import backward, loop, memory, state

HEADROOM = 0.92  # of what is free: batches of other rows need other workspaces
Measure = Callable[[int], int | None]


def parts(job: Job, training: state.TrainState, recipe: loop.Recipe, *, batch: int) -> int:
    """Micro-batches that a step of `batch` rows of the state's stage is to be cut into.

    At least what `train.accumulate` asks for; on a GPU as many as its memory needs, found with at most five steps that
    are then undone, and kept in the cache.
    """
    asked = min(batch, job.config.train.accumulate)
    if job.hardware.device != "cuda" or job.shard.number > 1:  # several processes would have to agree
        return asked
    card = torch.cuda.get_device_properties(0)
    free, _ = torch.cuda.mem_get_info()
    limit = int(HEADROOM * (free + torch.cuda.memory_reserved()))
    weights = sum(parameter.numel() for parameter in training.net.parameters())  # a vocabulary is in no setting
    key = [card.name, limit >> 30, weights, *_net(job, training.stage), batch]

    def measure(rows: int) -> int | None:
        return _peak(training, recipe, rows)

    return max(asked, -(-batch // fitting(job, key, measure, batch=batch, limit=limit)))


def fitting(job: Job, key: list[Any], measure: Measure, *, batch: int, limit: int) -> int:
    """Rows of the largest micro-batch that fits; the answer for a key is kept in the cache."""
    known = job.world.cache / "probes" / f"rows-{hash_value(key)}.json"
    if known.exists():
        return json.loads(known.read_text())["rows"]
    rows = memory.largest(measure, batch, limit)
    files.write_json(known, {"rows": rows})
    if rows < batch:
        job.world.say(f"{rows} of a batch's {batch} rows fit into memory at a time")
    return rows


def _net(job: Job, stage: int) -> list[Any]:
    """What of a stage decides how much memory a row needs."""
    competition, config = job.competition, job.config
    settings = [config.stages[stage].freeze, config.train.ema > 0, config.data.unit]
    size = stage_size(competition, config, stage) if competition.picture else None
    net = [repr(competition.inputs), asdict(job.hardware), config.layered, as_json(config.model)]
    return [competition.task.kind, competition.task.outputs, size, *net, *settings]


def _peak(training: state.TrainState, recipe: loop.Recipe, rows: int) -> int | None:
    """Bytes at most allocated in one step on the first rows, which is then undone; None where they ran out."""
    before = training.snapshot()
    few = next(iter(recipe.batches(training.cursor, 1))).first(rows)
    torch.cuda.reset_peak_memory_stats()
    try:
        training.net.train()
        backward.accumulate(training, few.to("cuda"), loss=recipe.loss, autocast=recipe.autocast)
        training.optimizer.step()  # makes the moments, which stay
    except RuntimeError as error:
        if not memory.out_of_memory(error):
            raise
        return None
    finally:
        training.restore(before)
        training.optimizer.zero_grad(set_to_none=True)
        torch.cuda.empty_cache()
    return torch.cuda.max_memory_allocated()
