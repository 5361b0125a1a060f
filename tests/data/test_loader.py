"""Batches are a function of the cursor: the same from any start, with any number of workers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
import torch
from PIL import Image

from harness.batch import Batch
from harness.competition import Symmetry
from harness.data.augment import Augmentation
from harness.data.cache import Cache, mask_cache, picture_cache
from harness.data.loader import Stream, prediction_batches, worker_count
from harness.hashing import hash_files
from harness.tasks import BinaryMask

NATIVE, SIZE, ROWS = (24, 32), (16, 24), 9


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cache, Cache]:
    """(pictures, masks) of nine random files."""
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    pictures, masks = [], []
    for index in range(ROWS):
        pictures.append(str(folder / f"{index}.png"))
        masks.append(str(folder / f"{index}_mask.png"))
        Image.fromarray(random.integers(0, 256, NATIVE, dtype=np.uint8)).save(pictures[-1])
        Image.fromarray((random.random(NATIVE) < 0.5).astype(np.uint8) * 255).save(masks[-1])
    root = tmp_path_factory.mktemp("cache")
    cache = picture_cache(pictures, hash_files(pictures), size=NATIVE, channels=1, root=root)
    return cache, mask_cache(masks, hash_files(masks), sizes=cache.sizes, task=BinaryMask(), root=root)


def stream(
    caches: tuple[Cache, Cache],
    *,
    size=SIZE,
    strength=1.0,
    symmetries: tuple[Symmetry, ...] = ("hflip",),
    alternating=False,
    classes=b"",
):
    return Stream(
        name="image",
        pictures=caches[0],
        masks=caches[1],
        rows=np.array([0, 2, 3, 5, 7, 8]),
        ids=[f"id{row}" for row in range(ROWS)],
        augmentation=Augmentation(size, symmetries, strength),
        seed=3,
        fold=1,
        stage=0,
        alternating=alternating,
        classes=classes,
    )


def read(source: Stream, cursor: int, count: int, *, workers: int = 0) -> list[Batch]:
    return list(source.batches(cursor, count, batch=4, workers=workers, pin=False))


def assert_equal(found: Iterable[Batch], expected: Iterable[Batch]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.target is not None
        assert other.target is not None
        assert torch.equal(one.inputs["image"], other.inputs["image"])
        assert torch.equal(one.target, other.target)
        assert torch.equal(one.rows, other.rows)


def test_batches_are_full_and_shaped_as_the_model_expects(caches) -> None:
    batches = read(stream(caches), 0, 3)
    assert len(batches) == 3
    for batch in batches:
        assert batch.inputs["image"].shape == (4, 1, *SIZE)
        assert batch.inputs["image"].dtype == torch.uint8
        assert batch.target is not None
        assert batch.target.shape == (4, 1, *SIZE)
        assert batch.target.dtype == torch.float32
        assert set(batch.target.unique().tolist()) == {0.0, 1.0}


def test_two_epochs_read_every_training_row_twice_and_no_other(caches) -> None:
    rows = torch.cat([batch.rows for batch in read(stream(caches), 0, 3)]).tolist()
    assert sorted(rows) == sorted([0, 2, 3, 5, 7, 8] * 2)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_from_a_cursor_are_the_tail_of_the_whole_stream(caches, workers: int) -> None:
    whole = read(stream(caches), 0, 5)
    assert_equal(read(stream(caches), 8, 3, workers=workers), whole[2:])


def test_the_second_epoch_shows_a_row_another_way(caches) -> None:
    batches = read(stream(caches), 0, 3)
    rows = torch.cat([batch.rows for batch in batches])
    views = torch.cat([batch.inputs["image"] for batch in batches])
    first, second = views[torch.nonzero(rows == 5).flatten()]
    assert not torch.equal(first, second)


def test_an_alternating_row_shows_its_mirror_image_in_the_next_epoch(caches) -> None:
    batches = read(stream(caches, strength=0.0, alternating=True), 0, 6)
    rows = torch.cat([batch.rows for batch in batches])
    masks = torch.cat([batch.target for batch in batches if batch.target is not None])
    shown = torch.cat([torch.cat([batch.inputs["image"] for batch in batches]).float(), masks], dim=1)
    for row in (0, 2, 3, 5, 7, 8):
        views = shown[rows == row]
        assert len(views) == 4
        for one, other in itertools.pairwise(views):
            assert torch.equal(one.flip(-1), other)


@pytest.mark.parametrize("workers", [0, 2])
def test_alternating_batches_from_a_cursor_are_the_tail_of_the_whole_stream(caches, workers: int) -> None:
    source = stream(caches, alternating=True)
    assert_equal(read(source, 8, 3, workers=workers), read(source, 0, 5)[2:])


def test_a_row_drawn_twice_in_an_epoch_is_seen_two_ways(caches) -> None:
    """Five rows of one class and one of another: of the epoch's six, three are that one's."""
    source = stream(caches, classes=bytes([0, 0, 0, 0, 0, 1]))
    for epoch in range(4):
        examples = [source[position] for position in range(6 * epoch, 6 * epoch + 6)]
        views = [inputs["image"].numpy().tobytes() for inputs, _, row in examples if row == 8]
        assert len(views) == len(set(views)) == 3


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_drawn_from_classes_are_the_same_from_any_cursor(caches, workers: int) -> None:
    source = stream(caches, classes=bytes([0, 0, 0, 0, 1, 1]))
    assert_equal(read(source, 8, 3, workers=workers), read(source, 0, 5)[2:])


def test_a_row_without_augmentation_is_its_cached_picture_and_mask(caches) -> None:
    for batch in read(stream(caches, size=NATIVE, strength=0.0, symmetries=()), 0, 2):
        assert batch.target is not None
        for picture, mask, row in zip(batch.inputs["image"], batch.target, batch.rows.tolist(), strict=True):
            np.testing.assert_array_equal(picture.numpy(), caches[0][row].transpose(2, 0, 1))
            np.testing.assert_array_equal(mask.numpy(), caches[1][row].transpose(2, 0, 1))


@pytest.mark.parametrize("workers", [0, 2])
def test_reading_leaves_the_global_random_numbers_alone(caches, workers: int) -> None:
    before, numpy_before = torch.get_rng_state(), np.random.get_state(legacy=False)
    read(stream(caches), 0, 2, workers=workers)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_equal(np.random.get_state(legacy=False), numpy_before)


def predicted(cache: Cache, rows: list[int], size: tuple[int, int]) -> Iterator[Batch]:
    return prediction_batches(cache, rows, name="image", size=size, batch=3)


def test_predictions_are_read_in_the_order_given_with_a_smaller_last_batch(caches) -> None:
    batches = list(predicted(caches[0], [8, 1, 4, 0], NATIVE))
    assert [batch.rows.tolist() for batch in batches] == [[8, 1, 4], [0]]
    assert all(batch.target is None for batch in batches)
    for row, picture in zip([8, 1, 4], batches[0].inputs["image"], strict=True):
        np.testing.assert_array_equal(picture.numpy(), caches[0][row].transpose(2, 0, 1))


def test_predictions_come_at_the_size_asked_for_and_of_no_rows_there_are_none(caches) -> None:
    assert [batch.inputs["image"].shape for batch in predicted(caches[0], [0, 1], (8, 8))] == [(2, 1, 8, 8)]
    assert list(predicted(caches[0], [], NATIVE)) == []


def test_a_cpu_loads_without_processes_unless_told_to() -> None:
    assert worker_count(-1, "cpu") == 0
    assert worker_count(3, "cpu") == 3
    assert 0 <= worker_count(-1, "cuda") <= 8
