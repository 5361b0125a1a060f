"""What a picture looks like from afar: a thumbnail, its perceptual hash, and the same seen in a mirror.

N pictures, H height, W width, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from harness.data.pictures import shrink

SIDE = 32  # of a thumbnail, Zauner 2010 section 3.2.1
CELLS = 8  # a side of the grid of mean colours
FLAT = 2.0  # standard deviation in levels below which a picture is near-constant
LEANING = 0.16  # share of a picture's contrast: pairs that correlate by 0.95 share a view, sqrt(2 - 2 * 0.95) / 2
CHUNK = 1 << 11  # pictures transformed at a time: some 50 MB
VIEWS = ((1, 1), (1, -1), (-1, 1), (-1, -1))  # steps along height and width: as it is, and its three mirror images
# the 8 lowest waves of the cosine transform (II), orthonormal
COSINES = np.cos(np.pi * np.arange(8)[:, None] * (2 * np.arange(SIDE) + 1) / (2 * SIDE)) / 4
COSINES[0] /= np.sqrt(2)
# a mirrored picture has the same waves, the odd ones with the other sign
ODD = np.where(np.arange(8) % 2, -1, 1)
SIGNS = np.stack(
    [np.outer(ODD if down < 0 else 1 + 0 * ODD, ODD if across < 0 else 1 + 0 * ODD) for down, across in VIEWS]
)


def thumbnails(pictures: np.ndarray) -> np.ndarray:
    """uint8 [N, 32, 32, C] of uint8 [N, H, W, C] pictures, stretched to squares."""
    count, height, width, channels = pictures.shape
    while min(height, width) >= 2 * SIDE and height % 2 == width % 2 == 0:
        # halfway between two pixels lies their mean: the bits of an area, in two thirds of its time. No mean is of two
        # pictures' pixels, so that they are halved as one tall picture: a call for each costs as much again
        height, width = height // 2, width // 2
        tall = pictures.reshape(-1, 2 * width, channels)
        pictures = cv2.resize(tall, (width, count * height), interpolation=cv2.INTER_LINEAR)
    if count == 0:
        return np.zeros((0, SIDE, SIDE, channels), dtype=np.uint8)
    return np.stack([shrink(picture, (SIDE, SIDE)) for picture in pictures.reshape(count, height, width, channels)])


@dataclass(frozen=True)
class Looks:
    """What is compared of pictures.

    Attributes:
        grey: uint8 [N, 32, 32].
        cells: int16 [N, 8, 8, 3], mean colours in tenths of a level.
        flat: bool [N], near-constant: nothing is to be said of such a picture.
        owner: int64 [M], the picture of each hash; one may have several.
        view: int64 [M], the mirror image (of `VIEWS`) that was hashed.
        hashes: uint64 [M].
    """

    grey: np.ndarray
    cells: np.ndarray
    flat: np.ndarray
    owner: np.ndarray
    view: np.ndarray
    hashes: np.ndarray

    def __len__(self) -> int:
        return len(self.grey)


def looks_of(thumbnails: np.ndarray) -> Looks:
    """What uint8 [N, 32, 32, C] thumbnails look like.

    A hash has a bit for each of the 8x8 lowest frequencies of the cosine transform: above their median or not (Zauner:
    Implementation and Benchmarking of Perceptual Image Hash Functions, 2010). So that a picture and its mirror images
    have hashes in common, each is hashed as seen from its brighter sides; where neither side is clearly brighter, from
    both.
    """
    count = len(thumbnails)
    grey = np.zeros((count, SIDE, SIDE), dtype=np.uint8)
    cells = np.zeros((count, CELLS, CELLS, 3), dtype=np.int16)
    contrast = np.zeros(count, dtype=np.float32)
    waves = np.zeros((count, 8, 8), dtype=np.float32)
    cosines = COSINES.astype(np.float32)
    for start in range(0, count, CHUNK):
        part = slice(start, start + CHUNK)
        pixels = thumbnails[part].astype(np.float32)
        grey[part] = np.rint(_luma(pixels))
        shades = grey[part].astype(np.float32)
        contrast[part] = shades.std(axis=(1, 2))
        waves[part] = cosines @ shades @ cosines.T
        cells[part] = np.rint(10 * _means(pixels))
    flat = contrast < FLAT
    leaning = LEANING * SIDE * np.maximum(contrast, FLAT)
    down, across = waves[:, 1, 0], waves[:, 0, 1]
    owners, views = [], []
    for view, (vertical, horizontal) in enumerate(VIEWS):
        # seen so, the brighter half is above and on the left, as far as one can tell
        seen = (vertical * down >= -leaning) & (horizontal * across >= -leaning) & ~flat
        owners.append(np.flatnonzero(seen))
        views.append(np.full(int(seen.sum()), view))
    owner, view = np.concatenate(owners), np.concatenate(views)
    hashes = np.zeros(len(owner), dtype=np.uint64)
    for start in range(0, len(owner), CHUNK):
        part = slice(start, start + CHUNK)
        hashes[part] = _hash((waves[owner[part]] * SIGNS[view[part]]).reshape(-1, 64))
    return Looks(grey, cells, flat, owner, view, hashes)


def mirrored(pixels: np.ndarray, view: int) -> np.ndarray:
    """[N, H, W, ...] pictures in one of `VIEWS`; a view is its own inverse."""
    down, across = VIEWS[view]
    return pixels[:, ::down, ::across]


def relative(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """int64: the view that turns the view `one` into the view `other`."""
    return one ^ other  # a bit for each direction


def _luma(pixels: np.ndarray) -> np.ndarray:
    """float32 [N, H, W]: luma of RGB (ITU-R BT.601), else the mean of the channels."""
    if pixels.shape[3] != 3:
        return pixels.mean(axis=3)
    return pixels @ np.array([0.299, 0.587, 0.114], dtype=np.float32)


def _means(pixels: np.ndarray) -> np.ndarray:
    """float32 [N, 8, 8, 3]: means of 4x4 pixels of the first three channels, or of one thrice."""
    side = SIDE // CELLS
    rows = pixels[:, ::side].copy()
    for start in range(1, side):  # a fifth of the time of a mean over two axes
        rows += pixels[:, start::side]
    means = rows[:, :, ::side].copy()
    for start in range(1, side):
        means += rows[:, :, start::side]
    means /= side**2
    return means[..., :3] if pixels.shape[3] >= 3 else np.repeat(means[..., :1], 3, axis=3)


def _hash(waves: np.ndarray) -> np.ndarray:
    """uint64 [N] of float32 [N, 64]."""
    # the lower of the two middle values: the bits are those of the median between them
    return np.packbits(waves > np.partition(waves, 31, axis=1)[:, 31:32], axis=1).view(np.uint64)[:, 0]
