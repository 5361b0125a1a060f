"""The level of determinism is in a run's record, with the operations that break it, also after a resume."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness import display, pipeline, registry, runs
from harness.errors import ConfigError
from harness.models.table import TableNet
from harness.pipeline import World
from tests.kit import request, small

NAME = "playground-series-s3e8"


@pytest.fixture
def racing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A net with an operation that has no deterministic kernel, in training."""
    usual = TableNet.forward

    def forward(self: TableNet, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        if self.training:
            torch.zeros(4).put_(torch.tensor([1, 1]), torch.tensor([1.0, 2.0]))
        return usual(self, inputs)

    monkeypatch.setattr(TableNet, "forward", forward)


def test_what_breaks_the_level_is_in_the_record_and_survives_a_resume(
    tmp_path: Path, shared_cache: Path, racing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    competition, world = registry.load(NAME), World(shared_cache)
    config = small(competition, "data.folds=2")
    with monkeypatch.context() as patch:
        patch.setattr(pipeline.arrow.ending.score, "score", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pipeline.run(competition, config, request(), out=tmp_path / "run", world=world)
    result = pipeline.resume(runs.Run(tmp_path / "run"), data=None, world=world)
    assert result["determinism"] == {"level": "repeatable", "broken_by": ["put_"]}
    assert "determinism: repeatable but for put_" in display.summary(result).splitlines()


def test_bitwise_ends_the_run_at_what_breaks_it(tmp_path: Path, shared_cache: Path, racing: None) -> None:
    competition = registry.load(NAME)
    config = small(competition, "data.folds=2", "determinism=bitwise")
    with pytest.raises(ConfigError, match="put_ has no deterministic kernel here"):
        pipeline.run(competition, config, request(), out=tmp_path / "run", world=World(shared_cache))


def interrupted(*given: object, **named: object) -> None:
    raise KeyboardInterrupt
