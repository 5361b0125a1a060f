"""A run that is asked to end finishes its step, keeps it, leaves a valid submission, and says how it goes on."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from harness import pipeline, registry, runs
from harness.cli import main
from harness.errors import Stopped
from harness.pipeline import inspect
from harness.pipeline.preparation import World
from harness.stopping import Stop
from tests.kit import request, sample_root, small

NAME = "ultrasound-nerve-segmentation"
STEPS = ("stages.0.epochs=6", "train.save_every=5", "data.folds=2")
COMPARED = ("weights/fold0.safetensors", "weights/fold1.safetensors", "oof/network/fold1.npy", "submission.csv")


def halting_at(counted: int, cache: Path, **outside: Any) -> World:
    """A world that asks to end before the step of that number."""
    steps = [0]

    def halt() -> None:
        steps[0] += 1
        if steps[0] > counted:
            Stop("SIGTERM").check()

    return World(cache, halt=halt, **outside)


def run_to_stop(out: Path, world: World, *settings: str) -> str:
    competition = registry.load(NAME)
    with pytest.raises(Stopped) as stopped:
        pipeline.run(competition, small(competition, *STEPS, *settings), request(), out=out, world=world)
    return str(stopped.value)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> dict[str, bytes]:
    """The files of a run that nothing stopped."""
    out = tmp_path_factory.mktemp("whole") / "run"
    competition = registry.load(NAME)
    pipeline.run(competition, small(competition, *STEPS), request(), out=out, world=World(shared_cache))
    return {name: (out / name).read_bytes() for name in COMPARED}


def test_a_stop_between_two_saves_keeps_the_step_and_goes_on_to_the_same_bytes(
    whole: dict[str, bytes], tmp_path: Path, shared_cache: Path
) -> None:
    out, told = tmp_path / "run", list[str]()
    said = run_to_stop(out, halting_at(7, shared_cache))
    assert said == f"stopped by SIGTERM; go on with: harness resume {out}"
    valid = inspect.validate(
        registry.load(NAME),
        out / "submission.csv",
        data=sample_root(NAME, shared_cache),
        sample=False,
        world=World(tmp_path),
    )
    assert valid.valid
    pipeline.resume(runs.find(str(out)), data=None, world=World(shared_cache, say=told.append))
    assert "fold 0 goes on at step 7 of stage 0" in told
    assert {name: (out / name).read_bytes() for name in COMPARED} == whole


def test_a_stop_in_the_second_fold_leaves_the_answer_of_the_first(tmp_path: Path, shared_cache: Path) -> None:
    out, told = tmp_path / "run", list[str]()
    run_to_stop(out, halting_at(20, shared_cache, say=told.append))
    assert "submission.csv: sample values" in told
    assert told[-1] == "submission.csv: fold 0 of 2"
    assert runs.find(str(out)).scores() is None


def test_a_signal_ends_the_command_with_3_and_the_word_that_goes_on(tmp_path: Path, forks: Any, capfd: Any) -> None:
    out = tmp_path / "run"
    process = forks.Process(target=command, args=(out, tmp_path / "printed"))
    process.start()
    while not (out / "state" / "fold0.safetensors").exists() and process.is_alive():
        time.sleep(0.005)
    process.terminate()
    process.join()
    assert process.exitcode == 3
    lines = (tmp_path / "printed").read_text().splitlines()
    assert lines[-1] == f"error: stopped by SIGTERM; go on with: harness resume {out}"
    assert "SIGTERM: finishing the step and saving; once more ends it at once" in lines
    assert (out / "submission.csv").exists()
    assert json.loads((out / "config.json").read_text())["data_hash"]


def command(out: Path, printed: Path) -> None:
    """`harness run` in a process of its own, stderr in a file."""
    import os

    descriptor = os.open(printed, os.O_WRONLY | os.O_CREAT)
    os.dup2(descriptor, 2)
    words = ["run", NAME, "--sample", "--sample-rows", "20", "--epochs", "40", "-o", "train.size=64x64"]
    main([*words, "-o", "train.save_every=2", "--precision", "fp32", "--out", str(out)])


def test_a_second_signal_ends_at_once() -> None:
    from harness.stopping import AtOnce, signals

    # a test run in the background of a script is started with Ctrl-C ignored
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with signals() as stop:
            signal.raise_signal(signal.SIGTERM)
            with pytest.raises(Stopped, match="stopped by SIGTERM"):
                stop.check()
            with pytest.raises(AtOnce):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_process_that_is_led_hears_no_second_signal_and_an_ignored_one_stays_ignored() -> None:
    from harness.stopping import signals

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals(led=True) as stop:
            signal.raise_signal(signal.SIGHUP)
            assert stop.by == ""
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
            assert stop.by == "SIGTERM"
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
