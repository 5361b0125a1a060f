"""Where a competition's data lies: what the user names, Kaggle's two mounts, or `data/`."""

from __future__ import annotations

import os
from pathlib import Path

from harness.competition import Competition
from harness.errors import DataError


def mounts() -> list[Path]:
    """Where a kernel has competitions' data: the older layout and the newer, below HARNESS_KAGGLE or /kaggle."""
    root = Path(os.environ.get("HARNESS_KAGGLE") or "/kaggle") / "input"
    return [root, root / "competitions"]


def places(competition: Competition, named: Path | None) -> list[Path]:
    """Every place the data is looked for, in order; only the named one when there is one."""
    if named is not None:
        return [named]
    slugs = (competition.name, *competition.aliases)
    folders = [mount / slug for mount in mounts() for slug in slugs] + [Path("data") / slug for slug in slugs]
    return folders + [Path("data") / f"{slug}.zip" for slug in slugs]


def locate(competition: Competition, named: Path | None) -> Path:
    """The folder or zip that holds the data.

    Raises:
        DataError: none of the places exists; the message lists them and says how to get the data.
    """
    tried = places(competition, named)
    for place in tried:
        if place.exists():
            return place
    raise DataError(
        f"no data for {competition.name}: tried {', '.join(map(str, tried))}",
        fix=f"give --data, or try --sample; to get it: {competition.how_to_get}",
    )
