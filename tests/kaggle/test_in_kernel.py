"""The cells of a kernel find what is mounted, wherever Kaggle mounts it, and say what is not there."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import registry
from harness.data.locate import locate, mounts
from harness.errors import DataError
from harness.kaggle import notebook

SETTINGS = {"MODE": "predict", "COMPETITION": "race", "BUNDLE": "bob/box", "KIND": "competition", "REFERENCE": "race"}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty stand-in for /kaggle."""
    for name in ("input", "working"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HARNESS_KAGGLE", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def cells(root: Path) -> Any:
    """The names that the cells before the installation define."""
    namespace: dict[str, Any] = {}
    for cell in notebook.cells(SETTINGS)[1:4]:
        exec(cell.text, namespace)
    return SimpleNamespace(names=namespace, **namespace)


@pytest.mark.parametrize(
    ("place", "kind", "reference"),
    [
        ("race", "competition", "race"),
        ("competitions/race", "competition", "race"),
        ("stones", "dataset", "ann/stones"),
        ("datasets/ann/stones", "dataset", "ann/stones"),
    ],
)
def test_a_source_is_found_in_both_layouts(place: str, kind: str, reference: str, root: Path, cells: Any) -> None:
    (root / "input" / place).mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="is empty: a source that was just added may be; run the kernel again"):
        cells.mounted(kind, reference)
    (root / "input" / place / "train.csv").write_text("id\n")
    assert cells.mounted(kind, reference) == root / "input" / place


def test_a_source_that_is_not_mounted_is_named(cells: Any) -> None:
    with pytest.raises(FileNotFoundError, match="add the competition race to the kernel's input"):
        cells.mounted("competition", "race")


def test_data_added_by_hand_is_the_one_other_folder(root: Path, cells: Any) -> None:
    (root / "input" / "datasets" / "bob" / "box").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="to be added by hand"):
        cells.by_hand()
    (root / "input" / "datasets" / "ann" / "streets").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="streets is empty"):
        cells.by_hand()
    (root / "input" / "datasets" / "ann" / "streets" / "train.csv").write_text("id\n")
    assert cells.by_hand() == root / "input" / "datasets" / "ann" / "streets"
    (root / "input" / "more").mkdir()
    with pytest.raises(FileNotFoundError, match="one folder"):
        cells.by_hand()


def test_a_part_of_the_bundle_is_found_unpacked_or_packed_and_copied_to_be_written(root: Path, cells: Any) -> None:
    box = root / "input" / "box"
    (box / "run" / "weights").mkdir(parents=True)
    (box / "run" / "weights" / "fold0.json").write_text("{}")
    (box / "run" / "weights" / "fold0.json").chmod(0o444)
    (box / "run" / "weights").chmod(0o555)
    cells.names["bundle"] = box
    cells.copied("run", root / "open")
    (box / "run" / "weights").chmod(0o755)
    shutil.make_archive(str(box / "run"), "zip", box / "run")
    shutil.rmtree(box / "run")
    cells.copied("run", root / "packed")
    for copy in (root / "open", root / "packed"):
        assert (copy / "weights" / "fold0.json").read_text() == "{}"
        assert stat.S_IMODE((copy / "weights").stat().st_mode) & stat.S_IWUSR
        assert stat.S_IMODE((copy / "weights" / "fold0.json").stat().st_mode) & stat.S_IWUSR
    assert cells.part("encoder") is None


@pytest.mark.parametrize(
    ("wheel", "said"), [("", "has no wheels"), ("box-1.0-py3-none-any.whl", "do not fit this image")]
)
def test_the_script_ends_where_nothing_can_be_installed(wheel: str, said: str, root: Path) -> None:
    (root / "input" / "box" / "wheels").mkdir(parents=True)
    if wheel:
        (root / "input" / "box" / "wheels" / wheel).write_bytes(b"no zip")
    (root / "script.py").write_text(notebook.script(notebook.cells(SETTINGS)))
    done = subprocess.run([sys.executable, root / "script.py"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert said in done.stderr
    assert not list((root / "working").iterdir())


def test_wheels_are_installed_with_what_they_need_and_from_no_index(root: Path, cells: Any) -> None:
    (root / "input" / "box" / "wheels").mkdir(parents=True)
    (root / "input" / "box" / "wheels" / "box-1.0-py3-none-any.whl").touch()
    python = root / "python"
    python.write_text(f'#!/bin/sh\necho "$@" > {root}/asked\n')
    python.chmod(0o755)
    cells.names["sys"] = SimpleNamespace(executable=str(python))
    exec(notebook.cells(SETTINGS)[4].text, cells.names)
    asked = (root / "asked").read_text().split()
    assert asked[:3] == ["-m", "pip", "install"]
    assert "--no-index" in asked
    assert "--no-deps" not in asked
    assert asked[-1].endswith("box-1.0-py3-none-any.whl")


# a harness that answers data with a train.csv and notes what it was called with
STAND_IN = """
import json, os, sys
from pathlib import Path

def main(words):
    names = ("HF_HUB_OFFLINE", "NO_ALBUMENTATIONS_UPDATE", "HARNESS_CACHE")
    with open(os.environ["NOTED"], "a") as log:
        log.write(json.dumps({"words": words, "set": {name: os.environ.get(name) for name in names}}) + "\\n")
    if words[0] == os.environ["FAILS"] or not (Path(words[-1]) / "train.csv").exists():
        sys.exit(2)
    if words[0] != "validate":
        (Path(words[1]) / "submission.csv").write_text("id\\n")
"""


@pytest.fixture
def answer(root: Path, cells: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, Any]]]:
    """Runs the cells behind the installation; what the harness was called with."""
    box = root / "input" / "box"
    for name, file in (("run", "config.json"), ("encoder", "net.safetensors"), ("competitions", "race.py")):
        (box / name).mkdir(parents=True)
        (box / name / file).write_text("{}")
    (root / "input" / "race").mkdir()
    (root / "input" / "race" / "sample.csv").touch()
    (root / "packages" / "harness").mkdir(parents=True)
    (root / "packages" / "harness" / "__init__.py").touch()
    (root / "packages" / "harness" / "cli.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(root / "packages"))
    monkeypatch.setenv("NOTED", str(root / "noted"))
    for name in ("HF_HUB_OFFLINE", "NO_ALBUMENTATIONS_UPDATE", "HARNESS_CACHE"):  # this process may have them set
        monkeypatch.delenv(name, raising=False)

    def run(fails: str = "", **settings: str) -> list[dict[str, Any]]:
        monkeypatch.setenv("FAILS", fails)
        cells.names.update(settings, bundle=box)
        for cell in notebook.cells(SETTINGS)[5:]:
            exec(cell.text, cells.names)
        return [json.loads(line) for line in (root / "noted").read_text().splitlines()]

    return run


@pytest.mark.parametrize(("mode", "word"), [("predict", "predict"), ("run", "resume")])
def test_the_answer_is_validated_and_copied(
    mode: str, word: str, root: Path, cells: Any, answer: Callable[..., list[dict[str, Any]]]
) -> None:
    (root / "input" / "race" / "train.csv").touch()
    called = answer(MODE=mode)
    assert [call["words"][0] for call in called] == [word, "validate"]
    assert called[1]["words"][1:3] == ["race", f"{called[0]['words'][1]}/submission.csv"]
    assert all(call["words"][-2:] == ["--data", str(root / "input" / "race")] for call in called)
    for call in called:
        assert call["set"] == {
            "HF_HUB_OFFLINE": "1",
            "NO_ALBUMENTATIONS_UPDATE": "1",
            "HARNESS_CACHE": str(cells.SCRATCH / "cache"),
        }
    assert (root / "working" / "submission.csv").read_text() == "id\n"
    assert (cells.SCRATCH / "encoder" / "net.safetensors").exists()
    assert (cells.SCRATCH / "competitions" / "race.py").exists()
    assert (root / "working" / "run").exists() is (mode == "run")


@pytest.mark.parametrize("fails", ["predict", "validate"])
def test_a_failure_ends_the_notebook_without_a_submission(
    fails: str, root: Path, answer: Callable[..., list[dict[str, Any]]]
) -> None:
    (root / "input" / "race" / "train.csv").touch()
    with pytest.raises(RuntimeError, match=r"^no answer: see above$"):
        answer(fails)
    assert not list((root / "working").iterdir())


def test_data_still_in_archives_is_named_and_taken_from_one_other_folder(
    root: Path, answer: Callable[..., list[dict[str, Any]]]
) -> None:
    (root / "input" / "race" / "train-jpg.tar.7z").touch()
    with pytest.raises(RuntimeError, match=r"not unpacked: train-jpg\.tar\.7z\. .*`harness download race`"):
        answer()
    assert not list((root / "working").iterdir())
    unpacked = root / "input" / "datasets" / "bob" / "race-unpacked"
    unpacked.mkdir(parents=True)
    (unpacked / "train.csv").touch()
    assert [call["words"][-1] for call in answer()][-2:] == [str(unpacked)] * 2
    assert (root / "working" / "submission.csv").exists()


def test_the_harness_finds_data_where_a_kernel_has_it(root: Path) -> None:
    competition = registry.load("gemstones-images")
    with pytest.raises(DataError, match=str(root)):
        locate(competition, None)
    for mount in reversed(mounts(["gemstones-images"])):
        mount.mkdir(parents=True)
        assert locate(competition, None) == mount


def test_without_the_variable_a_kernel_is_looked_for_at_its_usual_place(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("", None):
        monkeypatch.delenv("HARNESS_KAGGLE", raising=False)
        if value is not None:
            monkeypatch.setenv("HARNESS_KAGGLE", value)
        assert mounts(["x"])[:2] == [Path("/kaggle/input/x"), Path("/kaggle/input/competitions/x")]
