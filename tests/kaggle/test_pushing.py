"""A bundle becomes a data set and a kernel, and what the kernel wrote comes back: the real client, a real socket."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import HarnessError, NotYetError, ServiceError, UnclearError
from harness.kaggle import bundle as bundling
from harness.kaggle import pushing
from tests.kaggle import world
from tests.kaggle.conftest import Given
from tests.kaggle.server import Fault

SUBMISSION = b"id,price\n1,2.5\n"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A small bundle, as `harness bundle` lays it out."""
    folder = tmp_path / "bundle"
    for name, content in {
        "dataset/wheels/a.whl": b"wheel",
        "dataset/run/weights/fold0.safetensors": b"\0" * 5000,
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "kernel").mkdir()
    notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    described = {"id": "bob/harness-toy", "title": "harness toy", "licenses": [{"name": "CC0-1.0"}]}
    kernel = {"id": "bob/harness-toy-predict", "title": "harness toy predict", "code_file": "notebook.ipynb"}
    kernel |= {"language": "python", "kernel_type": "notebook", "is_private": True, "enable_internet": False}
    kernel |= {"dataset_sources": ["bob/harness-toy"], "competition_sources": ["toy"]}
    facts = {"schema": 1, "dataset": "bob/harness-toy", "kernel": "bob/harness-toy-predict", "dir_mode": "zip"}
    for path, value in {
        "kernel/notebook.ipynb": notebook,
        "dataset/dataset-metadata.json": described,
        "kernel/kernel-metadata.json": kernel,
        "bundle.json": {**facts, "convert_to_csv": False},
    }.items():
        (folder / path).write_text(json.dumps(value))
    return folder


def ends(kaggle: Given, **how: Any) -> None:
    """What the next kernels will do."""
    kaggle.kaggle.kernel = lambda pushed: world.Kernel(
        [], **{"output": {"submission.csv": SUBMISSION}, "looks": 2, **how}
    )


def quiet(text: str) -> None:
    """Says nothing."""


def taken(path: Path) -> None:
    """Finds nothing wrong with a submission."""


def test_a_bundle_is_uploaded_with_its_folders_and_run_and_its_submission_comes_back(
    kaggle: Given, bundle: Path
) -> None:
    ends(kaggle)
    service, told = kaggle.connect(), []
    pushed = pushing.push(service, bundle, say=told.append)
    dataset = kaggle.kaggle.datasets["bob/harness-toy"]
    assert sorted(dataset.versions[0]) == ["run.zip", "wheels.zip"]
    with zipfile.ZipFile(io.BytesIO(dataset.versions[0]["run.zip"])) as archive:
        assert archive.read("weights/fold0.safetensors") == b"\0" * 5000
    assert dataset.request["isPrivate"] is True
    kernel = kaggle.kaggle.kernels["bob/harness-toy-predict"].pushed[0]
    assert (kernel["isPrivate"], kernel["enableInternet"]) == (True, False)
    assert (pushed.named, pushed.state) == ("bob/harness-toy-predict/1", "queued")
    found = pushing.followed(service, bundle, pushed, check=taken, say=told.append)
    assert found.state == "complete"
    assert Path(found.submission).read_bytes() == SUBMISSION
    assert pushing.last(bundle) == found
    assert "kernel bob/harness-toy-predict/1: running" in told


def test_what_did_not_change_is_not_uploaded_again(kaggle: Given, bundle: Path) -> None:
    service = kaggle.connect()
    pushing.push(service, bundle, say=quiet)
    kaggle.kaggle.calls.clear()
    assert pushing.push(service, bundle, say=quiet).version == 2
    assert "upload" not in kaggle.kaggle.calls
    (bundle / "dataset" / "wheels" / "b.whl").write_bytes(b"another")
    pushing.push(service, bundle, say=quiet)
    assert len(kaggle.kaggle.datasets["bob/harness-toy"].versions) == 2


def test_a_version_waits_until_the_one_before_is_processed(kaggle: Given, bundle: Path) -> None:
    service = kaggle.connect()
    pushing.push(service, bundle, say=quiet)
    kaggle.kaggle.datasets["bob/harness-toy"].looks = 6
    (bundle / "dataset" / "wheels" / "a.whl").write_bytes(b"newer")
    kaggle.kaggle.processing = 4
    pushing.push(service, bundle, say=quiet)
    assert len(kaggle.kaggle.datasets["bob/harness-toy"].versions) == 2
    assert kaggle.kaggle.datasets["bob/harness-toy"].looks == 0, "the kernel was pushed before its data was there"


def test_a_failed_kernel_tells_the_end_of_its_log(kaggle: Given, bundle: Path) -> None:
    ends(kaggle, ends="ERROR", log="\n".join(f"line {number}" for number in range(40)), failure="exit code 1")
    service, told = kaggle.connect(), []
    pushed = pushing.push(service, bundle, say=quiet)
    with pytest.raises(ServiceError, match=r"the kernel failed \(exit code 1\)"):
        pushing.followed(service, bundle, pushed, check=taken, say=told.append)
    assert told[-1].strip() == "line 39"
    assert "line 0\n" in (bundle / "output" / "kernel.log").read_text()


def test_a_kernel_without_a_submission_is_a_failure(kaggle: Given, bundle: Path) -> None:
    ends(kaggle, output={"other.csv": b""})
    service = kaggle.connect()
    with pytest.raises(ServiceError, match=r"the kernel wrote no submission\.csv"):
        pushing.followed(service, bundle, pushing.push(service, bundle, say=quiet), check=taken, say=quiet)


def test_a_kernel_that_runs_on_can_be_waited_for_later(kaggle: Given, bundle: Path) -> None:
    ends(kaggle, looks=30)
    service = kaggle.connect()
    pushed = pushing.push(service, bundle, say=quiet)
    with pytest.raises(NotYetError, match="is still running") as caught:
        pushing.followed(service, bundle, pushed, wait=0.1, check=taken, say=quiet)
    assert caught.value.exit_code == 3
    last = pushing.last(bundle)
    assert last is not None
    assert pushing.followed(service, bundle, last, check=taken, say=quiet).state == "complete"


FAULTS = {
    "429 at the start of an upload": [Fault("StartBlobUpload", code=429, headers={"Retry-After": "0"})],
    "a cut in an upload": [Fault("upload", "cut", skip=1)],
    "503 in an upload": [Fault("upload", code=503)],
    "a cut after an upload": [Fault("upload", "cut after")],
    "500 at the data set's state": [Fault("GetDatasetStatus", code=500, skip=1, times=2)],
    "silence after the kernel": [Fault("SaveKernel", "silent after", seconds=1.0)],
    "a cut after the kernel": [Fault("SaveKernel", "cut after")],
    "a cut after the data set": [Fault("CreateDataset", "cut after")],
    "502 while it runs": [Fault("GetKernelSessionStatus", code=502, times=2)],
    "a cut in its output": [Fault("files", "half")],
    "a cut in the list of its output": [Fault("ListKernelSessionOutput", "cut")],
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_fails_once_ends_well(kaggle: Given, bundle: Path, name: str) -> None:
    ends(kaggle)
    kaggle.faults.extend(replace(fault) for fault in FAULTS[name])
    service = kaggle.connect()
    found = pushing.followed(service, bundle, pushing.push(service, bundle, say=quiet), check=taken, say=quiet)
    assert not kaggle.faults, "what was to fail did not"
    assert Path(found.submission).read_bytes() == SUBMISSION
    assert sorted(kaggle.kaggle.datasets["bob/harness-toy"].versions[-1]) == ["run.zip", "wheels.zip"]
    assert len(kaggle.kaggle.kernels["bob/harness-toy-predict"].pushed) == 1, "every version costs GPU hours"
    assert len(kaggle.kaggle.datasets["bob/harness-toy"].versions) == 1


def test_a_version_whose_answer_is_lost_is_made_once(kaggle: Given, bundle: Path) -> None:
    ends(kaggle)
    service = kaggle.connect()
    pushing.push(service, bundle, say=quiet)
    (bundle / "dataset" / "wheels" / "a.whl").write_bytes(b"newer")
    kaggle.faults.append(Fault("CreateDatasetVersion", "cut after"))
    pushing.push(service, bundle, say=quiet)
    assert len(kaggle.kaggle.datasets["bob/harness-toy"].versions) == 2


def test_a_push_that_did_not_arrive_is_made_by_the_next_call(kaggle: Given, bundle: Path) -> None:
    ends(kaggle)
    kaggle.faults.append(Fault("SaveKernel", "cut"))
    service = kaggle.connect()
    with pytest.raises(UnclearError) as caught:
        pushing.push(service, bundle, say=quiet)
    assert caught.value.exit_code == 3
    assert pushing.push(service, bundle, say=quiet).version == 1


@pytest.mark.parametrize("state", ["ERROR", "CANCEL_ACKNOWLEDGED"])
def test_after_a_failure_the_next_push_pushes_again_and_no_stale_submission_is_left(
    kaggle: Given, bundle: Path, state: str
) -> None:
    ends(kaggle)
    service = kaggle.connect()
    pushing.followed(service, bundle, pushing.push(service, bundle, say=quiet), check=taken, say=quiet)
    ends(kaggle, ends=state)
    pushed = pushing.push(service, bundle, say=quiet)
    assert pushing.pushed_as(bundle, "queued") == pushed
    with pytest.raises(ServiceError, match="the kernel failed"):
        pushing.followed(service, bundle, pushed, check=taken, say=quiet)
    assert pushing.pushed_as(bundle, "queued") is None
    last = pushing.last(bundle)
    assert last is not None
    assert (last.state, last.submission) == ("failed", "")
    assert not (bundle / "output" / "submission.csv").exists()


@pytest.mark.parametrize(
    ("method", "answer", "words"),
    [
        ("SaveKernel", {"error": "the title is taken", "versionNumber": 1}, "the title is taken"),
        ("SaveKernel", {"invalidCompetitionSources": ["toy"], "versionNumber": 1}, "does not find the sources toy"),
        ("CreateDataset", {"status": "error", "error": "too large"}, "too large"),
    ],
)
def test_what_kaggle_does_not_take_is_told(
    kaggle: Given, bundle: Path, monkeypatch: pytest.MonkeyPatch, method: str, answer: dict[str, Any], words: str
) -> None:
    monkeypatch.setattr(world.Kaggle, method, lambda self, request: answer)
    with pytest.raises(ServiceError, match=words):
        pushing.push(kaggle.connect(), bundle, say=quiet)


def test_a_data_set_that_kaggle_cannot_process_is_told(
    kaggle: Given, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failed(self: world.Kaggle, request: dict[str, Any]) -> Any:
        return self._dataset(request) and {"status": "FAILED"}

    monkeypatch.setattr(world.Kaggle, "GetDatasetStatus", failed)
    with pytest.raises(ServiceError, match="could not process"):
        pushing.push(kaggle.connect(), bundle, say=quiet)


def test_a_data_set_of_someone_else_is_refused_in_one_line(kaggle: Given, bundle: Path) -> None:
    kaggle.faults.append(Fault("CreateDataset", code=403, message="not yours"))
    with pytest.raises(HarnessError, match="Kaggle refuses"):
        pushing.push(kaggle.connect(), bundle, say=quiet)


def test_push_on_the_command_line_validates_what_the_kernel_wrote(
    run: tuple[str, str],
    said: Any,
    kaggle: Given,
) -> None:
    code, _, err = said("push", run[0])
    assert code == 2
    assert "harness bundle" in err
    assert said("bundle", run[0], "--owner", "bob")[0] == 0
    folder = Path("submissions/playground-series-s3e8/first")
    facts = bundling.read(folder / "bundle")
    ends(kaggle, output={"submission.csv": (folder / "submission.csv").read_bytes()})
    code, out, _ = said("push", run[0], "--wait", "--data", run[1], "--json")
    assert (code, json.loads(out)["kernel"]) == (0, facts["kernel"])
    assert sorted(kaggle.kaggle.datasets[facts["dataset"]].versions[0]) == ["run.zip", "wheels.zip"]
    ends(kaggle, output={"submission.csv": b"id,price\n"})
    code, _, err = said("push", run[0], "--wait", "--data", run[1])
    assert code == 2
    assert "is not valid" in err
    last = pushing.last(folder / "bundle")
    assert last is not None
    assert last.state == "failed", "what is not valid is submitted by nobody"
