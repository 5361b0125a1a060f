"""Memory in a run: micro-batches by choice or by need leave what is learned alone; what fits is measured once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness import pipeline, registry, runs
from harness.cli import main
from harness.config import override
from harness.errors import ConfigError
from harness.models.table import TableNet
from harness.pipeline import fitting, fold, planning
from harness.pipeline.job import Job
from harness.pipeline.nets import CPU
from harness.pipeline.preparation import World
from tests.kit import request, sample_data, small

TABLE = "playground-series-s3e8"  # its net has no batch norm


def losses(path: Path) -> list[float]:
    lines = [json.loads(line) for line in (path / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if line["event"] == "train"]


def trained(cache: Path, out: Path, *settings: str, told: list[str] | None = None) -> dict[str, Any]:
    competition = registry.load(TABLE)
    config = override(small(competition), ["model.dropout=0", "train.batch=8", "data.folds=2", *settings])
    world = World(cache, say=(lambda text: None) if told is None else told.append)
    return pipeline.run(competition, config, request(), out=out, world=world)


def test_accumulated_gradients_are_those_of_the_whole_batch(tmp_path: Path, shared_cache: Path) -> None:
    trained(shared_cache, tmp_path / "whole")
    trained(shared_cache, tmp_path / "cut", "train.accumulate=4")
    assert len(losses(tmp_path / "whole")) > 1
    assert losses(tmp_path / "cut") == pytest.approx(losses(tmp_path / "whole"), rel=1e-4)


def test_a_run_that_is_short_of_memory_says_so_and_scores_the_same(
    tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, told, usual = trained(shared_cache, tmp_path / "whole"), list[str](), TableNet.forward

    def short(self: nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        if self.training and len(next(iter(inputs.values()))) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return usual(self, inputs)  # type: ignore[arg-type]

    monkeypatch.setattr(TableNet, "forward", short)
    result = trained(shared_cache, tmp_path / "short", told=told)
    assert [text for text in told if "out of memory" in text] == [
        f"fold {fold}: out of memory at step 0: the same step again, {rows} of its 8 rows at a time"
        for fold in range(2)
        for rows in (4, 2)
    ]
    assert losses(tmp_path / "short") == pytest.approx(losses(tmp_path / "whole"), rel=1e-4)
    assert result["members"]["network"]["value"] == pytest.approx(whole["members"]["network"]["value"], rel=1e-3)


def test_what_fits_is_measured_once_for_each_card_net_and_size(tmp_path: Path) -> None:
    competition, measured, told = registry.load(TABLE), list[int](), list[str]()
    job = Job(competition, small(competition), runs.Run(tmp_path), CPU, World(tmp_path, say=told.append))

    def measure(rows: int) -> int:
        measured.append(rows)
        return 100 + 10 * rows

    for _ in range(2):
        assert fitting.fitting(job, ["a card", 352], measure, batch=64, limit=500) == 32
    assert measured == [2, 4, 32]
    assert fitting.fitting(job, ["a card", 176], measure, batch=64, limit=5000) == 64
    assert measured == [2, 4, 32, 2, 4, 64]
    assert told == ["32 of a batch's 64 rows fit into memory at a time"]


def test_a_step_is_cut_as_asked_and_never_into_more_than_its_rows(tmp_path: Path) -> None:
    competition = registry.load(TABLE)
    for asked, expected in ((1, 1), (4, 4), (64, 8)):
        config = override(small(competition), [f"train.accumulate={asked}"])
        job = Job(competition, config, runs.Run(tmp_path), CPU, World(tmp_path))
        assert fitting.parts(job, None, None, batch=8) == expected  # type: ignore[arg-type]


def test_micro_batches_of_one_value_for_a_norm_are_refused(shared_cache: Path) -> None:
    settings = ("train.size=32x32", "train.batch=4", "train.accumulate=4")
    competition, config, data = sample_data("gemstones-images", shared_cache, *settings)
    plan = planning.plan_folds(competition, config, data)
    with pytest.raises(ConfigError, match=r"one row of 32x32 at a time; raise train\.batch or train\.size, or lower"):
        fold.stream(competition, config, data=data, plan=plan, fold=0, stage=0)
    fewer = override(config, ["train.accumulate=2"])
    fold.stream(competition, fewer, data=data, plan=plan, fold=0, stage=0)


@pytest.mark.parametrize("setting", ["model.checkpoint=true", "stages.0.freeze=true", "stages.0.rates=1e-4,1e-3"])
def test_what_needs_an_encoder_is_refused_without_pictures(
    setting: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", TABLE, "--sample", "--cache", str(tmp_path), "--out", str(tmp_path / "run"), "-o", setting]
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert "without pictures; leave it out" in capsys.readouterr().err
