"""Content hashes: what a cache, a phase or a fold file is keyed by."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harness.errors import DataError

LENGTH = 16


def hash_value(value: Any) -> str:
    """64 bits in hexadecimal of a JSON value; equal values have equal hashes on every machine."""
    return hash_bytes(json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode())


def hash_bytes(content: bytes) -> str:
    """64 bits in hexadecimal of `content` (BLAKE2b, RFC 7693)."""
    return hashlib.blake2b(content, digest_size=LENGTH // 2).hexdigest()


def hash_file(path: str | Path) -> str:
    """64 bits in hexadecimal of a file's bytes.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        with open(path, "rb") as handle:
            return hashlib.file_digest(handle, lambda: hashlib.blake2b(digest_size=LENGTH // 2)).hexdigest()
    except OSError as error:
        raise DataError(
            f"unreadable ({error.strerror})", file=path, fix="check the file and its permissions"
        ) from error


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal: what others name too, of wheels and of submissions."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def hash_files(paths: Iterable[str]) -> list[str]:
    """The hash of every file, read by a few threads (hashing releases the interpreter)."""
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(hash_file, paths))
