"""Archives that lie in a competition's archive: each is unpacked where it lies, and goes.

Kaggle's older competitions ship so: Planet's zip holds `train-jpg.tar.7z` and `train_v2.csv.zip`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from harness import files
from harness.data import sevenzip, tars, unpack
from harness.errors import DataError

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

    Args:
        fix: what to do about a full disk.

    Raises:
        DataError: an archive that cannot be trusted, or whose files are there already.
    """
    first: list[str] = []
    for _ in range(DEEP):
        names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
        found = archives(names)
        first = first or found
        if not found:
            break
        for name in found:
            say(f"unpacking {name}")
            _unpack_beside(folder / name, fix=fix, free=free)
    return first


def _unpack_beside(archive: Path, *, fix: str, free: files.FreeSpace) -> None:
    """Puts what an archive holds beside it, in its place."""
    staging = archive.with_name(f".{archive.name}.part")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    KINDS[archive.suffix.lower()](archive, staging, fix=fix, free=free)
    archive.unlink()
    target = archive.parent if len(list(staging.iterdir())) == 1 else archive.with_suffix("")
    merge(staging, target)
    shutil.rmtree(staging)


def merge(source: Path, target: Path, *, over: bool = False) -> None:
    """Moves all files below `source` to the same places below `target`, on the same disk.

    Args:
        over: files that are there already are replaced.

    Raises:
        DataError: a file that is there already; nothing is moved.
    """
    if not over:
        check_free(source, target)
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        place = target / path.name
        if path.is_dir() and place.is_dir():
            merge(path, place, over=over)
        else:
            path.replace(place)


def check_free(source: Path, target: Path) -> None:
    """Refuses to move what lies below `source` where a file is there already.

    Raises:
        DataError: with its name.
    """
    for path in sorted(source.iterdir()):
        place = target / path.name
        if path.is_dir() and place.is_dir():
            check_free(path, place)
        elif place.exists():
            raise DataError("is there already", file=place, fix="remove it, and download again")
