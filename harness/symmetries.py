"""The eight symmetries of a rectangle of pixels (D4), for augmentation and for test-time views.

Each is (transpose, flip rows, flip columns), applied in that order to the last two axes of an array or tensor.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch

SYMMETRIES: dict[str, tuple[bool, bool, bool]] = {
    "identity": (False, False, False),
    "hflip": (False, False, True),
    "vflip": (False, True, False),
    "rot180": (False, True, True),
    "transpose": (True, False, False),
    "rot90": (True, True, False),
    "rot270": (True, False, True),
    "antitranspose": (True, True, True),
}


NAMES = {parts: name for name, parts in SYMMETRIES.items()}


def with_flip(name: str, flip: bool, *, among: Collection[str]) -> str:
    """The symmetry with its last step, the left-right flip, done or left out as `flip` says.

    Itself where `among` lacks that one: a vertical flip stays one where no half turn is allowed. Symmetries drawn
    evenly from `among` stay evenly drawn when `flip` is a fair coin.
    """
    transpose, rows, _ = SYMMETRIES[name]
    other = NAMES[transpose, rows, flip]
    return other if other in among else name


def turn_array(array: np.ndarray, name: str) -> np.ndarray:
    """A view of `array` [..., H, W] under the symmetry."""
    import numpy as np

    transpose, rows, columns = SYMMETRIES[name]
    array = array.swapaxes(-1, -2) if transpose else array
    return np.flip(array, axis=_axes(rows, columns))


def turn(tensor: torch.Tensor, name: str) -> torch.Tensor:
    """`tensor` [..., H, W] under the symmetry."""
    transpose, rows, columns = SYMMETRIES[name]
    tensor = tensor.transpose(-1, -2) if transpose else tensor
    axes = _axes(rows, columns)
    return tensor.flip(axes) if axes else tensor


def turn_back(tensor: torch.Tensor, name: str) -> torch.Tensor:
    """The inverse of `turn`: flips first, then the transpose."""
    transpose, rows, columns = SYMMETRIES[name]
    axes = _axes(rows, columns)
    tensor = tensor.flip(axes) if axes else tensor
    return tensor.transpose(-1, -2) if transpose else tensor


def _axes(rows: bool, columns: bool) -> tuple[int, ...]:
    return (-2,) * rows + (-1,) * columns
