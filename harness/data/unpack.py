"""Competition zips become folders in the cache: once, checked before a byte is written, never outside the folder.

Zip format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

from __future__ import annotations

import copy
import hashlib
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness import files
from harness.data.materialise import build_once
from harness.errors import DataError, SpaceError

Progress = Callable[[int, int], None]  # (bytes written, bytes in all)
CHUNK = 1 << 20
BLOCK = 4096  # a file takes whole blocks on the disk, and a competition has many small files
HEADER = 30  # bytes before an entry's name and content, at least
# control characters and line ends, and those that turn the direction of what is shown after them (Unicode 15, UAX 9)
UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
AGAIN = "download it again"
UNTRUSTED = "do not use this archive: download it from the competition's page"


@dataclass(frozen=True)
class Limits:
    """What no honest competition zip exceeds.

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
            needed = sum(-(-entry.file_size // BLOCK) * BLOCK for entry in entries.values())
            if needed > (have := free(cache)):
                problem = f"unpacked it needs {_amount(needed)}, the disk of {cache} has {_amount(have)} free"
                raise SpaceError(problem, file=archive, fix="free some space or choose another disk with --cache DIR")
            for path in sorted(folders):
                with _disk_errors(archive, path):
                    (folder / path).mkdir()
            _write(archive, bundle, entries, folder, progress)
            # one sync for all files, in place of thousands: the rename must not reach the disk before they do
            os.sync()

        return build_once(target, build)


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
    listed = bundle.infolist()
    if len(listed) > limits.entries:
        problem = f"{len(listed):,} entries, more than {limits.entries:,}"
        raise DataError(problem, file=archive, fix=UNTRUSTED)
    found: dict[str, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    for entry in listed:
        parts = _parts(archive, entry, limits)
        if not parts or "__MACOSX" in parts or parts[-1] == ".DS_Store":
            continue
        folders.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
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
    total, size = sum(entry.file_size for entry in entries), archive.stat().st_size
    if total > limits.large and total > limits.ratio * size:
        problem = f"unpacks to {total / size:,.0f} times its size: a zip bomb"
        raise DataError(problem, file=archive, fix=UNTRUSTED)


def _parts(archive: Path, entry: zipfile.ZipInfo, limits: Limits) -> list[str]:
    """Path components below the target folder; none for the folder itself."""
    # zipfile cuts a name at its first zero byte: the name as stored is the one to judge
    name = entry.orig_filename.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name or re.match(r"[A-Za-z]:", name):
        raise _refusal(archive, entry, "would be written outside its folder", UNTRUSTED)
    if UNSEEN.search(name):
        raise _refusal(archive, entry, "has control characters in its name", UNTRUSTED)
    # before the folders above it are listed, which of a name of 64 kB would take a gigabyte
    if len(name) > limits.name or len(parts) > limits.depth:
        problem = f"has a name of {len(name):,} letters in {len(parts):,} folders, too long to be written"
        raise DataError(f"entry {name[:60]!r}... {problem}", file=archive, fix=UNTRUSTED)
    return parts


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
    folder: Path,
    progress: Progress | None,
) -> None:
    total, done = sum(entry.file_size for entry in entries.values()), 0
    for path, entry in entries.items():
        try:
            with _disk_errors(archive, path):
                written = _write_entry(bundle, entry, folder / path)
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError) as error:
            raise _refusal(archive, entry, f"is damaged ({error})", AGAIN) from error
        if written > entry.file_size:
            problem = f"holds more than the {_amount(entry.file_size)} it declares: a zip bomb"
            raise _refusal(archive, entry, problem, UNTRUSTED)
        if written < entry.file_size:
            raise _refusal(archive, entry, f"is damaged ({written} of {entry.file_size} bytes)", AGAIN)
        done += written
        if progress is not None:
            progress(done, total)


@contextmanager
def _disk_errors(archive: Path, path: str) -> Iterator[None]:
    """What the disk says while `path` is written, in one line."""
    try:
        yield
    except OSError as error:
        fix = "choose another disk with --cache DIR"
        if error.errno in files.FULL:
            raise SpaceError(f"the disk filled up at entry {path!r}", file=archive, fix=fix) from error
        raise DataError(f"entry {path!r} cannot be written ({error.strerror})", file=archive, fix=fix) from error


def _write_entry(bundle: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> int:
    """Bytes written to `path`: the declared number, or one more when the entry holds more than it declares."""
    # zipfile stops in silence at the declared size; told of a larger one it reads on, so that one byte too many is
    # seen here, and it still compares the checksum at the true end
    generous = copy.copy(entry)
    generous.file_size += CHUNK
    written = 0
    with bundle.open(generous) as source, open(path, "xb") as target:
        while chunk := source.read(min(CHUNK, entry.file_size + 1 - written)):
            target.write(chunk)
            written += len(chunk)
    return written


def _refusal(archive: Path, entry: zipfile.ZipInfo, problem: str, fix: str) -> DataError:
    return DataError(f"entry {entry.orig_filename!r} {problem}", file=archive, fix=fix)


def _amount(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.2f} MB" if size >= 1e5 else f"{size:,} bytes"
