"""What a search may change: rate, epochs, and any further setting of training and model."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal, get_args, get_origin

from harness.config.stage import require
from harness.typed import SWITCHES, parse

# what would change the rows, the cache or the machine's work and not the model; what has a place of its own, weights of
# its own, or an end that depends on the length
FIXED = (
    *("train.rate", "train.size", "train.workers", "train.save_every", "train.accumulate", "model.checkpoint"),
    *("model.encoder", "train.mixup", "train.cutmix", "train.mixed"),
)


@dataclass(frozen=True)
class Dimension:
    """Values of one setting.

    Attributes:
        key: dotted, of the configuration.
        low, high: of numbers.
        log: numbers are drawn on a logarithmic scale.
        whole: numbers have no fraction.
        choices: as they are written, of what is no range.
    """

    key: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class SearchSpace:
    """What a search may change.

    Attributes:
        rate, epochs: (low, high) on a logarithmic scale.
        folds: on which a sampled trial is scored (the first ones); branches and the grid are scored on fold 0.
        dimensions: further settings, written as `space.weight_decay=1e-4:1e-1:log` or `space.model.layers=2|3|4`.
    """

    rate: tuple[float, float] = (1e-4, 3e-2)
    epochs: tuple[float, float] = (4, 64)
    folds: int = 1
    dimensions: tuple[Dimension, ...] = ()

    def __post_init__(self) -> None:
        for name, (low, high) in (("rate", self.rate), ("epochs", self.epochs)):
            require(0 < low < high < inf, f"space.{name}={low},{high}", "low,high with 0 < low < high")
        require(self.folds >= 1, f"space.folds={self.folds}", "at least one fold")


def dimension(key: str, text: str, kind: type) -> Dimension:
    """A setting's values as they are written: `low:high`, `low:high:log`, or `a|b|c`.

    Args:
        key: of the configuration.
        kind: the setting's type, which decides whether numbers are whole.

    Raises:
        ConfigError: a range of what is no number, or one that holds nothing; a single choice; a choice of another type.
    """
    written = f"space.{key}={text}"
    if ":" in text:
        low_text, high_text, *words = text.split(":")
        require(kind in (int, float), written, f"{key} is no number: give choices as a|b")
        require(words in ([], ["log"]), written, "write low:high or low:high:log")
        low, high = float(parse(low_text, kind, f"space.{key}")), float(parse(high_text, kind, f"space.{key}"))
        require(-inf < low < high < inf, written, "low:high with low < high")
        require(not words or low > 0, written, "a logarithmic scale begins above 0")
        return Dimension(key, low, high, log=bool(words), whole=kind is int)
    choices = tuple(word.strip() for word in text.split("|")) if text else _all(kind)
    require(len(choices) > 1, written, "write low:high[:log], or choices as a|b")
    for choice in choices:
        parse(choice, kind, f"space.{key}")
    return Dimension(key, choices=choices)


def _all(kind: type) -> tuple[str, ...]:
    """All values of a type that has few."""
    if kind is bool:
        return tuple(dict.fromkeys(str(value).lower() for value in SWITCHES.values()))
    return tuple(map(str, get_args(kind))) if get_origin(kind) is Literal else ()
