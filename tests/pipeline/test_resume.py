"""What a resume says and refuses; that it ends in the same bytes is in test_torture.py and test_stopping.py."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from harness import pipeline, registry, runs
from harness.errors import ConfigError, RunError, SpaceError
from harness.pipeline import room
from harness.pipeline.preparation import World
from tests.kit import request, sample_root, small

NAME = "ultrasound-nerve-segmentation"
STEPS = ("stages.0.epochs=3", "train.save_every=2", "data.folds=2")


def stop_at(label: str, step: int = 0) -> Callable[[str, int, int], None]:
    """A progress function that interrupts at a step of what is called `label`."""

    def interrupt(name: str, done: int, total: int) -> None:
        if name.startswith(label) and done >= step:
            raise KeyboardInterrupt

    return interrupt


def test_two_processes_on_one_run_are_one_too_many(tmp_path: Path, shared_cache: Path) -> None:
    competition, out = registry.load(NAME), tmp_path / "run"

    def meddle(name: str, done: int, total: int) -> None:
        if name.startswith("fold 0"):
            with pytest.raises(
                RunError, match=f"process {os.getpid()} on {socket.gethostname()} works on this run; wait for it"
            ):
                pipeline.resume(runs.find(str(out)), data=None, world=World(shared_cache))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.run(
            competition, small(competition, *STEPS), request(), out=out, world=World(shared_cache, progress=meddle)
        )


def test_resuming_where_versions_differ_says_so_and_goes_on(tmp_path: Path, shared_cache: Path) -> None:
    competition, out, told = registry.load(NAME), tmp_path / "run", list[str]()

    with pytest.raises(KeyboardInterrupt):
        pipeline.run(
            competition,
            small(competition, *STEPS),
            request(),
            out=out,
            world=World(shared_cache, progress=stop_at("fold 1")),
        )
    environment = json.loads((out / "environment.json").read_text())
    (out / "environment.json").write_text(json.dumps({**environment, "threads": 64}))
    pipeline.resume(runs.find(str(out)), data=None, world=World(shared_cache, say=told.append))
    assert any("not bit-identical" in line and "threads was 64 and is 1" in line for line in told)


def test_a_started_run_folder_is_refused_with_the_command_that_goes_on(tmp_path: Path, shared_cache: Path) -> None:
    competition, out = registry.load(NAME), tmp_path / "run"

    world = World(tmp_path / "cache", progress=stop_at(""))  # an empty cache: stopped while it is built
    config = small(competition, *STEPS)
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(competition, config, request(), out=out, world=world)
    with pytest.raises(RunError, match=f"harness resume {out}"):
        pipeline.run(competition, config, request(), out=out, world=world)
    assert pipeline.resume(runs.find(str(out)), data=None, world=World(tmp_path / "cache"))["status"] == "finished"


def test_resuming_a_finished_run_only_says_its_scores(tmp_path: Path, shared_cache: Path) -> None:
    competition, out = registry.load(NAME), tmp_path / "run"
    config = small(competition, "data.folds=2")
    first = pipeline.run(competition, config, request(), out=out, world=World(shared_cache))
    (out / "weights" / "fold0.safetensors").unlink()  # would be needed to do anything
    assert pipeline.resume(runs.find(str(out)), data=None, world=World(shared_cache)) == first
    with pytest.raises(RunError, match="finished"):
        pipeline.run(competition, config, request(), out=out, world=World(shared_cache))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_run_from_a_machine_with_a_gpu_goes_on_without_one_and_keeps_its_finished_folds(
    tmp_path: Path, shared_cache: Path
) -> None:
    competition, out, told = registry.load(NAME), tmp_path / "run", list[str]()

    with pytest.raises(KeyboardInterrupt):
        pipeline.run(
            competition,
            small(competition, *STEPS),
            request(),
            out=out,
            world=World(shared_cache, progress=stop_at("fold 1")),
        )
    settings = json.loads((out / "config.json").read_text())
    settings["hardware"] |= {"device": "cuda", "precision": "fp16"}
    (out / "config.json").write_text(json.dumps(settings))
    finished = (out / "weights" / "fold0.safetensors").stat().st_mtime_ns
    result = pipeline.resume(runs.find(str(out)), data=None, world=World(shared_cache, say=told.append))
    assert any("goes on with the CPU in fp32" in line for line in told)
    assert (out / "weights" / "fold0.safetensors").stat().st_mtime_ns == finished
    assert (result["device"], result["precision"]) == ("cpu", "fp32")
    assert json.loads((out / "config.json").read_text())["hardware"]["device"] == "cuda"


def test_resuming_on_changed_data_is_refused(tmp_path: Path, shared_cache: Path) -> None:
    competition, out, data = registry.load(NAME), tmp_path / "run", tmp_path / "data"
    shutil.copytree(sample_root(NAME, shared_cache), data)

    asked = request(sample=False, data=str(data))
    config = small(competition, *STEPS)
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(competition, config, asked, out=out, world=World(shared_cache, progress=stop_at("fold 1")))
    masks = sorted(data.glob("train/*_mask.tif"))
    masks[0].write_bytes(masks[1].read_bytes())
    with pytest.raises(RunError, match="the data has changed"):
        pipeline.resume(runs.find(str(out)), data=None, world=World(shared_cache))


def test_folds_that_there_are_not_are_refused_before_training(tmp_path: Path, shared_cache: Path) -> None:
    competition = registry.load(NAME)
    with pytest.raises(ConfigError, match="the folds are 0 to 1"):
        pipeline.run(
            competition,
            small(competition, "data.folds=2"),
            request(only_folds=(2,)),
            out=tmp_path / "run",
            world=World(shared_cache),
        )


def test_a_run_without_room_on_its_disk_is_told_before_it_trains_and_goes_on_with_room(
    tmp_path: Path, shared_cache: Path
) -> None:
    competition, out = registry.load(NAME), tmp_path / "run"
    config = small(competition, "data.folds=2")

    def free(path: Path) -> int:
        return 40_000_000 if path == out else 10**12

    with pytest.raises(
        SpaceError, match=r"2 folds to train need 0\.\d\d GB on this disk, 0\.04 GB are free; free some"
    ):
        pipeline.run(competition, config, request(), out=out, world=World(shared_cache, free=free))
    assert not (out / "weights").exists()
    assert pipeline.resume(runs.find(str(out)), data=None, world=World(shared_cache))["status"] == "finished"


def test_the_room_that_is_asked_for_is_what_a_run_takes(tmp_path: Path, shared_cache: Path) -> None:
    """The estimate is not below the largest size of the folder while it trains, and not above thrice that."""
    competition, out, asked, sizes = registry.load(NAME), tmp_path / "run", list[int](), [0]

    def weigh() -> None:
        sizes[0] = max(sizes[0], sum(path.stat().st_size for path in out.rglob("*") if path.is_file()))

    def needed(*given: Any, **named: Any) -> int:
        asked.append(usual(*given, **named))
        return asked[-1]

    usual = room.needed
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "needed", needed)
        world = World(shared_cache, halt=weigh, tick=weigh)
        pipeline.run(competition, small(competition, *STEPS), request(), out=out, world=world)
    assert sizes[0] < asked[0] - room.SPARE < 3 * sizes[0]
