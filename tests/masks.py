"""Masks of the nerve competition's size and of drawn sizes."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

NERVE = (420, 580)

sizes = st.one_of(st.just(NERVE), st.tuples(st.integers(1, 40), st.integers(1, 40)))
seeds = st.integers(0, 2**32 - 1)


def speckle(size: tuple[int, int], density: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(size) < density


def ellipse(size: tuple[int, int], seed: int, *, aspect: float, least: float = 1.0) -> np.ndarray:
    """A tilted ellipse with its centre in the picture and half axes from `least` pixels to half the picture."""
    generator = np.random.default_rng(seed)
    most = max(least + 1, min(size) / 2 / aspect)
    short = np.exp(generator.uniform(np.log(least), np.log(most)))
    long, angle = short * generator.uniform(1, aspect), generator.uniform(0, np.pi)
    down, right = np.ogrid[: size[0], : size[1]]
    down, right = down - generator.integers(size[0]), right - generator.integers(size[1])
    along, across = right * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - right * np.sin(angle)
    return (along / long) ** 2 + (across / short) ** 2 <= 1
