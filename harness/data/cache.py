"""The decode-once cache: every picture is decoded one time, whatever the number of folds and runs.

A cache is a folder `<root>/<kind>/<key>` with `pixels.npy` (a uint8 memory map), of pictures `thumbnails.npy`,
`sizes.npy` and, once all is written, `complete.json`. The key hashes the files' bytes and the shape asked for, so that
moved or renamed data is found again and changed data never is. A build that was stopped goes on after its last whole
chunk. A file that does not decode is remembered with its problem and stands there as black pixels: whether a row may be
left out, others decide.

N files, H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from harness import files
from harness.competition import Size
from harness.data import looks, pictures
from harness.data.filling import JOURNAL, Decode, Progress, fill
from harness.errors import DataError, SpaceError
from harness.hashing import hash_value
from harness.tasks import Task

VERSION = 3
SPARE = 200_000_000  # bytes left free beside what a cache needs, so that logs and states still fit


def silent(label: str, done: int, total: int) -> None:
    """No progress bar."""


@dataclass(frozen=True)
class Cache:
    """Decoded pixels on disk.

    Attributes:
        pixels: flat uint8 memory map of all files, one after another.
        shapes: int64 [N, 3], the (height, width, channels) each file's pixels are stored in.
        sizes: int64 [N, 2], native (height, width); of a file without even a header the commonest of the others.
        offsets: int64 [N], where each file's pixels start.
        key: the content key.
        decoded: files decoded by the call that gave this; 0 when it was complete already.
        spoilt: file -> (problem, fix) of those that do not decode.
        thumbnails: uint8 [N, 32, 32, C] memory map, of pictures; None of masks.
    """

    pixels: np.ndarray
    shapes: np.ndarray
    sizes: np.ndarray
    offsets: np.ndarray
    key: str
    decoded: int
    spoilt: dict[int, tuple[str, str]]
    thumbnails: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, index: int) -> np.ndarray:
        """uint8 [H, W, C] of one file, a read-only view of the memory map."""
        start = self.offsets[index]
        return self.pixels[start : start + int(self.shapes[index].prod())].reshape(self.shapes[index])

    def take(self, rows: Sequence[int] | np.ndarray) -> Cache:
        """The files at `rows`, in that order."""
        spoilt = {new: self.spoilt[int(old)] for new, old in enumerate(rows) if int(old) in self.spoilt}
        places = {name: getattr(self, name)[rows] for name in ("shapes", "sizes", "offsets")}
        thumbnails = None if self.thumbnails is None else self.thumbnails[rows]
        return replace(self, **places, spoilt=spoilt, thumbnails=thumbnails)


def picture_cache(
    paths: Sequence[str], hashes: Sequence[str], *, size: Size, channels: int, root: Path, **options: Any
) -> Cache:
    """The pictures, shrunk to `size` (height, width), with `channels` channels. Options as `_build`."""
    shapes = np.tile(np.array([*size, channels], dtype=np.int64), (len(paths), 1))

    def decode(index: int) -> tuple[np.ndarray, Size]:
        picture = pictures.read_picture(paths[index], channels)
        return pictures.shrink(picture, size), (picture.shape[0], picture.shape[1])

    key = hash_value([VERSION, "pictures", list(hashes), size, channels])
    return _build(
        "pictures",
        key,
        decode,
        shapes,
        lambda index: pictures.known_size(paths[index]),
        root=root,
        channels=channels,
        **options,
    )


def mask_cache(
    paths: Sequence[str],
    hashes: Sequence[str],
    *,
    sizes: np.ndarray,
    task: Task,
    root: Path,
    **options: Any,
) -> Cache:
    """The masks, lossless, at native size; `sizes` [N, 2] are their pictures' sizes. Options as `_build`.

    Spoilt are those of another size than their picture, too, and those that the task refuses.
    """
    shapes = np.concatenate([sizes, np.ones((len(paths), 1), dtype=np.int64)], axis=1)

    def decode(index: int) -> tuple[np.ndarray, Size]:
        mask = pictures.read_mask(paths[index])
        if mask.shape != tuple(sizes[index]):
            raise DataError(
                f"the mask is {mask.shape[0]}x{mask.shape[1]}, its picture {sizes[index][0]}x{sizes[index][1]}",
                file=paths[index],
                fix="masks and pictures have the same size; download the pair again",
            )
        return task.encode(mask, paths[index]).astype(np.uint8)[:, :, None], (mask.shape[0], mask.shape[1])

    key = hash_value([VERSION, "masks", list(hashes), sizes.tolist(), repr(task)])
    return _build("masks", key, decode, shapes, lambda index: tuple(sizes[index].tolist()), root=root, **options)


def _build(
    kind: str,
    key: str,
    decode: Decode,
    shapes: np.ndarray,
    size_of: Callable[[int], Size],
    *,
    root: Path,
    channels: int = 0,
    label: str = "",
    free: files.FreeSpace = files.free_space,
    progress: Progress = silent,
) -> Cache:
    """The complete cache of that key, built or finished first when it is not.

    Args:
        size_of: (height, width) of a file that does not decode; (0, 0) where nothing says it.
        channels: of the thumbnails that are kept beside; 0 keeps none.

    Raises:
        SpaceError: less free disk than the cache needs.
        DataError: a file that the disk does not give.
    """
    folder = root / kind / key
    folder.mkdir(parents=True, exist_ok=True)
    small = np.array([looks.SIDE, looks.SIDE, channels])
    lengths, looked = shapes.prod(axis=1), len(shapes) * int(small.prod())
    total = int(lengths.sum()) + looked
    # one builder at a time; a reader of a complete cache waits for nobody
    with FileLock(folder / "lock") if not (folder / "complete.json").exists() else nullcontext():
        decoded = 0
        if not (folder / "complete.json").exists():
            missing = total - _held(folder / "pixels.npy") - _held(folder / "thumbnails.npy")
            if missing + SPARE > free(root):
                needs, has = (missing + SPARE) / 1e9, free(root) / 1e9
                raise SpaceError(
                    f"the cache of {label or kind} needs {needs:.1f} GB, {has:.1f} GB are free",
                    file=root,
                    fix="give --cache DIR on a larger disk, or free some space",
                )
            decoded, spoilt = fill(folder, decode, shapes, size_of, small, label or kind, progress)
            files.write_json(folder / "complete.json", {"files": len(shapes), "bytes": total, "spoilt": spoilt})
            (folder / JOURNAL).unlink(missing_ok=True)
    pixels, thumbnails = files.read_array(folder / "pixels.npy", "uint8", total - looked), None
    if channels:
        thumbnails = files.read_array(folder / "thumbnails.npy", "uint8", looked).reshape(-1, *small)
    known = files.read_json(folder / "complete.json", fix=f"remove {folder}: it is made again").get("spoilt", {})
    spoilt = {int(index): (problem, fix) for index, (problem, fix) in known.items()}
    sizes = files.read_array(folder / "sizes.npy", "int64", 2 * len(shapes)).reshape(-1, 2)
    return Cache(pixels, shapes, sizes, np.cumsum(lengths) - lengths, key, decoded, spoilt, thumbnails)


def _held(path: Path) -> int:
    """Bytes on disk that a started cache holds already; a memory map may be sparse."""
    return path.stat().st_blocks * 512 if path.exists() else 0
