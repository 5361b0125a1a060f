"""What the settings ask for reaches the stream and the loss, is refused where it cannot be right, and else is off."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import registry
from harness.competition import Competition, Symmetry
from harness.config import TrainConfig, override
from harness.data.loader import Stream
from harness.data.order import area_classes
from harness.errors import ConfigError
from harness.pipeline import fold, planning
from harness.pipeline.regularising import check
from tests.kit import sample_data


def declaring(name: str, *symmetries: Symmetry) -> Competition:
    competition = registry.load(name)
    assert competition.picture is not None
    return dataclasses.replace(competition, inputs=(dataclasses.replace(competition.picture, symmetries=symmetries),))


def stream(name: str, cache: Path, *settings: str) -> Stream:
    competition, config, data = sample_data(name, cache, *settings)
    plan = planning.plan_folds(competition, config, data)
    examples: Any = fold.stream(competition, config, data=data, plan=plan, fold=0, stage=0)
    return examples


def test_the_options_are_off_unless_asked_for() -> None:
    settings = TrainConfig().train
    assert (settings.flip, settings.sampling) == ("random", "even")


def test_alternating_flips_reach_the_stream(shared_cache: Path) -> None:
    assert not stream("gemstones-images", shared_cache).alternating
    assert stream("gemstones-images", shared_cache, "train.flip=alternating").alternating


@pytest.mark.parametrize(
    "competition",
    [
        declaring("gemstones-images"),
        declaring("gemstones-images", "vflip", "rot180"),
        registry.load("playground-series-s3e8"),
        registry.load("text-language-model"),
    ],
    ids=lambda competition: f"{competition.name}-{len(competition.inputs)}",
)
def test_alternating_flips_of_what_bears_none_are_refused(competition: Competition) -> None:
    with pytest.raises(ConfigError, match=f"{competition.name} declares no left-right flip"):
        check(competition, override(competition.defaults, ["train.flip=alternating"]))


@pytest.mark.parametrize(
    ("setting", "problem"),
    [("train.flip=mirror", "one of random, alternating"), ("train.sampling=size", "one of even, area")],
)
def test_a_way_of_another_name_is_refused(setting: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        override(TrainConfig(), [setting])


def test_sampling_by_area_evens_out_the_masks_of_the_training_rows(shared_cache: Path) -> None:
    even = stream("ultrasound-nerve-segmentation", shared_cache)
    assert even.classes == b""
    by_area = stream("ultrasound-nerve-segmentation", shared_cache, "train.sampling=area")
    assert by_area.rows.tolist() == even.rows.tolist()
    assert by_area.steps(3, 4) == even.steps(3, 4)
    assert by_area.masks is not None
    areas = np.array([int(by_area.masks[row].sum()) for row in by_area.rows])
    assert by_area.classes == area_classes(areas)
    of_row = dict(zip(by_area.rows.tolist(), by_area.classes, strict=True))
    epochs = 4
    counts = Counter(of_row[by_area[position][2]] for position in range(epochs * len(areas)))
    assert sorted(counts) == [0, 1, 2, 3, 4]
    assert max(counts.values()) - min(counts.values()) <= epochs  # an epoch's draws may not divide evenly


@pytest.mark.parametrize("name", ["camvid", "gemstones-images", "playground-series-s3e8", "text-language-model"])
def test_sampling_by_area_of_what_has_none_is_refused(name: str) -> None:
    competition = registry.load(name)
    with pytest.raises(ConfigError, match=f"but the task is {competition.task.name}"):
        check(competition, override(competition.defaults, ["train.sampling=area"]))
