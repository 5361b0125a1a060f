"""Small real runs: every adapter's own sample, pictures shrunk, a net of half a million weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from harness import pipeline, registry
from harness.competition import Competition
from harness.config import TrainConfig, override
from harness.data.materialise import write_sample
from harness.pipeline import Request
from harness.pipeline.preparation import Data, World, prepare

SHIPPED = registry.names()
ROWS = 20
SMALL = (
    "model.encoder=mobilenetv3_small_050",
    "model.decoder=16x16x8x8x8",
    "train.size=64x64",
    "train.batch=4",
    "precision=fp32",
    "weights=scratch",
    "report.resamples=50",
)


def small(competition: Competition, *settings: str) -> TrainConfig:
    """The adapter's defaults, small enough for a step in some ten milliseconds."""
    config = override(competition.defaults, [*SMALL, "stages.0.epochs=1", *settings])
    return dataclasses.replace(config, views="none") if competition.picture.symmetries else config


def sample_root(name: str, cache: Path) -> Path:
    """The folder of the adapter's sample of ROWS rows."""
    return write_sample(registry.load(name), rows=ROWS, seed=0, cache=cache)


def sample_data(name: str, cache: Path, *settings: str) -> tuple[Competition, TrainConfig, Data]:
    """The adapter, its small configuration and its prepared sample."""
    competition = registry.load(name)
    config = small(competition, *settings)
    return competition, config, prepare(competition, config, sample_root(name, cache), World(cache))


def run_small(name: str, settings: tuple[str, ...], out: Path, cache: Path) -> None:
    """A sample run in a process of its own."""
    torch.set_num_threads(1)
    competition = registry.load(name)
    pipeline.run(competition, small(competition, *settings), request(), out=out, world=World(cache))


def request(**changes: object) -> Request:
    """A request for a sample run on the CPU."""
    return dataclasses.replace(Request(sample=True, sample_rows=ROWS, device="cpu"), **changes)  # type: ignore[arg-type]
