"""A run that searches its rate and length first: what it found is what it trains with, and fold 0 is the winner."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from harness import display, pipeline, registry
from harness.cli import main
from harness.config import from_json, override
from harness.errors import ConfigError
from harness.pipeline import World
from harness.pipeline.job import Search
from harness.runs import Run
from harness.search.branch import BELOW, COOLED
from harness.submission import grader
from tests.kit import request, small

NAME = "playground-series-s3e8"
SETTINGS = ("data.folds=2", "train.batch=4", "space.epochs=2x40", "space.rate=1e-4x1e-1")


def searched(out: Path, cache: Path, *settings: str, **world: Any) -> dict[str, Any]:
    competition = registry.load(NAME)
    config = override(small(competition), [*SETTINGS, *settings])
    return pipeline.run(competition, config, request(tune="first"), out=out, world=World(cache, **world))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> tuple[Path, dict[str, Any]]:
    """A run that searched, and its result."""
    run = tmp_path_factory.mktemp("searched") / "run"
    return run, searched(run, shared_cache)


def test_fold_0_is_the_winning_branch_to_the_bit_and_the_others_train_like_it(
    finished: tuple[Path, dict[str, Any]], tmp_path: Path, shared_cache: Path
) -> None:
    run, result = finished
    found = result["tuned"]
    config = from_json(json.loads((run / "config.json").read_text())["config"])
    assert (config.train.rate, config.train.schedule) == (found["rate"], "warmup-stable-decay")
    assert (config.stages[0].epochs, config.train.cooldown) == (found["epochs"], COOLED)
    assert len(found["branches"]) >= 3
    assert found["trained_steps"] > found["steps"]
    # rate and length were chosen on fold 0: its score stands apart
    assert found["fold0"] == result["fold_scores"][0]
    assert found["others"] == result["fold_scores"][1]
    assert f"which scores {found['fold0']:.4f}; the others' mean is {found['others']:.4f}" in display.summary(result)

    competition = registry.load(NAME)
    again = tmp_path / "again"
    pipeline.run(competition, config, request(), out=again, world=World(shared_cache))
    for fold in range(2):
        name = f"weights/fold{fold}.safetensors"
        assert (again / name).read_bytes() == (run / name).read_bytes()


def test_rows_that_chose_rate_and_length_are_no_part_of_the_score(finished: tuple[Path, dict[str, Any]]) -> None:
    run, result = finished
    with open(run / "folds.csv", newline="") as handle:
        others = {row["id"] for row in csv.DictReader(handle) if row["fold"] == "1"}
    for name in ("oof_submission.csv", "answers.csv"):
        with open(run / name, newline="") as handle:
            assert {row["id"] for row in csv.DictReader(handle)} == others
    assert result["rows"]["scored"] == len(others) < result["rows"]["train"]
    # of one fold the pooled score is the fold's; so are those of the members and of what they are compared with
    assert result["score"]["value"] == pytest.approx(result["fold_scores"][1])
    assert result["score"]["interval"][0] < result["score"]["value"] < result["score"]["interval"][1]
    for member in result["members"].values():
        assert member["value"] == pytest.approx(member["fold_scores"][1])
    assert result["choices"]["epochs"] == pytest.approx(result["fold_scores"][1] - result["fold_scores"][0])
    competition = registry.load(NAME)
    paths = (run / "oof_submission.csv", run / "answers.csv")
    graded = grader.grade(*paths, submission=competition.submission, metric=competition.metric)
    assert graded["value"] == pytest.approx(result["score"]["value"], abs=1e-9)


def test_a_score_of_the_rows_that_chose_is_said_to_be_flattered(tmp_path: Path, shared_cache: Path) -> None:
    competition = registry.load(NAME)
    config = override(small(competition), ["data.folds=2", "train.batch=4", "space.epochs=0.5x1"])
    asked = request(tune="first", search=Search("grid"), only_folds=(0,))
    result = pipeline.run(competition, config, asked, out=tmp_path / "run", world=World(shared_cache))
    assert result["rows"]["scored"] == result["rows"]["train"] // 2
    assert "epochs" not in result["choices"]
    assert any("which flatters the score" in line for line in result["told"])
    assert display.verdict(result).endswith("flattered: rate and epochs were chosen by the rows that are scored")


def test_every_branch_is_a_trial_that_optuna_can_look_at(finished: tuple[Path, dict[str, Any]]) -> None:
    run, result = finished
    study = optuna.load_study(study_name=NAME, storage=_journal(run))
    branches = result["tuned"]["branches"]
    assert [trial.params["rate"] for trial in study.trials] == pytest.approx([branch[0] for branch in branches])
    assert [trial.user_attrs["steps"] for trial in study.trials] == [branch[1] for branch in branches]
    assert [-trial.value for trial in study.trials if trial.value is not None] == [
        pytest.approx(branch[2]) for branch in branches if branch[2] is not None
    ]
    longest = max(study.trials, key=lambda trial: trial.user_attrs["steps"])
    assert len(longest.intermediate_values) >= 1
    assert list(longest.intermediate_values) == sorted(longest.intermediate_values)


def test_a_run_stopped_after_its_search_does_not_search_again(tmp_path: Path, shared_cache: Path) -> None:
    def stop(name: str, done: int, total: int) -> None:
        if name.startswith("fold 1"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path / "run", shared_cache, progress=stop)
    lines = (tmp_path / "run" / "log.jsonl").read_text().count('"trial"')
    assert lines >= 3
    result = pipeline.resume(Run(tmp_path / "run"), data=None, world=World(shared_cache))
    assert (tmp_path / "run" / "log.jsonl").read_text().count('"trial"') == lines
    assert result["tuned"]["rate"] > 0


def test_tune_ends_with_the_search_and_resume_trains_the_folds(
    tmp_path: Path, shared_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [word for setting in ("model.width=16", "model.layers=1", *SETTINGS) for word in ("-o", setting)]
    words = ["tune", NAME, "--sample", "--sample-rows", "20", *settings, "--precision", "fp32", "--json"]
    main([*words, "--out", str(tmp_path / "run"), "--cache", str(shared_cache)])
    found = json.loads(capsys.readouterr().out)
    assert found["status"] == "tuned"
    assert not (tmp_path / "run" / "scores.json").exists()
    main(["resume", str(tmp_path / "run"), "--cache", str(shared_cache), "--json"])
    result = json.loads(capsys.readouterr().out)
    assert result["status"] == "finished"
    assert result["tuned"]["rate"] == found["rate"]


def tuned_by(search: Search, out: Path, cache: Path, *settings: str) -> dict[str, Any]:
    competition = registry.load(NAME)
    config = override(small(competition), ["data.folds=2", "train.batch=4", "space.rate=1e-3x1e-1", *settings])
    return pipeline.run(competition, config, request(tune="alone", search=search), out=out, world=World(cache))


def test_lite_trains_one_trunk(tmp_path: Path, shared_cache: Path) -> None:
    found = tuned_by(Search("lite"), tmp_path / "run", shared_cache, "space.epochs=10x80")
    assert len({branch[0] for branch in found["branches"]}) == 1
    assert [branch[1] for branch in found["branches"]] == [100, 200]
    assert found["rate"] == pytest.approx(found["edge"] / BELOW, rel=5e-3)


def test_a_grid_trains_every_rate_with_every_length(tmp_path: Path, shared_cache: Path) -> None:
    found = tuned_by(Search("grid"), tmp_path / "run", shared_cache, "space.epochs=0.5x4")
    assert len({branch[0] for branch in found["branches"]}) == 8
    assert len({branch[1] for branch in found["branches"]}) == 6
    assert len(found["branches"]) == 48
    assert found["trained_steps"] == sum(branch[1] for branch in found["branches"])
    config = from_json(json.loads((tmp_path / "run" / "config.json").read_text())["config"])
    assert config.train.schedule == small(registry.load(NAME)).train.schedule
    assert (config.train.rate, config.stages[0].epochs) == (found["rate"], found["epochs"])


def test_tpe_draws_any_setting_and_scores_it_on_several_folds(tmp_path: Path, shared_cache: Path) -> None:
    space = ("space.epochs=1x4", "space.weight_decay=1e-3:1e-1:log", "space.model.layers=1|2", "space.folds=2")
    found = tuned_by(Search("tpe", trials=4), tmp_path / "run", shared_cache, *space)
    assert set(found["settings"]) == {"train.weight_decay", "model.layers"}
    assert found["chosen_on"] == [0, 1]
    config = from_json(json.loads((tmp_path / "run" / "config.json").read_text())["config"])
    assert config.train.weight_decay == pytest.approx(found["settings"]["train.weight_decay"])
    assert config.model.layers == int(found["settings"]["model.layers"])
    study = optuna.load_study(study_name=NAME, storage=_journal(tmp_path / "run"))
    assert len(study.trials) == 4
    complete = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
    assert all(list(trial.intermediate_values) == [37, 111, 333, 1000, 2000] for trial in complete)
    assert (tmp_path / "run" / "search" / "slices.png").stat().st_size > 10_000
    assert not (tmp_path / "run" / "state").exists()


def _journal(run: Path) -> optuna.storages.BaseStorage:
    return optuna.storages.JournalStorage(JournalFileBackend(str(run / "study.log")))


def test_only_tpe_searches_further_settings(tmp_path: Path, shared_cache: Path) -> None:
    with pytest.raises(ConfigError, match=r"--method branch with space\.train\.weight_decay; give --method tpe"):
        tuned_by(Search(), tmp_path / "run", shared_cache, "space.weight_decay=1e-3:1e-1:log")


def test_a_search_that_was_stopped_goes_on_by_the_command_line_and_says_its_answer(
    tmp_path: Path, shared_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(text: str) -> None:
        if text.startswith("rate "):
            raise KeyboardInterrupt

    competition, out = registry.load(NAME), tmp_path / "run"
    config = override(
        small(competition), ["data.folds=2", "train.batch=4", "space.epochs=1x40", "space.rate=1e-3x1e-1"]
    )
    asked = request(tune="alone", search=Search("lite"))
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(competition, config, asked, out=out, world=World(shared_cache, say=stop))
    main(["resume", str(out), "--cache", str(shared_cache)])
    assert f"train all folds with: harness resume {out}" in capsys.readouterr().out


def test_what_has_no_one_rate_or_length_is_refused(tmp_path: Path, shared_cache: Path) -> None:
    with pytest.raises(ConfigError, match="a search with several stages"):
        searched(tmp_path / "run", shared_cache, "stages.1.epochs=2", "stages.1.name=second")
