"""Pictures that are nearly the same get one group number, so that no fold trains on what another validates.

Near means two hashes that differ in at most a few bits, confirmed on the pixels: hashes alone chain (at distance 8 one
pair of brain slices merges patients). Pictures are seen as 32x32 thumbnails; they are turned or mirrored nowhere.

N pictures, H height, W width, C channels, P pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np

from harness.data.cache import Progress, silent
from harness.data.pictures import shrink
from harness.hashing import hash_bytes

SIDE = 32  # of a thumbnail, Zauner 2010 section 3.2.1
DISTANCE = 4  # bits of 64 that near pictures may differ in
BANDS = (13, 13, 13, 13, 12)  # DISTANCE + 1 bands: near hashes have at least one in common (pigeonhole)
NEIGHBOURS = 2_000  # pictures that one is compared with in a band, so that 40,000 alike cost seconds, not hours
CORRELATION = 0.95  # of the grey thumbnails
TINT = 20.0  # levels that the colour of one of 8x8 cells, brightness taken out, may differ by
MEAN = 32.0  # levels that the mean of a channel may differ by: brighter is alike, a recoloured page is not
FLAT = 2.0  # standard deviation in levels below which a picture is near-constant
CHUNK = 1 << 13  # pairs confirmed at a time: some 150 MB
# the 8 lowest waves of the cosine transform (II); orthonormal but for a factor that no median sees
COSINES = np.cos(np.pi * np.arange(8)[:, None] * (2 * np.arange(SIDE) + 1) / (2 * SIDE))
COSINES[0] /= np.sqrt(2)


def alike_groups(
    pictures: Sequence[np.ndarray] | Callable[[int], np.ndarray], count: int, *, progress: Progress = silent
) -> np.ndarray:
    """int64 [N]: a group number for each picture, from 0 in order of first appearance; near-identical ones share it.

    Two pictures are joined when their 64-bit hashes differ in at most 4 bits (Zauner: Implementation and Benchmarking
    of Perceptual Image Hash Functions, 2010), their grey thumbnails correlate by 0.95 and their colours agree; or
    when their thumbnails are equal. Near-constant pictures are joined only when all their pixels are equal. Groups
    are what chains of such pairs connect.

    Costs about 0.3 ms a picture beside reading it, and 2 KB of memory. Where more than 2,000 pictures have a fifth
    of the hash in common, each is compared with the 2,000 whose hashes follow in sorted order: a near pair that is
    neither among those in any band nor connected by others is missed.

    Args:
        pictures: uint8 [H, W, C] each, of any sizes; a sequence or what gives the i-th, read once and in order.
        count: N.
        progress: (label, done, total), for bars.
    """
    read = pictures if callable(pictures) else pictures.__getitem__
    grey = np.zeros((count, SIDE, SIDE), dtype=np.uint8)
    cells = np.zeros((count, 8, 8, 3), dtype=np.int16)
    hashes, flat = np.zeros(count, dtype=np.uint64), np.zeros(count, dtype=bool)
    exact: list[str] = []
    for index in range(count):
        picture = read(index)
        thumbnail = shrink(picture, (SIDE, SIDE))
        grey[index], cells[index] = _grey(thumbnail), _cells(thumbnail)
        hashes[index], flat[index] = _hash(grey[index]), np.std(grey[index]) < FLAT
        content = picture if flat[index] else thumbnail
        exact.append(hash_bytes(f"{content.shape}".encode() + content.tobytes()))
        progress("alike pictures", index + 1, count)
    roots = np.arange(count)
    _join_equal(roots, exact)
    candidates = np.flatnonzero((roots == np.arange(count)) & ~flat)
    for one, other in _near(hashes[candidates]):
        for start in range(0, len(one), CHUNK):
            left, right = (candidates[side[start : start + CHUNK]] for side in (one, other))
            apart = roots[left] != roots[right]  # most pairs of a large group are connected already
            left, right = left[apart], right[apart]
            agreed = _same_colours(cells[left], cells[right])
            left, right = left[agreed], right[agreed]
            agreed = _correlation(grey[left], grey[right]) >= CORRELATION
            _join(roots, left[agreed], right[agreed])
    return _numbered(roots)


def merge_groups(a: Sequence, b: Sequence) -> np.ndarray:
    """int64 [N]: connected components of "same `a` or same `b`", numbered from 0 in order of first appearance."""
    assert len(a) == len(b), "one group of each kind for each row"
    roots = np.arange(len(a))
    _join_equal(roots, a)
    _join_equal(roots, b)
    return _numbered(roots)


def _join_equal(roots: np.ndarray, names: Sequence) -> None:
    """Joins positions of equal names, in place."""
    if len(names):
        first, inverse = np.unique(np.asarray(names), return_index=True, return_inverse=True)[1:]
        _join(roots, np.arange(len(names)), first[inverse])


def _join(roots: np.ndarray, one: np.ndarray, other: np.ndarray) -> None:
    """Joins pairs of positions, in place: afterwards `roots` is the least position of each one's component.

    Union-find on whole arrays: every root is hung below the least root it is paired with, then all chains are
    shortened. That at least halves a component's roots, so about log2(N) rounds do.
    """
    while True:
        left, right = roots[one], roots[other]
        apart = left != right
        if not apart.any():
            return
        left, right = left[apart], right[apart]
        np.minimum.at(roots, np.maximum(left, right), np.minimum(left, right))
        while (roots[roots] != roots).any():
            roots[:] = roots[roots]


def _numbered(roots: np.ndarray) -> np.ndarray:
    """int64 [N]: roots are first positions, so their order is that of first appearance."""
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)


def _grey(thumbnail: np.ndarray) -> np.ndarray:
    """uint8 [H, W] of a [H, W, C] picture: luma of RGB (ITU-R BT.601), else the mean of the channels."""
    if thumbnail.shape[2] != 3:
        return np.rint(thumbnail.mean(axis=2)).astype(np.uint8)
    return np.rint(thumbnail @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)


def _cells(thumbnail: np.ndarray) -> np.ndarray:
    """int16 [8, 8, 3]: means of 4x4 pixels of the first three channels, or of one thrice, in tenths of a level."""
    channels = thumbnail[:, :, :3] if thumbnail.shape[2] >= 3 else np.repeat(thumbnail[:, :, :1], 3, axis=2)
    return np.rint(10 * cv2.resize(channels.astype(np.float32), (8, 8), interpolation=cv2.INTER_AREA)).astype(np.int16)


def _hash(grey: np.ndarray) -> np.uint64:
    """A bit for each of the 8x8 lowest frequencies of a [32, 32] cosine transform: above their median or not."""
    waves = (COSINES @ grey @ COSINES.T).ravel()
    # the lower of the two middle values: the bits are those of the median between them
    return np.packbits(waves > np.partition(waves, 31)[31]).view(np.uint64)[0]


def _near(hashes: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields (int64 [P], int64 [P]): positions of uint64 [N] hashes at most DISTANCE bits apart; pairs recur."""
    shift = 0
    for width in BANDS:
        band = (hashes >> np.uint64(shift)) & np.uint64((1 << width) - 1)
        shift += width
        order = np.lexsort((hashes, band))  # inside a band by the whole hash: the limit drops the unlike first
        ends = np.searchsorted(band[order], band[order], side="right")
        places, step = np.arange(len(order)), 0
        while step < NEIGHBOURS and places.size:
            step += 1
            places = places[places + step < ends[places]]
            one, other = order[places], order[places + step]
            bits = hashes[one] ^ hashes[other]
            for _ in range(DISTANCE):
                bits &= bits - np.uint64(1)  # clears the lowest bit
            yield one[bits == 0], other[bits == 0]


def _same_colours(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """bool [P]: two int16 [P, 8, 8, 3] cells agree in colour everywhere and in mean brightness."""
    change = (one.astype(np.float32) - other) / 10
    brightness = change.mean(axis=(1, 2))
    tint = change - change.mean(axis=3, keepdims=True)
    return (np.abs(brightness).max(axis=1) <= MEAN) & (np.abs(tint).max(axis=(1, 2, 3)) <= TINT)


def _correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """float32 [P]: Pearson's correlation of pairs of uint8 [P, H, W] that are not constant."""
    left, right = (pixels.reshape(len(pixels), SIDE * SIDE).astype(np.float32) for pixels in (one, other))
    left -= left.mean(axis=1, keepdims=True)
    right -= right.mean(axis=1, keepdims=True)
    return (left * right).sum(axis=1) / np.sqrt((left**2).sum(axis=1) * (right**2).sum(axis=1))
