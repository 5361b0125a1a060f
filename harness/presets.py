"""Presets: pure functions of a configuration. An adapter may override any of them under the same name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from harness.config import TrainConfig, with_epochs


def quick(config: TrainConfig) -> TrainConfig:
    """Minutes on a laptop CPU: a small encoder and a thin decoder."""
    model = replace(config.model, encoder="mobilenetv3_small_050", decoder=(48, 32, 24, 16, 8))
    return with_epochs(replace(config, model=model), 12)


def standard(config: TrainConfig) -> TrainConfig:
    """The adapter's defaults."""
    return config


def best(config: TrainConfig) -> TrainConfig:
    """Twice the epochs and a larger encoder, for a GPU."""
    model = replace(config.model, encoder="efficientnet_b3")
    return with_epochs(replace(config, model=model), 2 * sum(stage.epochs for stage in config.stages))


PRESETS: dict[str, Callable[[TrainConfig], TrainConfig]] = {"quick": quick, "standard": standard, "best": best}
