"""A Kaggle on loopback, and the real client pointed at it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness import pipeline, registry
from harness.cli import main
from harness.errors import HarnessError
from harness.hashing import sha256_of
from harness.kaggle import service
from harness.kaggle.parcel import Parcel
from harness.kaggle.submitting import submit
from harness.pipeline.preparation import World
from tests import kit
from tests.kaggle import server, world

CSV = b"id,price\n1,0.5\n2,0.25\n"
BOOK = Path("ledger.jsonl")
NAME = "playground-series-s3e8"
BOARD = [(f"team {number}", f"{500 + number}.0") for number in range(120)]

# everything that waits does so for hundredths of a second
QUICK = service.Manners(timeout=0.6, tries=4, wait=0.02, longest=2.0, poll=0.02, slowest=0.05, settle=0.4)


def submits(address: str, folder: str) -> None:
    """What a process of its own does: submits a file, with a ledger in `folder`."""
    os.chdir(folder)
    with pytest.MonkeyPatch.context() as patch:
        pointed_at(address, patch)
        patch.setenv("HOME", str(Path(folder).parent / "home"))
        patch.setenv("KAGGLE_USERNAME", "bob")
        patch.setenv("KAGGLE_KEY", "k3y")
        time.sleep(0.05)  # until the server knows whom to kill
        path = Path("submission.csv")
        path.write_bytes(CSV)
        made = Parcel("toy-adapter", "toy", "first try", path, sha256_of(path), facts={"cv": 0.61, "metric": "AUC"})
        with suppress(HarnessError):
            submit(service.connect(QUICK), BOOK, made, wait=5.0)


@dataclass
class Given:
    """The service under test, and what stands behind it."""

    kaggle: world.Kaggle
    faults: list[server.Fault]
    address: str

    def connect(self, **manners: float) -> service.Service:
        """The real client, signed in."""
        return service.connect(replace(QUICK, **manners))


def pointed_at(address: str, patch: pytest.MonkeyPatch) -> None:
    """Sends the real client to `address`: the SDK keeps its addresses in a private table."""
    from kagglesdk import kaggle_env

    patch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, address)


@pytest.fixture
def kaggle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Given]:
    """A fresh Kaggle with one competition, `toy`, and a user, bob, who has a key in his environment."""
    state = world.Kaggle(contests={"toy": world.Contest()})
    faults: list[server.Fault] = []
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "home" / "config"))
    monkeypatch.setenv("KAGGLE_USERNAME", state.user)
    monkeypatch.setenv("KAGGLE_KEY", state.key)
    monkeypatch.delenv("KAGGLE_API_TOKEN", raising=False)
    with server.served(state, faults) as address:
        pointed_at(address, monkeypatch)
        yield Given(state, faults, address)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(the folder of a finished run, the data it is on): drawn rows, given as data of the user's own."""
    folder = tmp_path_factory.mktemp("table")
    data = kit.sample_root(NAME, folder / "cache", rows=60)
    competition = registry.load(NAME)
    asked = kit.request(sample=False, data=str(data))
    pipeline.run(
        competition, kit.small(competition, "data.folds=2"), asked, out=folder / "run", world=World(folder / "cache")
    )
    return folder / "run", data


@pytest.fixture
def run(finished: tuple[Path, Path], kaggle: Given, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """(a run's id, its data) below the test's own `submissions/`, and a Kaggle that has its competition."""
    shutil.copytree(finished[0], Path("submissions") / NAME / "first")
    contest = world.Contest(board=[*BOARD[:41], ("bob's team", "540.5"), *BOARD[41:]])
    contest.scored = lambda content: ("540.5", "")
    kaggle.kaggle.contests[NAME] = contest
    monkeypatch.setattr(service, "Manners", lambda: QUICK)
    return "first", str(finished[1])


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command: (exit code, stdout, stderr)."""

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = 0
        try:
            main(list(words))
        except SystemExit as stop:
            code = int(stop.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return run
