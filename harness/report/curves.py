"""What is drawn, as numbers; nothing here draws."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Curve:
    """How the training of a fold went.

    Attributes:
        rates, momenta: of every step, the stages one after the other.
        losses: (step, mean loss since the reading before).
        begins: (first step, name) of the stages.
    """

    rates: list[float] = field(default_factory=list)
    momenta: list[float] = field(default_factory=list)
    losses: list[tuple[int, float]] = field(default_factory=list)
    begins: list[tuple[int, str]] = field(default_factory=list)
