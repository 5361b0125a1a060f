"""The one place that writes files: a temporary beside the target, fsync, rename. A reader never sees half a file.

Sources: POSIX rename(2) is atomic within a file system; the folder is synced too, else the rename itself may be lost.
"""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from harness.errors import RunError, SpaceError

if TYPE_CHECKING:
    import numpy as np

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, the user's share of it, the largest file there may be
FreeSpace = Callable[[Path], int]
Clock = Callable[[], float]


def free_space(folder: Path) -> int:
    """Bytes free for this user on the disk that holds `folder` (or its nearest existing parent)."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


@contextmanager
def replacing(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Yields a temporary file that takes the name `path` when the block ends well and vanishes when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    text = "b" not in mode
    try:
        with open(temporary, mode, encoding="utf-8" if text else None, newline="" if text else None) as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        with suppress(OSError):  # where that fails too, the first failure is the one to tell
            temporary.unlink()


def adopt(source: Path, target: Path) -> None:
    """Gives a finished file or folder, which another program wrote on the same disk, the name `target`."""
    if source.is_file():
        with open(source, "rb") as handle:
            os.fsync(handle.fileno())
    os.replace(source, target)
    sync_folder(target.parent)


def sweep(folder: Path) -> None:
    """Removes temporaries that killed processes left below `folder`, in which nobody else writes."""
    for left in folder.rglob(".*.tmp"):
        left.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Makes renames inside `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, content: bytes) -> None:
    """Replaces `path` by `content` at once."""
    with replacing(path) as handle:
        handle.write(content)


def write_text(path: Path, content: str) -> None:
    """Replaces `path` by UTF-8 `content` at once, newlines as given."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Replaces `path` by `value` as indented JSON; non-finite numbers become null."""
    write_text(path, json.dumps(finite(value), indent=1, allow_nan=False) + "\n")


def write_array(path: Path, array: np.ndarray) -> None:
    """Replaces `path` by `array` in npy format."""
    import numpy as np

    with replacing(path) as handle:
        np.save(handle, array, allow_pickle=False)


@contextmanager
def replacing_array(path: Path, length: int, *, kind: Any = "uint8") -> Iterator[np.memmap]:
    """Yields a writable flat memory map of dtype `kind` that takes the name `path` (npy) when the block ends well.

    Raises:
        SpaceError: the disk is full.
    """
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        array = _reserved(np.lib.format.open_memmap(temporary, mode="w+", dtype=kind, shape=(length,)), temporary)
        yield array
        array.flush()
        del array
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        with suppress(OSError):  # where that fails too, the first failure is the one to tell
            temporary.unlink()


def read_array(path: Path, kind: str, length: int) -> np.ndarray:
    """A flat, read-only view of an npy file, mapped: of `length` numbers of dtype `kind`. Objects are never unpickled.

    Raises:
        RunError: damaged, of another kind or length, or no npy file.
    """
    import tokenize

    import numpy as np

    try:
        # a plain view of the mapped file: slicing a memmap costs five times as much
        array = np.asarray(np.lib.format.open_memmap(path, mode="r")).reshape(-1)
    except (OSError, ValueError, EOFError, SyntaxError, tokenize.TokenError, OverflowError, MemoryError) as error:
        problem = f"unreadable as an array ({' '.join(str(error).split())[:200]})"
        raise RunError(problem, file=path, fix="delete the folder it lies in: what is missing is made anew") from error
    if array.dtype != np.dtype(kind) or len(array) != length:
        problem = f"holds {len(array)} {array.dtype}, not {length} {kind}"
        raise RunError(problem, file=path, fix="delete the folder it lies in: what is missing is made anew")
    return array


def read_json(path: Path, *, fix: str) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        RunError: unreadable, or none.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"unreadable ({error})", file=path, fix=fix) from error
    if not isinstance(value, dict):
        raise RunError("holds no JSON object", file=path, fix=fix)
    return value


def append_line(path: Path, value: Any, *, durable: bool = False) -> None:
    """Adds one JSON line to a log, on a line of its own even where a killed process left a torn one.

    Args:
        durable: return when the line is on the disk, where it outlasts a loss of power.
    """
    with open(path, "a+b") as handle:
        handle.seek(max(0, handle.seek(0, os.SEEK_END) - 1))
        torn = handle.read(1) not in (b"", b"\n")
        handle.write((b"\n" if torn else b"") + (json.dumps(finite(value), allow_nan=False) + "\n").encode())
        if durable:
            handle.flush()
            os.fsync(handle.fileno())
    if durable:
        sync_folder(path.parent)


def grow_array(path: Path, length: int) -> np.memmap:
    """A writable flat uint8 memory map at `path`, created when absent, reopened when present.

    The caller fills it inside a folder that is not complete yet and marks completion itself.

    Raises:
        SpaceError: the disk is full.
    """
    import numpy as np

    if path.exists():
        return np.lib.format.open_memmap(path, mode="r+")
    path.parent.mkdir(parents=True, exist_ok=True)
    return _reserved(np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(length,)), path)


def _reserved(array: np.memmap, path: Path) -> np.memmap:
    """The map with its blocks on disk: a hole met by a full disk would end the process without a word (SIGBUS)."""
    if hasattr(os, "posix_fallocate"):
        try:
            with open(path, "r+b") as handle:
                os.posix_fallocate(handle.fileno(), 0, path.stat().st_size)
        except OSError as error:
            path.unlink(missing_ok=True)
            if error.errno not in FULL:
                raise
            fix = "free some space, or choose another disk with --cache or --out"
            raise SpaceError(f"no space for {array.nbytes / 1e6:.1f} MB", file=path.parent, fix=fix) from error
    return array


def finite(value: Any) -> Any:
    """`value` with every NaN and infinity replaced by None, for JSON that any reader takes."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return value
