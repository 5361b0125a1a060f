"""Small real runs: every adapter's own sample, pictures shrunk, a net of half a million weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from harness import pipeline, registry
from harness.competition import Competition
from harness.config import TrainConfig, override
from harness.data.materialise import write_sample
from harness.pipeline import Request, network
from harness.pipeline.nets import CPU, Fitted
from harness.pipeline.parts import Data
from harness.pipeline.preparation import World, prepare

SHIPPED = registry.names()
ROWS = 20
SMALL = (
    "model.encoder=mobilenetv3_small_050",
    "model.decoder=16x16x8x8x8",
    "train.size=64x64",
    "train.batch=4",
    "model.width=16",
    "model.layers=1",
    "model.heads=2",
    "model.members=4",
    "model.context=32",
    "precision=fp32",
    "weights=scratch",
    "report.resamples=50",
)


def small(competition: Competition, *settings: str) -> TrainConfig:
    """The adapter's defaults, small enough for a step in some ten milliseconds."""
    config = override(competition.defaults, [*SMALL, "stages.0.epochs=1", *settings])
    return dataclasses.replace(config, views="none")


def sample_root(name: str, cache: Path, *, rows: int = ROWS) -> Path:
    """The folder of the adapter's sample of about so many rows."""
    return write_sample(registry.load(name), rows=rows, seed=0, cache=cache)


def sample_data(name: str, cache: Path, *settings: str) -> tuple[Competition, TrainConfig, Data]:
    """The adapter, its small configuration and its prepared sample."""
    competition = registry.load(name)
    config = small(competition, *settings)
    data = prepare(competition, config, sample_root(name, cache), World(cache))
    return data.competition, config, data


def run_small(name: str, settings: tuple[str, ...], out: Path, cache: Path, **asked: object) -> None:
    """A sample run in a process of its own."""
    torch.set_num_threads(1)
    competition = registry.load(name)
    pipeline.run(competition, small(competition, *settings), request(**asked), out=out, world=World(cache))


def request(**changes: object) -> Request:
    """A request for a sample run on the CPU."""
    return dataclasses.replace(Request(sample=True, sample_rows=ROWS, device="cpu"), **changes)  # type: ignore[arg-type]


def constant_answer(data: Data, row: int) -> Any:
    """A decision that looks at no input: empty, one class, the first label, 1000, one nat a token."""
    kind, outputs = data.competition.task.kind, data.competition.task.outputs
    if kind == "mask":
        return np.zeros(data.size(row), dtype=bool)
    if kind == "classes":
        return np.full(data.size(row), 3, dtype=np.uint8)
    if kind in ("label", "tags"):
        return np.arange(outputs) == 0
    return 1000.0 if kind == "value" else (float(data.truth(row)[1]), *data.truth(row)[1:])


def token_nats(net: nn.Module, fitted: Fitted, config: TrainConfig, data: Data, rows: list[int]) -> list[np.ndarray]:
    """The nats of each token of some rows, in their order."""
    found = dict(network.nats(net, fitted, config, CPU, data, rows))
    return [found[row] for row in rows]
