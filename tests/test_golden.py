"""Twenty steps of every adapter's training, recorded: a refactor must not move them; a change that should says so."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from harness import files
from harness.pipeline import fold, nets, planning
from harness.training import loop, precision, schedule, state
from tests.kit import SHIPPED, sample_data

FOLDER = Path(__file__).with_name("golden")
TOLERANCE = 5e-3
STEPS = 20
# peak rates at which rounding does not grow and a tenth more shows; batch norm over four small pictures is touchy
RATES = {"tokens": 3e-2, "classes": 7e-4, "label": 5e-4, "tags": 5e-4}


def curve(
    name: str, cache: Path, *, faster: float = 1.0, decay_everything: bool = False, nudge: float = 0
) -> list[float]:
    """The loss of each of twenty steps: float32, one thread, a strong weight decay so that its list shows."""
    assert torch.get_num_threads() == 1
    competition, config, data = sample_data(name, cache)
    usual = RATES.get(competition.task.kind, 2e-3)
    rate, decay = usual * faster, max(5.0, 1e-2 / usual)
    plan = planning.plan_folds(competition, config, data)
    loop.seed_everything(0, 0)
    fitted = nets.fit_fold(competition, config, data=data, plan=plan, fold=0)
    net = nets.build_net(competition, config, nets.CPU, fitted=fitted)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(1 + nudge)
    training = state.TrainState.start(net, rate=rate, weight_decay=decay, ema=True, precision="fp32")
    if decay_everything:
        for group in training.optimizer.param_groups:
            group["weight_decay"] = decay
    examples = fold.stream(competition, config, data=data, plan=plan, fold=0, stage=0, fitted=fitted)
    losses: list[float] = []
    recipe = loop.Recipe(
        loss=fitted.task.loss,
        batches=functools.partial(examples.batches, batch=4, workers=0, pin=False),
        autocast=precision.autocast("cpu", "fp32"),
        device="cpu",
        clip=1.0,
        ema=0.9,
        report_every=1,
        report=lambda step, loss, now: losses.append(loss),
    )
    loop.advance(training, STEPS, functools.partial(schedule.one_cycle, total=STEPS, peak=rate), recipe)
    return losses


def distance(losses: list[float], recorded: list[float]) -> float:
    """The largest relative difference."""
    return float(np.max(np.abs(np.array(losses) / np.array(recorded) - 1)))


def recorded(name: str) -> list[float]:
    return json.loads((FOLDER / f"{name}.json").read_text())


@pytest.mark.parametrize("name", SHIPPED)
def test_twenty_steps_give_the_recorded_losses(name: str, shared_cache: Path, request: pytest.FixtureRequest) -> None:
    losses = curve(name, shared_cache)
    if request.config.getoption("--rewrite-golden"):
        files.write_json(FOLDER / f"{name}.json", losses)
    assert distance(losses, recorded(name)) < TOLERANCE


@pytest.mark.parametrize("name", SHIPPED)
def test_a_rate_of_a_tenth_more_leaves_the_tolerance(name: str, shared_cache: Path) -> None:
    assert distance(curve(name, shared_cache, faster=1.1), recorded(name)) > TOLERANCE


@pytest.mark.parametrize("name", SHIPPED)
def test_a_dropped_list_of_undecayed_weights_leaves_the_tolerance(name: str, shared_cache: Path) -> None:
    assert distance(curve(name, shared_cache, decay_everything=True), recorded(name)) > TOLERANCE


@pytest.mark.parametrize("name", SHIPPED)
def test_the_curve_moves_little_under_rounding(name: str, shared_cache: Path) -> None:
    """A millionth of noise on the first weights stays far inside the tolerance: other processors will agree."""
    assert distance(curve(name, shared_cache, nudge=1e-6), recorded(name)) < TOLERANCE / 2
