"""The doctor's lines: what is there, what to do, every failure a line of its own, and no secret in any."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.cli import main
from harness.kaggle import doctor, machine, service
from harness.kaggle.machine import Line
from tests.kaggle.conftest import QUICK, Given
from tests.kaggle.server import Fault

SLUG = "playground-series-s3e8"


@pytest.fixture
def known(kaggle: Given) -> Given:
    """A Kaggle with a competition that there is an adapter for."""
    kaggle.kaggle.contests[SLUG] = kaggle.kaggle.contests["toy"]
    return kaggle


def examined(name: str | None = None, free: int = 10**12) -> dict[str, Line]:
    lines = doctor.examine(name, cache=Path("cache"), connect=lambda: service.connect(QUICK), free=lambda folder: free)
    return {line.what: line for line in lines}


def test_all_is_well_where_all_is_there(known: Given) -> None:
    Path("data").mkdir()
    Path(f"data/{SLUG}.zip").write_bytes(b"zip")
    lines = examined(SLUG)
    assert [line.text() for line in lines.values() if not line.ok] == []
    assert lines["Kaggle"].found == "signed in as bob"
    assert lines["GPU hours"].found.startswith("20.0 of 30.0 left this week, new ones at ")
    assert lines["credential"].found == "a user name with a key at KAGGLE_USERNAME and KAGGLE_KEY, for bob"
    assert lines["rules"].found.startswith("accepted (https://www.kaggle.com/competitions/")
    assert lines["submissions"].found == "5 left today, 0 made today, 0 in all"
    assert lines["data"].found == f"data/{SLUG}.zip"


def test_each_thing_that_is_missing_says_what_to_do(known: Given) -> None:
    contest = known.kaggle.contests[SLUG]
    contest.accepted, contest.code_only = False, True
    lines = examined(SLUG, free=1000)
    todo = {what: line.fix for what, line in lines.items() if not line.ok}
    assert list(todo) == ["disk here", "disk of the cache", "data", "rules", "submissions"]
    assert todo["rules"] == f"accept the rules at https://www.kaggle.com/competitions/{SLUG}/rules"
    assert todo["data"] == f"harness download {SLUG}"
    assert "takes submissions of notebooks only" in lines["rules"].found
    assert lines["disk here"].found.startswith("1,000 bytes free at ")


def test_a_used_up_day_says_when_to_come_back(known: Given) -> None:
    known.kaggle.contests[SLUG].daily = 0
    assert examined(SLUG)["submissions"].fix == "come back after 00:00 UTC"


def test_one_question_that_fails_is_one_line(known: Given) -> None:
    known.faults += [Fault("GetCompetition", code=500, times=9)]
    lines = examined(SLUG)
    assert not lines["rules"].ok
    assert "no way to Kaggle" in lines["rules"].found
    assert lines["submissions"].ok


def test_a_key_that_kaggle_does_not_take_is_a_line(known: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_KEY", "wrong-s3cret")
    lines = examined(SLUG)
    assert "does not take the credential" in lines["Kaggle"].found
    assert "wrong-s3cret" not in str(lines)


def test_offline_the_lines_of_this_machine_are_there(known: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.kaggle.conftest import pointed_at

    pointed_at("http://127.0.0.1:9", monkeypatch)
    lines = examined(SLUG)
    assert "no way to Kaggle" in lines["Kaggle"].found
    assert lines["credential"].ok


def test_without_a_credential_kaggle_is_not_asked(known: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAGGLE_KEY")
    lines = examined(SLUG)
    assert "make a token at https://www.kaggle.com/settings" in lines["credential"].fix
    assert (lines["Kaggle"].ok, known.kaggle.calls) == (False, [])


def test_a_name_that_nobody_knows_is_a_line(known: Given) -> None:
    assert "is not on Kaggle" in examined("camvid")["competition"].found
    lines = examined("no-such-thing")
    assert "Kaggle has no such thing" in lines["rules"].found


def test_a_file_that_others_can_read_is_told_with_its_mode(known: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAGGLE_KEY", "KAGGLE_USERNAME", "KAGGLE_CONFIG_DIR"):
        monkeypatch.delenv(name)
    path = Path(os.environ["HOME"]) / ".kaggle" / "access_token"
    path.parent.mkdir(parents=True)
    path.write_text(known.kaggle.token)
    path.chmod(0o644)
    lines = examined()
    assert lines["credential"].text() == (
        f"todo  credential: an API token at {path}, mode 644: others can read it; chmod 600 {path}"
    )
    assert lines["Kaggle"].found == "signed in as bob"
    path.chmod(0o600)
    assert examined()["credential"].found == f"an API token at {path}, mode 600"


@pytest.mark.parametrize("token", [False, True])
@pytest.mark.parametrize("words", [[], ["--json"]])
def test_no_secret_is_printed(
    known: Given, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], token: bool, words: list[str]
) -> None:
    if token:
        monkeypatch.setenv("KAGGLE_API_TOKEN", known.kaggle.token)
    main(["doctor", SLUG, *words])
    printed = "".join(capfd.readouterr())
    assert "signed in as bob" in printed
    assert known.kaggle.key not in printed
    assert known.kaggle.token not in printed


def test_json_says_whether_all_is_well(known: Given, capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", SLUG, "--json"])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["schema"], told["ok"]) == (1, False)
    assert {"what": "data", "ok": False, "found": f"none of {SLUG}", "fix": f"harness download {SLUG}"} in told["lines"]


def test_a_kernel_s_mounts_of_both_layouts_are_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HARNESS_KAGGLE", str(tmp_path))
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Batch")
    assert machine.kernel().fix == "add the competition's data to the kernel"
    for name in ("older", "competitions/newer", "datasets/ann/stones"):
        (tmp_path / "input" / name).mkdir(parents=True)
    assert machine.kernel().found == (
        f"Batch; mounted in {tmp_path}/input: competitions/newer, datasets/ann/stones, older"
    )


def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Puts an nvidia-smi before all others."""
    path = tmp_path / "bin" / "nvidia-smi"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(path.parent), prepend=os.pathsep)


def test_gpus_are_shown_with_the_formats_they_compute_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, "echo 'Tesla T4, 15360, 14913, 7.5'; echo 'NVIDIA L4, 23034, 22563, 8.9'")
    found = machine.gpus().found
    assert found.startswith("Tesla T4, 15 GiB, 15 free, compute capability 7.5: fp16; NVIDIA L4, 22 GiB")
    assert "8.9: fp16 and bf16" in found


@pytest.mark.parametrize("script", ["echo 'no devices' >&2; exit 9", "echo strange", "echo 'a, b, c, d'"])
def test_a_driver_that_fails_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program(tmp_path, monkeypatch, script)
    assert (machine.gpus().ok, machine.gpus().fix) == (False, "mend the driver")


def test_what_torch_is_built_for_is_read_without_importing_it() -> None:
    import torch

    assert machine.cuda_of_torch() == (torch.version.cuda or "")
