"""A run folder, weights or states that somebody prepared: one line that names the file, and nothing in them runs."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from harness import pipeline, registry, runs
from harness.errors import ConfigError, HarnessError, RunError
from harness.models import tensors
from harness.pipeline.preparation import World
from tests.kit import request, small

TABLE = "playground-series-s3e8"
TRACE = "the payload ran"


class Payload:
    """Makes a folder in the working folder when it is unpickled by a reader that runs code."""

    def __reduce__(self) -> tuple:
        return (os.mkdir, (TRACE,))


def a_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps({"state_dict": Payload()}))


def a_torch_file_with_code(path: Path) -> None:
    torch.save({"a": torch.zeros(1), "extra": Payload()}, path)


def an_array_of_objects(path: Path) -> None:
    with open(path, "wb") as handle:
        np.save(handle, np.array([Payload()], dtype=object), allow_pickle=True)


def a_web_page(path: Path) -> None:
    path.write_bytes(b"<html>log in</html>" * 100)


def an_empty_file(path: Path) -> None:
    path.write_bytes(b"")


def half_of_it(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def with_header(header: bytes, length: int | None = None) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + bytes(8))

    return write


def described(shape: list[int], offsets: list[int]) -> bytes:
    return json.dumps({"a": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}).encode()


def other_tensors(path: Path) -> None:
    safetensors.torch.save_file({"a": torch.zeros(3)}, path, {"facts": "{}"})


def other_facts(path: Path) -> None:
    safetensors.torch.save_file({"a": torch.zeros(3)}, path, {"facts": "[" * 100_000})


REPLACED: dict[str, Callable[[Path], None]] = {
    "a pickle": a_pickle,
    "a torch file with code": a_torch_file_with_code,
    "a web page": a_web_page,
    "an empty file": an_empty_file,
    "half of it": half_of_it,
    "a header of 2**63 bytes": with_header(b"{}", 2**63),
    "a header of a terabyte": with_header(b"{}", 2**40),
    "tensors beyond the end": with_header(described([1 << 40], [0, 1 << 42])),
    "a shape that overflows": with_header(described([1 << 62, 1 << 62], [0, 8])),
    "offsets that run backwards": with_header(described([2], [8, 0])),
    "a header that is nested without end": with_header(b'{"a":' * 100_000),
    "other tensors": other_tensors,
    "facts that are nested without end": other_facts,
}


@pytest.fixture(scope="module")
def finished(shared_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose submission is the network's alone."""
    out = tmp_path_factory.mktemp("runs") / "run"
    competition = registry.load(TABLE)
    pipeline.run(competition, small(competition, "data.folds=2"), request(), out=out, world=World(shared_cache))
    scores = json.loads((out / "scores.json").read_text())
    for name, member in scores["members"].items():
        member["weight"] = float(name == "network")
    (out / "scores.json").write_text(json.dumps(scores))
    return out


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> runs.Run:
    return runs.Run(Path(shutil.copytree(finished, tmp_path / "run")))


def unfinished(run: runs.Run, *phases: str) -> runs.Run:
    """The run without its scores and without some phases: a resume makes them again."""
    (run.path / "scores.json").unlink()
    for phase in phases:
        (run.path / "phases" / f"{phase}.json").unlink()
    return run


def assert_one_line_and_nothing_ran(refusal: HarnessError, path: Path) -> None:
    assert str(refusal).startswith(f"{path}: ")
    assert "\n" not in str(refusal)
    assert len(str(refusal)) < 800
    assert not Path(TRACE).exists()


def test_the_payload_would_make_a_folder() -> None:
    pickle.loads(pickle.dumps(Payload()))
    assert Path(TRACE).is_dir()


@pytest.mark.parametrize("kind", REPLACED)
def test_weights_that_somebody_replaced_are_refused_in_one_line(kind: str, run: runs.Run, shared_cache: Path) -> None:
    path = run.path / "weights" / "fold0.safetensors"
    REPLACED[kind](path)
    with pytest.raises((RunError, ConfigError)) as refusal:
        pipeline.predict(run, data=None, world=World(shared_cache))
    assert_one_line_and_nothing_ran(refusal.value, path)


@pytest.mark.parametrize("kind", REPLACED)
def test_a_state_that_somebody_replaced_is_refused_in_one_line(kind: str, run: runs.Run, shared_cache: Path) -> None:
    unfinished(run, "fold0")
    path = run.path / "state" / "fold0.safetensors"
    path.parent.mkdir(exist_ok=True)
    shutil.copy(run.path / "weights" / "fold0.safetensors", path)
    REPLACED[kind](path)
    with pytest.raises((RunError, ConfigError)) as refusal:
        pipeline.resume(run, data=None, world=World(shared_cache))
    assert_one_line_and_nothing_ran(refusal.value, path)


@pytest.mark.parametrize("kind", ["a pickle", "half of it", "other tensors"])
def test_weights_to_begin_with_that_somebody_replaced_are_refused_in_one_line(
    kind: str, run: runs.Run, tmp_path: Path, shared_cache: Path
) -> None:
    REPLACED[kind](run.path / "weights" / "fold0.safetensors")
    competition = registry.load(TABLE)
    config = small(competition, "data.folds=2", f"begin={run.path}")
    with pytest.raises((RunError, ConfigError)) as refusal:
        pipeline.run(competition, config, request(), out=tmp_path / "new", world=World(shared_cache))
    assert "weights" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not Path(TRACE).exists()


@pytest.mark.parametrize(
    "replace", [an_array_of_objects, a_pickle, an_empty_file, half_of_it, a_web_page], ids=lambda make: make.__name__
)
def test_predictions_that_somebody_replaced_are_refused_in_one_line(
    replace: Callable[[Path], None], run: runs.Run, shared_cache: Path
) -> None:
    unfinished(run)
    path = run.path / "oof" / "network" / "fold0.npy"
    replace(path)
    with pytest.raises(RunError) as refusal:
        pipeline.resume(run, data=None, world=World(shared_cache))
    assert_one_line_and_nothing_ran(refusal.value, path)


@pytest.mark.parametrize("name", ["config.json", "scores.json", "weights/fold0.json"])
@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000, b"\xff\xfe", b"[]", b"{}", b"null", pickle.dumps(Payload())],
    ids=["nested without end", "bytes", "a list", "nothing in it", "null", "a pickle"],
)
def test_json_that_somebody_replaced_is_refused_in_one_line(
    name: str, content: bytes, run: runs.Run, shared_cache: Path
) -> None:
    (run.path / name).write_bytes(content)
    with pytest.raises(RunError) as refusal:
        pipeline.predict(run, data=None, world=World(shared_cache))
    assert_one_line_and_nothing_ran(refusal.value, run.path / name)


def test_a_weights_archive_that_is_compressed_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1 << 20)}, tmp_path / "plain.pth")
    with (
        zipfile.ZipFile(tmp_path / "plain.pth") as plain,
        zipfile.ZipFile(tmp_path / "packed.pth", "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for entry in plain.infolist():
            packed.writestr(entry.filename, plain.read(entry))
    assert tensors.read(tmp_path / "plain.pth")["a"].shape == (1 << 20,)
    with pytest.raises(ConfigError, match=r"packed\.pth: its entry .* is compressed"):
        tensors.read(tmp_path / "packed.pth")
