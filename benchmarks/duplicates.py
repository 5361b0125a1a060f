"""What looking for duplicates costs: the cache pass with and without thumbnails, and the join after it.

Draws a few hundred pictures of 256 pixels, writes them as JPEG over and over with other qualities and small changes of
light, and some byte copies, recompressed copies and mirrored copies beside. Both passes decode every file; they take
turns, each beginning once. The counts are asserted: every copy is joined to its picture, and nothing else to anything.

Run: python -m benchmarks.duplicates [--pictures 40000] [--write]
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from harness import files
from harness.data import alike, cache, pictures
from harness.hashing import hash_files

SIDE = 256
LIMIT = 0.10  # share of the cache pass
RESULT = Path(__file__).with_name("results") / "duplicates.md"
COPIES = ("the same bytes", "recompressed", "mirrored")
SHARE = 50  # one in so many pictures is a copy


def scene(seed: int) -> np.ndarray:
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


def plain(paths: list[str], hashes: list[str], root: Path) -> float:
    """Seconds of the pass without thumbnails."""
    shapes = np.tile(np.array([SIDE, SIDE, 3], dtype=np.int64), (len(paths), 1))

    def decode(index: int) -> tuple[np.ndarray, tuple[int, int]]:
        picture = pictures.read_picture(paths[index], 3)
        return pictures.shrink(picture, (SIDE, SIDE)), (picture.shape[0], picture.shape[1])

    began = time.perf_counter()
    cache._build("pictures", hashes[0], decode, shapes, lambda index: pictures.known_size(paths[index]), root=root)
    return time.perf_counter() - began


def looked(paths: list[str], hashes: list[str], root: Path) -> tuple[float, cache.Cache]:
    """Seconds of the pass with thumbnails, and what it built."""
    began = time.perf_counter()
    built = cache.picture_cache(paths, hashes, size=(SIDE, SIDE), channels=3, root=root)
    return time.perf_counter() - began, built


def measure(count: int, turns: int) -> dict[str, Any]:
    """Seconds of the passes and of the join; the least of `turns` passes each: other work only adds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ThreadPoolExecutor() as pool:
            paths = list(pool.map(functools.partial(write, folder), range(count)))
        hashes = hash_files(paths)
        without, with_them, built = [], [], None
        for turn in range(turns):
            first = bool(turn % 2)
            for kind in (first, not first):
                root = folder / f"cache{turn}{kind}"
                if kind:
                    without.append(plain(paths, hashes, root))
                else:
                    seconds, built = looked(paths, hashes, root)
                    with_them.append(seconds)
        assert built is not None, "at least one turn"
        assert built.thumbnails is not None, "caches of pictures have thumbnails"
        began = time.perf_counter()
        groups = alike.alike_groups(built.thumbnails)
        joining = time.perf_counter() - began
    expected = np.arange(count)
    expected[SHARE - 1 :: SHARE] -= 1
    assert (np.unique(expected, return_inverse=True)[1] == groups).all(), "a copy was missed, or others joined"
    least, most = min(without), min(with_them)
    extra = (most + joining - least) / least
    copies = count - len(np.unique(groups))
    return {"count": count, "copies": copies, "plain": least, "looked": most, "join": joining, "extra": extra}


def main() -> None:
    """Prints what was measured; exits 1 at ten percent or more."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=2000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--write", action="store_true", help=f"write {RESULT.name}")
    asked = parser.parse_args()
    found = measure(asked.pictures, asked.turns)
    lines = [
        "| pictures of 256 px | copies, all joined | cache pass | with thumbnails | join | extra |",
        "|---|---|---|---|---|---|",
        "| {count:,} | {copies:,} | {plain:.1f} s | {looked:.1f} s | {join:.2f} s | {extra:.1%} |".format(**found),
    ]
    print("\n".join(lines))
    if asked.write:
        command = f"python -m benchmarks.duplicates --pictures {asked.pictures} --turns {asked.turns}"
        head = f"# Looking for duplicates\n\n`{command}`: the least of {asked.turns} passes of each kind, by turns; "
        head += "drawn JPEG files, decoded from the page cache on two CPU cores.\n\n"
        files.write_text(RESULT, head + "\n".join(lines) + "\n")
    if found["extra"] >= LIMIT:
        raise SystemExit(f"looking for duplicates costs {found['extra']:.1%} of the cache pass")


if __name__ == "__main__":
    main()
