"""The scripts in submissions/, as cron calls them: processes of their own, the real client, a real socket."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from kagglesdk import kaggle_env

from harness.cli import cli
from harness.submission import ledger
from tests.kaggle.conftest import NAME, Given

ROOT = Path(__file__).parents[2]
# what a process does before all else: it finds the tests' Kaggle. The rest of the SDK costs a third of a second
POINTED = f"""
import importlib.util, os, sys
place = {str(Path(kaggle_env.__file__))!r}
kaggle_env = importlib.util.module_from_spec(importlib.util.spec_from_file_location("kagglesdk.kaggle_env", place))
sys.modules["kagglesdk.kaggle_env"] = kaggle_env
kaggle_env.__spec__.loader.exec_module(kaggle_env)
kaggle_env._env_to_endpoint[kaggle_env.KaggleEnv.PROD] = os.environ["TESTS_KAGGLE"]
"""


@pytest.fixture
def called(run: tuple[str, str], kaggle: Given, tmp_path: Path) -> Any:
    """Calls a script: (exit code, stdout, stderr)."""
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "sitecustomize.py").write_text(POINTED)
    places = os.pathsep.join([str(tmp_path / "early"), str(ROOT)])
    names = {"PYTHONPATH": places, "TESTS_KAGGLE": kaggle.address, "HARNESS_HOME": str(tmp_path)}
    names["HARNESS"] = f"{sys.executable} -m harness"

    def call(*words: str) -> tuple[int, str, str]:
        done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **names}, cwd="/")
        return done.returncode, done.stdout, done.stderr

    return call


def test_the_shell_script_sends_a_run_and_passes_on_what_the_command_says(
    called: Any, run: tuple[str, str], kaggle: Given
) -> None:
    script = str(ROOT / "submissions" / "submit.sh")
    code, out, err = called(script, run[0], "by cron", "--data", run[1])
    assert code == 0, err
    assert json.loads(out)["state"] == "complete"
    assert kaggle.kaggle.contests[NAME].submissions[0].description.startswith("by cron [harness ")
    code, out, _ = called(script, run[0])
    assert code == 2


def test_the_best_run_is_sent_once_and_what_is_unfinished_is_finished_first(
    called: Any, run: tuple[str, str], kaggle: Given
) -> None:
    script = [sys.executable, str(ROOT / "submissions" / "submit.py"), NAME, "--json"]
    code, out, err = called(*script, "--dry-run")
    assert (code, json.loads(out)["run"]) == (0, f"submissions/{NAME}/first"), err
    assert kaggle.kaggle.calls == []
    code, out, err = called(*script, "--data", run[1])
    assert code == 0, err
    assert json.loads(out)["public"] == 540.5
    assert kaggle.kaggle.contests[NAME].submissions[0].description.startswith("CV ")
    code, out, err = called(*script)
    assert (code, json.loads(out)["why"]) == (0, "nothing to send: every finished run was sent"), err
    entry = ledger.read(ledger.PATH)[0]
    ledger.record(ledger.PATH, replace(entry, state="sent", public=None))
    assert json.loads(called(*script, "--dry-run")[1])["why"] == "submission 1000 is sent"
    code, out, err = called(*script)
    assert (code, json.loads(out)["why"]) == (0, "nothing to send: every finished run was sent"), err
    assert ledger.read(ledger.PATH)[0].state == "complete", "its end was asked for first"
    ledger.PATH.write_text("no ledger\n")
    code, out, err = called(*script)
    assert (code, "is no line of a ledger" in json.loads(out)["error"]) == (2, True), err


def test_the_best_unsent_run_is_chosen_and_only_where_it_beats_what_was_sent() -> None:
    place = importlib.util.spec_from_file_location("submit_script", ROOT / "submissions" / "submit.py")
    assert place is not None
    assert place.loader is not None
    script = importlib.util.module_from_spec(place)
    place.loader.exec_module(script)
    unsent = [{"run": f"runs/{cv}", "cv": cv, "metric": "m", "higher_is_better": True} for cv in (0.6, 0.8, 0.7)]
    sent = [{"cv": 0.75, "state": "complete", "higher_is_better": True}]
    assert script.choice({"unsent": unsent, "submissions": sent}, beating=True)[0] == unsent[1]
    lower = [{**run, "higher_is_better": False} for run in unsent]
    assert script.choice({"unsent": lower, "submissions": []}, beating=True)[0] == lower[0]
    better = [{"cv": 0.9, "state": "complete", "higher_is_better": True}]
    assert script.choice({"unsent": unsent, "submissions": better}, beating=True)[0] is None
    assert script.choice({"unsent": unsent, "submissions": better}, beating=False)[0] == unsent[1]


def test_the_workflow_calls_commands_that_are_there_and_shows_no_secret() -> None:
    text = (ROOT / "submissions" / "github-actions.yml").read_text()
    workflow = yaml.safe_load(text)
    steps = [step["run"] for step in workflow["jobs"]["submit"]["steps"] if "run" in step]
    called = set(re.findall(r"harness ([a-z-]+)", "\n".join(steps)))
    assert {"download"} <= called <= set(cli.commands)
    assert all(re.fullmatch(r"\$\{\{ secrets\.\w+ \}\}", workflow["jobs"]["submit"]["env"][name]) for name in (
        "KAGGLE_USERNAME", "KAGGLE_KEY",
    ))  # fmt: skip
    assert "KAGGLE" not in "\n".join(steps)
