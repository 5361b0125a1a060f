"""`harness predict` on data without test rows leaves the submission of a run that had some."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.cli import main
from tests.kit import sample_root
from tests.pipeline.test_run import run_once

NAME = "planet-understanding-the-amazon-from-space"


def test_a_folder_without_test_rows_is_one_line_where_the_run_had_some(
    shared_cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished = run_once(NAME, shared_cache)
    assert finished["rows"]["test"] > 0
    packed = shutil.ignore_patterns("test-jpg*", "sample_submission*")
    shutil.copytree(sample_root(NAME, shared_cache), tmp_path / "other", ignore=packed)
    path = Path(finished["submission"])
    before = path.read_bytes()
    with pytest.raises(SystemExit) as stop:
        main(["predict", finished["run"], "--data", str(tmp_path / "other"), "--cache", str(shared_cache)])
    shown = capsys.readouterr().err.splitlines()[-1]
    assert stop.value.code == 2
    assert shown.startswith(f"error: {tmp_path / 'other'}: no test rows found, and the run had ")
    assert path.read_bytes() == before
