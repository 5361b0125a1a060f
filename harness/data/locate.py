"""Where a competition's data lies: what the user names, Kaggle's mounts, or `data/`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from harness.competition import Competition
from harness.errors import DataError

ROOT = "HARNESS_KAGGLE"  # the variable that names another root than /kaggle
GROUPS = ("competitions", "datasets", "models")  # folders among the mounts that hold mounts


def inputs() -> Path:
    """Where a Kaggle kernel mounts what it was given."""
    return Path(os.environ.get(ROOT) or "/kaggle") / "input"


def mounts(slugs: Iterable[str]) -> list[Path]:
    """Where a Kaggle kernel may have mounted data of these names: the older layout, then the newer one.

    `/kaggle/input/<slug>`, `/kaggle/input/competitions/<slug>` and `/kaggle/input/datasets/<owner>/<slug>`.
    """
    names, owners = list(slugs), sorted((inputs() / "datasets").glob("*"))
    return [mount / slug for mount in (inputs(), inputs() / "competitions", *owners) for slug in names]


def places(competition: Competition, named: Path | None) -> list[Path]:
    """Every place the data is looked for, in order; only the named one when there is one."""
    if named is not None:
        return [named]
    slugs = (competition.name, *competition.aliases)
    folders = [*mounts(slugs), *(Path("data") / slug for slug in slugs)]
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
