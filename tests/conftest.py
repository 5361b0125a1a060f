"""What every test stands on: one thread, loopback only, small real runs shared by many tests."""

from __future__ import annotations

import ipaddress
import multiprocessing
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"  # two test processes share two cores; golden curves need a fixed number

import cv2  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

from tests import postgres, torture  # noqa: E402

torch.set_num_threads(1)
cv2.setNumThreads(0)


def _loopback_only(event: str, arguments: tuple) -> None:
    """An audit hook: whatever library it is, a test that leaves this machine fails."""
    if event != "socket.connect" or not isinstance(arguments[1], tuple):
        return
    host = str(arguments[1][0])
    try:
        local = ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local:
        raise RuntimeError(f"a test tried to reach {host}: tests use no network")


sys.addaudithook(_loopback_only)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-golden", action="store_true", help="record the golden loss curves anew")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has its own working folder and cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that tests share where decoding anew would only cost time."""
    return tmp_path_factory.mktemp("shared-cache")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real samples (zips), from the variable HARNESS_DATA."""
    folder = os.environ.get("HARNESS_DATA")
    if not folder:
        pytest.skip("HARNESS_DATA is not set: it names the folder with the real samples")
    return Path(folder)


@pytest.fixture(scope="session")
def _postgres_server() -> Iterator[str]:
    """A real PostgreSQL, started by the first test that wants one."""
    programs = postgres.programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: no initdb in /usr/lib/postgresql/*/bin or on the search path")
    with postgres.server(programs) as address:
        yield address


@pytest.fixture
def postgres_address(_postgres_server: str) -> str:
    """The address of an empty database of the test's own."""
    return postgres.database(_postgres_server, f"test_{uuid.uuid4().hex[:12]}")


@pytest.fixture(scope="session")
def forks() -> Any:
    """Starts processes (`.Process`) as forks of one that has imported everything, and has no thread."""
    context = multiprocessing.get_context("forkserver")
    database = ["optuna.storages._rdb.models", "alembic.config", "alembic.script", "alembic.migration"]
    database += ["sqlalchemy.orm", "sqlalchemy.dialects.postgresql.psycopg"]
    kaggle = ["kagglesdk.kaggle_client", "bleach", "jupytext", "requests", "tenacity", "harness.kaggle.submitting"]
    context.set_forkserver_preload(
        ["harness.pipeline", "tests.torture", "tests.search.counters", *torture.LATE, *database, *kaggle]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))  # a test's working folder is not this one
        first = context.Process(target=abs, args=(1,))
        first.start()
        first.join()
    return context
