"""What every archive is held to before a byte of it is written: names, numbers, sizes, room on the disk.

N entries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness import files
from harness.errors import DataError, SpaceError

Progress = Callable[[int, int], None]  # (bytes written, bytes in all)
CHUNK = 1 << 20
BLOCK = 4096  # a file takes whole blocks on the disk, and a competition has many small files
# control characters and line ends, and those that turn the direction of what is shown after them (Unicode 15, UAX 9)
UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
AGAIN = "download it again"
UNTRUSTED = "do not use this archive: download it from the competition's page"
CACHE = "choose another disk with --cache DIR"


@dataclass(frozen=True)
class Limits:
    """What no honest competition archive exceeds.

    Attributes:
        entries: files and folders.
        ratio: unpacked over packed size of one entry, and of the whole archive, looked at where it unpacks to more than
            `large` bytes.
        name: letters of an entry's name with its folders; disks take 4,096 bytes.
        depth: folders above an entry.
    """

    entries: int = 2_000_000
    ratio: int = 200
    large: int = 100_000_000
    name: int = 1000
    depth: int = 50


def parts(archive: Path, name: str, limits: Limits) -> list[str]:
    """Path components of an entry below the target folder; none for the folder itself.

    A backslash separates folders, as old Windows tools write it.

    Raises:
        DataError: a name that leaves the folder, or that nobody should write.
    """
    plain = name.replace("\\", "/")
    found = [part for part in plain.split("/") if part not in ("", ".")]
    if plain.startswith("/") or ".." in found or "\0" in plain or re.match(r"[A-Za-z]:", plain):
        raise refusal(archive, name, "would be written outside its folder", UNTRUSTED)
    if UNSEEN.search(plain):
        raise refusal(archive, name, "has control characters in its name", UNTRUSTED)
    # before the folders above it are listed, which of a name of 64 kB would take a gigabyte
    if len(plain) > limits.name or len(found) > limits.depth:
        problem = f"has a name of {len(plain):,} letters in {len(found):,} folders, too long to be written"
        raise DataError(f"entry {plain[:60]!r}... {problem}", file=archive, fix=UNTRUSTED)
    return found


def skipped(path: list[str]) -> bool:
    """Whether an entry is the folder itself, or what a Mac adds."""
    return not path or "__MACOSX" in path or path[-1] == ".DS_Store"


def above(path: list[str]) -> set[str]:
    """The folders above an entry."""
    return {"/".join(path[:depth]) for depth in range(1, len(path))}


def check_number(archive: Path, number: int, limits: Limits) -> None:
    """Refuses an archive of too many entries."""
    if number > limits.entries:
        raise DataError(f"{number:,} entries, more than {limits.entries:,}", file=archive, fix=UNTRUSTED)


def check_whole(archive: Path, total: int, limits: Limits) -> None:
    """Refuses an archive that unpacks to far more than it has: `total` bytes."""
    size = archive.stat().st_size
    if total > limits.large and total > limits.ratio * size:
        problem = f"unpacks to {total / size:,.0f} times its size: a zip bomb"
        raise DataError(problem, file=archive, fix=UNTRUSTED)


def check_room(archive: Path, sizes: Iterable[int], *, disk: Path, free: files.FreeSpace, fix: str) -> None:
    """Refuses to write files [N] of these sizes to a disk that has less free.

    Raises:
        SpaceError: with both amounts.
    """
    needed = sum(-(-size // BLOCK) * BLOCK for size in sizes)
    if needed > (have := free(disk)):
        problem = f"unpacked it needs {amount(needed)}, the disk of {disk} has {amount(have)} free"
        raise SpaceError(problem, file=archive, fix=f"free some space or {fix}")


@contextmanager
def disk_errors(archive: Path, path: str, *, fix: str = CACHE) -> Iterator[None]:
    """What the disk says while `path` is written, in one line."""
    try:
        yield
    except OSError as error:
        if error.errno in files.FULL:
            raise SpaceError(f"the disk filled up at entry {path!r}", file=archive, fix=fix) from error
        raise DataError(f"entry {path!r} cannot be written ({error.strerror})", file=archive, fix=fix) from error


def refusal(archive: Path, name: str, problem: str, fix: str) -> DataError:
    """An entry that is not written, and why."""
    return DataError(f"entry {name!r} {problem}", file=archive, fix=fix)


def amount(size: int) -> str:
    """Bytes as a person reads them."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.2f} MB" if size >= 1e5 else f"{size:,} bytes"
