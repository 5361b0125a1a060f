"""The readers under drawn inputs for two seconds each, always the same ones; `make fuzz` takes ten minutes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.data import addresses
from harness.errors import DataError
from tests.fuzz.__main__ import fuzz
from tests.fuzz.targets import TARGETS, Target, try_one

SECONDS = 2.0


@pytest.fixture(autouse=True)
def _without_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sync", lambda: None)  # as in `make fuzz`


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_no_drawn_input_breaks_a_promise(target: Target, tmp_path: Path) -> None:
    tally = fuzz(target, SECONDS, tmp_path / "one")
    assert tally.found == {}
    assert tally.tried > 50


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_right_inputs_keep_the_promises(target: Target, tmp_path: Path) -> None:
    assert [try_one(target, seed, tmp_path / "one") for seed in target.seeds] == [None] * len(target.seeds)


def test_a_broken_promise_is_found_and_made_small(tmp_path: Path) -> None:
    def check(content: bytes, folder: Path) -> None:
        assert b"," not in content.removeprefix(b"id,"), "a comma"

    tally = fuzz(Target("broken", (b"id,label",), (b",",), check), 1.0, tmp_path / "one")
    ((key, smallest),) = tally.found.items()
    assert key.startswith("AssertionError in test_fuzz.py")
    assert smallest == b","


def test_an_empty_list_of_addresses_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"")
    with pytest.raises(DataError, match=r"list\.csv: an empty list"):
        addresses.read(tmp_path / "list.csv")
