"""What looking for duplicates costs: the cache pass with and without thumbnails, and the join after it.

Draws a few hundred pictures of 256 pixels, writes blends of two of them as JPEG, and some byte copies, recompressed
copies and mirrored copies beside. Both passes decode every file; they take turns. Seconds are those of the processor,
of all threads, which other work on the machine moves least; those of the clock stand beside. The counts are asserted:
every copy is joined to its picture, and nothing else to anything.

Run: python -m benchmarks.duplicates [--pictures 40000] [--write]
"""

from __future__ import annotations

import argparse
import functools
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from harness import files
from harness.data import alike, cache, filling, looks, pictures
from harness.hashing import hash_files

SIDE, DRAWN = 256, 400
LIMIT = 0.10  # share of the cache pass
RESULT = Path(__file__).with_name("results") / "duplicates.md"
COPIES = ("the same bytes", "recompressed", "mirrored")
SHARE = 50  # one in so many pictures is a copy


def scene(index: int) -> np.ndarray:
    """uint8 [256, 256, 3]: two of the drawn pictures, blended; no two of up to 40,000 correlate by more than 0.7."""
    one, other = index % DRAWN, (index + 1 + index // DRAWN) % DRAWN
    return cv2.addWeighted(drawn(one), 0.6, drawn(other), 0.4, 0)


@functools.cache
def drawn(seed: int) -> np.ndarray:
    """uint8 [256, 256, 3]: coloured blobs of many sizes, as different from another seed's as photographs."""
    random = np.random.default_rng(seed)
    total = np.zeros((SIDE, SIDE, 3), dtype=np.float32)
    for cells in (3, 6, 12, 24, 96):
        coarse = random.normal(0, 60 / np.sqrt(cells), (cells, cells, 3)).astype(np.float32)
        total += cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + total, 0, 255).astype(np.uint8)


def write(folder: Path, index: int) -> str:
    """One file; its path. The last of every `SHARE` is a copy of the one before, by turns of each of `COPIES`."""
    path = folder / f"{index}.jpg"
    if index % SHARE != SHARE - 1:
        picture, quality = scene(index), 85
    else:
        kind = COPIES[index // SHARE % len(COPIES)]
        picture = scene(index - 1)
        quality = 60 if kind == "recompressed" else 85
        picture = np.ascontiguousarray(picture[:, ::-1]) if kind == "mirrored" else picture
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return str(path)


def plain(paths: list[str], hashes: list[str], root: Path) -> None:
    """The pass without thumbnails."""
    shapes = np.tile(np.array([SIDE, SIDE, 3], dtype=np.int64), (len(paths), 1))

    def decode(index: int) -> tuple[np.ndarray, tuple[int, int]]:
        picture = pictures.read_picture(paths[index], 3)
        return pictures.shrink(picture, (SIDE, SIDE)), (picture.shape[0], picture.shape[1])

    cache._build("pictures", hashes[0], decode, shapes, lambda index: pictures.known_size(paths[index]), root=root)


def looked(paths: list[str], hashes: list[str], root: Path) -> cache.Cache:
    """The pass with thumbnails."""
    return cache.picture_cache(paths, hashes, size=(SIDE, SIDE), channels=3, root=root)


def alone(found: cache.Cache) -> np.ndarray:
    """uint8 [N, 32, 32, 3]: the thumbnails drawn once more, as the pass does it, with nothing beside."""
    every = found.pixels[: len(found) * SIDE * SIDE * 3].reshape(-1, SIDE, SIDE, 3)
    with filling.alone_in_threads():
        chunks = range(0, len(found), filling.CHUNK)
        return np.concatenate([looks.thumbnails(every[start : start + filling.CHUNK]) for start in chunks])


def timed(work: Callable[[], Any]) -> tuple[np.ndarray, Any]:
    """(float [2], seconds of the processor and of the clock; what the work returned)."""
    began = time.process_time(), time.perf_counter()
    found = work()
    return np.array([time.process_time() - began[0], time.perf_counter() - began[1]]), found


def measure(count: int, turns: int) -> dict[str, Any]:
    """Seconds [2] of the passes and of the join; the least of `turns` each: other work only adds."""
    without, with_them, drawing, joins, groups = [], [], [], [], np.zeros(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ThreadPoolExecutor() as pool:
            paths = list(pool.map(functools.partial(write, folder), range(count)))
        hashes = hash_files(paths)
        for turn in range(turns):
            for kind in (plain, looked) if turn % 2 else (looked, plain):
                seconds, found = timed(functools.partial(kind, paths, hashes, folder / "cache"))
                if found is None:
                    without.append(seconds)
                else:
                    with_them.append(seconds)
                    seconds, small = timed(functools.partial(alone, found))
                    assert (small == found.thumbnails).all(), "other thumbnails than the pass drew"
                    drawing.append(seconds)
                    seconds, groups = timed(functools.partial(alike.alike_groups, small))
                    joins.append(seconds)
                shutil.rmtree(folder / "cache")  # eight gigabytes at 40,000
    expected = np.arange(count)
    expected[SHARE - 1 :: SHARE] -= 1
    assert (np.unique(expected, return_inverse=True)[1] == groups).all(), "a copy was missed, or others joined"
    least, most, drawn_in, joining = (np.min(seconds, axis=0) for seconds in (without, with_them, drawing, joins))
    copies = count - len(np.unique(groups))
    parts = {"plain": least, "looked": most, "alone": drawn_in, "join": joining}
    between, extra = (most + joining - least) / least, (drawn_in + joining) / least
    return {"count": count, "copies": copies, **parts, "between": between, "extra": extra}


def main() -> None:
    """Prints what was measured; exits 1 at ten percent or more."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.name}")
    asked = parser.parse_args()
    found = measure(asked.pictures, asked.turns)
    lines = [
        "| pictures of 256 px | copies, all joined | cache pass | with thumbnails | thumbnails alone | join | extra |"
        " between the passes |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {found['count']:,} ({kind}) | {found['copies']:,} | {found['plain'][place]:.1f} s "
            f"| {found['looked'][place]:.1f} s | {found['alone'][place]:.2f} s | {found['join'][place]:.2f} s "
            f"| {found['extra'][place]:.1%} | {found['between'][place]:+.1%} |"
            for place, kind in enumerate(("processor", "clock"))
        ),
    ]
    print("\n".join(lines))
    if asked.write:
        command = f"python -m benchmarks.duplicates --pictures {asked.pictures} --turns {asked.turns}"
        head = f"# Looking for duplicates\n\n`{command}`: the least of {asked.turns} passes of each kind, by turns; "
        head += "drawn JPEG files, decoded from the page cache on two CPU cores. Extra: thumbnails and join, each "
        head += (
            "measured alone on one thread, over the pass; the passes themselves differ by more from turn to turn.\n\n"
        )
        files.write_text(RESULT, head + "\n".join(lines) + "\n")
    if found["extra"][0] >= LIMIT:
        raise SystemExit(f"looking for duplicates costs {found['extra'][0]:.1%} of the cache pass")


if __name__ == "__main__":
    main()
