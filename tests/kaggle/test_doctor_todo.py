"""What is not well is a `todo` line: packages, GPUs, hours, submissions, and credentials, none of which is shown."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

from harness.cli import main
from harness.errors import ServiceError
from harness.kaggle import doctor, machine, service
from tests.kaggle.conftest import QUICK, Given
from tests.kaggle.test_doctor import SLUG, examined, known, program

__all__ = ["known"]  # a fixture


@pytest.mark.parametrize(("built", "ok"), [("None", False), ("'12.4'", True)])
def test_a_gpu_beside_a_torch_for_processors_is_something_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, built: str, ok: bool
) -> None:
    program(tmp_path, monkeypatch, "echo 'Tesla T4, 15360, 14913, 7.5'")
    package = tmp_path / "site" / "torch"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "version.py").write_text(f"__version__ = '2.6.0'\ncuda: str = {built}\n")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(tmp_path / "site")
    line = machine.gpus()
    assert (line.ok, line.fix) == (ok, "" if ok else "install one built for CUDA")


def test_a_package_that_is_missing_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "OPTIONAL", ("kaggle", "no-such-package"))
    lines = {line.what: line for line in machine.versions()}
    assert lines["packages"].ok
    client = lines["Kaggle's client"]
    assert (client.ok, client.fix) == (False, "pip install 'harness[kaggle]'")
    assert client.found.endswith("no-such-package is not there")


@pytest.mark.parametrize("used", ["108000s", "120000s"])
def test_no_gpu_hours_left_is_something_to_do(known: Given, monkeypatch: pytest.MonkeyPatch, used: str) -> None:
    quota = {"gpuQuota": {"timeUsed": used, "totalTimeAllowed": "108000s"}}
    monkeypatch.setattr(known.kaggle, "GetAcceleratorQuotaStatistics", lambda request: quota)
    line = examined()["GPU hours"]
    assert (line.ok, line.found) == (False, "0.0 of 30.0 left this week")
    assert line.fix == "wait for the new ones, or push a kernel without GPU"


def test_a_competition_that_takes_no_more_submissions_says_so(known: Given) -> None:
    known.kaggle.contests[SLUG].total = 0
    line = examined(SLUG)["submissions"]
    assert (line.ok, line.fix) == (False, "there are no more")


@pytest.mark.parametrize(
    ("content", "words", "fix"),
    [
        ("[1", "is no JSON; ", "download it again from https://www.kaggle.com/settings"),
        ('{"username": "bob"}', "has no username and key", "mend the file"),
        ("[]", "has no username and key", "mend the file"),
    ],
)
def test_a_damaged_key_file_is_something_to_do(
    known: Given, monkeypatch: pytest.MonkeyPatch, content: str, words: str, fix: str
) -> None:
    for name in ("KAGGLE_KEY", "KAGGLE_USERNAME"):
        monkeypatch.delenv(name)
    path = Path(os.environ["KAGGLE_CONFIG_DIR"]) / "kaggle.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    path.chmod(0o600)
    lines = examined()
    assert not lines["credential"].ok
    assert words in lines["credential"].text()
    assert lines["credential"].fix == fix
    assert "does not take the credential" in lines["Kaggle"].found


UNUSABLE = {
    "a line end at the end": "S3CR3T-tok\n",
    "two lines": "S3CR3T\nb",
    "300 letters": "S3CR3T" * 50,
    "letters that no header takes": "S3CR3T-é€",
}


@pytest.mark.parametrize("words", [["doctor"], ["download", "toy"]])
@pytest.mark.parametrize("in_file", [False, True])
@pytest.mark.parametrize("name", UNUSABLE)
def test_a_token_that_cannot_be_sent_is_one_line_without_it(
    known: Given,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    name: str,
    in_file: bool,
    words: Any,
) -> None:
    monkeypatch.setattr(service, "Manners", lambda: QUICK)
    monkeypatch.setattr(doctor, "HASTE", QUICK)
    if in_file:
        path = Path(os.environ["HOME"]) / ".kaggle" / "access_token"
        path.parent.mkdir(parents=True)
        path.write_text(UNUSABLE[name], encoding="utf-8")
        path.chmod(0o600)
    else:
        monkeypatch.setenv("KAGGLE_API_TOKEN", UNUSABLE[name])
    if words == ["doctor"]:
        main(words)
    else:
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 2
    printed = "".join(capfd.readouterr())
    assert "S3CR3T" not in printed
    assert "does not take the credential" in printed


def test_the_doctor_says_which_token_cannot_be_sent(known: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_API_TOKEN", "tok\n")
    assert examined()["credential"].text() == (
        "todo  credential: an API token at KAGGLE_API_TOKEN: has a space, a line end or a letter that no token has; "
        "copy it once more"
    )
    monkeypatch.setenv("KAGGLE_API_TOKEN", "t" * 300)
    assert examined()["credential"].fix == "save it as ~/.kaggle/access_token"


@pytest.mark.parametrize("field", ["Authorization", "X-Other"])
def test_a_header_that_cannot_be_sent_is_not_shown(known: Given, field: str) -> None:
    import requests

    kaggle = service.connect(QUICK)
    for value in ("S3CR3T\n", "S3CR3T\u20ac"):
        with pytest.raises(ServiceError, match="a header it cannot send") as caught:
            kaggle.ask(lambda client, value=value: requests.get(known.address, headers={field: value}), doing="asking")
        assert "S3CR3T" not in "".join(traceback.format_exception(caught.value))
