"""What a fold must not split: groups that the adapter names, joined where their pictures are nearly the same.

N rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.data.alike import merge_groups
from harness.naming import named, several

SHOWN = 3  # joins across groups that are told one by one


@dataclass(frozen=True)
class Joined:
    """Rows in units.

    Attributes:
        units: [N] names; rows of one name stay in one fold.
        told: sentences for the user: how many pictures are alike, which groups they join.
        largest: which pictures the largest joined unit holds, for messages; "" where nothing is joined.
    """

    units: list[str]
    told: tuple[str, ...] = ()
    largest: str = ""


def join(groups: list[str], looks: np.ndarray, names: Sequence[str], *, group: str | None, ignore: str) -> Joined:
    """Groups joined by pictures that are alike.

    Args:
        groups: [N] of each row, its id where rows have no group.
        looks: int64 [N] of `alike.alike_groups`.
        names: [N] of the pictures, for sentences.
        group: what a group is called; None where rows have none.
        ignore: why alike pictures are not joined; "" joins them.
    """
    first = np.unique(looks, return_index=True)[1][looks]
    copies = np.flatnonzero(first != np.arange(len(looks)))
    merged = merge_groups(groups, looks.tolist())
    # rows without groups are numbered
    starts: list[int] = np.unique(merged, return_index=True)[1][merged].tolist()
    units = [groups[start] for start in starts] if group else list(map(str, merged.tolist()))
    if not len(copies):
        return Joined(units)
    pairs = named(
        [
            f"{names[row]} like {names[other]}"
            for row, other in zip(copies.tolist(), first[copies].tolist(), strict=True)
        ]
    )
    same = several(len(copies), "picture is", "pictures are") + f" nearly the same as an earlier one ({pairs})"
    if ignore:
        return Joined(list(groups), (f"{same} and may lie in another fold, as asked: {ignore}",))
    told = [f"{same}: alike pictures stay in one fold"]
    across = [row for row in copies.tolist() if groups[row] != groups[first[row]]]
    if group is not None and across:
        pairs = [f"{names[first[row]]} of {groups[first[row]]} and {names[row]} of {groups[row]}" for row in across]
        told.append(f"alike pictures join one {group} with another: {named(pairs, SHOWN)}")
    largest = np.flatnonzero(merged == np.bincount(merged).argmax()).tolist()
    return Joined(
        units,
        tuple(told),
        f"; alike pictures join {named([names[row] for row in largest])}",
    )
