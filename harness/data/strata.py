"""Folds whose shares of every label are alike, and folds that are runs of neighbouring rows.

N rows, L labels, G groups, K folds.
"""

from __future__ import annotations

import numpy as np

from harness.errors import DataError

SHARE = (
    0.1  # a label's share in a fold may be this far from the whole's, relatively, or one group's worth if that is more
)
POWER = 8  # the cost of a deviation grows so fast that the worst one is most of the sum
STEPS = 200  # repairs tried at most
PARTNERS = 6  # folds that a repair looks at, those with the opposite deviation
CANDIDATES = 32  # groups of each of two folds that a repair tries to move or exchange: about 1 ms a pair of folds


def quantile_labels(values: np.ndarray, bins: int = 10) -> np.ndarray:
    """bool [N, B <= bins]: the quantile bin each number lies in, ascending; equal numbers share a bin, none is empty.

    A number's bin is that of the middle of its ranks, so that one frequent number takes one bin, not several.

    Raises:
        DataError: a number is not finite.
    """
    numbers = np.asarray(values, dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(numbers))
    if bad.size:
        raise DataError(f"{numbers[bad[0]]} has no quantile", fix="give every row a finite number", row=int(bad[0]) + 1)
    inverse, counts = np.unique(numbers, return_inverse=True, return_counts=True)[1:]
    twice = 2 * np.cumsum(counts) - counts  # the middle of a number's ranks, doubled: integers have no rounding
    return _columns((twice * bins // (2 * max(len(numbers), 1)))[inverse])


def contiguous_folds(rows: int, number: int, *, weights: np.ndarray | None = None, gap: int = 0) -> np.ndarray:
    """int64 [N]: `number` runs of neighbouring rows in order, none empty, of nearly equal size.

    Args:
        rows: N, at least `number`.
        number: K.
        weights: float [N], >= 0, what a row counts for (tokens, frames); by default every row counts the same.
            A run's border is off by at most half of the weight of the row that it meets.
        gap: rows around each border between two runs that are in no fold (-1).

    Raises:
        DataError: the gaps leave a run without rows.
    """
    assert 1 <= number <= rows, "every run needs a row"
    assert weights is None or (len(weights) == rows and np.min(weights) >= 0), "one weight of 0 or more for each row"
    counts = np.ones(rows) if weights is None or not np.sum(weights) else np.asarray(weights, dtype=np.float64)
    middle = np.cumsum(counts) - counts / 2
    starts = np.searchsorted(middle, counts.sum() * np.arange(number) / number)
    for index in range(1, number):
        starts[index] = max(starts[index], starts[index - 1] + 1)
    starts = np.minimum(starts, rows - number + np.arange(number))
    starts[0] = 0
    fold = np.zeros(rows, dtype=np.int64)
    fold[starts[1:]] = 1
    fold = np.cumsum(fold)
    for start in starts[1:]:
        fold[max(start - gap // 2, 0) : start - gap // 2 + gap] = -1
    if len(np.unique(fold[fold >= 0])) < number:
        raise DataError(f"gaps of {gap} rows leave a fold empty", fix="use a smaller gap or fewer folds")
    return fold


def multilabel_folds(groups: np.ndarray, labels: np.ndarray, number: int, seed: int) -> np.ndarray:
    """int64 [N]: the fold of each row, from 0 to K - 1; groups stay whole and folds have like shares of every label.

    Iterative stratification, rarest label first (Sechidis, Tsoumakas, Vlahavas: On the Stratification of Multi-Label
    Data, ECML PKDD 2011, algorithm 1), with a group in the place of an example, largest first. Then groups are moved
    and exchanged until each label's share in each fold is within a tenth of the whole's or one group's worth (the most
    rows with that label in any one group), and likewise the folds' sizes; what no exchange of two groups mends stays.
    A pure function that does not depend on the order of rows, only on that of the group codes. Costs about 1.5 s
    per 100,000 groups.

    Args:
        groups: int [N] codes; unique ones where rows are not grouped.
        labels: bool [N, L].
        number: K, at most G.
        seed: breaks ties.
    """
    names, codes = np.unique(groups, return_inverse=True)
    assert len(labels) == len(codes), "one row of labels for each row"
    assert 1 <= number <= len(names), "every fold needs a group"
    # column 0 counts rows, so that sizes are balanced like a label
    columns = [np.bincount(codes[column], minlength=len(names)) for column in labels.T]
    worth = np.stack([np.bincount(codes), *columns], axis=1)
    random = np.random.default_rng(seed)
    fold = _greedy(worth, number, random)
    _fill(fold, worth, number)
    if len(names) > number > 1:
        _repair(fold, worth, number, random)
    return fold[codes]


def _columns(codes: np.ndarray) -> np.ndarray:
    """bool [N, L]: one column for each code that occurs."""
    return codes[:, None] == np.unique(codes)


def _greedy(worth: np.ndarray, number: int, random: np.random.Generator) -> np.ndarray:
    """int64 [G]: each group goes to the fold that needs its rarest label most.

    Args:
        worth: int64 [G, 1 + L], each group's rows and its rows with each label.
        number: K.
        random: orders equal groups and breaks ties.
    """
    count = len(worth)
    remaining = worth.sum(axis=0)
    # K times what a fold still needs: integers, so that ties are ties
    need = np.tile(remaining, (number, 1))
    fold = np.full(count, -1, dtype=np.int64)
    shuffled, ties = random.permutation(count), random.random((count, number))
    while (fold < 0).any():
        left = np.flatnonzero(remaining[1:] > 0) + 1
        label = int(left[np.argmin(remaining[left])]) if left.size else 0
        waiting = shuffled[(fold[shuffled] < 0) & (worth[shuffled, label] > 0)]
        for group in waiting[np.argsort(-worth[waiting, label], kind="stable")].tolist():
            best = np.lexsort((ties[group], need[:, 0], need[:, label]))[-1]
            fold[group] = best
            need[best] -= number * worth[group]
        remaining = remaining - worth[waiting].sum(axis=0)
    return fold


def _fill(fold: np.ndarray, worth: np.ndarray, number: int) -> None:
    """Gives each empty fold, in place, the smallest group of the largest fold that has several."""
    for empty in np.flatnonzero(np.bincount(fold, minlength=number) == 0):
        sizes = np.bincount(fold, weights=worth[:, 0], minlength=number)
        sizes[np.bincount(fold, minlength=number) < 2] = -1
        members = np.flatnonzero(fold == np.argmax(sizes))
        fold[members[np.argmin(worth[members, 0])]] = empty


def _repair(fold: np.ndarray, worth: np.ndarray, number: int, random: np.random.Generator) -> None:
    """Moves and exchanges groups, in place, worst deviation first, until all are small enough or none can be mended."""
    held = np.stack([worth[fold == index].sum(axis=0) for index in range(number)])
    labels = [*range(worth.shape[1]), *range(1, worth.shape[1])]  # of the columns of a deviation
    steps, mended = 0, True
    while mended and steps < STEPS:
        mended = False
        deviation = _deviation(held, worth, number)
        size = np.abs(deviation)
        for index, column in np.argwhere(size > 1 + 1e-9)[np.argsort(-size[size > 1 + 1e-9], kind="stable")]:
            steps += 1
            opposite = np.argsort(deviation[:, column] * np.sign(deviation[index, column]), kind="stable")
            for other in opposite[opposite != index][:PARTNERS]:
                mended = _exchange(fold, worth, held, (index, other), labels[column], random) or mended
            if mended or steps >= STEPS:
                break


def _exchange(
    fold: np.ndarray,
    worth: np.ndarray,
    held: np.ndarray,
    pair: tuple[int, int],
    label: int,
    random: np.random.Generator,
) -> bool:
    """Whether moving a group, or exchanging two, between a pair of folds lowers the cost; the best is done in place."""
    first, second = (_candidates(np.flatnonzero(fold == index), worth[:, label], random) for index in pair)
    # the last of either side is no group: a move one way
    out, back = (np.vstack([worth[side], np.zeros_like(worth[:1])]) for side in (first, second))
    change = back[None, :] - out[:, None]
    after = np.stack([held[pair[0]] + change, held[pair[1]] - change])
    cost = (_deviation(after, worth, len(held)) ** POWER).sum(axis=(0, 3))
    if np.sum(fold == pair[0]) == 1:
        cost[:-1, -1] = np.inf  # a fold is never emptied
    if np.sum(fold == pair[1]) == 1:
        cost[-1, :-1] = np.inf
    row, column = np.unravel_index(np.argmin(cost), cost.shape)
    if cost[row, column] >= cost[-1, -1] * (1 - 1e-9):
        return False
    fold[first[row : row + 1]], fold[second[column : column + 1]] = pair[1], pair[0]
    held[pair[0]], held[pair[1]] = after[0, row, column], after[1, row, column]
    return True


def _candidates(members: np.ndarray, carried: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """int64: up to CANDIDATES of a fold's groups, half of them with the label if there are so many."""
    order = random.permutation(members)
    with_label, without = order[carried[order] > 0], order[carried[order] == 0]
    half = CANDIDATES // 2
    enough = max(half, CANDIDATES - len(without))
    return np.concatenate([with_label[:enough], without])[:CANDIDATES]


def _deviation(held: np.ndarray, worth: np.ndarray, number: int) -> np.ndarray:
    """float64 [..., 1 + 2 L]: how far each fold is from even, in units of what is allowed.

    First the rows and the rows with each label against a K-th of all, then those with each label against their share
    of the fold's own rows.

    Args:
        held: int64 [..., 1 + L], a fold's rows and its rows with each label.
        worth: int64 [G, 1 + L].
        number: K.
    """
    total, largest = worth.sum(axis=0), np.maximum(worth.max(axis=0), 1)
    even, own = total / number, held[..., :1] * (total[1:] / total[0])
    against_even = (held - even) / np.maximum(SHARE * even, largest)
    return np.concatenate([against_even, (held[..., 1:] - own) / np.maximum(SHARE * own, largest[1:])], axis=-1)
