"""The range test finds the rates at which a net learns, and leaves no trace of itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from harness.training import groups, loop
from harness.training.range_test import Sweep, range_test, slide, steepest, valley
from tests.tiny import RATE, bits, fresh, recipe

# a textbook curve over log rate: level, falling, a flat bottom, running away
CURVE = np.concatenate([np.full(20, 1.0), np.linspace(1.0, 0.3, 40), np.full(10, 0.3), np.linspace(0.3, 3, 20)])


@pytest.mark.parametrize("trained", [0, 3])
def test_every_bit_of_state_comes_back(trained: int) -> None:
    training = fresh()
    loop.advance(training, trained, RATE, recipe())
    training.carry = {"hidden": torch.ones(2)}
    before = bits(training)
    found = range_test(training, recipe(), low=1e-5, high=10.0, steps=30)
    assert len(found.rates) >= 10
    assert bits(training) == before
    assert all(parameter.grad is None for parameter in training.net.parameters())


def test_training_goes_on_as_if_there_had_been_no_test() -> None:
    whole = fresh()
    loop.advance(whole, 8, RATE, recipe())
    expected = bits(whole)
    tested = fresh()
    loop.advance(tested, 4, RATE, recipe())
    range_test(tested, recipe(), steps=20)
    loop.advance(tested, 8, RATE, recipe())
    assert bits(tested) == expected


def test_the_sweep_goes_up_by_the_same_factor_and_sees_every_batch() -> None:
    found = range_test(fresh(), recipe(), low=1e-4, high=1e-2, steps=21)
    assert found.rates == pytest.approx(np.geomspace(1e-4, 1e-2, 21))
    assert found.losses.shape == found.smooth.shape == (21,)
    assert not found.diverged


def test_a_loss_that_runs_away_ends_the_sweep_and_is_put_back() -> None:
    training = fresh()
    before, calls = bits(training), [0]

    def exploding(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        calls[0] += 1
        return logits.mean() * 0 + (1.0 if calls[0] < 15 else 1000.0)

    found = range_test(training, recipe(loss=exploding), steps=100)
    assert found.diverged
    assert len(found.rates) == 15
    assert bits(training) == before


def test_a_loss_that_is_no_number_ends_the_sweep_and_is_put_back() -> None:
    training = fresh()
    before, calls = bits(training), [0]

    def broken(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        calls[0] += 1
        return logits.mean() * 0 + (1.0 if calls[0] < 12 else float("nan"))

    found = range_test(training, recipe(loss=broken), steps=100)
    assert found.diverged
    assert len(found.losses) == 11
    assert np.isfinite(found.smooth).all()
    assert bits(training) == before


def test_an_error_on_the_way_leaves_the_state_as_it_was() -> None:
    training = fresh()
    before = bits(training)

    def failing(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        range_test(training, recipe(loss=failing))
    assert bits(training) == before


def test_groups_keep_their_ratio_of_rates() -> None:
    training = fresh()
    names = [name for name, _ in training.net.named_parameters()]
    layered = type(training).start(
        training.net,
        rate=1e-2,
        weight_decay=0.1,
        ema=True,
        precision="fp32",
        layers={name: int(name.startswith("layers.4")) for name in names},
    )
    groups.pace(layered.optimizer, layered.net, 0.1, frozen=False)
    seen: list[tuple[float, float]] = []
    step = layered.optimizer.step

    def spy(*arguments: Any) -> object:
        by_layer = {group["layer"]: group["lr"] for group in layered.optimizer.param_groups}
        seen.append((by_layer[0], by_layer[1]))
        return step(*arguments)

    layered.optimizer.step = spy  # type: ignore[method-assign,assignment]
    found = range_test(layered, recipe(), low=1e-4, high=1e-2, steps=12)
    assert [head for _, head in seen] == pytest.approx(found.rates)
    assert [first / head for first, head in seen] == pytest.approx([0.1] * 12)


def test_the_rules_read_a_textbook_curve() -> None:
    assert 35 <= valley(CURVE) <= 45  # the middle of the fall
    assert 20 <= steepest(CURVE) < 60
    assert slide(CURVE) < 75  # not where the loss runs away
    assert valley(np.array([3.0, 2.0, 1.0])) == 1


def test_suggestions_lie_below_the_minimum_and_none_is_made_where_nothing_was_learnt() -> None:
    rates = np.geomspace(1e-6, 1, len(CURVE))
    found = Sweep(rates, CURVE, CURVE, True).suggestions()
    assert set(found) == {"valley", "minimum/10", "steepest", "slide"}
    assert all(rates[0] < rate < rates[CURVE.argmin() + 10] for rate in found.values())
    assert Sweep(rates, CURVE, np.linspace(1, 2, len(CURVE)), True).suggestions() == {}
    assert Sweep(rates[:5], CURVE[:5], CURVE[:5], True).suggestions() == {}


def test_the_suggested_rate_learns_better_than_a_hundredth_of_it() -> None:
    def loss_after(rate: float) -> float:
        training, reports = fresh(), list[float]()
        told = recipe(report_every=40, report=lambda step, loss, at: reports.append(loss))
        loop.advance(training, 40, lambda step: type(RATE(0))(rate, 0.9), told)
        return reports[-1]

    suggested = range_test(fresh(), recipe(), low=1e-5, high=10.0, steps=80).suggested()
    assert suggested is not None
    assert loss_after(suggested) < loss_after(suggested / 100)


def test_what_is_suggested_is_careful() -> None:
    rates = np.geomspace(1e-6, 1, len(CURVE))
    found = Sweep(rates, CURVE, CURVE, True)
    assert found.suggested() == min(found.suggestions()["steepest"], found.suggestions()["minimum/10"])
    assert Sweep(rates, CURVE, np.linspace(1, 2, len(CURVE)), True).suggested() is None
