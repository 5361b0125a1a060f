"""The places of one download on the disk, what stands in its record, and whether there is room.

Every step of a change leaves what the next call goes on with: what is there, or what came and is not in its place yet.
What is below the folder and not in the record, or not as it came, is the user's own, and is never written over.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from harness import files
from harness.data import entries, nesting
from harness.errors import DataError, HarnessError, SpaceError
from harness.kaggle import arrivals
from harness.kaggle.arrivals import FIX, Arrival, Told
from harness.kaggle.pages import Page
from harness.kaggle.sources import File

ELSEWHERE = "give --out DIR"
OWN = f"move or remove it, or {ELSEWHERE}"
Sizes = Mapping[str, tuple[int, ...]]  # relative path -> the bytes that Kaggle's file may have


@dataclass(frozen=True)
class Arriving:
    """Where one file or zip arrives and is unpacked, and what is said of it when it came."""

    folder: Path

    @property
    def unpacked(self) -> Path:
        return self.folder / "unpacked"

    @property
    def said(self) -> Path:
        return self.folder / "arrived.json"

    def waiting(self, archive: Path) -> list[Told]:
        """What was said of `archive`, which came here and is not in its place yet; none where it did not."""
        said = read(self.said)
        found = told(said)
        return [found] if found and archive.is_file() and archive.stat().st_size == said.get("bytes") else []

    def say(self, arrival: Arrival) -> int:
        """Keeps what is said of what came, for the next call; its bytes."""
        size = arrival.path.stat().st_size
        files.write_json(self.said, {"told": asdict(arrival.told), "bytes": size})
        return size


@dataclass(frozen=True)
class Place:
    """The paths of one download, all on the disk of `into`."""

    into: Path
    name: str

    @property
    def zip(self) -> Path:
        return self.into / f"{self.name}.zip"

    @property
    def kept(self) -> Path:
        """The zip that is left beside the folder it was unpacked to."""
        return self.into / f"{self.name}.shipped.zip"

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

    def single(self, name: str) -> Arriving:
        """Where a single file of this name on Kaggle arrives."""
        return Arriving(self.part / hashlib.blake2b(name.encode(), digest_size=8).hexdigest())

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Holds the place for this process; what the disk says against it is one line.

        Raises:
            DataError: a path that cannot be written.
            SpaceError: the disk is full.
        """
        try:
            self.into.mkdir(parents=True, exist_ok=True)
            with FileLock(self.into / f".{self.name}.lock"):
                yield
        except OSError as error:
            named = error.filename2 or error.filename  # a rename fails at where it goes to
            path = Path(named) if isinstance(named, str) else self.into
            if error.errno in files.FULL:
                raise SpaceError("the disk filled up", file=path, fix=FIX) from error
            fix = f"mend what is there, or {ELSEWHERE}"
            raise DataError(f"cannot be used ({error.strerror or error})", file=path, fix=fix) from error


def check_room(
    place: Place, listing: list[File], size: int | None, *, archive: Path, cache: Path, free: files.FreeSpace
) -> None:
    """Refuses to begin what the disk has no room for: the bytes to come, and what they unpack to.

    What archives in the zip unpack to is not known yet: it is looked at when they are unpacked.

    Args:
        archive: where it arrives: what came of it takes no more room.

    Raises:
        SpaceError: with the amounts.
    """
    unpacked = sum(file.bytes for file in listing)
    here = bool(nesting.archives(file.name for file in listing)) or _device(cache) == _device(place.into)
    left = max(0, (unpacked if size is None else size) - arrivals.held(archive))
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


def check_replaceable(place: Place, record: dict[str, Any] | None) -> None:
    """Refuses to take away a folder that holds more than what came from Kaggle, or other bytes of it."""
    if record and record["path"] == place.name:
        sizes = {name: (size,) for name, size in record.get("contents", {}).items()}
        check_own(place.folder, contents(place.folder), sizes)


def recorded(place: Place) -> dict[str, Any] | None:
    """What stands in the record; None where there is none, or what it is about is not there."""
    record = read(place.record)
    if not record or record.get("path") not in (place.zip.name, place.name):
        return None
    path = place.into / record["path"]
    if not path.exists() or (path == place.zip and path.stat().st_size != record.get("bytes")):
        return None
    return record


def check_source(place: Place, record: dict[str, Any] | None, page: Page) -> None:
    """Refuses to put data of one page in the place of another's: two owners may name theirs alike."""
    held = (record or {}).get("from")
    if record and held != asdict(page):
        ref = held.get("ref") if isinstance(held, dict) else "other data"
        raise DataError(f"holds {ref}, not {page.ref}", file=place.into / record["path"], fix=ELSEWHERE)


def contents(folder: Path) -> dict[str, int]:
    """Relative path -> bytes of all files below a folder."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir()]
    return {path.relative_to(folder).as_posix(): path.lstat().st_size for path in paths}


def lacks(folder: Path, held: Mapping[str, int]) -> bool:
    """Whether a file of these is not there, or has other bytes."""
    return any(not (path := folder / name).is_file() or path.stat().st_size != size for name, size in held.items())


def check_own(folder: Path, names: Iterable[str], sizes: Sizes) -> None:
    """Refuses to go on where a file of these is there and is not as Kaggle's came.

    Raises:
        DataError: with the file.
    """
    for name in names:
        path = folder / name
        if not path.is_symlink() and not path.exists():
            continue
        if name not in sizes:
            raise DataError("is there already, and not from Kaggle", file=path, fix=OWN)
        if path.lstat().st_size not in sizes[name]:
            raise DataError("is not as it came from Kaggle", file=path, fix=OWN)


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
