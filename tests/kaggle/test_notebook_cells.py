"""The cells of the README's chapter on Kaggle notebooks, pasted as they are into a kernel without a network."""

from __future__ import annotations

import json
import re
import shutil
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


@pytest.mark.slow
def test_pasted_into_a_kernel_they_end_in_a_valid_submission(tmp_path: Path) -> None:
    run_small(NAME, ("data.folds=2",), tmp_path / "run", tmp_path / "cache")
    bundling.make(runs.Run(tmp_path / "run"), bundling.Wanted("bob", "run"), tmp_path / "bundle")
    kernel = imitation.start(tmp_path / "kaggle")
    imitation.upload(tmp_path / "bundle", kernel, "newer")
    shutil.copytree(sample_root(NAME, tmp_path / "cache"), kernel.root / "input" / "competitions" / NAME)
    pasted = [cell.replace("/kaggle/", f"{kernel.root}/") for cell in cells()]
    pasted[1] = pasted[1].replace("--budget 8h30m", "--budget 30s --preset quick")
    book = notebook.notebook([notebook.Cell("code", cell) for cell in pasted])
    (tmp_path / "bundle" / "kernel" / "notebook.ipynb").write_text(json.dumps(book))
    said = imitation.execute(tmp_path / "bundle", kernel)
    assert "valid: " in said
    assert kernel.submission.read_text().startswith("img,pixels")
    asked = kernel.sockets.splitlines()  # the hub, once, for pretrained weights; it goes on without them
    assert all("harness/models/hub.py" in line for line in asked)
