"""The cells of a kernel find what is mounted, wherever Kaggle mounts it, and say what is not there."""

from __future__ import annotations

import shutil
import stat
import subprocess
import sys
import tempfile
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
