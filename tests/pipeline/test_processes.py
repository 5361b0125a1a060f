"""Folds in processes of their own: the bytes of a run with one, errors that arrive, and a death that is noticed."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from harness import pipeline, registry
from harness.config import override
from harness.errors import ConfigError, RunError
from harness.pipeline import World, processes
from harness.runs import Run
from tests.kit import request, small

NAME = "playground-series-s3e8"


def trained(out: Path, cache: Path, *settings: str, **asked: Any) -> dict[str, Any]:
    competition = registry.load(NAME)
    config = override(small(competition), ["data.folds=2", *settings])
    world = World(cache, **{name: asked.pop(name) for name in ("say", "progress") if name in asked})
    return pipeline.run(competition, config, request(**asked), out=out, world=world)


def test_two_processes_write_the_bytes_of_one(tmp_path: Path, shared_cache: Path) -> None:
    told, steps = list[str](), list[str]()
    one = trained(tmp_path / "one", shared_cache)
    two = trained(
        tmp_path / "two",
        shared_cache,
        processes=2,
        say=told.append,
        progress=lambda name, done, total: steps.append(name.split(",")[0]),
    )
    assert "2 folds in 2 processes" in told
    assert {"fold 0 train", "fold 1 train"} <= set(steps)
    names = ["submission.csv", "oof_submission.csv", *(f"weights/fold{fold}.safetensors" for fold in range(2))]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert two["score"] == one["score"]
    assert two["members"] == one["members"]


@pytest.mark.slow
def test_a_mistake_met_in_a_process_is_the_run_s_one_line(tmp_path: Path, shared_cache: Path) -> None:
    first = tmp_path / "first"
    trained(first, shared_cache)
    with pytest.raises(ConfigError, match="the weights are of another net"):
        trained(tmp_path / "run", shared_cache, f"begin={first}", "model.width=24", processes=2)


@pytest.mark.slow
def test_a_process_that_is_killed_ends_the_run_which_goes_on_later(tmp_path: Path, shared_cache: Path) -> None:
    told = list[str]()

    def kill(name: str, done: int, total: int) -> None:
        if name.startswith("fold"):
            for child in _children():
                os.kill(child, signal.SIGKILL)

    with pytest.raises(RunError, match=r"ended with -9; harness resume .*fewer --processes"):
        trained(tmp_path / "run", shared_cache, "stages.0.epochs=8", processes=2, progress=kill)
    assert _children() == []
    result = pipeline.resume(Run(tmp_path / "run"), data=None, world=World(shared_cache, say=told.append))
    assert result["folds_trained"] == [0, 1]


def test_one_process_a_gpu_and_one_on_a_cpu_unless_told_otherwise() -> None:
    assert processes.number(request(), "cpu") == 1
    assert processes.number(request(processes=3), "cuda") == 3


def _children() -> list[int]:
    """Processes of this test's own that train folds."""
    import multiprocessing

    return [child.pid for child in multiprocessing.active_children() if child.pid is not None]
