"""Presets: pure functions of a configuration. An adapter may override any of them under the same name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from harness.competition import Competition
from harness.config import TrainConfig, override, with_epochs


def quick(config: TrainConfig) -> TrainConfig:
    """Minutes on a laptop CPU: a small encoder and a thin decoder, at most 12 epochs."""
    model = replace(config.model, encoder="mobilenetv3_small_050", decoder=(48, 32, 24, 16, 8))
    return with_epochs(replace(config, model=model), min(12, sum(stage.epochs for stage in config.stages)))


def standard(config: TrainConfig) -> TrainConfig:
    """The adapter's defaults."""
    return config


def best(config: TrainConfig) -> TrainConfig:
    """Twice the epochs and a larger encoder, for a GPU."""
    model = replace(config.model, encoder="efficientnet_b3")
    return with_epochs(replace(config, model=model), 2 * sum(stage.epochs for stage in config.stages))


PRESETS: dict[str, Callable[[TrainConfig], TrainConfig]] = {"quick": quick, "standard": standard, "best": best}


def configure(
    competition: Competition,
    *,
    preset: str | None = None,
    sample: bool = False,
    settings: Sequence[str] = (),
    epochs: float | None = None,
    **flags: Any,
) -> TrainConfig:
    """The resolved configuration: adapter defaults < preset < `-o` settings < named flags.

    Args:
        preset: None means quick for a sample, else standard.
        flags: named flags; those of no configuration field, and those that are None, change nothing.

    Raises:
        ConfigError: an unknown key or a value that does not fit.
    """
    name = preset or ("quick" if sample else "standard")
    config = override(competition.presets.get(name, PRESETS[name])(competition.defaults), settings)
    data = {key: flags[key] for key in ("folds", "holdout", "split") if flags.get(key) is not None}
    direct = {key: flags[key] for key in ("precision", "determinism", "weights", "seed") if flags.get(key) is not None}
    config = replace(config, data=replace(config.data, **data), **direct)
    return config if epochs is None else with_epochs(config, epochs)
