"""How much faster `formats.run_lengths` is than the version that most notebooks share, on nerve-like masks.

Both run in one process on the same masks, in the order ours, usual, usual, ours (so that drift of the machine's clock
hits both alike), after a check that every text is byte-identical. Medians over the repeats, per mask.

    python -m benchmarks.run_lengths [repeats]
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np

from harness.formats import run_lengths

SIZE = (420, 580)
GOAL = 4.0

Encoder = Callable[[np.ndarray], str]


def usual(mask: np.ndarray) -> str:
    """Run lengths by differences over the whole flattened picture, as commonly written."""
    pixels = mask.T.flatten()
    pixels = np.concatenate([[0], pixels, [0]])
    runs = np.where(pixels[1:] != pixels[:-1])[0] + 1
    runs[1::2] -= runs[::2]
    return " ".join(str(x) for x in runs)


def ellipses(number: int, seed: int) -> list[np.ndarray]:
    """`number` uint8 masks [420, 580] of one tilted ellipse of about 5,000 pixels."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    masks = []
    for _ in range(number):
        area, ratio, angle = generator.uniform(3_000, 7_000), generator.uniform(1, 2.5), generator.uniform(0, np.pi)
        down = rows - generator.uniform(80, SIZE[0] - 80)
        right = columns - generator.uniform(80, SIZE[1] - 80)
        along = right * np.cos(angle) + down * np.sin(angle)
        across = down * np.cos(angle) - right * np.sin(angle)
        masks.append((np.pi * (along**2 / ratio + across**2 * ratio) <= area).astype(np.uint8))
    return masks


def seconds(encode: Encoder, masks: Sequence[np.ndarray]) -> float:
    """Wall seconds per mask."""
    start = time.perf_counter()
    for mask in masks:
        encode(mask)
    return (time.perf_counter() - start) / len(masks)


def compare(masks: Sequence[np.ndarray], repeats: int) -> tuple[float, float]:
    """Median seconds per mask of (ours, usual), interleaved."""
    for mask in masks:
        assert run_lengths(mask) == usual(mask), "the two encoders disagree"
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(repeats):
        ours.append(seconds(run_lengths, masks))
        theirs.append(seconds(usual, masks))
        theirs.append(seconds(usual, masks))
        ours.append(seconds(run_lengths, masks))
    return statistics.median(ours), statistics.median(theirs)


def main() -> int:
    """Prints one line per set of masks; returns 1 if the mixed sets miss the goal."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    drawn = ellipses(20, seed=0)
    mixed = [*drawn, *(np.zeros(SIZE, np.uint8) for _ in range(10))]
    reached = True
    print(f"{'masks':<28}{'ours, us':>10}{'usual, us':>11}{'ratio':>8}")
    for name, masks in (("mixed, a third empty", mixed), ("not empty", drawn)):
        for kind in (np.uint8, np.bool_):
            ours, theirs = compare([mask.astype(kind) for mask in masks], repeats)
            label = f"{name}, {np.dtype(kind).name}"
            print(f"{label:<28}{ours * 1e6:>10.1f}{theirs * 1e6:>11.1f}{theirs / ours:>8.1f}")
            reached &= masks is drawn or theirs / ours >= GOAL
    return 0 if reached else 1


if __name__ == "__main__":
    raise SystemExit(main())
