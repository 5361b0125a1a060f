"""Run lengths, as the nerve competition defines them: 1-indexed `start length` pairs, columns first.

Source: https://www.kaggle.com/c/ultrasound-nerve-segmentation/overview/evaluation ("numbered from top to bottom,
then left to right: 1 is pixel (1,1), 2 is pixel (2,1)").

H height, W width; masks are [H, W] arrays, true where nonzero.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def run_lengths(mask: np.ndarray) -> str:
    """The text of a [H, W] mask (bool or any number, nonzero is inside): `start length` pairs, or "" when empty."""
    import numpy as np

    assert mask.ndim == 2, f"a mask has two dimensions, not {mask.shape}"
    # A byte is nonzero as a bool exactly if it is as a number: bytes need no comparison to find the first one.
    pixels = (mask.view(np.bool_) if mask.dtype.itemsize == 1 else mask != 0).ravel()
    first = int(pixels.argmax()) if pixels.size else 0
    if not (pixels.size and pixels[first]):
        return ""
    # The transposing copy of the whole picture, and 8-byte differences over it, are what the usual version spends its
    # time on: here only the bounding box is copied.
    height, width = mask.shape
    top = first // width
    inside = mask[top:] if mask.dtype == np.bool_ else mask[top:] != 0
    # searched as bytes, which stops at the first hit from the end
    bottom = top + inside.tobytes().rfind(1) // width + 1
    columns = np.logical_or.reduce(inside[: bottom - top], axis=0).nonzero()[0]
    left, right = int(columns[0]), int(columns[-1]) + 1
    # One empty row of the picture, where there is one, keeps a column's last run apart from the next column's first.
    # Without an empty row the box is as high as the picture, and runs that meet around its border are one run.
    rows = min(bottom - top + 1, height)
    top = min(top, height - rows)
    flat = np.zeros((right - left) * rows + 2, dtype=np.bool_)
    np.not_equal(mask[top : top + rows, left:right].T, 0, out=flat[1:-1].reshape(right - left, rows))
    numbers = (flat[1:] != flat[:-1]).nonzero()[0]
    numbers[1::2] -= numbers[0::2]
    # from places in the box to places in the picture, counted from 1
    numbers[0::2] += numbers[0::2] // rows * (height - rows) + (left * height + top + 1)
    # one format over all numbers takes half the time of joining their texts
    return ("%d " * len(numbers) % tuple(numbers.tolist()))[:-1]


def decode_run_lengths(text: str, size: tuple[int, int]) -> np.ndarray:
    """The bool [H, W] mask of a run-length text that `check_run_lengths` accepts."""
    import numpy as np

    height, width = size
    numbers = _numbers(text)
    change = np.zeros(height * width + 1, dtype=np.int8)
    change[numbers[:, 0] - 1] = 1
    # ends differ from one another, but one may be the start of the next run: the two changes then cancel
    change[numbers[:, 0] - 1 + numbers[:, 1]] -= 1
    return np.cumsum(change[:-1], dtype=np.int8).view(np.bool_).reshape(width, height).T


def check_run_lengths(text: str, size: tuple[int, int]) -> tuple[str, str] | None:
    """(problem, fix) of the first thing that makes `text` no run lengths of an [H, W] mask, or None."""
    if not text:
        return None
    if text != text.strip() or "  " in text:
        return "spaces before, after or doubled between the numbers", "write numbers separated by one space"
    if not (text.isascii() and text.replace(" ", "").isdigit()):
        wrong = next(word for word in text.split(" ") if not (word.isascii() and word.isdigit()))
        return f"{wrong[:40]!r} is not a whole number", "write `start length` pairs; an empty mask is an empty cell"
    words = text.count(" ") + 1
    if words % 2:
        return f"{words} numbers, an odd count", "write `start length` pairs"
    # before the conversion: a number of twenty digits would wrap around
    if re.search("[0-9]{16}", text):
        return "a number past the end of the picture", f"the last pixel is {size[0] * size[1]}"
    numbers = _numbers(text)
    return _check_runs(numbers[:, 0], numbers[:, 1], size)


def _numbers(text: str) -> np.ndarray:
    """Digits and single spaces as int64 [runs, 2]."""
    import numpy as np

    return np.fromstring(text, dtype=np.int64, sep=" ").reshape(-1, 2)


def _check_runs(starts: np.ndarray, lengths: np.ndarray, size: tuple[int, int]) -> tuple[str, str] | None:
    """(problem, fix) of runs given as 1-indexed starts and lengths, at least one of each, or None."""
    height, width = size
    ends = starts + lengths - 1
    if starts.min() < 1:
        return "a run starts at 0", "pixels are counted from 1: add 1 to every start"
    if lengths.min() < 1:
        return f"the run at {starts[lengths.argmin()]} has length 0", "leave such runs out"
    backwards = starts[1:] < starts[:-1]
    if backwards.any():
        place = int(backwards.argmax())
        return (
            f"the runs are not sorted: {starts[place + 1]} comes after {starts[place]}",
            "sort the runs by their start",
        )
    overlapping = starts[1:] <= ends[:-1]
    if overlapping.any():
        place = int(overlapping.argmax())
        return f"the runs at {starts[place]} and {starts[place + 1]} overlap", "name every pixel once: join the runs"
    if ends[-1] > height * width:
        problem = f"the last run ends at pixel {ends[-1]}, past the end of {height * width}"
        return problem, f"the picture is {height} high and {width} wide"
    if _looks_row_major(starts, lengths, size):
        return "the mask is cut into stripes, as when rows are numbered first", "number columns first: mask.T.flatten()"
    return None


def _looks_row_major(starts: np.ndarray, lengths: np.ndarray, size: tuple[int, int]) -> bool:
    """Whether the runs make a compact mask when read row by row and a striped one when read column by column.

    Refusing a right file costs more than letting one odd row through, so everything must speak for stripes: the
    outline halves when read row by row; the gain is beyond chance (in noise it has a standard deviation of at most
    sqrt(pixels / 2)); and the runs do not touch from column to column, as a steep line's do, or more of them follow
    each other than a steep line can have. On a square picture both readings are equally compact: nothing is said.
    """
    height, width = size
    pixels, runs = int(lengths.sum()), len(starts)
    if runs < 4 or height == width or not ((starts - 1) % height).any():
        return False
    # A pixel's neighbour in the next column is `height` further on, its neighbour in the next row `width`.
    beside = int(_covered(starts, lengths, height).sum())
    # A run longer than a row would be its own neighbour, which a vertical line in a narrow picture is: not counted.
    below = int((_covered(starts, lengths, width) - (lengths - width).clip(min=0)).sum())
    if runs + pixels - beside < 2 * (runs + pixels - below) or (below - beside) ** 2 < 16 * pixels:
        return False
    touching = _covered(starts, lengths, height, margin=1) > 0
    # A line from the top to the bottom has one run per column, each beginning where the one before it ends. Moved on by
    # `width`, a run overlaps the next one only if it is longer than |H - W| / 2: that bounds how many fit in a column.
    steepest = 2 * height / abs(height - width) + 2
    return 2 * int(touching.sum()) < runs or _longest_streak(starts, lengths, width) > steepest


def _covered(starts: np.ndarray, lengths: np.ndarray, shift: int, *, margin: int = 0) -> np.ndarray:
    """For each run, moved on by `shift` and grown by `margin` at both ends, how many of its pixels lie in any run."""
    import numpy as np

    # pixels of all runs before each run; the run in front, of length 0, stands for "before the first"
    before = np.concatenate([[0, 0], np.cumsum(lengths[:-1])])
    padded_starts, padded_lengths = np.concatenate([[0], starts]), np.concatenate([[0], lengths])
    edges = np.stack([starts + (shift - margin), starts + lengths + (shift + margin)])
    run = np.searchsorted(starts, edges, side="right")
    inside = before[run] + np.minimum(edges - padded_starts[run], padded_lengths[run])
    return inside[1] - inside[0]


def _longest_streak(starts: np.ndarray, lengths: np.ndarray, shift: int) -> int:
    """Runs in the longest series in which each, moved on by `shift`, overlaps the next one in the text."""
    import numpy as np

    ends = starts + lengths
    linked = (starts[1:] < ends[:-1] + shift) & (ends[1:] > starts[:-1] + shift)
    gaps = np.flatnonzero(~np.concatenate([[False], linked, [False]]))
    return int(np.diff(gaps).max())


def mask_rows(identity: str, mask: np.ndarray) -> list[tuple[str, ...]]:
    """The one CSV row of a binary mask: id, run lengths."""
    return [(identity, run_lengths(mask))]


def read_mask(cells: list[tuple[str, ...]], size: tuple[int, int]) -> np.ndarray:
    """The bool [H, W] mask that `mask_rows` wrote; `cells` holds the row without its id."""
    return decode_run_lengths(cells[0][0], size)


def check_mask_cell(text: str, size: tuple[int, int]) -> tuple[str, str] | None:
    """(problem, fix) of a cell of run lengths, or None; an empty cell is an empty mask."""
    return check_run_lengths(text, size)
