"""Competitions are found by name, loaded one at a time, and break alone."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from harness import registry
from harness.errors import CompetitionError

NERVE, BRAIN = "ultrasound-nerve-segmentation", "lgg-mri-segmentation"
ADAPTER = """
from dataclasses import replace
from harness import registry
competition = replace(registry.load("lgg-mri"), name="{name}")
"""
LISTING = """
import sys
from harness import registry
assert "lgg-mri-segmentation" in registry.names()
heavy = {"numpy", "torch", "cv2", "PIL", "sklearn", "pandas", "albumentations"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
assert not [name for name in sys.modules if name.startswith("competitions.")]
registry.load("ultrasound")
assert [name for name in sys.modules if name.startswith("competitions.")] == [
    "competitions.ultrasound_nerve_segmentation"
]
assert "torch" not in sys.modules
"""


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty `competitions` folder in the working directory."""
    folder = tmp_path / "competitions"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    return folder


def refusal(name: str) -> str:
    with pytest.raises(CompetitionError) as caught:
        registry.load(name)
    return str(caught.value)


def test_listing_imports_no_competition_and_loading_imports_only_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", LISTING], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [NERVE, "ultrasound_nerve_segmentation", "Ultrasound-Nerve_segmentation ", "ultra"])
def test_dashes_underscores_and_a_prefix_name_the_same_competition(name) -> None:
    assert registry.load(name).name == NERVE


def test_a_prefix_of_several_names_them(local: Path) -> None:
    for name in ("gem_one", "gem_two"):
        (local / f"{name}.py").touch()
    message = refusal("gem")
    assert "'gem' fits gem-one, gem-two" in message


def test_a_whole_name_wins_over_a_longer_one_that_begins_with_it(local: Path) -> None:
    for name in ("gem", "gem_two"):
        (local / f"{name}.py").touch()
    assert registry.resolve("gem") == "gem"


@pytest.mark.parametrize(
    ("name", "meant"), [("nerv", NERVE), ("ultrasuond-nerve-segmentation", NERVE), ("lgg-mir-segmentation", BRAIN)]
)
def test_a_misspelled_name_is_answered_with_the_nearest(name, meant) -> None:
    assert refusal(name) == f"no competition '{name}'; did you mean '{meant}'?"


@pytest.mark.parametrize("name", ["", "qqqqqqqq"])
def test_a_name_like_none_is_answered_with_all(name) -> None:
    assert NERVE in refusal(name)
    assert BRAIN in refusal(name)


def test_a_file_in_the_working_directory_is_a_competition(local: Path) -> None:
    (local / "my_own.py").write_text(ADAPTER.format(name="my-own"))
    (local / "_drawing.py").write_text("raise RuntimeError")
    assert "my-own" in registry.names()
    assert not [name for name in registry.names() if "drawing" in name]
    assert registry.load("my_own").name == "my-own"


@pytest.mark.parametrize(
    "source", ["import no_such_module", "def (", "raise SystemExit(1)", "1 / 0", "", "competition = 3", "\0"]
)
def test_a_broken_file_breaks_itself_alone(local: Path, source: str) -> None:
    (local / "broken.py").write_text(source)
    (local / "sound.py").write_text(ADAPTER.format(name="sound"))
    assert "broken.py" in refusal("broken")
    assert registry.load("sound").name == "sound"
    assert registry.load(NERVE).name == NERVE


def test_a_file_that_declares_another_name_is_refused(local: Path) -> None:
    (local / "mine.py").write_text(ADAPTER.format(name="yours"))
    message = refusal("mine")
    assert "is called 'yours'" in message
    assert "name the file yours.py" in message


def test_a_local_file_does_not_replace_a_shipped_competition(local: Path) -> None:
    (local / "lgg_mri_segmentation.py").write_text("1 / 0")
    assert registry.load(BRAIN).name == BRAIN


def test_an_installed_package_brings_a_competition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "thirdparty_contest.py").write_text(ADAPTER.format(name="third-party"))
    package = tmp_path / "thirdparty-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text(
        f"[{registry.GROUP}]\nthird_party = thirdparty_contest:competition\nthird_lost = no_such_module:competition\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert {"third-party", "third-lost"} <= set(registry.names())
    assert registry.load("third-party").name == "third-party"
    assert "no_such_module" in refusal("third-lost")


def test_every_shipped_competition_pickles_and_carries_its_own_name() -> None:
    for name in registry.names():
        competition = registry.load(name)
        copy = pickle.loads(pickle.dumps(competition))
        assert repr(copy) == repr(competition)  # a partial is equal to itself alone
        assert copy.name == name


def test_a_local_competition_pickles(local: Path) -> None:
    (local / "own_sample.py").write_text(
        ADAPTER.format(name="own-sample")
        + "def sample(rows, seed):\n    yield 'a.txt', 'text'\ncompetition = replace(competition, sample=sample)\n"
    )
    competition = registry.load("own-sample")
    assert list(pickle.loads(pickle.dumps(competition)).sample(1, 0)) == [("a.txt", "text")]
