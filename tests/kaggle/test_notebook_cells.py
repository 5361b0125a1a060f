"""The cells of the README's chapter on Kaggle notebooks, pasted as they are into a kernel without a network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import registry, runs
from harness.cli import cli
from harness.kaggle import bundle as bundling
from harness.kaggle import notebook
from tests.kaggle import imitation
from tests.kit import run_small, sample_root

ROOT = Path(__file__).parents[2]
NAME = "ultrasound-nerve-segmentation"


def cells() -> list[str]:
    """The cells, in order."""
    chapter = (ROOT / "README.md").read_text().split("### In a Kaggle notebook")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", chapter, re.DOTALL)


def test_there_are_three_cells_of_commands_that_are_there() -> None:
    assert len(cells()) == 3
    assert "%pip install -q --no-index --find-links" in cells()[0]
    called = re.findall(r"^!harness ([a-z-]+) (\S+)(.*)$", "".join(cells()), re.MULTILINE)
    assert [word for word, _, _ in called] == ["check", "run", "validate"]
    for word, name, rest in called:
        assert registry.load(name).name == NAME
        known = {option for parameter in cli.commands[word].params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known


# what a notebook does with `!` and `%pip`, without a kernel around it
SHELL = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
ends = []
for cells in json.loads(sys.stdin.read()):
    ends.append(next((number for number, cell in enumerate(cells) if not shell.run_cell(cell).success), None))
print("\\n" + json.dumps(ends))
"""


def laid_out(root: Path, fails: str) -> list[str]:
    """The cells for a kernel in which one command fails; the others do nothing."""
    (root / "kaggle" / "input" / "box").mkdir(parents=True)
    (root / "kaggle" / "working" / "run").mkdir(parents=True)
    (root / "kaggle" / "input" / "box" / "harness-0.1.0-py3-none-any.whl").touch()
    if fails != "cp":
        (root / "kaggle" / "working" / "run" / "submission.csv").touch()
    (root / "bin").mkdir()
    for name, word in (("harness", "$1"), ("python", "$2")):
        (root / "bin" / name).write_text(f'#!/bin/sh\ntest "{word}" != "{fails}"\n')
        (root / "bin" / name).chmod(0o755)
    texts = [
        cell.replace("/kaggle/", f"{root}/kaggle/").replace("!harness", f"!{root}/bin/harness") for cell in cells()
    ]
    # %pip calls this Python, by its full name
    return [f"import sys\nsys.executable = {str(root / 'bin' / 'python')!r}", *texts]


def test_a_command_that_fails_ends_the_notebook_and_leaves_no_submission(tmp_path: Path) -> None:
    ended = {"": None, "pip": 1, "check": 2, "validate": 3, "cp": 3}  # which cell does
    books = [laid_out(tmp_path / f"without {fails}".replace(" ", "-"), fails) for fails in ended]
    environment = {"PATH": os.environ["PATH"], "IPYTHONDIR": str(tmp_path / "ipython")}
    command = [sys.executable, "-W", "ignore", "-c", SHELL]
    done = subprocess.run(command, input=json.dumps(books), env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == list(ended.values())
    copied = [path.parents[2].name for path in tmp_path.glob("*/kaggle/working/submission.csv")]
    assert copied == ["without-"]


@pytest.mark.slow
def test_pasted_into_a_kernel_they_end_in_a_valid_submission(tmp_path: Path) -> None:
    run_small(NAME, ("data.folds=2",), tmp_path / "run", tmp_path / "cache")
    bundling.make(runs.Run(tmp_path / "run"), bundling.Wanted("bob", "run"), tmp_path / "bundle")
    kernel = imitation.start(tmp_path / "kaggle", tmp_path / "run", tmp_path / "cache")
    imitation.upload(tmp_path / "bundle", kernel, "newer")
    shutil.copytree(sample_root(NAME, tmp_path / "cache"), kernel.root / "input" / "competitions" / NAME)
    texts = [cell.replace("/kaggle/", f"{kernel.root}/") for cell in cells()]
    texts[1] = texts[1].replace("--budget 8h30m", "--budget 30s --preset quick")
    book = notebook.notebook([notebook.Cell("code", cell) for cell in texts])
    (tmp_path / "bundle" / "kernel" / "notebook.ipynb").write_text(json.dumps(book))
    said = imitation.execute(tmp_path / "bundle", kernel)
    assert "valid: " in said
    assert kernel.harness == set(kernel.python.glob("lib/*/site-packages/harness/__init__.py")) != set()
    assert kernel.submission.read_text().startswith("img,pixels")
    asked = kernel.sockets.splitlines()  # the hub, once, for pretrained weights; it goes on without them
    assert all("harness/models/hub.py" in line for line in asked)
