"""The adapters on real files in the competitions' layouts; skipped where HARNESS_DATA names no folder of zips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import registry
from harness.data.unpack import unpack
from harness.metrics import dice
from harness.pipeline import check as checking
from harness.pipeline import preparation
from harness.pipeline.parts import Data
from harness.pipeline.preparation import World
from tests.kit import small


def prepared(name: str, real_data: Path, cache: Path) -> Data:
    competition = registry.load(name)
    root = unpack(real_data / f"{name}.zip", cache=cache)
    return preparation.prepare(competition, small(competition), root, World(cache))


def test_the_doubled_brain_tree_is_read_once(real_data: Path, shared_cache: Path) -> None:
    data = prepared("lgg-mri-segmentation", real_data, shared_cache)
    assert len(data.train) == 101
    assert len(set(data.train["patient"])) == 5
    assert data.duplicates == 0
    assert len(list(data.root.rglob("*_mask.tif"))) == 121  # twenty slices lie in the second tree


def test_the_nerve_frames_have_twelve_subjects_and_a_third_are_empty(real_data: Path, shared_cache: Path) -> None:
    name = "ultrasound-nerve-segmentation"
    data = prepared(name, real_data, shared_cache)
    assert (len(data.train), len(set(data.train["subject"]))) == (53, 12)
    test = registry.load(name).test(data.root)
    assert test is not None
    assert test.ids == [str(number) for number in range(1, 19)]
    areas = data.areas
    empty = dice(np.stack([np.zeros_like(areas), np.zeros_like(areas), areas], axis=1)).mean()
    assert empty == pytest.approx(18 / 53)


@pytest.mark.parametrize("name", ["lgg-mri-segmentation", "ultrasound-nerve-segmentation"])
def test_check_walks_through_real_data(name: str, real_data: Path, shared_cache: Path) -> None:
    competition, told = registry.load(name), list[str]()
    root = unpack(real_data / f"{name}.zip", cache=shared_cache)
    counts = checking.check(competition, small(competition), root, World(shared_cache, say=told.append))
    assert counts["folds"] == 5
    assert sum(line.startswith("row ") for line in told) == 3
    assert any("one CSV row" in line for line in told)
