"""The places of one download on the disk, what stands in its record, and whether there is room.

Every step of a change leaves what the next call goes on with: what is there, or what came and is not in its place yet.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import files
from harness.data import entries, nesting
from harness.errors import HarnessError, SpaceError
from harness.kaggle import arrivals
from harness.kaggle.arrivals import FIX, Told
from harness.kaggle.sources import File


@dataclass(frozen=True)
class Place:
    """The paths of one download, all on the disk of `into`."""

    into: Path
    name: str

    @property
    def zip(self) -> Path:
        return self.into / f"{self.name}.zip"

    @property
    def folder(self) -> Path:
        return self.into / self.name

    @property
    def record(self) -> Path:
        return self.into / f".{self.name}.download.json"

    @property
    def part(self) -> Path:
        """Where files arrive, and are unpacked."""
        return self.into / f".{self.name}.part"

    @property
    def arrived(self) -> Path:
        """What is said of a zip that came, and is not unpacked yet."""
        return self.part / "arrived.json"


def check_room(place: Place, listing: list[File], size: int | None, *, cache: Path, free: files.FreeSpace) -> None:
    """Refuses to begin what the disk has no room for: the bytes to come, and what they unpack to.

    What archives in the zip unpack to is not known yet: it is looked at when they are unpacked.

    Raises:
        SpaceError: with the amounts.
    """
    unpacked = sum(file.bytes for file in listing)
    here = bool(nesting.archives(file.name for file in listing)) or _device(cache) == _device(place.into)
    left = max(0, (unpacked if size is None else size) - arrivals.held(place.part / place.zip.name))
    needed = left + (unpacked if here else 0)
    if needed > (have := free(place.into)):
        parts = f"{entries.amount(left)} to download and {entries.amount(unpacked)} unpacked"
        raise SpaceError(f"needs {parts}, the disk has {entries.amount(have)} free", file=place.into, fix=FIX)


def swap(place: Place, source: Path, target: Path, *, record: dict[str, Any]) -> None:
    """Puts what came in the place of what an earlier download left.

    The record is written before: data without one is the user's own.
    """
    if earlier := recorded(place):
        old = place.part / "old"
        shutil.rmtree(old, ignore_errors=True)
        old.mkdir(parents=True)
        (place.into / earlier["path"]).replace(old / "data")
    files.write_json(place.record, record)
    files.adopt(source, target)


def recorded(place: Place) -> dict[str, Any] | None:
    """What stands in the record; None where there is none, or what it is about is not there."""
    record = read(place.record)
    if not record or record.get("path") not in (place.zip.name, place.name):
        return None
    path = place.into / record["path"]
    if not path.exists() or (path == place.zip and path.stat().st_size != record.get("bytes")):
        return None
    return record


def known(place: Place) -> list[Told]:
    """Of which contents all is here: of the data in its place, and of a zip that came and is not in its place yet."""
    found = [told(recorded(place))]
    archive, waiting = place.part / place.zip.name, told(read(place.arrived))
    if waiting is not None and archive.exists() and archive.stat().st_size == waiting.size:
        found.append(waiting)
    return [each for each in found if each is not None]


def told(held: dict[str, Any] | None) -> Told | None:
    """What Kaggle said of a content, of a record; None where that does not stand there."""
    try:
        return Told(**(held or {})["told"])
    except (KeyError, TypeError):
        return None


def read(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is none: what it is about is downloaded again."""
    try:
        return files.read_json(path, fix="remove it")
    except HarnessError:
        return {}


def _device(path: Path) -> int:
    """The disk of a path that may not be there yet."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return os.stat(path).st_dev
