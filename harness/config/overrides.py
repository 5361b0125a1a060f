"""Settings changed by `-o key=value`, and to and from JSON."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import fields, is_dataclass, replace
from typing import Any

from harness.config.settings import TrainConfig
from harness.config.space import FIXED, dimension
from harness.config.stage import Stage, require
from harness.typed import check_key, from_values, parse


def with_epochs(config: TrainConfig, total: float) -> TrainConfig:
    """`config` with `total` epochs, shared over its stages in proportion to what they had."""
    scale = total / sum(stage.epochs for stage in config.stages)
    return replace(config, stages=tuple(replace(stage, epochs=stage.epochs * scale) for stage in config.stages))


def override(config: TrainConfig, settings: typing.Sequence[str]) -> TrainConfig:
    """`config` after `key=value` settings, keys being dotted paths such as `train.rate` or `stages.0.epochs`.

    `stages.1.epochs` adds a second stage where there is one.

    Raises:
        ConfigError: a setting without "=", an unknown key (with the nearest known one), a value of another type.
    """
    for setting in settings:
        key, separator, text = (part.strip() for part in setting.partition("="))
        require(bool(separator), f"-o {setting} has no '='", "write -o key=value")
        if key.startswith(f"stages.{len(config.stages)}."):
            # the number after the last stage's is a new one
            config = replace(config, stages=(*config.stages, Stage(name=f"stage{len(config.stages)}")))
        if key.startswith("space.") and key not in keys(config):
            config = _with_dimension(config, key.removeprefix("space."), text)
            continue
        check_key(key, keys(config))
        config = _set(config, key.split("."), text, key)
    return config


def keys(config: Any, prefix: str = "") -> list[str]:
    """Every dotted key that `override` takes for this configuration."""
    found: list[str] = []
    for name, value in _parts(config).items():
        found += keys(value, f"{prefix}{name}.") if _nested(value) else [f"{prefix}{name}"]
    return [key for key in found if not key.startswith("space.dimensions")]


def _with_dimension(config: TrainConfig, name: str, text: str) -> TrainConfig:
    """`config` whose search also draws a setting of training or model: `weight_decay`, or `train.weight_decay`."""
    known = [key for key in keys(config) if key.startswith(("train.", "model.")) and key not in FIXED]
    meant = [key for key in known if name in (key, key.split(".")[-1])]
    if len(meant) != 1:
        own = [f"space.{key}" for key in known]
        check_key(f"space.{name}", [key for key in keys(config) if key.startswith("space.")] + own)
    key = meant[0]
    group, field = key.split(".")
    kind = typing.get_type_hints(type(getattr(config, group)))[field]
    others = tuple(known for known in config.space.dimensions if known.key != key)
    found = dimension(key, text, kind)
    numbers = (int(end) if found.whole else end for end in (found.low, found.high))
    for value in found.choices or numbers:
        override(config, [f"{key}={value}"])  # what no training can take is said now
    return replace(config, space=replace(config.space, dimensions=(*others, found)))


def as_json(config: Any) -> Any:
    """The configuration as JSON values."""
    return dataclasses.asdict(config)


def from_json(value: Any, kind: Any = TrainConfig) -> Any:
    """The configuration that `as_json` gave; unknown keys of a newer version are refused.

    Raises:
        ConfigError: a key this version does not know.
    """
    return from_values(value, kind)


def _nested(value: Any) -> bool:
    return is_dataclass(value) or (isinstance(value, tuple) and len(value) > 0 and is_dataclass(value[0]))


def _parts(value: Any) -> dict[str, Any]:
    if is_dataclass(value):
        return {part.name: getattr(value, part.name) for part in fields(value)}
    return {str(index): part for index, part in enumerate(value)}


def _set(value: Any, path: list[str], text: str, key: str) -> Any:
    """`value` with the part at a known `path` replaced by `text` of that part's type."""
    old = _parts(value)[path[0]]
    if len(path) > 1:
        new = _set(old, path[1:], text, key)
    else:
        kind = typing.get_type_hints(type(value))[path[0]] if is_dataclass(value) else type(old)
        ranged = key in ("space.rate", "space.epochs")
        new = parse(text.removesuffix(":log").replace(":", ",") if ranged else text, kind, key)
    if is_dataclass(value):
        return replace(typing.cast(Any, value), **{path[0]: new})
    return tuple(new if str(index) == path[0] else part for index, part in enumerate(value))
