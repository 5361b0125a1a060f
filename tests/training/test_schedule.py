"""Schedules are pure functions of the step, with the shapes that their papers draw."""

from __future__ import annotations

import itertools
import math
import typing

import pytest

from harness.config import Training
from harness.training import schedule

TOTAL = 100
NAMES = list(typing.get_args(typing.get_type_hints(Training)["schedule"]))


def rates(name: str, *, warmup: float = 0.1, cooldown: float = 0.2) -> list[schedule.Rate]:
    found = schedule.planned(name, total=TOTAL, peak=1.0, warmup=warmup, cooldown=cooldown)
    return [found(step) for step in range(TOTAL)]


def learning(name: str) -> list[float]:
    return [rate.learning_rate for rate in rates(name)]


@pytest.mark.parametrize("name", NAMES)
def test_every_schedule_of_the_settings_rises_to_its_peak_and_stays_positive(name: str) -> None:
    values = learning(name)
    assert max(values) == pytest.approx(1.0)
    assert values[0] < 0.15
    assert min(values) > 0
    assert all(0.8 < rate.momentum <= 0.95 for rate in rates(name))


def test_one_cycle_mirrors_the_momentum() -> None:
    found = rates("one-cycle", warmup=0.25)
    assert max(range(TOTAL), key=lambda step: found[step].learning_rate) == 25
    assert found[0].learning_rate == pytest.approx(1 / 25)
    assert found[25].momentum == pytest.approx(0.85)
    assert found[99].learning_rate < 1e-3
    assert found[99].momentum == pytest.approx(0.95, abs=1e-3)


def test_cosine_is_half_way_down_in_the_middle_of_its_fall() -> None:
    assert learning("cosine")[55] == pytest.approx(0.5)


def test_warmup_stable_decay_is_level_and_then_falls_as_one_minus_a_root() -> None:
    values = learning("warmup-stable-decay")
    assert values[10:81] == pytest.approx([1.0] * 71)
    assert values[85] == pytest.approx(1 - math.sqrt(5 / 20))
    assert values[99] == pytest.approx(1 - math.sqrt(19 / 20))


def test_a_trunk_at_constant_rate_does_not_know_where_it_will_end() -> None:
    """Steps before the cooldown are those of a longer schedule, given the same warm-up."""
    short = schedule.planned("warmup-stable-decay", total=100, peak=1.0, warmup=0.1, cooldown=0.2)
    long = schedule.planned("warmup-stable-decay", total=200, peak=1.0, warmup=0.05, cooldown=0.2)
    assert [short(step) for step in range(80)] == [long(step) for step in range(80)]


def test_constant_is_level_after_its_rise() -> None:
    assert learning("constant")[10:] == [1.0] * 90


def test_without_a_cooldown_nothing_falls() -> None:
    found = schedule.planned("warmup-stable-decay", total=TOTAL, peak=1.0, warmup=0.1, cooldown=0.0)
    assert found(99).learning_rate == 1.0


def test_an_exponential_sweep_begins_and_ends_where_it_is_told() -> None:
    values = [schedule.exponential(step, first=7, steps=11, low=1e-5, high=1.0).learning_rate for step in range(7, 18)]
    assert (values[0], values[-1]) == pytest.approx((1e-5, 1.0))
    assert [after / before for before, after in itertools.pairwise(values)] == pytest.approx([10**0.5] * 10)
