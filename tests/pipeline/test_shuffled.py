"""A permutation test: what beats the baselines on the true masks must not do so when masks belong to other pictures."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from harness import files, pipeline, registry
from harness.config import override
from harness.data.cache import Cache
from harness.data.materialise import write_sample
from harness.pipeline import planning, rungs, score
from harness.pipeline.hardware import Hardware
from harness.pipeline.job import Job
from harness.pipeline.network import out_of_fold_file, write_predictions
from harness.pipeline.preparation import World
from harness.runs import Run
from tests.kit import request, sample_data

MASKS = ("ultrasound-nerve-segmentation", "lgg-mri-segmentation")


def shuffle_masks(data: Path, seed: int) -> None:
    """Deals the contents of all mask files out anew; pictures and names stay."""
    masks = sorted(data.rglob("*_mask.tif"))
    contents = [path.read_bytes() for path in masks]
    random.Random(seed).shuffle(contents)
    for path, content in zip(masks, contents, strict=True):
        path.write_bytes(content)


def whole_interval_above_baselines(result: dict[str, Any]) -> bool:
    return result["score"]["interval"][0] > max(result["baselines"].values())


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", MASKS)
def test_true_masks_beat_every_baseline_and_shuffled_ones_do_not(name: str, tmp_path: Path) -> None:
    competition, world = registry.load(name), World(tmp_path / "cache")
    config = override(competition.presets["quick"](competition.defaults), ["precision=fp32", "weights=scratch"])
    data = write_sample(competition, rows=60, seed=0, cache=world.cache)
    asked = request(sample=False, data=str(data))
    assert whole_interval_above_baselines(pipeline.run(competition, config, asked, out=tmp_path / "true", world=world))
    shuffle_masks(data, seed=0)
    shuffled = pipeline.run(competition, config, asked, out=tmp_path / "shuffled", world=world)
    print(name, "shuffled:", shuffled["score"], shuffled["baselines"])
    assert not whole_interval_above_baselines(shuffled)


@pytest.mark.parametrize("name", MASKS)
def test_scores_of_informed_predictions_beat_the_baselines_and_of_shuffled_masks_do_not(
    name: str, shared_cache: Path, tmp_path: Path
) -> None:
    """The scoring alone, without a network: predictions are the true masks under heavy noise."""
    competition, config, data = sample_data(name, shared_cache, "report.resamples=300")
    plan = planning.plan_folds(competition, config, data)
    job = Job(competition, config, Run(tmp_path), Hardware("cpu", "fp32", None), World(tmp_path / "cache"))
    for fold in range(plan.number):
        planes = [noisy(data.truth(row), row).ravel() for row in plan.validation(fold).tolist()]
        files.write_array(out_of_fold_file(job.run, fold), np.concatenate(planes))
    shuffled_rows = np.random.default_rng(0).permutation(len(data.train)).tolist()
    shuffled = replace(data, masks=Shuffled(data.masks, shuffled_rows))  # type: ignore[arg-type]
    for held, beats in ((data, True), (shuffled, False)):
        for fold in range(plan.number):
            rows = plan.validation(fold).tolist()
            mean = rungs.fit_cheap(job, held, plan, fold)(held, rows)
            write_predictions(job, mean, out_of_fold_file(job.run, fold, "mean mask"), held, rows)
        found = score.out_of_fold(job, list(range(plan.number)), data=held, plan=plan)
        result, _ = score.score(job, found, data=held, plan=plan)
        assert whole_interval_above_baselines(result) is beats


def noisy(truth: np.ndarray, seed: int) -> np.ndarray:
    """uint8 [H, W] probabilities that know the mask, under noise smoothed over a few pixels."""
    noise = np.random.default_rng(seed).normal(0, 200, truth.shape).astype(np.float32)
    return np.clip(90 + 70 * truth + cv2.GaussianBlur(noise, (0, 0), 3), 0, 255).astype(np.uint8)


class Shuffled:
    """The masks of other rows."""

    def __init__(self, masks: Cache, rows: list[int]) -> None:
        self.masks, self.rows = masks, rows

    def __getitem__(self, row: int) -> np.ndarray:
        return self.masks[self.rows[row]]
