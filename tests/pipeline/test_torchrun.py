"""Several processes that torchrun starts train a fold together, and lose what one alone would lose."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from harness import registry
from harness.cli import main
from harness.errors import ConfigError
from harness.pipeline import following
from harness.training import shards
from tests.kit import small

NAME = "playground-series-s3e8"  # its net has no batch norm
ROOT = Path(__file__).parents[2]
SETTINGS = (
    *("model.width=16", "model.layers=1", "model.members=4", "model.dropout=0"),
    *("train.batch=7", "data.folds=2", "train.accumulate=2"),
)


def losses(out: Path) -> list[float]:
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if line["event"] == "train"]


def words(out: Path, cache: Path) -> list[str]:
    given = ["run", NAME, "--sample", "--sample-rows", "20", "--epochs", "12", "--precision", "fp32"]
    given += ["--only-folds", "1", "--out", str(out), "--cache", str(cache), "--json"]
    return given + [word for setting in SETTINGS for word in ("-o", setting)]


def test_two_processes_have_the_loss_curve_of_one_with_the_same_batch(
    tmp_path: Path, shared_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(words(tmp_path / "one", shared_cache))
    one = json.loads(capsys.readouterr().out)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "harness"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": str(ROOT)}
    command = [*launcher, *words(tmp_path / "two", shared_cache)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("\n") == 1, "the first process alone prints"
    two = json.loads(done.stdout)
    assert len(losses(tmp_path / "one")) >= 8
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)
    assert two["score"]["value"] == pytest.approx(one["score"]["value"], rel=1e-4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_the_rows_of_a_batch_are_shared_out_each_to_one() -> None:
    for rows in (3, 7, 16):
        parts = [shards.Shard(rank, 3).own(rows) for rank in range(3)]
        assert [row for part in parts for row in range(rows)[part]] == list(range(rows))
        assert all(part.stop > part.start for part in parts)


def test_the_other_processes_draw_for_themselves_by_seed_fold_stage_and_step() -> None:
    def drawn(rank: int, step: int, fold: int = 0) -> list[float]:
        torch.manual_seed(0)
        shards.Shard(rank, 3, draws=(0, fold, 0)).reseed(step)
        return torch.rand(2).tolist()

    first = drawn(0, 5)
    assert drawn(0, 6) == first  # goes on with the state's own generator
    assert len({tuple(drawn(*case)) for case in ((0, 5), (1, 5), (2, 5), (1, 6), (1, 5, 1))}) == 5
    assert drawn(1, 5) == drawn(1, 5)


def test_a_batch_of_fewer_rows_than_processes_is_refused() -> None:
    competition = registry.load(NAME)
    config = small(competition)
    following.check(competition, config, shards.Shard(0, 4))
    with pytest.raises(ConfigError, match=r"batches of 4 rows for 5 processes; raise train\.batch"):
        following.check(competition, config, shards.Shard(0, 5))


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert shards.join("cpu") == shards.ALONE
    rows = torch.arange(4.0, requires_grad=True)
    gathered = shards.ALONE.gather(rows, 4)
    assert gathered.tolist() == rows.tolist()
    assert not gathered.requires_grad
