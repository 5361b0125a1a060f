"""A stage's weights go by its name, and other runs begin with them; a stage may ask for its own rate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from harness import pipeline, registry
from harness.errors import ConfigError, RunError
from harness.pipeline import World
from harness.pipeline.beginnings import stage_file
from harness.runs import Run
from tests.kit import request, small

NAME = "playground-series-s3e8"
TWO = ("data.folds=2", "stages.0.name=first", "stages.1.name=second", "stages.1.epochs=1")


def trained(cache: Path, out: Path, *settings: str, told: list[str] | None = None) -> dict[str, Any]:
    competition = registry.load(NAME)
    world = World(cache, say=(lambda text: None) if told is None else told.append)
    return pipeline.run(competition, small(competition, *settings), request(only_folds=(1,)), out=out, world=world)


def weights(path: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(path)


def log(out: Path, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


def test_a_run_begins_with_the_weights_that_its_fold_had_after_a_named_stage(
    tmp_path: Path, shared_cache: Path
) -> None:
    first, told = tmp_path / "first", list[str]()
    trained(shared_cache, first, *TWO)
    after_first = weights(first / "weights" / "first" / "fold1.safetensors")
    assert sorted(path.name for path in (first / "weights").iterdir()) == ["first", "fold1.json", "fold1.safetensors"]
    # a rate of nothing leaves the weights where they began
    still = ("data.folds=2", "train.rate=1e-12", f"begin={first}:first", "model.dropout=0")
    trained(shared_cache, tmp_path / "second", *still, told=told)
    for name, tensor in weights(tmp_path / "second" / "weights" / "fold1.safetensors").items():
        torch.testing.assert_close(tensor.float(), after_first[name].float(), rtol=2e-3, atol=1e-6)
    assert f"fold 1 begins with the weights of {first}:first" in told
    # without a stage, the fold's last
    config = small(registry.load(NAME), *TWO)
    assert stage_file(Run(first), 1, config, 1) == first / "weights" / "fold1.safetensors"
    trained(shared_cache, tmp_path / "third", "data.folds=2", "train.rate=1e-12", f"begin={first}")
    last = weights(first / "weights" / "fold1.safetensors")
    third = weights(tmp_path / "third" / "weights" / "fold1.safetensors")
    assert all(torch.allclose(third[name].float(), tensor.float(), rtol=2e-3) for name, tensor in last.items())
    assert any(not torch.equal(last[name], after_first[name]) for name in last)


def test_weights_that_saw_the_rows_they_would_be_scored_on_are_refused(tmp_path: Path, shared_cache: Path) -> None:
    first = tmp_path / "first"
    trained(shared_cache, first, "data.folds=2")
    cases = {
        "data.folds=3": "has other folds; give the same data, folds and seed",
        "seed=5": "has other folds",
        "model.width=24": "the weights are of another net",
    }
    for index, (setting, said) in enumerate(cases.items()):
        with pytest.raises(ConfigError, match=said):
            trained(shared_cache, tmp_path / str(index), "data.folds=2", f"begin={first}", setting)
    with pytest.raises(ConfigError, match="no such stage; stages there: train"):
        trained(shared_cache, tmp_path / "stage", "data.folds=2", f"begin={first}:head")
    with pytest.raises(RunError, match="no run 'elsewhere'"):
        trained(shared_cache, tmp_path / "run", "data.folds=2", "begin=elsewhere")


def test_a_stage_that_asks_for_it_finds_its_own_rate_and_keeps_it_when_stopped(
    tmp_path: Path, shared_cache: Path
) -> None:
    settings = (
        *TWO,
        "train.batch=8",
        "train.rate=1e-6",
        "stages.1.find=true",
        "stages.1.epochs=4",
        "train.save_every=2",
    )
    trained(shared_cache, tmp_path / "whole", *settings)
    found = log(tmp_path / "whole", "range test")
    assert [line["stage"] for line in found] == ["second"]
    rates = [line["rate"] for line in log(tmp_path / "whole", "train") if line["stage"] == "second"]
    assert found[0]["peak"] is not None
    assert max(rates) <= found[0]["peak"] * 1.000001
    assert max(rates) > 0.5 * found[0]["peak"]

    def stop(name: str, done: int, total: int) -> None:
        if "second" in name and done > total / 2:
            raise KeyboardInterrupt

    competition, out = registry.load(NAME), tmp_path / "stopped"
    config, world = small(competition, *settings), World(tmp_path / "other", progress=stop)
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(competition, config, request(only_folds=(1,)), out=out, world=world)
    pipeline.resume(Run(out), data=None, world=World(tmp_path / "other"))
    assert len(log(out, "range test")) == 1
    names = [path / "weights" / "fold1.safetensors" for path in (out, tmp_path / "whole")]
    assert names[0].read_bytes() == names[1].read_bytes()
