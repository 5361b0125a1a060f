"""Archives that lie in a competition's archive: each is unpacked where it lies, and goes.

Kaggle's older competitions ship so: Planet's zip holds `train-jpg.tar.7z` and `train_v2.csv.zip`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

from harness import files
from harness.data import sevenzip, tars, unpack

KINDS: dict[str, Callable[..., None]] = {
    ".zip": unpack.unpack_into,
    ".7z": sevenzip.unpack_into,
    ".tar": tars.unpack_into,
}
FEW = 100  # more of a kind of archive than a shipper makes by hand are data of their own
DEEP = 3  # a tar in a 7z in a zip


def archives(names: Iterable[str]) -> list[str]:
    """The names of archives to unpack; none where there are so many that they must be data."""
    found = [name for name in names if PurePosixPath(name).suffix.lower() in KINDS]
    return found if len(found) <= FEW else []


def unpack_all(
    folder: Path, *, fix: str, say: Callable[[str], None], free: files.FreeSpace = files.free_space
) -> list[str]:
    """Unpacks the archives in `folder`, and those in them; the names of those in `folder` itself.

    An archive whose entries lie under one name is unpacked beside itself, another one into a folder of its name.
    One whose files are there already stays as it is.

    Args:
        fix: what to do about a full disk.

    Raises:
        DataError: an archive that cannot be trusted.
    """
    first: list[str] = []
    left: set[str] = set()
    for _ in range(DEEP):
        names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
        found = [name for name in archives(names) if name not in left]
        first = first or found
        if not found:
            break
        for name in found:
            say(f"unpacking {name}")
            clash = _unpack_beside(folder / name, fix=fix, free=free)
            if clash is not None:  # some ship a table and its zip
                say(f"{name} is left packed: {clash.name} is there already")
                left.add(name)
    return first


def _unpack_beside(archive: Path, *, fix: str, free: files.FreeSpace) -> Path | None:
    """Puts what an archive holds beside it, in its place; where a file of it is there already, that one and no more."""
    staging = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=archive.parent))  # a name that nothing shipped has
    KINDS[archive.suffix.lower()](archive, staging, fix=fix, free=free)
    target = archive.parent if len(list(staging.iterdir())) == 1 else archive.with_suffix("")
    clash = next(clashing(staging, target), None)
    if clash is None:
        archive.unlink()
        merge(staging, target)
    shutil.rmtree(staging)
    return clash


def merge(source: Path, target: Path) -> None:
    """Moves all files below `source` to the same places below `target`, on the same disk, over what is there."""
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        place = target / path.name
        if path.is_dir() and place.is_dir():
            merge(path, place)
        else:
            path.replace(place)


def clashing(source: Path, target: Path) -> Iterator[Path]:
    """Yields what is in the way of moving all files below `source` to the same places below `target`."""
    if not target.is_dir():
        if target.exists():
            yield target
        return
    for path in sorted(source.iterdir()):
        place = target / path.name
        if path.is_dir() and place.is_dir():
            yield from clashing(path, place)
        elif place.exists():
            yield place
