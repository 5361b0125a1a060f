"""A net and batches small enough for a step in a millisecond, with every kind of state a net can have."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch
from torch import nn

from harness.batch import Batch
from harness.tasks import BinaryMask
from harness.training import loop, precision, schedule, state

ROWS = 4


class TinyNet(nn.Module):
    """Convolution, batch norm and dropout: every kind of state a net can have."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.3), nn.Conv2d(8, 1, 1)
        )

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.layers(inputs["image"].float() / 255)


class PlainNet(TinyNet):
    """No batch norm, no dropout: what a row gives does not depend on the others."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(2, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.ReLU(), nn.Conv2d(8, 1, 1))


def batches(cursor: int, count: int) -> Iterator[Batch]:
    """A pure function of the cursor, as the loader's is."""
    for step in range(count):
        generator = torch.Generator().manual_seed(cursor + step * ROWS)
        pictures = torch.randint(0, 256, (ROWS, 2, 8, 8), generator=generator, dtype=torch.uint8)
        target = (pictures[:, :1] > 127).float()
        yield Batch({"image": pictures}, target, torch.arange(ROWS))


def recipe(**changes: object) -> loop.Recipe:
    settings = {
        "loss": BinaryMask().loss,
        "batches": batches,
        "autocast": precision.autocast("cpu", "fp32"),
        "device": "cpu",
        "clip": 1.0,
        "ema": 0.9,
        "report_every": 5,
        "report": lambda step, loss, rate: None,
    }
    return loop.Recipe(**{**settings, **changes})  # type: ignore[arg-type]


RATE = functools.partial(schedule.one_cycle, total=20, peak=1e-2)


def fresh(seed: int = 0) -> state.TrainState:
    loop.seed_everything(seed, 0)
    net = TinyNet().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return state.TrainState.start(net, rate=1e-2, weight_decay=0.1, ema=True, precision="fp32")


def bits(training: state.TrainState) -> dict[str, bytes]:
    snapshot = training.snapshot()
    return {name: tensor.contiguous().numpy().tobytes() for name, tensor in snapshot.tensors.items()} | {
        "facts": repr(snapshot.facts).encode()
    }
