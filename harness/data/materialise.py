"""Folders that appear whole or not at all, and the sample data that is drawn into one."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from filelock import FileLock
from PIL import Image

from harness import files
from harness.competition import Competition

# how a picture is saved, by the suffix of its name
PICTURE_OPTIONS: dict[str, dict[str, Any]] = {
    ".tif": {"format": "TIFF", "compression": "tiff_lzw"},
    ".png": {"format": "PNG"},
    ".jpg": {"format": "JPEG", "quality": 95},
}


def build_once(target: Path, build: Callable[[Path], None]) -> Path:
    """`target`, filled by `build(folder)` unless it is there already.

    The folder is built under another name and renamed when `build` returns: a killed or failed builder leaves nothing
    that counts. Of several processes at once one builds, the others wait and take what it built.
    """
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if target.exists():
            return target
        unfinished = target.with_name(f".{target.name}.part")
        # under the lock nobody else builds here: what lies here was left by a process that died
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            unfinished.mkdir()
            build(unfinished)
            unfinished.replace(target)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        files.sync_folder(target.parent)
    return target


def write_sample(competition: Competition, *, rows: int, seed: int, cache: Path) -> Path:
    """The folder `<cache>/samples/<name>-<rows>-<seed>` with what `competition.sample(rows, seed)` yields.

    Drawn and written once: a later call with the same arguments returns the folder as it is.
    """

    def build(folder: Path) -> None:
        for name, content in competition.sample(rows, seed):
            write_file(folder, name, content)

    return build_once(cache / "samples" / f"{competition.name}-{rows}-{seed}", build)


def write_file(folder: Path, name: str, content: np.ndarray | str | bytes) -> None:
    """Writes one sample file at `name` (relative, with `/`) below `folder`.

    An array is a uint8 picture, [H, W] or [H, W, 3], saved by the suffix of its name; text is saved as UTF-8.
    """
    relative = PurePosixPath(name)
    leaves = relative.is_absolute() or ".." in relative.parts or re.match(r"[A-Za-z]:|.*\\", name)
    assert not leaves, f"a sample file must stay below its folder: {name!r}"
    assert relative.parts, "a sample file needs a name"
    path = folder / relative
    assert not path.exists(), f"a sample yields {name!r} twice"
    path.parent.mkdir(parents=True, exist_ok=True)
    # written in place, without a sync per file: nothing in an unfinished folder counts before the folder is renamed
    path.write_bytes(_encoded(name, content))


def _encoded(name: str, content: np.ndarray | str | bytes) -> bytes:
    if isinstance(content, bytes):
        return content
    if isinstance(content, str):
        return content.encode("utf-8")
    suffix = PurePosixPath(name).suffix.lower()
    assert suffix in PICTURE_OPTIONS, f"an array is saved as {', '.join(PICTURE_OPTIONS)}, not as {name!r}"
    assert content.dtype == np.uint8, f"a picture holds uint8, not {content.dtype}: {name!r}"
    buffer = io.BytesIO()
    Image.fromarray(content).save(buffer, **PICTURE_OPTIONS[suffix])
    return buffer.getvalue()
