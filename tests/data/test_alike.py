"""Alike: the same picture stored twice is one group, another picture is another."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data import alike, looks
from harness.data.alike import merge_groups
from harness.data.looks import thumbnails


def photograph(seed: int, size: tuple[int, int] = (96, 128)) -> np.ndarray:
    """uint8 [H, W, 3]: coloured blobs of many sizes, as different from another seed's as photographs are."""
    random = np.random.default_rng(seed)
    total = np.zeros((*size, 3), dtype=np.float32)
    for cells in (3, 6, 12, 24):
        coarse = random.normal(0, 60 / np.sqrt(cells), (cells, cells, 3)).astype(np.float32)
        total += cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(128 + total, 0, 255).astype(np.uint8)


def recompressed(picture: np.ndarray, quality: int) -> np.ndarray:
    encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    assert decoded is not None, "what was just encoded decodes"
    return decoded


def brighter(picture: np.ndarray, levels: int) -> np.ndarray:
    return np.clip(picture.astype(int) + levels, 0, 255).astype(np.uint8)


def disc(colour: tuple[int, int, int], radius: int = 20) -> np.ndarray:
    """uint8 [96, 96, 3]: one filled disc, off the middle, on a grey gradient."""
    page = np.repeat(np.linspace(90, 160, 96).astype(np.uint8)[:, None, None], 96, axis=1).repeat(3, axis=2)
    return cv2.circle(np.ascontiguousarray(page), (40, 55), radius, colour, -1)


def alike_groups(pictures: list[np.ndarray]) -> np.ndarray:
    return alike.alike_groups(np.concatenate([thumbnails(picture[None]) for picture in pictures]))


def mirrored(picture: np.ndarray) -> list[np.ndarray]:
    """Left to right, top to bottom, both."""
    return [picture[:, ::-1], picture[::-1], picture[::-1, ::-1]]


def test_copies_of_a_picture_join_it_and_other_pictures_do_not() -> None:
    one, other = photograph(0), photograph(1)
    smaller = cv2.resize(one, (64, 48), interpolation=cv2.INTER_AREA)
    pictures = [one, other, one.copy(), recompressed(one, 60), brighter(one, 10), smaller, recompressed(other, 75)]
    assert alike_groups(pictures).tolist() == [0, 1, 0, 0, 0, 0, 1]


def test_grey_pictures_are_compared_too() -> None:
    one, other = photograph(0)[:, :, :1], photograph(1)[:, :, :1]
    assert alike_groups([one, other, brighter(one, 10)]).tolist() == [0, 1, 0]


def test_four_hundred_different_pictures_stay_apart_however_many_copies_there_are() -> None:
    copies = {400: 7, 401: 7, 402: 200}

    def read(index: int) -> np.ndarray:
        picture = photograph(copies.get(index, index), (48, 48))
        return recompressed(picture, 70) if index in copies else picture

    assert alike_groups([read(index) for index in range(403)]).tolist() == [*range(400), 7, 7, 200]


@pytest.mark.parametrize("seed", range(12))
def test_a_mirrored_copy_joins_its_picture_compressed_and_resized_too(seed: int) -> None:
    one, other = photograph(seed), photograph(seed + 100)
    copies = [recompressed(np.ascontiguousarray(copy), 70) for copy in mirrored(one)]
    copies += [cv2.resize(np.ascontiguousarray(copy), (70, 50)) for copy in mirrored(one)]
    assert alike_groups([one, other, *copies]).tolist() == [0, 1, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("seed", range(4))
def test_a_picture_that_is_nearly_its_own_mirror_image_joins_its_copies(seed: int) -> None:
    half, other = photograph(seed, (96, 64)), photograph(seed + 50).astype(int)
    nearly = np.clip(np.hstack([half, half[:, ::-1]]) + (other - 128) // 4, 0, 255).astype(np.uint8)
    copies = [recompressed(np.ascontiguousarray(copy), 80) for copy in (nearly, *mirrored(nearly))]
    assert alike_groups([nearly, *copies]).tolist() == [0, 0, 0, 0, 0]


def test_four_hundred_different_pictures_stay_apart_from_each_other_s_mirror_images() -> None:
    pictures = [photograph(seed, (48, 48)) for seed in range(400)]
    assert alike_groups([*pictures, pictures[7][:, ::-1], pictures[200][::-1]]).tolist() == [*range(400), 7, 200]


def test_a_turned_picture_is_another_one() -> None:
    one = photograph(0, (96, 96))
    assert alike_groups([one, np.ascontiguousarray(np.rot90(one))]).tolist() == [0, 1]


def test_near_constant_pictures_never_join_not_even_equal_ones() -> None:
    black, white = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8)
    speck = black.copy()
    speck[5, 5] = 9
    assert alike_groups([black, white, speck, black.copy(), black[:32]]).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("radius", [12, 20, 30])
def test_a_recoloured_shape_is_another_picture(radius: int) -> None:
    # red, green and blue of about equal luma: only colour tells them apart
    colours = [(200, 40, 40), (20, 110, 40), (70, 70, 255), (200, 40, 40)]
    assert alike_groups([disc(colour, radius) for colour in colours]).tolist() == [0, 1, 2, 0]


def test_no_pictures_have_no_groups() -> None:
    assert alike.alike_groups(np.zeros((0, 32, 32, 3), np.uint8)).tolist() == []
    assert alike_groups([photograph(0)]).tolist() == [0]


def test_near_hashes_are_those_within_four_bits() -> None:
    random = np.random.default_rng(0)
    hashes = random.integers(0, 1 << 63, 300).astype(np.uint64)
    for row in range(100, 300):  # up to 6 bits from one of the first hundred
        flipped = random.choice(64, random.integers(0, 7), replace=False)
        hashes[row] = hashes[row % 100] ^ np.bitwise_or.reduce(np.uint64(1) << flipped.astype(np.uint64))
    bits = np.unpackbits(hashes.view(np.uint8).reshape(300, 8), axis=1)
    apart = (bits[:, None] != bits[None]).sum(axis=2)
    expected = {(one, other) for one, other in np.argwhere(apart <= 4).tolist() if one < other}
    found = {
        (min(pair), max(pair))
        for one, other in alike._near(hashes)
        for pair in zip(one.tolist(), other.tolist(), strict=True)
    }
    assert len(expected) > 100
    assert found == expected


def test_in_a_large_band_each_picture_is_compared_with_the_next_few_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike, "NEIGHBOURS", 3)
    # ten hashes, 2 bits apart, that differ in the first band and are equal in four
    hashes = np.uint64(1) << np.arange(10, dtype=np.uint64)
    assert sum(len(one) for one, _ in alike._near(hashes)) == 4 * (9 + 8 + 7)


def test_merged_groups_are_what_either_kind_connects() -> None:
    patients = ["p1", "p1", "p2", "p3", "p4", "p5"]
    pictures = [0, 1, 1, 2, 3, 2]
    assert merge_groups(patients, pictures).tolist() == [0, 0, 0, 1, 2, 1]
    assert merge_groups([], []).tolist() == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30))
def test_merged_groups_agree_with_a_search_from_row_to_row(rows: list[tuple[int, int]]) -> None:
    found = merge_groups([str(one) for one, _ in rows], [other for _, other in rows])
    seen: dict[int, int] = {}
    for start in range(len(rows)):
        if start in seen:
            continue
        group, stack = len(set(seen.values())), [start]
        while stack:
            row = stack.pop()
            if row not in seen:
                seen[row] = group
                stack += [n for n, (a, b) in enumerate(rows) if a == rows[row][0] or b == rows[row][1]]
    assert found.tolist() == [seen[row] for row in range(len(rows))]


def test_a_path_of_many_links_is_one_group() -> None:
    shuffled = np.random.default_rng(0).permutation(4000)
    assert (merge_groups((shuffled // 2).tolist(), ((shuffled + 1) // 2).tolist()) == 0).all()


def test_a_thumbnail_is_the_mean_of_areas_halved_exactly() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (256, 384, 3), dtype=np.uint8)
    halves = picture
    for size in ((192, 128), (96, 64), (48, 32)):
        halves = cv2.resize(halves, size, interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(
        looks.thumbnails(picture[None])[0], cv2.resize(halves, (32, 32), interpolation=cv2.INTER_AREA)
    )
