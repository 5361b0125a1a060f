"""What of a run goes into a bundle: all that the kernel reads, and no place of this machine."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import runs
from harness.errors import BundleError, HarnessError
from harness.kaggle import bundle as bundling
from harness.kaggle.metadata import Mode

MODES: tuple[Mode, ...] = ("predict", "run")
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def run(finished: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> runs.Run:
    """A finished run that has test rows, to be changed; no wheels are made here."""
    monkeypatch.setattr("harness.kaggle.wheels.gather", lambda *_, **__: [])
    return runs.Run(Path(shutil.copytree(finished[0], tmp_path / "run")))


def changed(run: runs.Run, name: str, change: Change) -> None:
    """Changes one of the run's records."""
    record = json.loads((run.path / name).read_text())
    change(record)
    (run.path / name).write_text(json.dumps(record))


def bundled(run: runs.Run, mode: Mode = "predict") -> Path:
    """The data set of its bundle."""
    return Path(bundling.make(run, bundling.Wanted("bob", mode))["bundle"]) / "dataset"


@pytest.mark.parametrize("mode", MODES)
def test_no_place_of_this_machine_is_uploaded(
    mode: Mode, run: runs.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "somebody"
    monkeypatch.setenv("HOME", str(home))
    encoder = tmp_path / "disk" / "encoder.safetensors"  # not below HOME
    encoder.parent.mkdir()
    shutil.copyfile(run.path / "weights" / "fold0.safetensors", encoder)

    def placed(settings: dict[str, Any]) -> None:
        settings["hardware"]["encoder_weights"] = settings["config"]["weights"] = str(encoder)
        settings["config"]["begin"] = f"{tmp_path}/earlier:warm" if mode == "predict" else ""
        settings["request"] |= {"data": f"{tmp_path}/data"}
        settings["request"]["search"]["storage"] = "postgresql://somebody@base.example/trials"

    def scored(scores: dict[str, Any]) -> None:
        scores |= {"run": str(run.path), "submission": str(run.path / "submission.csv"), "weights": str(encoder)}
        scores["told"].append(f"read from {home}/data, written to {run.path}")

    changed(run, "config.json", placed)
    changed(run, "scores.json", scored)
    out = bundled(run, mode).parent
    texts = [path for name in ("dataset", "kernel") for path in (out / name).rglob("*.*") if path.is_file()]
    assert len(texts) > 4
    for path in texts:
        for place in (b"somebody", str(tmp_path).encode(), str(Path.cwd()).encode()):
            assert place not in path.read_bytes(), path


def test_a_copy_of_a_run_is_the_same_data_set(run: runs.Run, tmp_path: Path) -> None:
    copy = runs.Run(Path(shutil.copytree(run.path, tmp_path / "copy")))
    changed(copy, "scores.json", lambda scores: scores.update(run=str(copy.path)))
    made = [bundling.make(each, bundling.Wanted("bob"))["dataset"] for each in (run, copy)]
    assert made[0] == made[1]
    changed(copy, "scores.json", lambda scores: scores.update(seconds=1e6))
    assert bundling.make(copy, bundling.Wanted("bob"))["dataset"] != made[0]


def test_a_run_stopped_before_it_had_looked_for_weights_brings_those_it_was_given(run: runs.Run) -> None:
    given = run.path / "weights" / "fold0.safetensors"

    def stopped(settings: dict[str, Any]) -> None:
        del settings["hardware"]
        settings["config"]["weights"] = str(given)

    changed(run, "config.json", stopped)
    data = bundled(run, "run")
    assert json.loads((data / "run/config.json").read_text())["config"]["weights"] == "encoder/fold0.safetensors"
    assert (data / "encoder/fold0.safetensors").read_bytes() == given.read_bytes()
    changed(run, "config.json", lambda settings: settings["config"].update(weights="/home/somebody/old.pth"))
    with pytest.raises(BundleError, match="no safetensors file"):
        bundled(run, "run")


def test_a_run_to_be_trained_asks_for_what_the_first_did_on_any_machine(run: runs.Run) -> None:
    search = {"method": "lite", "storage": "sqlite:////somewhere", "trials": 7}
    here = {"sample": True, "device": "cuda", "processes": 4, "search": search, "sample_rows": 12}

    def asked(settings: dict[str, Any]) -> None:
        settings["request"] |= here
        settings["config"]["weights"] = "auto"
        settings["tuned"] = {"rate": 0.1}

    changed(run, "config.json", asked)
    begun = json.loads((bundled(run, "run") / "run/config.json").read_text())
    there = {"sample": False, "device": "auto", "processes": 0, "search": {**search, "storage": ""}}
    assert begun["request"].items() >= {**there, "sample_rows": 12, "data": None}.items()
    assert begun["config"]["weights"] == "scratch", "the first run found none: a kernel must not look again"
    assert begun["tuned"] == {"rate": 0.1}
    assert not {"hardware", "data_hash"} & set(begun)


def test_a_run_that_begins_with_another_is_not_trained_there(run: runs.Run) -> None:
    changed(run, "config.json", lambda settings: settings["config"].update(begin="earlier"))
    with pytest.raises(BundleError, match="begins with earlier; bundle it with --mode predict"):
        bundled(run, "run")


@pytest.mark.parametrize("name", ["weights/fold0.json", "weights/fold1.safetensors"])
def test_weights_are_needed_whole(name: str, run: runs.Run) -> None:
    (run.path / name).unlink()
    with pytest.raises(BundleError, match=Path(name).name):
        bundled(run)


@pytest.mark.parametrize("name", ["oof_submission.csv", "folds.csv", "phases/fold1.json"])
def test_without_a_test_set_what_the_answer_is_made_from_is_needed(name: str, run: runs.Run) -> None:
    (run.path / name).unlink()
    assert not (bundled(run) / "run" / name).exists(), "a test set is answered without it"
    for rows in ({"test": 0}, None):
        changed(run, "scores.json", lambda scores, rows=rows: scores.update(rows=rows))
        with pytest.raises(BundleError, match=f"lacks {name}"):
            bundled(run)


def test_held_out_rows_answer_in_place_of_the_out_of_fold_rows(run: runs.Run) -> None:
    changed(run, "scores.json", lambda scores: scores["rows"].update(test=0))
    (run.path / "oof_submission.csv").rename(run.path / "holdout_submission.csv")
    assert (bundled(run) / "run" / "holdout_submission.csv").exists()


@pytest.mark.parametrize("folds", [None, [], ["../x"], [0, 0.5], [-1], 2])
def test_a_run_that_names_no_trained_fold_is_refused(folds: object, run: runs.Run) -> None:
    changed(run, "scores.json", lambda scores: scores.update(folds_trained=folds))
    with pytest.raises(BundleError, match=r"scores\.json: names no folds"):
        bundled(run)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "change",
    [
        lambda settings: settings.update(request=None),
        lambda settings: settings.update(config=None),
        lambda settings: settings.update(hardware=None),
        lambda settings: settings.pop("schema"),
        lambda settings: settings["request"].update(search=None),
        lambda settings: settings["hardware"].update(device=None),
        lambda settings: settings["hardware"].update(encoder_weights=[1]),
        lambda settings: settings["config"].update(train=None),
        lambda settings: settings["config"].update(unheard_of=1),
    ],
)
def test_a_damaged_configuration_is_told_in_one_line(mode: Mode, change: Change, run: runs.Run) -> None:
    changed(run, "config.json", change)
    with pytest.raises(HarnessError):
        bundled(run, mode)
    assert not (run.path / "bundle").exists()
