"""Pictures that are nearly the same get one group number, so that no fold trains on what another validates.

Near means two hashes that differ in at most a few bits, confirmed on the pixels: hashes alone chain (at distance 8 one
pair of brain slices merges patients). Pictures are seen as 32x32 thumbnails, and in a mirror (`looks`).

N pictures, H height, W width, C channels, P pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from harness.data.looks import SIDE, Looks, looks_of, mirrored, relative

DISTANCE = 4  # bits of 64 that near pictures may differ in
BANDS = (13, 13, 13, 13, 12)  # DISTANCE + 1 bands: near hashes have at least one in common (pigeonhole)
NEIGHBOURS = 2_000  # pictures that one is compared with in a band, so that 40,000 alike cost seconds, not hours
CORRELATION = 0.95  # of the grey thumbnails
TINT = 20.0  # levels that the colour of one of 8x8 cells, brightness taken out, may differ by
MEAN = 32.0  # levels that the mean of a channel may differ by: brighter is alike, a recoloured page is not
CHUNK = 1 << 13  # pairs confirmed at a time: some 150 MB


def alike_groups(thumbnails: np.ndarray) -> np.ndarray:
    """int64 [N]: a group number for each picture, from 0 in order of first appearance; near-identical ones share it.

    Two pictures are joined when their 64-bit hashes differ in at most 4 bits, their grey thumbnails correlate by 0.95
    and their colours agree; or when their thumbnails are equal. Either may be mirrored, left to right, top to bottom
    or both. Near-constant pictures are never joined. Groups are what chains of such pairs connect.

    Costs about 0.05 ms a picture, and 2 KB of memory. Where more than 2,000 pictures have a fifth of the hash in
    common, each is compared with the 2,000 whose hashes follow in sorted order: a near pair that is neither among
    those in any band nor connected by others is missed. So is a copy with other pixels of a picture that is its own
    mirror image to the pixel: half of its waves are zero, and their bits are noise.

    Args:
        thumbnails: uint8 [N, 32, 32, C], see `looks.thumbnails`.
    """
    looks, roots = looks_of(thumbnails), np.arange(len(thumbnails))
    told_apart = np.flatnonzero(~looks.flat)
    # Python's own 64 bits: only their equality counts, and a content hash takes ten times as long
    equal = np.unique([hash(thumbnails[row].tobytes()) for row in told_apart], return_index=True, return_inverse=True)
    _join(roots, told_apart, told_apart[equal[1]][equal[2]])
    candidates = np.flatnonzero(roots[looks.owner] == looks.owner)
    for one, other in _near(looks.hashes[candidates]):
        for start in range(0, len(one), CHUNK):
            left, right = (candidates[side[start : start + CHUNK]] for side in (one, other))
            apart = roots[looks.owner[left]] != roots[looks.owner[right]]  # most of a large group is connected already
            _join(roots, *_confirmed(looks, left[apart], right[apart]))
    return _numbered(roots)


def _confirmed(looks: Looks, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(int64 [P], int64 [P]): positions of the pictures of those pairs of hashes whose pixels agree."""
    turned, found = relative(looks.view[left], looks.view[right]), []
    for view in np.unique(turned).tolist():
        one, other = looks.owner[left[turned == view]], looks.owner[right[turned == view]]
        agreed = _same_colours(looks.cells[one], mirrored(looks.cells[other], view))
        one, other = one[agreed], other[agreed]
        agreed = _correlation(looks.grey[one], mirrored(looks.grey[other], view)) >= CORRELATION
        found.append((one[agreed], other[agreed]))
    if not found:
        return left[:0], right[:0]
    one, other = (np.concatenate(side) for side in zip(*found, strict=True))
    return one, other


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
