"""Competition zips become folders in the cache: once, checked before a byte is written, never outside the folder.

Zip format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

from __future__ import annotations

import copy
import hashlib
import os
import stat
import struct
import zipfile
import zlib
from pathlib import Path

from harness import files
from harness.data import entries as rules
from harness.data.entries import AGAIN, CACHE, CHUNK, UNTRUSTED, Limits, Progress, refusal
from harness.data.materialise import build_once
from harness.errors import DataError

HEADER = 30  # bytes before an entry's name and content, at least


def unpack(
    archive: Path,
    *,
    cache: Path,
    free: files.FreeSpace = files.free_space,
    progress: Progress | None = None,
    limits: Limits | None = None,
) -> Path:
    """The folder `<cache>/unpacked/<stem>-<16 hex digits>` with the files of a zip, unpacked on the first call only.

    The digits follow the zip's size, time and table of contents: a changed zip is another folder. Resource forks
    (`__MACOSX/`) and `.DS_Store` are left out; a backslash in a name separates folders, as old Windows tools write it.

    Raises:
        DataError: no zip, truncated, damaged, encrypted, or an entry that could harm: with file, entry and fix.
        SpaceError: more bytes declared than the disk of `cache` has free.
    """
    if not archive.is_file():
        raise DataError("no such file", file=archive, fix="give the path of the downloaded zip")
    with _opened(archive) as bundle:
        target = cache / "unpacked" / f"{archive.stem[:100]}-{_digest(archive, bundle)}"

        def build(folder: Path) -> None:
            entries, folders = _checked(archive, bundle, limits or Limits())
            sizes = [entry.file_size for entry in entries.values()]
            rules.check_room(archive, sizes, disk=cache, free=free, fix=CACHE)
            _write(archive, bundle, entries, folders, folder, progress, fix=CACHE)

        return build_once(target, build)


def unpack_into(
    archive: Path,
    folder: Path,
    *,
    fix: str,
    free: files.FreeSpace = files.free_space,
    progress: Progress | None = None,
    limits: Limits | None = None,
) -> None:
    """Writes the files of a zip into `folder`, which is there, by the rules and with the errors of `unpack`.

    Args:
        fix: what to do about a full disk.
    """
    with _opened(archive) as bundle:
        entries, folders = _checked(archive, bundle, limits or Limits())
        rules.check_room(archive, [entry.file_size for entry in entries.values()], disk=folder, free=free, fix=fix)
        _write(archive, bundle, entries, folders, folder, progress, fix=fix)


def listed(archive: Path, *, read: bool = False, limits: Limits | None = None) -> dict[str, int]:
    """Path -> bytes of every file that a zip unpacks to; errors as of `unpack`, and nothing is written.

    Args:
        read: all content, too: its checksums are compared.
    """
    with _opened(archive) as bundle:
        entries, _ = _checked(archive, bundle, limits or Limits())
        if read:
            for path, entry in entries.items():
                _write_entry(archive, bundle, entry, Path(os.devnull), path=path, fix=AGAIN)
        return {path: entry.file_size for path, entry in entries.items()}


def _opened(archive: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(archive)
    except OSError as error:
        fix = "check the file and its permissions"
        raise DataError(f"unreadable ({error.strerror})", file=archive, fix=fix) from error
    except (zipfile.BadZipFile, struct.error, EOFError, ValueError, OverflowError, NotImplementedError) as error:
        with open(archive, "rb") as handle:
            start = handle.read(16)
        if start.startswith(b"PK\3\4"):
            problem = f"a truncated or damaged zip ({error})"
            raise DataError(problem, file=archive, fix=f"{AGAIN}: the end is missing") from error
        fix = f"{AGAIN}; a web page under this name means that the download asked for a login"
        raise DataError(f"not a zip: it begins with {start!r}", file=archive, fix=fix) from error


def _digest(archive: Path, bundle: zipfile.ZipFile) -> str:
    """Key of the content: the directory at the end holds every entry's name, size and checksum."""
    digest = hashlib.blake2b(f"{archive.stat().st_size} ".encode())
    with open(archive, "rb") as handle:
        handle.seek(bundle.start_dir)
        while chunk := handle.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()[:16]


def _checked(archive: Path, bundle: zipfile.ZipFile, limits: Limits) -> tuple[dict[str, zipfile.ZipInfo], set[str]]:
    """(relative path -> entry of every file, relative paths of all folders), fit to be written."""
    rules.check_number(archive, len(bundle.infolist()), limits)
    found: dict[str, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    for entry in bundle.infolist():
        # zipfile cuts a name at its first zero byte: the name as stored is the one to judge
        parts = rules.parts(archive, entry.orig_filename, limits)
        if rules.skipped(parts):
            continue
        folders |= rules.above(parts)
        if entry.is_dir() or entry.filename.endswith("\\"):
            folders.add("/".join(parts))
            continue
        _check_entry(archive, entry, limits)
        path = "/".join(parts)
        if path in found:
            raise _refusal(archive, entry, "stands in the zip twice", AGAIN)
        found[path] = entry
    _check_together(archive, bundle, list(found.values()), limits)
    for path in folders & found.keys():
        raise _refusal(archive, found[path], "is a file and a folder at once", AGAIN)
    return found, folders


def _check_together(archive: Path, bundle: zipfile.ZipFile, entries: list[zipfile.ZipInfo], limits: Limits) -> None:
    """Refuses entries that share bytes of the archive, and many that unpack to far more than it has."""
    # a bomb's entries may each be small: they lie on the same bytes (David Fifield, A better zip bomb, 2019)
    ordered = sorted(entries, key=lambda entry: entry.header_offset)
    begins = [*(entry.header_offset for entry in ordered[1:]), bundle.start_dir]
    for entry, following in zip(ordered, begins, strict=False):
        if entry.header_offset + HEADER + entry.compress_size > following:
            raise _refusal(archive, entry, "shares bytes of the archive with another: a zip bomb", UNTRUSTED)
    rules.check_whole(archive, sum(entry.file_size for entry in entries), limits)


def _check_entry(archive: Path, entry: zipfile.ZipInfo, limits: Limits) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        what = "is a symbolic link" if kind == stat.S_IFLNK else "is neither a file nor a folder"
        raise _refusal(archive, entry, what, UNTRUSTED)
    if entry.flag_bits & 0x1:
        raise _refusal(archive, entry, "is encrypted", "unpack it with its password and give the folder as --data")
    # others may unpack a small chunk to gigabytes in memory, and deflate64 is unknown to Python
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        problem = f"is packed by method {entry.compress_type}, not stored or deflated"
        raise _refusal(archive, entry, problem, "unpack it with another tool and give the folder as --data")
    if entry.file_size > limits.large and entry.file_size > limits.ratio * max(1, entry.compress_size):
        problem = f"unpacks to {entry.file_size / max(1, entry.compress_size):,.0f} times its packed size: a zip bomb"
        raise _refusal(archive, entry, problem, UNTRUSTED)


def _write(
    archive: Path,
    bundle: zipfile.ZipFile,
    entries: dict[str, zipfile.ZipInfo],
    folders: set[str],
    folder: Path,
    progress: Progress | None,
    *,
    fix: str,
) -> None:
    for path in sorted(folders):
        with rules.disk_errors(archive, path, fix=fix):
            (folder / path).mkdir()
    total, done = sum(entry.file_size for entry in entries.values()), 0
    for path, entry in entries.items():
        done += _write_entry(archive, bundle, entry, folder / path, path=path, fix=fix)
        if progress is not None:
            progress(done, total)
    # one sync for all files, in place of thousands: the rename must not reach the disk before they do
    os.sync()


def _write_entry(
    archive: Path, bundle: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, *, path: str, fix: str
) -> int:
    """Bytes written to `target`: the declared number."""
    try:
        with rules.disk_errors(archive, path, fix=fix):
            written = _copy_entry(bundle, entry, target)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
        raise _refusal(archive, entry, f"is damaged ({error})", AGAIN) from error
    if written > entry.file_size:
        problem = f"holds more than the {rules.amount(entry.file_size)} it declares: a zip bomb"
        raise _refusal(archive, entry, problem, UNTRUSTED)
    if written < entry.file_size:
        raise _refusal(archive, entry, f"is damaged ({written} of {entry.file_size} bytes)", AGAIN)
    return written


def _copy_entry(bundle: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> int:
    """Bytes written to `path`: the declared number, or one more when the entry holds more than it declares."""
    # zipfile stops in silence at the declared size; told of a larger one it reads on, so that one byte too many is
    # seen here, and it still compares the checksum at the true end
    generous = copy.copy(entry)
    generous.file_size += CHUNK
    written = 0
    with bundle.open(generous) as source, open(path, "wb" if path == Path(os.devnull) else "xb") as target:
        while chunk := source.read(min(CHUNK, entry.file_size + 1 - written)):
            target.write(chunk)
            written += len(chunk)
    return written


def _refusal(archive: Path, entry: zipfile.ZipInfo, problem: str, fix: str) -> DataError:
    return refusal(archive, entry.orig_filename, problem, fix)
