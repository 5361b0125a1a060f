"""Runs that must end in time, on a clock that goes on by as much at every look."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness import pipeline, registry, runs
from harness.cli import main
from harness.config import override
from harness.errors import ConfigError, OutOfTime
from harness.pipeline import early, inspect
from harness.pipeline.job import Search
from harness.pipeline.preparation import World, data_root
from tests.kit import ROWS, SHIPPED, request, sample_root, small

TABLE = "playground-series-s3e8"


@dataclass
class Ticking:
    """Every look at it costs so many seconds."""

    each: float
    now: float = 0.0

    def __call__(self) -> float:
        self.now += self.each
        return self.now


def timed_run(name: str, out: Path, world: World, *settings: str, seconds: float = 100.0, **changes: Any) -> dict:
    competition = registry.load(name)
    asked = request(budget=seconds, **changes)
    return pipeline.run(competition, small(competition, *settings), asked, out=out, world=world)


def valid(name: str, path: Path, cache: Path) -> bool:
    root = sample_root(name, cache)
    return inspect.validate(registry.load(name), path, data=root, sample=False, world=World(cache)).valid


@pytest.mark.parametrize("name", SHIPPED)
def test_there_is_a_valid_submission_before_anything_is_decoded(name: str, tmp_path: Path, shared_cache: Path) -> None:
    competition, world = registry.load(name), World(shared_cache)
    root = data_root(competition, data=None, sample=True, sample_rows=ROWS, seed=0, world=world)
    early.write(competition, small(competition), root, runs.Run(tmp_path), world)
    assert valid(name, tmp_path / "submission.csv", shared_cache)


@pytest.mark.parametrize("name", [TABLE, "text-language-model"])
def test_a_run_with_time_enough_is_whole_and_predicts_as_its_weights_do(
    name: str, tmp_path: Path, shared_cache: Path
) -> None:
    out, world = tmp_path / "run", World(shared_cache, clock=Ticking(1e-4))
    result = timed_run(name, out, world, "data.folds=2")
    assert (result["status"], result["folds_trained"], result["budget"]["shed"]) == ("finished", [0, 1], [])
    assert next(what for what, _ in result["budget"]["submissions"]) == "sample values"
    assert json.loads((out / "config.json").read_text())["config"]["train"]["schedule"] == "warmup-stable-decay"
    assert valid(name, out / "submission.csv", shared_cache)
    before = (out / "submission.csv").read_bytes()
    assert pipeline.predict(runs.find(str(out)), data=None, world=World(shared_cache)).read_bytes() == before


def test_what_does_not_fit_is_shed_and_said_and_the_run_ends_in_time(tmp_path: Path, shared_cache: Path) -> None:
    clock, told, out = Ticking(0.05), list[str](), tmp_path / "run"
    world = World(shared_cache, clock=clock, say=told.append)
    result = timed_run(TABLE, out, world, "stages.0.epochs=400", seconds=60.0)
    spent = result["budget"]
    assert clock.now <= 60
    assert spent["used"] > 45
    assert [line.split()[0] for line in spent["shed"]][:2] == ["folds", "epochs,"]
    assert all(f"shed for the budget: {line}" in told for line in spent["shed"])
    assert [int(fold) for fold in spent["steps"]] == result["folds_trained"]
    assert all(10 < steps["train"] < 1600 for steps in spent["steps"].values())
    assert valid(TABLE, out / "submission.csv", shared_cache)
    assert (out / "training.png").exists()


def test_views_are_shed_first(tmp_path: Path, shared_cache: Path) -> None:
    competition, out = registry.load("lgg"), tmp_path / "run"
    config = override(small(competition, "stages.0.epochs=400"), ["views=symmetries"])
    world = World(shared_cache, clock=Ticking(0.5))
    result = pipeline.run(competition, config, request(budget=200.0), out=out, world=world)
    assert result["budget"]["shed"][0] == "test-time views"
    assert "network with views" not in result["members"]
    assert json.loads((out / "config.json").read_text())["config"]["views"] == "none"


def test_a_run_whose_time_ends_goes_on_with_more_of_it(tmp_path: Path, shared_cache: Path) -> None:
    clock, out = Ticking(0.01), tmp_path / "run"

    def slow(label: str, done: int, total: int) -> None:
        if label.startswith("fold 1"):
            clock.now += 200

    stopping = World(shared_cache, clock=clock, progress=slow)
    with pytest.raises(OutOfTime, match=f"harness resume {out} --budget"):
        timed_run(TABLE, out, stopping, "data.folds=2", "stages.0.epochs=2")
    assert valid(TABLE, out / "submission.csv", shared_cache)
    with pytest.raises(OutOfTime, match="used up"):
        pipeline.resume(runs.find(str(out)), data=None, world=World(shared_cache))
    world = World(shared_cache, clock=Ticking(1e-4))
    result = pipeline.resume(runs.find(str(out)), data=None, budget=60.0, world=world)
    assert (result["status"], result["folds_trained"]) == ("finished", [0, 1])
    assert result["budget"]["used"] > 200


def test_a_time_that_ends_while_pictures_are_decoded_leaves_the_sample_values(tmp_path: Path) -> None:
    clock, out, name = Ticking(0.0), tmp_path / "run", "ultrasound-nerve-segmentation"

    def slow(label: str, done: int, total: int) -> None:
        clock.now += 60

    with pytest.raises(OutOfTime):
        timed_run(name, out, World(tmp_path / "cache", clock=clock, progress=slow), seconds=100.0)
    assert valid(name, out / "submission.csv", tmp_path / "cache")


def test_a_time_that_is_over_exits_with_three_and_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def over(*given: object, **named: object) -> None:
        raise OutOfTime("the time is up", fix="harness resume RUN --budget TIME")

    monkeypatch.setattr(pipeline, "run", over)
    with pytest.raises(SystemExit) as stop:
        main(["run", TABLE, "--sample", "--budget", "5m"])
    assert stop.value.code == 3
    assert capsys.readouterr().err.splitlines() == ["error: the time is up; harness resume RUN --budget TIME"]


SEARCHED = ("data.folds=2", "space.epochs=2x40", "space.rate=1e-4x1e-1")


def test_a_search_takes_its_share_and_its_winner_is_fold_0(tmp_path: Path, shared_cache: Path) -> None:
    clock, out = Ticking(0.01), tmp_path / "run"
    result = timed_run(TABLE, out, World(shared_cache, clock=clock), *SEARCHED, seconds=200.0, tune="first")
    assert clock.now <= 200
    assert result["tuned"]["fold0"] == result["fold_scores"][0]
    assert result["folds_trained"] == [0, 1]
    assert max(branch[1] for branch in result["tuned"]["branches"]) <= 200
    assert valid(TABLE, out / "submission.csv", shared_cache)


def test_a_search_without_time_is_shed(tmp_path: Path, shared_cache: Path) -> None:
    world = World(shared_cache, clock=Ticking(0.1))
    result = timed_run(TABLE, tmp_path / "run", world, *SEARCHED, tune="first")
    assert result["budget"]["shed"][0] == "the search"
    assert "tuned" not in result


def test_a_budget_is_for_one_process_and_a_search_that_can_be_short(tmp_path: Path, shared_cache: Path) -> None:
    world = World(shared_cache)
    with pytest.raises(ConfigError, match="several processes"):
        timed_run(TABLE, tmp_path / "run", world, processes=2)
    with pytest.raises(ConfigError, match="--method grid; give --method branch or lite"):
        timed_run(TABLE, tmp_path / "run", world, tune="first", search=Search("grid"))
    assert not (tmp_path / "run").exists()
