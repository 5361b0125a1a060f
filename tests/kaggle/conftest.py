"""A Kaggle on loopback, and the real client pointed at it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.kaggle import service
from tests.kaggle import server, world

# everything that waits does so for hundredths of a second
QUICK = service.Manners(timeout=0.6, tries=4, wait=0.02, longest=2.0, poll=0.02, slowest=0.05, settle=0.4)


@dataclass
class Given:
    """The service under test, and what stands behind it."""

    kaggle: world.Kaggle
    faults: list[server.Fault]
    address: str

    def connect(self, **manners: float) -> service.Service:
        """The real client, signed in."""
        from dataclasses import replace

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


@pytest.fixture
def seconds() -> float:
    """When the test began, on the machine's clock."""
    return time.time()
