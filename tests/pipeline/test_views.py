"""Test-time views: predicted beside the plain picture, and part of the answer only where out-of-fold rows gain."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from harness import pipeline, registry, runs
from harness.config import override
from harness.errors import RunError
from harness.pipeline.job import Job
from harness.pipeline.nets import CPU
from harness.pipeline.network import MEMBER, VIEWED, predict_rows
from harness.pipeline.preparation import World
from harness.submission import grader
from tests.kit import request, sample_data, small

NAME = "ultrasound-nerve-segmentation"


def test_views_are_a_member_beside_the_plain_network_and_at_most_one_of_them_answers(
    tmp_path: Path, shared_cache: Path
) -> None:
    competition, _, data = sample_data(NAME, shared_cache)
    config = override(small(registry.load(NAME)), ["views=symmetries", "stages.0.epochs=6", "data.folds=2"])
    world = World(shared_cache)
    result = pipeline.run(registry.load(NAME), config, request(), out=tmp_path / "run", world=world)
    assert list(result["members"]) == [MEMBER, VIEWED, "mean mask", "all empty"]
    used = [name for name in (MEMBER, VIEWED) if result["members"][name]["weight"] > 0]
    assert len(used) <= 1
    paths = [Path(result["run"]) / name for name in ("oof_submission.csv", "answers.csv")]
    graded = grader.grade(*paths, submission=competition.submission, metric=competition.metric)
    assert graded["value"] == pytest.approx(result["score"]["value"], abs=1e-9)

    # what answers is what was weighed: the picture and its mirror image, averaged
    job = Job(competition, config, runs.find(result["run"]), CPU, world)
    one = next(predict_rows(job, [0], part=data, folds=[0], member=VIEWED))[1].astype(float)
    plain = next(predict_rows(job, [0], part=data, folds=[0]))[1].astype(float)
    assert np.abs(one - plain).max() > 1
    mirrored = dataclasses.replace(data, pictures=_Mirrored(data.pictures))  # type: ignore[arg-type]
    back = next(predict_rows(job, [0], part=mirrored, folds=[0]))[1].astype(float)[:, ::-1]
    assert np.abs(one - (plain + back) / 2).max() <= 1.5


def test_a_run_whose_members_are_others_is_refused_in_one_line(tmp_path: Path, shared_cache: Path) -> None:
    competition, world = registry.load("playground-series-s3e8"), World(shared_cache)
    config = small(competition, "data.folds=2")
    pipeline.run(competition, config, request(only_folds=(0,)), out=tmp_path / "run", world=world)
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    scores["members"]["another"] = scores["members"].pop("network")
    (tmp_path / "run" / "scores.json").write_text(json.dumps(scores))
    with pytest.raises(RunError, match=r"the run has the members .*another"):
        pipeline.predict(runs.find(str(tmp_path / "run")), data=None, sample=True, world=world)


class _Mirrored:
    """A cache whose pictures are mirrored left to right."""

    def __init__(self, pictures: object) -> None:
        self.pictures = pictures

    def __getattr__(self, name: str) -> object:
        return getattr(self.pictures, name)

    def __getitem__(self, row: int) -> np.ndarray:
        return self.pictures[row][:, ::-1]  # type: ignore[index]
