"""7z archives become files in a folder by the rules that zips are held to; needs the extra `kaggle` (py7zr).

Format: https://py7zr.readthedocs.io/en/latest/archive_format.html
"""

from __future__ import annotations

import contextlib
import lzma
import os
import struct
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING

from harness import files
from harness.data import entries as rules
from harness.data.entries import AGAIN, UNTRUSTED, Limits, refusal
from harness.errors import ConfigError, DataError

if TYPE_CHECKING:
    from py7zr import SevenZipFile
    from py7zr.io import Py7zIO, WriterFactory

TOOL = "unpack it with another tool and give the folder as --data"
# what py7zr raises of damaged bytes beside its own errors, as tried with 4,000 of them
DAMAGED = (lzma.LZMAError, zlib.error, struct.error, EOFError, OSError, ValueError, OverflowError)
DAMAGED += (IndexError, KeyError, TypeError, AttributeError, AssertionError, MemoryError)


def unpack_into(
    archive: Path, folder: Path, *, fix: str, free: files.FreeSpace = files.free_space, limits: Limits | None = None
) -> None:
    """Writes the files of a 7z archive into `folder`, which is there; checksums are compared, names are kept inside.

    Args:
        fix: what to do about a full disk.

    Raises:
        ConfigError: py7zr is not installed.
        DataError: no 7z, truncated, damaged, encrypted, or an entry that could harm: with file, entry and fix.
        SpaceError: more bytes declared than the disk of `folder` has free.
    """
    try:
        import py7zr
        from py7zr.exceptions import ArchiveError, PasswordRequired, UnsupportedCompressionMethodError
    except ImportError as error:
        raise ConfigError(f"{archive.name} needs py7zr ({error})", fix="pip install 'harness[kaggle]'") from error
    try:
        # of a file that is open it unpacks one part after the other, in this thread
        with open(archive, "rb") as handle, py7zr.SevenZipFile(handle) as bundle:
            if bundle.needs_password():
                raise DataError("is encrypted", file=archive, fix=TOOL)
            sizes, folders = _checked(archive, bundle, limits or Limits())
            rules.check_room(archive, sizes.values(), disk=folder, free=free, fix=fix)
            for path in sorted(folders):
                with rules.disk_errors(archive, path, fix=fix):
                    (folder / path).mkdir()
            with contextlib.ExitStack() as stack:
                bundle.extractall(folder, factory=_writers(archive, folder, sizes, stack, fix=fix))
    except (PasswordRequired, UnsupportedCompressionMethodError) as error:
        raise DataError(f"cannot be unpacked here ({_words(error)})", file=archive, fix=TOOL) from error
    except (ArchiveError, *DAMAGED) as error:
        raise DataError(f"a truncated or damaged 7z, or none ({_words(error)})", file=archive, fix=AGAIN) from error
    os.sync()


def _checked(archive: Path, bundle: SevenZipFile, limits: Limits) -> tuple[dict[str, int], set[str]]:
    """(relative path -> bytes of every file, relative paths of all folders), fit to be written."""
    found: dict[str, int] = {}
    folders: set[str] = set()
    rules.check_number(archive, len(bundle.files), limits)
    for entry in bundle.files:
        parts = rules.parts(archive, entry.filename, limits)
        if not parts:
            continue
        path = "/".join(parts)
        if "\\" in entry.filename:  # py7zr does not read it as a folder
            raise refusal(archive, entry.filename, "has a backslash in its name", TOOL)
        if entry.is_symlink or entry.is_junction:
            raise refusal(archive, entry.filename, "is a symbolic link", UNTRUSTED)
        if not rules.skipped(parts):
            folders |= rules.above(parts) | ({path} if entry.is_directory else set())
        if entry.is_directory:
            continue
        if not entry.is_file:
            raise refusal(archive, entry.filename, "is neither a file nor a folder", UNTRUSTED)
        if path in found:
            raise refusal(archive, entry.filename, "stands in the archive twice", AGAIN)
        found[path] = int(entry.uncompressed or 0)
    for path in folders & found.keys():
        raise refusal(archive, path, "is a file and a folder at once", AGAIN)
    if min(found.values(), default=0) < 0:
        raise DataError("an entry of less than no bytes", file=archive, fix=UNTRUSTED)
    rules.check_whole(archive, sum(found.values()), limits)
    return found, folders


def _writers(
    archive: Path, folder: Path, sizes: dict[str, int], stack: contextlib.ExitStack, *, fix: str
) -> WriterFactory:
    """What py7zr opens its files with: only those that were looked at, and no byte more than they declare.

    Args:
        stack: closes the file that is open when py7zr ends with an error: it does not.
    """
    from py7zr.io import Py7zIO, WriterFactory

    class Writer(Py7zIO):
        """One file; what a Mac adds is read past."""

        def __init__(self, path: str) -> None:
            self.path, self.written, self.handle = path, 0, self._opened(path)

        def _opened(self, path: str) -> IO[bytes] | None:
            with rules.disk_errors(archive, path, fix=fix):
                return None if rules.skipped(path.split("/")) else open(folder / path, "xb")

        def write(self, s: bytes | bytearray) -> int:
            self.written += len(s)
            if self.written > sizes[self.path]:
                raise refusal(
                    archive, self.path, f"holds more than the {sizes[self.path]} bytes it declares", UNTRUSTED
                )
            if self.handle is not None:
                with rules.disk_errors(archive, self.path, fix=fix):
                    self.handle.write(s)
            return len(s)

        def close(self) -> None:
            if self.handle is not None:
                with rules.disk_errors(archive, self.path, fix=fix):
                    self.handle.close()

        def flush(self) -> None:
            """Nothing: the one sync at the end brings all to the disk."""

        def read(self, size: int | None = None) -> bytes:
            raise AssertionError("py7zr writes only")

        def seek(self, offset: int, whence: int = 0) -> int:
            return self.written

        def size(self) -> int:
            return self.written

    class Writers(WriterFactory):
        """A writer for each file."""

        def create(self, filename: str) -> Py7zIO:
            path = Path(filename).relative_to(folder.absolute()).as_posix()
            if path not in sizes:
                raise refusal(archive, path, "is not in the archive's table", UNTRUSTED)
            stack.close()  # what was open before is done
            return stack.enter_context(contextlib.closing(Writer(path)))

    return Writers()


def _words(error: Exception) -> str:
    return " ".join(f"{type(error).__name__} {error}".split())[:200]
