"""A cache folder is filled a chunk of files at a time, and goes on after its last whole chunk where it was stopped.

N files, H height, W width, C channels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from harness import files
from harness.competition import Size
from harness.data import looks, pictures
from harness.errors import DataError

CHUNK = 64
JOURNAL = "progress.json"
Progress = Callable[[str, int, int], None]
Decode = Callable[[int], tuple[np.ndarray, Size]]


def fill(
    folder: Path,
    decode: Decode,
    shapes: np.ndarray,
    size_of: Callable[[int], Size],
    small: np.ndarray,
    label: str,
    progress: Progress,
) -> tuple[int, dict[str, tuple[str, str]]]:
    """Decodes what is not there yet, a chunk at a time; returns how many files it decoded, and all that are spoilt.

    Args:
        small: int64 [3], the shape of a thumbnail; of no channels where none are kept.
    """

    def tried(index: int) -> tuple[np.ndarray | None, Size, tuple[str, str] | None]:
        try:
            picture, size = decode(index)
        except DataError as error:
            if getattr(error.__cause__, "errno", None) is not None:
                raise  # the disk's word, not the file's: it may read well the next time
            return None, size_of(index), (error.problem, error.fix)
        return picture, size, None

    lengths = shapes.prod(axis=1)
    ends = np.cumsum(lengths)
    journal = folder / JOURNAL
    if not journal.exists():  # what a build left that was stopped before its first chunk, if anything
        (folder / "pixels.npy").unlink(missing_ok=True)
    pixels = files.grow_array(folder / "pixels.npy", int(ends[-1]) if len(ends) else 0)
    again = f"remove {folder}: it is made again"
    noted: dict[str, Any] = files.read_json(journal, fix=again) if journal.exists() else {"sizes": []}
    done, spoilt = noted["sizes"], noted.get("spoilt", {})
    before = len(done)
    # three kilobytes a picture are kept in memory till the end: a second file to bring to the disk with every chunk
    # costs more than drawing them, and those of chunks that another process wrote are drawn again
    thumbnails = np.zeros((len(shapes), *small), dtype=np.uint8)
    workers = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(max_workers=workers) as pool, alone_in_threads():

        def draw(indices: range) -> None:
            part = pixels[ends[indices[0]] - lengths[indices[0]] : ends[indices[-1]]]
            thumbnails[indices.start : indices.stop] = looks.thumbnails(part.reshape(-1, *shapes[indices[0]]))

        for start in range(0, len(shapes), CHUNK):
            indices = range(start, min(start + CHUNK, len(shapes)))
            if start < before:
                if small.all():
                    draw(indices)
                continue
            for index, (picture, size, problem) in zip(indices, pool.map(tried, indices), strict=True):
                pixels[ends[index] - lengths[index] : ends[index]] = 0 if picture is None else picture.ravel()
                done.append(size)
                if problem is not None:
                    spoilt[str(index)] = problem
            # while the disk is waited for, one of the threads has nothing else to do
            drawing = pool.submit(draw, indices) if small.all() else None
            pixels.flush()
            if drawing is not None:
                drawing.result()
            files.write_json(journal, {"sizes": done, "spoilt": spoilt})
            progress(label, len(done), len(shapes))
    if small.all():
        files.write_array(folder / "thumbnails.npy", thumbnails.reshape(-1))
    files.write_array(folder / "sizes.npy", pictures.guessed_sizes(done))
    return len(shapes) - before, spoilt


@contextmanager
def alone_in_threads() -> Iterator[None]:
    """Lets no OpenCV function start threads of its own: files are taken side by side already, and its pool spins."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
