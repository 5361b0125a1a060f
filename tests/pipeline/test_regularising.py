"""What the settings ask for reaches the stream and the loss, is refused where it cannot be right, and else is off."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from harness import registry
from harness.competition import Competition, Symmetry
from harness.config import TrainConfig, override
from harness.data.loader import Stream
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
    assert TrainConfig().train.flip == "random"


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


def test_a_flip_of_another_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="one of random, alternating"):
        override(TrainConfig(), ["train.flip=mirror"])
