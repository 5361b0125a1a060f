"""Every picture is decoded once, whatever stops, moves or runs beside."""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.data.cache import Cache, mask_cache, picture_cache
from harness.data.filling import CHUNK
from harness.data.looks import thumbnails
from harness.errors import DataError, SpaceError
from harness.hashing import hash_files
from harness.tasks import BinaryMask

SIZE = (6, 8)


def write_pictures(folder: Path, count: int, *, size: tuple[int, int] = (12, 16), seed: int = 0) -> list[str]:
    """Random grey PNG files; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    paths = [folder / f"{index}.png" for index in range(count)]
    for path in paths:
        Image.fromarray(random.integers(0, 256, size, dtype=np.uint8)).save(path)
    return [str(path) for path in paths]


def write_masks(folder: Path, count: int, *, size: tuple[int, int] = (12, 16)) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    paths = [folder / f"{index}_mask.png" for index in range(count)]
    for path in paths:
        Image.fromarray((random.random(size) < 0.3).astype(np.uint8) * 255).save(path)
    return [str(path) for path in paths]


def build(paths: list[str], root: Path, hashes: list[str] | None = None, **options) -> Cache:
    return picture_cache(paths, hashes or hash_files(paths), size=SIZE, channels=1, root=root, **options)


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


def held(cache: Path, kind: str = "pictures") -> dict[str, bytes]:
    """The complete caches below a cache root: file -> bytes."""
    folders = [path.parent for path in (cache / kind).glob("*/complete.json")]
    return {path.name: path.read_bytes() for folder in folders for path in folder.iterdir() if path.name != "lock"}


def no_space(folder: Path) -> int:
    return 0


def stop_at_once(label: str, done: int, total: int) -> None:
    raise KeyboardInterrupt


def test_every_file_is_decoded_once_and_never_again(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path / "data", 5)
    hashes = hash_files(paths)
    first = build(paths, tmp_path / "cache", hashes)
    shutil.rmtree(tmp_path / "data")  # nothing is left that could be decoded
    second = build(paths, tmp_path / "cache", hashes)
    assert (first.decoded, second.decoded) == (5, 0)
    assert len(second) == 5
    np.testing.assert_array_equal(first.pixels, second.pixels)
    np.testing.assert_array_equal(second.sizes, [[12, 16]] * 5)
    assert not second.pixels.flags.writeable


def test_an_item_is_the_picture_at_the_size_asked_for(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path / "data", 3, size=SIZE)
    cache = build(paths, tmp_path / "cache")
    for index, path in enumerate(paths):
        np.testing.assert_array_equal(cache[index], np.asarray(Image.open(path))[:, :, None])


def test_a_picture_has_a_thumbnail_beside_and_a_mask_has_none(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path / "data", 3, size=(64, 200))
    cache = picture_cache(paths, hash_files(paths), size=(64, 128), channels=1, root=tmp_path / "cache")
    assert cache.thumbnails is not None
    assert cache.thumbnails.shape == (3, 32, 32, 1)
    for index in range(3):
        np.testing.assert_array_equal(cache.thumbnails[index], thumbnails(cache[index][None])[0])
    masks = write_masks(tmp_path / "data", 1)
    sizes = np.array([[12, 16]])
    assert mask_cache(masks, hash_files(masks), sizes=sizes, task=BinaryMask(), root=tmp_path).thumbnails is None


def test_data_that_moved_is_found_again(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path / "data", 3)
    first = build(paths, tmp_path / "cache")
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    moved = build([str(tmp_path / "elsewhere" / Path(path).name) for path in paths], tmp_path / "cache")
    assert moved.decoded == 0
    assert moved.key == first.key


def test_changed_bytes_another_size_and_other_channels_are_other_caches(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path / "data", 3)
    first = build(paths, tmp_path / "cache")
    hashes = hash_files(paths)
    larger = picture_cache(paths, hashes, size=(7, 8), channels=1, root=tmp_path / "cache")
    colour = picture_cache(paths, hashes, size=SIZE, channels=3, root=tmp_path / "cache")
    Image.fromarray(np.zeros((12, 16), dtype=np.uint8)).save(paths[1])
    changed = build(paths, tmp_path / "cache")
    assert len({first.key, larger.key, colour.key, changed.key}) == 4
    assert changed.decoded == 3
    assert (changed[1] == 0).all()


def test_a_stopped_build_goes_on_where_it_was_and_gives_the_same_bytes(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path / "data", CHUNK + 6)
    hashes = hash_files(paths)
    whole = build(paths, tmp_path / "whole", hashes)
    with pytest.raises(KeyboardInterrupt):
        build(paths, tmp_path / "cache", hashes, progress=stop_at_once)
    assert not held(tmp_path / "cache")
    for path in paths[:CHUNK]:
        Path(path).write_bytes(b"decoding this again would fail")
    told = []
    finished = build(paths, tmp_path / "cache", hashes, progress=lambda label, done, total: told.append((done, total)))
    assert finished.decoded == 6
    assert told == [(CHUNK + 6, CHUNK + 6)]
    assert held(tmp_path / "cache") == held(tmp_path / "whole")
    np.testing.assert_array_equal(finished.pixels, whole.pixels)


def test_a_build_killed_before_its_first_chunk_starts_again(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path / "data", 3)
    folder = tmp_path / "cache" / "pictures" / build(paths, tmp_path / "whole").key
    folder.mkdir(parents=True)
    (folder / "pixels.npy").write_bytes(b"")
    assert build(paths, tmp_path / "cache").decoded == 3
    assert held(tmp_path / "cache") == held(tmp_path / "whole")


def test_a_file_that_does_not_decode_is_remembered_with_its_problem_and_stands_there_in_black(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path / "data", 4)
    Path(paths[1]).write_bytes(b"")
    headed = Path(paths[2])
    Image.fromarray(np.random.default_rng(2).integers(0, 256, (50, 70), dtype=np.uint8)).save(headed)
    headed.write_bytes(headed.read_bytes()[:500])  # the header still says its size
    hashes = hash_files(paths)
    first = build(paths, tmp_path / "cache", hashes)
    warm = build(paths, tmp_path / "cache", hashes)
    for cache in (first, warm):
        assert sorted(cache.spoilt) == [1, 2]
        assert cache.spoilt[1][0] == "unreadable or truncated picture (no known format)"
        assert cache.sizes.tolist() == [[12, 16], [12, 16], [50, 70], [12, 16]]
        assert not cache[1].any()
        assert not cache[2].any()
        assert cache[3].any()
    assert (first.decoded, warm.decoded) == (4, 0)
    some = first.take([3, 1])
    assert (len(some), some.spoilt) == (2, {1: first.spoilt[1]})
    np.testing.assert_array_equal(some[0], first[3])


def test_a_stopped_build_still_knows_what_did_not_decode(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path / "data", CHUNK + 6)
    for place in (2, CHUNK + 2):
        Path(paths[place]).write_bytes(b"")
    hashes = hash_files(paths)
    build(paths, tmp_path / "whole", hashes)
    with pytest.raises(KeyboardInterrupt):
        build(paths, tmp_path / "cache", hashes, progress=stop_at_once)
    write_pictures(tmp_path / "data", CHUNK)  # what is decoded already is not looked at again
    assert sorted(build(paths, tmp_path / "cache", hashes).spoilt) == [2, CHUNK + 2]
    assert held(tmp_path / "cache") == held(tmp_path / "whole")


def test_what_the_disk_does_not_give_is_no_problem_of_the_file(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path / "data", 3)
    hashes = hash_files(paths)
    Path(paths[1]).unlink()
    with pytest.raises(DataError, match=r"1\.png"):
        build(paths, tmp_path / "cache", hashes)
    assert not held(tmp_path / "cache")
    write_pictures(tmp_path / "data", 3)
    assert build(paths, tmp_path / "cache", hashes).spoilt == {}


def test_too_little_space_is_told_before_anything_is_decoded(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path / "data", 3)
    with pytest.raises(SpaceError, match=r"0\.0 GB are free; give --cache DIR"):
        build(paths, tmp_path / "cache", free=no_space)
    assert not list((tmp_path / "cache").rglob("*.npy"))
    assert build(paths, tmp_path / "cache").decoded == 3


def test_a_complete_cache_needs_no_space(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path / "data", 3)
    build(paths, tmp_path / "cache")
    assert build(paths, tmp_path / "cache", free=no_space).decoded == 0


def test_masks_are_kept_at_native_size_without_loss(tmp_path: Path) -> None:
    paths = write_masks(tmp_path / "data", 4) + write_masks(tmp_path / "other", 1, size=(3, 5))
    sizes = np.array([[12, 16]] * 4 + [[3, 5]])
    cache = mask_cache(paths, hash_files(paths), sizes=sizes, task=BinaryMask(), root=tmp_path / "cache")
    assert cache.decoded == 5
    for index, path in enumerate(paths):
        np.testing.assert_array_equal(cache[index][:, :, 0] * np.uint8(255), np.asarray(Image.open(path)))


def test_a_mask_of_another_size_is_refused_with_both_sizes(tmp_path: Path) -> None:
    paths = write_masks(tmp_path / "data", 2)
    sizes = np.array([[12, 16], [12, 17]])
    cache = mask_cache(paths, hash_files(paths), sizes=sizes, task=BinaryMask(), root=tmp_path / "cache")
    assert {row: problem for row, (problem, _) in cache.spoilt.items()} == {1: "the mask is 12x16, its picture 12x17"}


def test_a_grey_mask_is_refused_with_its_name(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path / "data", 1)
    sizes = np.array([[12, 16]])
    cache = mask_cache(paths, hash_files(paths), sizes=sizes, task=BinaryMask(), root=tmp_path / "cache")
    assert re.match(r"the mask has \d+ grey pixels", cache.spoilt[0][0])


def test_nothing_is_written_beside_the_input(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path / "data", 3)
    before = listing(tmp_path / "data")
    build(paths, tmp_path / "cache")
    assert listing(tmp_path / "data") == before


def test_two_builders_at_once_decode_every_file_once_between_them(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path / "data", CHUNK + 6)
    hashes = hash_files(paths)
    with ThreadPoolExecutor(4) as pool:
        caches = list(pool.map(lambda _: build(paths, tmp_path / "cache", hashes), range(4)))
    assert sorted(cache.decoded for cache in caches) == [0, 0, 0, CHUNK + 6]
    build(paths, tmp_path / "whole", hashes)
    assert held(tmp_path / "cache") == held(tmp_path / "whole")


def test_no_files_are_a_cache_of_none(tmp_path: Path) -> None:
    assert len(build([], tmp_path / "cache")) == 0
