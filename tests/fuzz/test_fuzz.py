"""The readers under drawn inputs for two seconds each, always the same ones; `make fuzz` takes ten minutes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.config import TrainConfig, as_json, from_json, override
from harness.data import addresses
from harness.errors import ConfigError, DataError
from harness.pipeline.job import Request
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


ODD = (None, 5, -1, "x", "../x", [], {}, [1], {"a": 1}, True, 1e309, [[1]], "", 2**70, [None, None])


def places(value: Any, place: tuple = ()) -> Iterator[tuple]:
    """Where the parts of a JSON value are."""
    yield place
    pairs = value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else [])
    for key, inner in pairs:
        yield from places(inner, (*place, key))


def put(value: Any, place: tuple, new: Any) -> Any:
    """The JSON value with another part at a place."""
    if not place:
        return new
    copy = value.copy()
    copy[place[0]] = put(value[place[0]], place[1:], new)
    return copy


@pytest.mark.parametrize("kind", [TrainConfig, Request])
def test_a_configuration_with_any_part_of_another_type_is_refused_or_right(kind: type) -> None:
    config = override(TrainConfig(), ["space.weight_decay=1e-4:1e-1:log", "stages.1.size=64x64"])
    whole = json.loads(json.dumps(as_json(config if kind is TrainConfig else Request(only_folds=(1,)))))
    assert from_json(whole, kind) == (config if kind is TrainConfig else Request(only_folds=(1,)))
    tried = refused = 0
    for place in places(whole):
        for odd in ODD:
            tried += 1
            try:
                found = from_json(put(whole, place, odd), kind)
            except ConfigError as error:
                refused += len(str(error).splitlines()) == 1
                continue
            assert from_json(json.loads(json.dumps(as_json(found))), kind) == found
            tried -= 1
    assert tried == refused > 100


def test_an_empty_list_of_addresses_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"")
    with pytest.raises(DataError, match=r"list\.csv: an empty list"):
        addresses.read(tmp_path / "list.csv")
