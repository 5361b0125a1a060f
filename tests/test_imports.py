"""The star holds: siblings do not import each other, and nothing heavy is imported to list or to help."""

from __future__ import annotations

import subprocess
import sys

import pytest
from importlinter.cli import lint_imports

HEAVY = "torch timm albumentations sklearn numpy pandas cv2 optuna scipy matplotlib"


def test_import_contracts_hold(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.chdir(request.config.rootpath)
    assert lint_imports(no_cache=True) == 0


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["list", "--json"], ["run", "--help"]])
def test_help_and_list_import_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys; from harness.cli import cli\n"
        f"cli.main({arguments!r}, standalone_mode=False)\n"
        f"print('heavy:', [name for name in {HEAVY.split()!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "heavy: []" in done.stderr
