"""Many rows named in one line."""

from __future__ import annotations

from collections.abc import Sequence

FEW = 3


def named(names: Sequence[str], few: int = FEW) -> str:
    """The first names, and how many more there are: `a, b, c and 12 more`."""
    if len(names) > few + 1:
        return f"{', '.join(names[:few])} and {len(names) - few} more"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def several(count: int, one: str, many: str) -> str:
    """`1 row is` or `12 rows are`."""
    return f"{count} {one if count == 1 else many}"
