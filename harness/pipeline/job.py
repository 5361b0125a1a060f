"""What was asked for, and what the phases of one run share."""

from __future__ import annotations

from dataclasses import dataclass

from harness.competition import Competition
from harness.config import TrainConfig
from harness.pipeline.hardware import Hardware
from harness.pipeline.preparation import World
from harness.runs import Run


@dataclass(frozen=True)
class Request:
    """What was asked for, besides the configuration.

    Attributes:
        data: folder or zip, or None to look in the usual places.
        sample: draw the adapter's sample instead.
        sample_rows: how many training rows of it, about.
        only_folds: folds to train; empty means all.
        device: "auto", "cpu" or "cuda".
    """

    data: str | None = None
    sample: bool = False
    sample_rows: int = 60
    only_folds: tuple[int, ...] = ()
    device: str = "auto"


@dataclass(frozen=True)
class Job:
    """One run at work: which competition, how, where to, on what."""

    competition: Competition
    config: TrainConfig
    run: Run
    hardware: Hardware
    world: World
