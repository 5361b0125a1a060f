"""The curves of a run are the rates and momenta that its steps used, stage after stage, falls included."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import pipeline, registry
from harness.pipeline import World, drawing
from harness.runs import Run
from harness.training import loop, schedule
from tests.kit import request, small

NAME = "playground-series-s3e8"


def test_what_is_drawn_is_what_each_step_used(
    tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    competition, used = registry.load(NAME), list[tuple[float, float]]()
    stages = ("stages.0.epochs=2", "stages.1.epochs=3", "stages.1.schedule=warmup-stable-decay")
    config = small(competition, "data.folds=2", *stages)
    gradients = loop._gradients

    def spy(state, batch, recipe, call):  # type: ignore[no-untyped-def]
        group = state.optimizer.param_groups[0]
        used.append((group["lr"], group["betas"][0]))
        return gradients(state, batch, recipe, call)

    monkeypatch.setattr(loop, "_gradients", spy)
    pipeline.run(competition, config, request(only_folds=(1,)), out=tmp_path / "run", world=World(shared_cache))
    curve = drawing.curves(Run(tmp_path / "run"))[1]
    assert curve.rates == pytest.approx([rate for rate, _ in used])
    assert curve.momenta == pytest.approx([momentum for _, momentum in used])
    assert [name for _, name in curve.begins] == ["train", "stage1"]
    assert 0 < curve.begins[1][0] < len(used)
    assert curve.losses[-1][0] == len(used)
    assert (tmp_path / "run" / "training.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_steps_made_again_after_a_fall_are_drawn_at_the_lower_rate(tmp_path: Path) -> None:
    run, plan = Run(tmp_path), {"total": 8, "peak": 1.0, "warmup": 0.25, "cooldown": 0.0}
    run.log("schedule", fold=0, stage="only", schedule="constant", **plan)
    rate = schedule.planned("constant", **plan)
    for step, pace in ((4, 1.0), (2, 0.5), (4, 0.5), (8, 0.5)):  # it fell after step 4, back to the beginning
        used = pace * rate(step - 1).learning_rate
        run.log("train", fold=0, stage="only", step=step, loss=1.0, rate=used)
        if pace == 1.0:
            run.log("said", fold=0, stage="only", step=0, text="the loss is nan: back to step 0")
    with open(tmp_path / "log.jsonl", "a") as handle:
        handle.write('{"event": "train", "fo')  # killed here
    expected = [0.5 * rate(step).learning_rate for step in range(8)]
    assert drawing.curves(run)[0].rates == pytest.approx(expected)


def test_a_log_without_training_draws_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.log("phase", phase="cache")
    drawing.draw(run, title="nothing")
    assert not (tmp_path / "training.png").exists()
