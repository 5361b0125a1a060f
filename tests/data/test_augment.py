"""Augmentation: one seed, one picture; the mask goes where its picture goes."""

from __future__ import annotations

import pickle
from collections import Counter
from typing import get_args

import cv2
import numpy as np
import pytest
import torch

from harness.competition import Symmetry
from harness.data.augment import Augmentation, shrink_mask
from harness.data.pictures import shrink
from harness.symmetries import SYMMETRIES, turn, turn_array, turn_back, with_flip

ALL = get_args(Symmetry)
SIZE = (48, 64)


def blob(size: tuple[int, int] = (96, 128)) -> np.ndarray:
    """uint8 mask of a tilted ellipse off the centre: no symmetry maps it to itself."""
    mask = np.zeros(size, dtype=np.uint8)
    height, width = size
    cv2.ellipse(mask, (int(width * 0.4), int(height * 0.55)), (width // 5, height // 8), 25, 0, 360, (1,), -1)
    return mask


def scene(channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (96, 128, channels), dtype=np.uint8)


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection over union."""
    return np.count_nonzero(first & second) / np.count_nonzero(first | second)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_seed_gives_the_same_bytes_in_any_copy_of_the_augmentation(channels: int) -> None:
    augmentation = Augmentation(SIZE, ALL, 1.0)
    copy = pickle.loads(pickle.dumps(Augmentation(SIZE, ALL, 1.0)))
    for seed in (0, 1, 2**64 - 1):
        first = augmentation(scene(channels), blob(), seed)
        augmentation(scene(channels), blob(), seed + 1)  # what came before must not matter
        again = copy(scene(channels), blob(), seed)
        for one, other in zip(first, again, strict=True):
            np.testing.assert_array_equal(one, other, strict=True)


def test_other_seeds_give_other_pictures() -> None:
    augmentation = Augmentation(SIZE, (), 1.0)
    assert len({augmentation(scene(1), blob(), seed)[0].tobytes() for seed in range(20)}) == 20


def test_a_picture_is_augmented_alike_with_and_without_its_mask() -> None:
    augmentation = Augmentation(SIZE, ALL, 1.0)
    for seed in range(10):
        with_mask, _ = augmentation(scene(3), blob(), seed)
        without, nothing = augmentation(scene(3), None, seed)
        assert nothing is None
        np.testing.assert_array_equal(with_mask, without)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("size", [SIZE, (64, 48), (96, 128), (33, 47)])
def test_sizes_and_values_are_what_a_model_expects(channels, strength, size) -> None:
    augmentation = Augmentation(size, ALL, strength)
    for seed in range(12):
        picture, mask = augmentation(scene(channels), blob(), seed)
        assert mask is not None
        assert picture.shape == (*size, channels)
        assert mask.shape == size
        assert picture.dtype == mask.dtype == np.uint8
        assert set(np.unique(mask).tolist()) <= {0, 1}
        assert picture.flags.c_contiguous
        assert mask.flags.c_contiguous


def test_the_mask_moves_with_its_picture() -> None:
    augmentation = Augmentation((96, 128), ALL, 1.0)
    mask = blob()
    picture = mask[:, :, None] * np.uint8(200) + np.uint8(20)
    places = set()
    for seed in range(60):
        seen, moved = augmentation(picture, mask, seed)
        assert moved is not None
        # light may change, but the object stays the brighter part: the middle of what is seen divides them
        inside = seen[:, :, 0] > (int(seen.max()) + int(seen[seen > 0].min())) / 2
        assert overlap(inside, moved.astype(bool)) > 0.9
        places.add(moved.tobytes())
    assert len(places) > 40


def test_without_strength_and_symmetries_a_picture_is_only_resized() -> None:
    picture, mask = Augmentation(SIZE, (), 0.0)(scene(3), blob(), 5)
    assert mask is not None
    np.testing.assert_array_equal(picture, shrink(scene(3), SIZE))
    np.testing.assert_array_equal(mask, shrink_mask(blob(), SIZE))


def test_a_pixel_of_a_smaller_mask_is_inside_when_half_of_its_area_is() -> None:
    mask = np.array([[1, 1, 0, 0], [1, 0, 0, 1]], dtype=np.uint8)
    assert shrink_mask(mask, (1, 2)).tolist() == [[1, 0]]
    assert shrink_mask(np.array([[1, 0], [1, 0]], dtype=np.uint8), (1, 1)).tolist() == [[1]]


def test_every_declared_symmetry_and_the_identity_occur_and_no_other() -> None:
    square = blob((64, 64))
    some: tuple[tuple[Symmetry, ...], ...] = (("hflip",), ("vflip", "rot90"), ALL)
    for declared in some:
        augmentation = Augmentation((64, 64), declared, 0.0)
        seen = {augmentation(square[:, :, None], None, seed)[0].tobytes() for seed in range(80)}
        assert seen == {turn_array(square, name).tobytes() for name in ("identity", *declared)}


@pytest.mark.parametrize(
    ("declared", "plain", "flipped"),
    [
        (("hflip",), {"identity"}, {"hflip"}),
        (("hflip", "vflip", "rot180"), {"identity", "vflip"}, {"hflip", "rot180"}),
        (ALL, {"identity", "vflip", "transpose", "rot90"}, {"hflip", "rot180", "rot270", "antitranspose"}),
        # a vertical flip has no other side here: a half turn is not declared
        (("hflip", "vflip"), {"identity", "vflip"}, {"hflip", "vflip"}),
    ],
)
def test_a_flip_that_is_set_leaves_the_other_symmetries_drawn(declared, plain, flipped) -> None:
    square = blob((64, 64))
    augmentation = Augmentation((64, 64), declared, 0.0)
    for flip, names in ((False, plain), (True, flipped)):
        seen = {augmentation(square[:, :, None], None, seed, flip=flip)[0].tobytes() for seed in range(80)}
        assert seen == {turn_array(square, name).tobytes() for name in names}


@pytest.mark.parametrize("declared", [("hflip",), ("hflip", "vflip"), ALL])
def test_a_fair_flip_draws_each_symmetry_as_often_as_drawing_it_outright(declared) -> None:
    names = ("identity", *declared)
    counts = Counter(with_flip(name, flip, among=names) for name in names for flip in (False, True))
    assert set(counts.values()) == {2}
    assert set(counts) == set(names)


def test_a_flip_that_is_set_moves_nothing_but_the_side() -> None:
    """Both sides of a seed are each other's mirror images, and one of them is what the seed alone draws."""
    augmentation = Augmentation((64, 64), ALL, 0.0)
    picture, mask = scene(3)[:64, :64], blob((64, 64))
    for seed in range(20):
        drawn, plain, mirrored = (augmentation(picture, mask, seed, flip=flip) for flip in (None, False, True))
        for one, other, free in zip(plain, mirrored, drawn, strict=True):
            assert one is not None
            assert other is not None
            np.testing.assert_array_equal(np.flip(one, axis=1), other)
            assert free.tobytes() in (one.tobytes(), other.tobytes())  # type: ignore[union-attr]


def test_a_transposed_picture_of_another_shape_is_fitted_back_with_its_mask() -> None:
    augmentation = Augmentation((96, 128), ("transpose",), 0.0)
    transposed = 0
    for seed in range(10):
        picture, mask = augmentation(blob()[:, :, None] * np.uint8(255), blob(), seed)
        assert mask is not None
        assert overlap(picture[:, :, 0] > 127, mask.astype(bool)) > 0.95
        transposed += int((mask != blob()).any())
    assert 0 < transposed < 10


def test_what_an_adapter_may_declare_is_every_symmetry_but_the_identity() -> None:
    assert {"identity", *ALL} == set(SYMMETRIES)


@pytest.mark.parametrize("name", SYMMETRIES)
def test_a_tensor_turned_and_turned_back_is_the_tensor(name: str) -> None:
    tensor = torch.arange(2 * 3 * 5).reshape(2, 3, 5)
    assert torch.equal(turn_back(turn(tensor, name), name), tensor)
    assert torch.equal(turn(turn_back(tensor, name), name), tensor)
    np.testing.assert_array_equal(turn(tensor, name).numpy(), turn_array(tensor.numpy(), name))


@pytest.mark.parametrize(
    ("name", "turned"),
    [
        ("identity", [[1, 2, 3], [4, 5, 6]]),
        ("hflip", [[3, 2, 1], [6, 5, 4]]),
        ("vflip", [[4, 5, 6], [1, 2, 3]]),
        ("rot180", [[6, 5, 4], [3, 2, 1]]),
        ("transpose", [[1, 4], [2, 5], [3, 6]]),
        ("rot90", [[3, 6], [2, 5], [1, 4]]),
        ("rot270", [[4, 1], [5, 2], [6, 3]]),
        ("antitranspose", [[6, 3], [5, 2], [4, 1]]),
    ],
)
def test_each_symmetry_does_what_its_name_says(name: str, turned: list[list[int]]) -> None:
    np.testing.assert_array_equal(turn_array(np.array([[1, 2, 3], [4, 5, 6]]), name), turned)
