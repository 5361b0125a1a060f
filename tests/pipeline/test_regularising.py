"""What the settings ask for reaches the stream and the loss, is refused where it cannot be right, and else is off."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness import registry
from harness.competition import Competition, Symmetry
from harness.config import TrainConfig, override
from harness.data.loader import Stream
from harness.data.order import area_classes
from harness.errors import ConfigError
from harness.pipeline import fold, nets, planning, stages
from harness.pipeline.regularising import check, mixing
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
    assert (settings.flip, settings.sampling, settings.class_weights) == ("random", "even", False)


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


def weights(name: str, cache: Path, number: int, *settings: str) -> tuple[float, ...] | None:
    competition, config, data = sample_data(name, cache, *settings)
    plan = planning.plan_folds(competition, config, data)
    return nets.fit_fold(competition, config, data=data, plan=plan, fold=number).weights


def test_labels_are_weighed_by_the_rows_a_fold_trains_on_and_no_other(shared_cache: Path) -> None:
    competition, config, data = sample_data("gemstones-images", shared_cache, "train.class_weights=true")
    plan = planning.plan_folds(competition, config, data)
    assert data.targets is not None
    found = nets.fit_fold(competition, config, data=data, plan=plan, fold=0).weights
    training = data.targets[plan.training(0)]
    assert found is not None
    assert (training * found).sum(axis=1).mean() == pytest.approx(1)
    counts = training.sum(axis=0)
    assert np.ptp((counts * found)[counts > 0]) == pytest.approx(0)
    elsewhere = data.targets.copy()
    elsewhere[plan.validation(0)] = np.roll(elsewhere[plan.validation(0)], 1, axis=1)
    other = dataclasses.replace(data, targets=elsewhere)
    assert nets.fit_fold(competition, config, data=other, plan=plan, fold=0).weights == found
    assert nets.fit_fold(competition, config, data=other, plan=plan, fold=1).weights != found


def test_classes_are_weighed_by_the_pixels_of_the_training_masks(shared_cache: Path) -> None:
    competition, config, data = sample_data("camvid", shared_cache, "train.class_weights=true")
    plan = planning.plan_folds(competition, config, data)
    assert data.masks is not None
    found = nets.fit_fold(competition, config, data=data, plan=plan, fold=0).weights
    pixels = np.concatenate([data.masks[row].ravel() for row in plan.training(0)])
    counts = np.bincount(pixels[pixels != 255], minlength=competition.task.outputs)
    assert found is not None
    assert (counts * found).sum() / counts.sum() == pytest.approx(1)
    assert found[int(counts.argmin())] > 1 > found[int(counts.argmax())]


@pytest.mark.parametrize("name", ["camvid", "gemstones-images", "planet", "playground-series-s3e8"])
def test_nothing_is_weighed_unless_asked_for(name: str, shared_cache: Path) -> None:
    assert weights(name, shared_cache, 0) is None


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("gemstones-images", []),
        ("gemstones-images", ["train.smoothing=0.1", "train.mixup=0.4", "train.cutmix=1"]),
        ("planet", ["train.smoothing=0.1", "train.mixup=0.4"]),
        ("camvid", ["train.cutmix=1", "train.loss=lovasz"]),
    ],
)
def test_a_weighted_stage_trains_on_other_numbers_than_a_plain_one(
    name: str, settings: list[str], shared_cache: Path
) -> None:
    """The recipe's own loss, on a real batch mixed as it would be."""
    losses = []
    for weighted in ("true", "false"):
        competition, config, data = sample_data(name, shared_cache, f"train.class_weights={weighted}", *settings)
        check(competition, config)
        plan = planning.plan_folds(competition, config, data)
        fitted = nets.fit_fold(competition, config, data=data, plan=plan, fold=0)
        examples = fold.stream(competition, config, data=data, plan=plan, fold=0, stage=0, fitted=fitted)
        recipe = stages.stage_recipe(
            competition, config, nets.CPU, examples, fitted, fold=0, stage=0, report=lambda step, loss, rate: None
        )
        batch, mix = fold.first_batch(examples, 4), mixing(competition, config, fold=0, stage=0, total=9)
        batch = batch if mix is None else mix(batch, 0)
        assert batch.target is not None
        shape = (4, competition.task.outputs, *batch.target.shape[2:])
        logits = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        losses.append(recipe.loss(logits.half(), batch.target))
    assert all(loss.dtype == torch.float32 and torch.isfinite(loss) for loss in losses)
    assert losses[0] != losses[1]


@pytest.mark.parametrize(
    ("name", "settings", "problem"),
    [
        ("ultrasound-nerve-segmentation", [], "but the task is binary mask"),
        ("playground-series-s3e8", [], "but the task is regression"),
        ("text-language-model", [], "but the task is language model"),
        ("camvid", ["train.loss=focal"], "with train.loss=focal"),
    ],
)
def test_weights_of_what_has_no_frequency_are_refused(name: str, settings: list[str], problem: str) -> None:
    competition = registry.load(name)
    with pytest.raises(ConfigError, match=f"train.class_weights,? {problem}"):
        check(competition, override(competition.defaults, ["train.class_weights=true", *settings]))
