"""`harness lr-find` on pictures, a table and text: a suggestion, and a picture that is one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from harness.cli import main
from harness.errors import ConfigError
from harness.pipeline.finding import Span
from tests.kit import SMALL

SETTINGS = [word for setting in SMALL if not setting.startswith(("precision", "weights")) for word in ("-o", setting)]


@pytest.mark.parametrize("name", ["ultrasound-nerve-segmentation", "playground-series-s3e8", "text-language-model"])
def test_a_rate_is_suggested_and_drawn(
    name: str, tmp_path: Path, shared_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "found.png"
    words = ["lr-find", name, "--sample", "--sample-rows", "20", "--precision", "fp32", "--weights", "scratch"]
    main([*words, "--steps", "40", "--out", str(picture), "--cache", str(shared_cache), *SETTINGS, "--json"])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["competition"] == name
    assert 10 <= found["steps"] <= 40
    assert set(found["suggestions"]) in (set(), {"valley", "minimum/10", "steepest", "slide"})
    assert found["suggested"] is None or 1e-6 <= found["suggested"] <= 10
    with Image.open(picture) as drawn:
        assert drawn.size == (960, 600)


def test_a_stage_there_is_not_and_a_sweep_that_goes_down_are_refused(
    capsys: pytest.CaptureFixture[str], shared_cache: Path
) -> None:
    with pytest.raises(SystemExit):
        main(["lr-find", "lgg", "--sample", "--stage", "3", "--cache", str(shared_cache)])
    assert "--stage 3, but the stages are 0 to 0" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="goes up"):
        Span(1.0, 0.1, 50)
