"""From data to a validated submission: what a run writes, and that its numbers are the numbers."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import files, pipeline, registry, runs
from harness.cli import main
from harness.config import override
from harness.errors import RunError
from harness.pipeline import score
from harness.pipeline.evidence import decided_value, untold
from harness.pipeline.hardware import Hardware
from harness.pipeline.job import Job
from harness.pipeline.network import predict_rows
from harness.pipeline.preparation import World
from tests.kit import SHIPPED, sample_data, sample_root, small
from tests.kit import request as sample

FINISHED: dict[str, dict[str, Any]] = {}


@pytest.fixture(params=SHIPPED)
def finished(request: pytest.FixtureRequest, shared_cache: Path) -> dict[str, Any]:
    return run_once(request.param, shared_cache)


def run_once(name: str, cache: Path) -> dict[str, Any]:
    """One finished sample run of each adapter, shared by the tests of this file."""
    if name not in FINISHED:
        competition = registry.load(name)
        out = cache.parent / f"{cache.name}-run-{name}"
        FINISHED[name] = pipeline.run(competition, small(competition), sample(), out=out, world=World(cache))
    return FINISHED[name]


def exit_code(*arguments: str) -> int:
    """What the command line exits with."""
    try:
        main(list(arguments))
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_the_run_folder_holds_what_is_promised(finished: dict[str, Any]) -> None:
    folder = Path(finished["run"])
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    promised = {"submission.csv", "oof_submission.csv", "answers.csv", "config.json", "folds.csv", "scores.json"}
    promised |= {"log.jsonl", "environment.json", "oof/rows.csv"}
    for number in range(finished["folds"]):
        promised.add(f"weights/fold{number}.safetensors")
        # the last member is the constant answer, which needs no file
        promised |= {f"oof/{member.replace(' ', '_')}/fold{number}.npy" for member in list(finished["members"])[:-1]}
    assert promised <= names
    assert not [name for name in names if name.startswith("state/") or ".tmp" in name]


def test_the_json_has_every_key_of_its_schema(finished: dict[str, Any]) -> None:
    keys = "schema status competition run sample submission score secondary members baselines test_score folds"
    keys += " fold_scores folds_hash seconds decoded_images device precision weights"
    assert set(keys.split()) <= set(finished)
    assert set(finished["score"]) == {"metric", "value", "interval", "higher_is_better"}
    assert set(finished["members"]["network"]) == {"value", "fold_scores", "weight"}
    assert len(finished["members"]) == 3
    assert set(finished["baselines"]) == set(list(finished["members"])[1:])
    assert sum(finished["choices"].values()) == pytest.approx(finished["optimism"])
    assert sum(member["weight"] for member in finished["members"].values()) == pytest.approx(1)
    assert finished == json.loads((Path(finished["run"]) / "scores.json").read_text())


def test_grading_the_out_of_fold_submission_gives_the_score(
    finished: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = finished["run"]
    files = (f"{folder}/oof_submission.csv", "--answers", f"{folder}/answers.csv")
    assert exit_code("grade", finished["competition"], *files, "--json") == 0
    graded = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert graded["value"] == pytest.approx(finished["score"]["value"], abs=1e-9)


def test_the_submission_is_valid_for_its_data_and_a_mutated_one_is_not(
    finished: dict[str, Any], shared_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = shared_cache / "samples" / f"{finished['competition']}-20-0"
    validate = ("validate", finished["competition"], finished["submission"], "--data", str(data))
    assert exit_code(*validate) == 0
    assert "valid" in capsys.readouterr().out
    mutated = tmp_path / "mutated.csv"
    mutated.write_text("".join(Path(finished["submission"]).read_text().splitlines(keepends=True)[:-1]))
    assert exit_code("validate", finished["competition"], str(mutated), "--data", str(data), "--json") == 2
    assert json.loads(capsys.readouterr().out)["valid"] is False


def test_every_picture_is_decoded_once_for_all_folds_and_never_again(tmp_path: Path) -> None:
    competition = registry.load("ultrasound-nerve-segmentation")
    world = World(tmp_path / "cache")
    config = small(competition, "data.folds=3")
    first = pipeline.run(competition, config, sample(), out=tmp_path / "a", world=world)
    rows = first["rows"]
    assert first["folds"] == 3
    assert first["decoded_images"] == {"train": rows["train"], "test": rows["test"], "masks": rows["train"]}
    second = pipeline.run(competition, config, sample(), out=tmp_path / "b", world=world)
    assert second["decoded_images"] == {"train": 0, "test": 0, "masks": 0}
    # the same numbers, to the bit: nothing depends on the run folder or the clock
    assert (tmp_path / "a/submission.csv").read_bytes() == (tmp_path / "b/submission.csv").read_bytes()
    assert second["score"] == first["score"]


def test_a_fold_trained_alone_has_the_bits_it_has_among_others(
    finished: dict[str, Any], shared_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    competition = registry.load(finished["competition"])
    alone = pipeline.run(
        competition, small(competition), sample(only_folds=(1,)), out=tmp_path / "alone", world=World(shared_cache)
    )
    for name in ("weights/fold1.safetensors", "oof/network/fold1.npy"):
        assert (Path(finished["run"]) / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    assert alone["folds_trained"] == [1]
    # its own rows choose for each other, and the files say what was printed
    assert alone["fold_scores"] == [alone["score"]["value"]]
    assert any(sentence.startswith("an only fold") for sentence in alone["told"])
    files = [str(tmp_path / "alone" / "oof_submission.csv"), "--answers", str(tmp_path / "alone" / "answers.csv")]
    assert exit_code("grade", finished["competition"], *files, "--json") == 0
    graded = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert graded["value"] == pytest.approx(alone["score"]["value"], abs=1e-9)


def test_predict_writes_the_run_s_submission_again(finished: dict[str, Any], shared_cache: Path) -> None:
    path = Path(finished["submission"])
    before = path.read_bytes()
    path.unlink()
    assert pipeline.predict(runs.find(finished["run"]), data=None, world=World(shared_cache)) == path
    assert path.read_bytes() == before


def test_out_of_fold_rows_say_where_each_prediction_lies(finished: dict[str, Any]) -> None:
    folder = Path(finished["run"])
    with open(folder / "oof" / "rows.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == finished["rows"]["train"]
    flat = {row["fold"]: np.load(folder / "oof" / "network" / f"fold{row['fold']}.npy") for row in rows}
    last = max((row for row in rows if row["fold"] == "0"), key=lambda row: int(row["offset"]))
    length = np.prod([int(side) for side in last["shape"].split("x")])
    assert len(flat["0"]) == int(last["offset"]) + length
    masks = registry.load(finished["competition"]).task.kind in ("mask", "classes")
    assert flat["0"].dtype == (np.uint8 if masks else np.float32)


def test_folds_of_the_run_are_in_its_fold_file(finished: dict[str, Any]) -> None:
    with open(Path(finished["run"]) / "folds.csv", newline="") as handle:
        numbers = {row["fold"] for row in csv.DictReader(handle)}
    assert numbers == {str(number) for number in range(finished["folds"])}


def test_some_folds_named_twice_are_trained_and_predicted_once(tmp_path: Path, shared_cache: Path) -> None:
    competition = registry.load("ultrasound-nerve-segmentation")
    asked, config = sample(only_folds=(2, 0, 0)), small(competition)
    result = pipeline.run(competition, config, asked, out=tmp_path / "run", world=World(shared_cache))
    assert result["folds_trained"] == [0, 2]
    assert result["rows"]["scored"] < result["rows"]["train"]
    before = (tmp_path / "run" / "submission.csv").read_bytes()
    pipeline.predict(runs.find(result["run"]), data=None, world=World(shared_cache))
    assert (tmp_path / "run" / "submission.csv").read_bytes() == before


def test_predict_needs_only_the_test_part_of_other_data(
    finished: dict[str, Any], shared_cache: Path, tmp_path: Path
) -> None:
    if finished["competition"] != "ultrasound-nerve-segmentation":
        return
    data, target = sample_root(finished["competition"], shared_cache), tmp_path / "other"
    shutil.copytree(data / "test", target / "test")
    removed = sorted((target / "test").iterdir())[0]
    removed.unlink()
    path = Path(finished["submission"])
    before = path.read_bytes()
    pipeline.predict(runs.find(finished["run"]), data=str(target), world=World(shared_cache))
    assert len(path.read_text().splitlines()) == finished["rows"]["test"]  # one less, and the header
    path.write_bytes(before)


def test_missing_weights_are_said_by_their_file(finished: dict[str, Any], shared_cache: Path) -> None:
    if finished["members"]["network"]["weight"] == 0 or finished["rows"]["test"] == 0:
        return
    weights = Path(finished["run"]) / "weights" / "fold0.safetensors"
    weights.rename(weights.with_suffix(".away"))
    with pytest.raises(RunError, match=r"fold0\.safetensors"):
        pipeline.predict(runs.find(finished["run"]), data=None, world=World(shared_cache))
    weights.with_suffix(".away").rename(weights)


def test_scores_do_not_depend_on_the_batch_size(finished: dict[str, Any], shared_cache: Path) -> None:
    competition, config, data = sample_data(finished["competition"], shared_cache)
    run, rows = runs.find(finished["run"]), list(range(0, len(data.train), 3))
    values = []
    for batch in (1, 5):
        changed = override(config, [f"train.batch={batch}"])
        job = Job(competition, changed, run, Hardware("cpu", "fp32", None), World(shared_cache))
        predictions = dict(predict_rows(job, rows, part=data, folds=[0]))
        groups, kind = score.metric_groups(competition, data, rows), competition.task.kind
        decided = {row: decided_value(kind, untold(kind), prediction) for row, prediction in predictions.items()}
        statistics = [competition.metric.statistics(decided[row], data.truth(row)) for row in rows]
        values.append(competition.metric.reduce(np.array(statistics), groups))
    assert values[0] == pytest.approx(values[1], abs=1e-3, rel=1e-3)


def test_held_out_groups_are_scored_once_and_trained_never(tmp_path: Path, shared_cache: Path) -> None:
    competition = registry.load("lgg-mri-segmentation")
    config = small(competition, "data.holdout=0.2", "data.folds=2")
    result = pipeline.run(competition, config, sample(), out=tmp_path / "run", world=World(shared_cache))
    with open(tmp_path / "run" / "folds.csv", newline="") as handle:
        held = {row["id"] for row in csv.DictReader(handle) if row["fold"] == "-1"}
    with open(tmp_path / "run" / "submission.csv", newline="") as handle:
        assert {row["id"] for row in csv.DictReader(handle)} == held
    assert len({identity.rsplit("_", 1)[0] for identity in held}) == 1
    assert 0 <= result["test_score"] <= 1
    data = str(sample_root("lgg-mri-segmentation", shared_cache))
    assert exit_code("validate", "lgg", result["submission"], "--data", data) == 0
    with open(tmp_path / "run" / "answers.csv", newline="") as handle:
        assert not held & {row["id"] for row in csv.DictReader(handle)}


def test_sample_partial_and_damaged_runs_are_not_the_best_run_of_the_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "ultrasound-nerve-segmentation"
    whole = [0, 1, 2, 3, 4]
    rows = (("drawn", True, 0.9, whole), ("partial", False, 0.8, [0]), ("real", False, 0.5, whole))
    base = tmp_path / "submissions" / name
    for run, is_sample, value, trained in rows:
        scores = {"sample": is_sample, "score": {"value": value}, "folds": 5, "folds_trained": trained}
        files.write_json(base / run / "scores.json", scores)
    files.write_text(base / "damaged" / "scores.json", "{")
    assert exit_code("list", "--json") == 0
    listed = json.loads(capsys.readouterr().out.splitlines()[-1])["competitions"]
    best = {row["name"]: row["best_run"] for row in listed}
    assert best[name] == {"run": "real", "value": 0.5}
