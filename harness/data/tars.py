"""Tar archives, as 7z ones hold them, become files in a folder by the rules that zips are held to."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

from harness import files
from harness.data import entries as rules
from harness.data.entries import AGAIN, UNTRUSTED, Limits, refusal
from harness.errors import DataError


def unpack_into(
    archive: Path, folder: Path, *, fix: str, free: files.FreeSpace = files.free_space, limits: Limits | None = None
) -> None:
    """Writes the files of an unpacked `.tar` into `folder`, which is there.

    Args:
        fix: what to do about a full disk.

    Raises:
        DataError: no tar, truncated, or an entry that could harm: with file, entry and fix.
        SpaceError: more bytes declared than the disk of `folder` has free.
    """
    try:
        with tarfile.open(archive, "r:") as bundle:
            entries, folders = _checked(archive, bundle, limits or Limits())
            sizes = [entry.size for entry in entries.values()]
            rules.check_room(archive, sizes, disk=folder, free=free, fix=fix)
            for path in sorted(folders):
                with rules.disk_errors(archive, path, fix=fix):
                    (folder / path).mkdir()
            for path, entry in entries.items():
                with rules.disk_errors(archive, path, fix=fix):
                    bundle.extract(_plain(entry, path), folder, set_attrs=False, filter="data")
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        problem = f"a truncated or damaged tar, or none ({' '.join(str(error).split())[:200]})"
        raise DataError(problem, file=archive, fix=AGAIN) from error
    os.sync()


def _checked(archive: Path, bundle: tarfile.TarFile, limits: Limits) -> tuple[dict[str, tarfile.TarInfo], set[str]]:
    """(relative path -> entry of every file, relative paths of all folders), fit to be written."""
    found: dict[str, tarfile.TarInfo] = {}
    folders: set[str] = set()
    end = 0
    for number, entry in enumerate(bundle, start=1):
        rules.check_number(archive, number, limits)
        parts = rules.parts(archive, entry.name, limits)
        if entry.islnk() or entry.issym():
            raise refusal(archive, entry.name, "is a link", UNTRUSTED)
        # a sparse file may declare terabytes in some bytes
        if not (entry.isdir() or entry.isreg()) or entry.issparse():
            raise refusal(archive, entry.name, "is neither a file nor a folder", UNTRUSTED)
        end = entry.offset_data + -(-entry.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE * entry.isreg()
        if rules.skipped(parts):
            continue
        folders |= rules.above(parts)
        path = "/".join(parts)
        if entry.isdir():
            folders.add(path)
            continue
        if path in found:
            raise refusal(archive, entry.name, "stands in the archive twice", AGAIN)
        found[path] = entry
    _check_end(archive, end)
    for path in folders & found.keys():
        raise refusal(archive, path, "is a file and a folder at once", AGAIN)
    return found, folders


def _check_end(archive: Path, end: int) -> None:
    """Refuses a tar whose entries break off: tarfile takes a header that it cannot read for the end.

    Source: the end is two blocks of zeros at least (POSIX.1-2017, pax, ustar interchange format).

    Args:
        end: of the last entry, in bytes.
    """
    fix = f"{AGAIN}: what follows is missing"
    if archive.stat().st_size < end + 2 * tarfile.BLOCKSIZE:
        raise DataError(f"a truncated tar: it breaks off at byte {end:,}", file=archive, fix=fix)
    with open(archive, "rb") as handle:
        handle.seek(end)
        while chunk := handle.read(rules.CHUNK):
            if chunk.strip(b"\0"):
                raise DataError(f"a damaged tar: no entry can be read at byte {end:,}", file=archive, fix=fix)


def _plain(entry: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
    """The entry under the name that was looked at."""
    return entry.replace(name=path, deep=False)
