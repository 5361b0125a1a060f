"""What a run trains on: device, number format, layout, pretrained weights; resolved once and kept in config.json."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from harness import __version__
from harness.competition import Competition
from harness.config import TrainConfig
from harness.errors import ConfigError
from harness.models.layouts import Memory
from harness.models.weights import find, load_encoder
from harness.pipeline.preparation import World
from harness.training import precision

PACKAGES = ("torch", "torchvision", "timm", "segmentation-models-pytorch", "albumentations", "numpy", "pillow")


@dataclass(frozen=True)
class Hardware:
    """What a run trains on.

    Attributes:
        device: "cpu" or "cuda".
        precision: "fp32", "bf16" or "fp16"; "auto" until steps were probed.
        encoder_weights: file of pretrained encoder weights, or None.
        memory: layout of pictures and the weights that read them.
        compiled: whether nets are compiled to train; to predict they never are.
    """

    device: str
    precision: str
    encoder_weights: str | None
    memory: Memory = "channels_last"
    compiled: bool = False


def choose_device(asked: str) -> str:
    """ "cpu" or "cuda" for "auto", "cpu" or "cuda".

    Raises:
        ConfigError: CUDA asked for where there is none.
    """
    available = torch.cuda.is_available()
    if asked == "cuda" and not available:
        raise ConfigError("--device cuda, but torch sees no GPU", fix="use --device cpu, or install a driver")
    return ("cuda" if available else "cpu") if asked == "auto" else asked


def load_pretrained(encoder: nn.Module, hardware: Hardware, channels: int) -> None:
    """Loads the run's encoder weights into a timm module."""
    assert hardware.encoder_weights, "no pretrained weights in this run"
    load_encoder(encoder, Path(hardware.encoder_weights), channels)


def settle(competition: Competition, config: TrainConfig, *, device: str, offline: bool, world: World) -> Hardware:
    """The device and the weights of a run, and its precision unless that is "auto": what a probe of steps will tell.

    Raises:
        ConfigError: what was asked for is not to be had.
    """
    device = choose_device(device)
    file = None
    if competition.picture is not None:  # tables and texts have no encoder
        weights = find(config.weights, config.model.encoder, cache=world.cache, offline=offline)
        world.say(weights.told)
        file = None if weights.path is None else str(weights.path.absolute())
    if config.precision != "auto":
        precision.check(device, config.precision)
    return Hardware(device, config.precision, file)


def here(recorded: Hardware, world: World) -> Hardware:
    """What a run was trained on, or, where that is not to be had, what there is, said aloud."""
    if recorded.device == "cpu" or torch.cuda.is_available():
        return recorded
    world.say(f"the run used {recorded.device} in {recorded.precision}; this machine goes on with the CPU in fp32")
    return replace(recorded, device="cpu", precision="fp32", compiled=False)


def differences(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What decides bits and differs between two environments, as sentences."""
    return [
        f"{name} was {then.get(name)} and is {now.get(name)}"
        for name in ("processor", "threads", "device", "packages")
        if then.get(name) != now.get(name)
    ]


def machine() -> list[Any]:
    """What decides which bits a CPU computes: its type, threads and the versions."""
    return [_processor(), torch.get_num_threads(), torch.__version__]


def environment(device: str) -> dict[str, Any]:
    """Versions, commit, device and threads, for environment.json."""
    from importlib import metadata

    return {
        "harness": __version__,
        "python": platform.python_version(),
        "packages": {name: _version(metadata.version, name) for name in PACKAGES},
        "commit": _commit(),
        "device": device_name(device),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.platform(),
    }


def device_name(device: str) -> str:
    """ "cpu", or "cuda: NAME"."""
    return "cpu" if device == "cpu" else f"cuda: {torch.cuda.get_device_name()}"


def _version(read: Callable[[str], str], name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError

    try:
        return read(name)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The checkout's commit, with "+" when files differ from it; None outside a checkout."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, timeout=10)
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return commit.stdout.strip() + ("+" if changed.stdout.strip() else "") or None


def _processor() -> str:
    """The processor's model as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
