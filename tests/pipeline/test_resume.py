"""A run that was stopped goes on to the bytes it would have had."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from harness import pipeline, registry, runs
from harness.errors import ConfigError, RunError
from harness.pipeline.preparation import World
from tests.kit import request, run_small, sample_root, small

NAME = "ultrasound-nerve-segmentation"
STEPS = ("stages.0.epochs=3", "train.save_every=2", "data.folds=2")
COMPARED = ("weights/fold0.safetensors", "weights/fold1.safetensors", "oof/network/fold1.npy", "submission.csv")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> dict[str, bytes]:
    """The files of a run that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "run"
    competition = registry.load(NAME)
    pipeline.run(competition, small(competition, *STEPS), request(), out=out, world=World(shared_cache))
    return {name: (out / name).read_bytes() for name in COMPARED}


def files_of(run: Path) -> dict[str, bytes]:
    return {name: (run / name).read_bytes() for name in COMPARED}


def stop_at(label: str, step: int = 0) -> Callable[[str, int, int], None]:
    """A progress function that interrupts at a step of what is called `label`."""

    def interrupt(name: str, done: int, total: int) -> None:
        if name.startswith(label) and done >= step:
            raise KeyboardInterrupt

    return interrupt


@pytest.mark.parametrize(("label", "step"), [("fold 0", 4), ("fold 1", 8), ("predict", 3)])
def test_an_interrupted_run_goes_on_to_the_same_bytes(
    label: str, step: int, whole: dict[str, bytes], tmp_path: Path, shared_cache: Path
) -> None:
    competition, out = registry.load(NAME), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(
            competition,
            small(competition, *STEPS),
            request(),
            out=out,
            world=World(shared_cache, progress=stop_at(label, step)),
        )
    assert runs.find(str(out)).scores() is None
    result = pipeline.resume(runs.find(str(out)), data=None, world=World(shared_cache))
    assert result["status"] == "finished"
    assert files_of(out) == whole


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("playground-series-s3e8", ()),
        ("text-language-model", ("model.text=gpt",)),
        ("text-language-model", ("model.text=lstm",)),  # a carried state and windows of drawn lengths
    ],
)
def test_tables_and_texts_go_on_to_the_same_bytes_too(
    name: str, settings: tuple[str, ...], tmp_path: Path, shared_cache: Path
) -> None:
    competition = registry.load(name)
    config, bytes_of = small(competition, *STEPS, *settings), []
    for interrupted in (False, True):
        out, world = tmp_path / str(interrupted), World(shared_cache)
        if interrupted:
            stopping = World(shared_cache, progress=stop_at("fold 1", 3))
            with pytest.raises(KeyboardInterrupt):
                pipeline.run(competition, config, request(), out=out, world=stopping)
            assert not (out / "oof" / "network" / "fold1.npy").exists()
            pipeline.resume(runs.find(str(out)), data=None, world=world)
        else:
            pipeline.run(competition, config, request(), out=out, world=world)
        bytes_of.append(files_of(out))
    assert bytes_of[0] == bytes_of[1]


def test_a_run_killed_in_mid_epoch_goes_on_to_the_same_bytes(
    whole: dict[str, bytes], tmp_path: Path, shared_cache: Path, forks: Any
) -> None:
    out = tmp_path / "run"
    process = forks.Process(target=run_small, args=(NAME, STEPS, out, shared_cache))
    process.start()
    state = out / "state" / "fold0.safetensors.before"
    while not state.exists() and process.is_alive():
        time.sleep(0.001)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (out / "weights" / "fold0.safetensors").exists()
    result = pipeline.resume(runs.find(str(out)), data=None, world=World(shared_cache))
    assert result["sample"] is True
    assert files_of(out) == whole


def test_two_processes_on_one_run_are_one_too_many(tmp_path: Path, shared_cache: Path) -> None:
    competition, out = registry.load(NAME), tmp_path / "run"

    def meddle(name: str, done: int, total: int) -> None:
        if name.startswith("fold 0"):
            with pytest.raises(RunError, match="another process"):
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
