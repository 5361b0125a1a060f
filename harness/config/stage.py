"""One stretch of training, and what all settings are checked with."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

from harness.errors import ConfigError

Size = tuple[int, int]
Schedule = Literal["one-cycle", "cosine", "warmup-stable-decay", "constant"]
SIZES = "sizes are height x width, 8 or more"


def require(condition: bool, problem: str, fix: str) -> None:
    if not condition:
        raise ConfigError(problem, fix=fix)


@dataclass(frozen=True)
class Stage:
    """One stretch of training.

    Attributes:
        name: under which its weights are kept.
        epochs: passes over the training rows; a fraction is allowed.
        size: (height, width) of its pictures; None means `train.size`.
        freeze: hold the encoder still, but for its norms, and train the rest.
        rates: peak rates of the encoder's first layer and of the head, those between in geometric steps; None means
            `train.rate` for all.
        augment: strength of the augmentation; None means `train.augment`.
        batch: rows per optimizer step; None means `train.batch`.
        schedule: of the rate; None means `train.schedule`.
        find: a range test finds the peak rate before the stage; those of `rates` keep their ratio.
    """

    name: str = "train"
    epochs: float = 10
    size: Size | None = None
    freeze: bool = False
    rates: tuple[float, float] | None = None
    augment: float | None = None
    batch: int | None = None
    schedule: Schedule | None = None
    find: bool = False

    def __post_init__(self) -> None:
        require(0 < self.epochs < inf, f"a stage of {self.epochs} epochs", "epochs must be above 0, and a number")
        require(self.size is None or min(self.size) >= 8, f"a stage of size {self.size}", SIZES)
        require(
            self.name.replace("-", "").replace("_", "").isalnum(),
            f"a stage called {self.name!r}",
            "a stage's name is part of a file name: letters, digits, - and _",
        )
        if self.rates is not None:
            low, high = self.rates
            require(0 < low <= high < inf, f"a stage of rates {low},{high}", "low,high with 0 < low <= high")
        require(self.augment is None or 0 <= self.augment <= 1, f"a stage of augment={self.augment}", "0 to 1")
        require(self.batch is None or self.batch >= 1, f"a stage of batch={self.batch}", "a batch has at least one row")
