"""Probes with a clock that is told what each step takes: what is measured, what is given up, and what it leads to."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from harness.training import probing
from harness.training.probing import Times


class Stopwatch:
    """A clock that stands still but for the seconds that steps take."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def step(self, *seconds: float) -> Callable[[], None]:
        """A step that takes these seconds one after the other, and then the last again and again."""
        rest: Iterator[float] = iter(seconds)

        def once() -> None:
            self.now += next(rest, seconds[-1])

        return once


def compared(plain: float, *other: float, watched: bool = True) -> Times:
    clock = Stopwatch()
    net = torch.nn.Linear(1, 1) if watched else None
    return probing.compare(clock.step(plain), clock.step(*other), watched=net, clock=clock)


def test_a_candidate_is_faster_by_three_percent_or_not_at_all() -> None:
    assert compared(1.0, 0.5).faster
    assert compared(1.0, 0.96).faster
    assert not compared(1.0, 0.98).faster
    assert not compared(1.0, 1.0).faster
    assert not compared(1.0, 40.0).faster


def test_the_step_that_is_taken_is_the_candidate_only_where_it_is_faster() -> None:
    assert compared(1.0, 0.5).best == 0.5
    assert compared(1.0, 0.98).best == 1.0
    assert Times(1.0).best == 1.0


def test_medians_are_compared_so_that_one_slow_step_decides_nothing() -> None:
    found = compared(1.0, 0.5, 0.5, 30.0, 0.5)
    assert found.other == 30.0  # the turn is over after one step of each: ten seconds are gone
    found = compared(0.1, 0.05, 0.05, 3.0, 0.05)
    assert (found.plain, found.other) == (pytest.approx(0.1), pytest.approx(0.05))


def test_five_steps_of_each_are_enough_and_ten_seconds_are_the_end() -> None:
    clock, counts = Stopwatch(), [0, 0]

    def counted(seconds: float, side: int) -> Callable[[], None]:
        def once() -> None:
            clock.now += seconds
            counts[side] += 1

        return once

    probing.compare(counted(0.01, 0), counted(0.01, 1), watched=None, clock=clock)
    assert counts == [6, 6]  # one more each that pays for memory and kernel choice
    counts[:] = [0, 0]
    probing.compare(counted(4.0, 0), counted(4.0, 1), watched=None, clock=clock)
    assert counts == [3, 3]


def test_a_candidate_that_is_far_too_slow_is_abandoned_within_its_first_step() -> None:
    net = torch.nn.Sequential(*[torch.nn.Linear(2, 2) for _ in range(50)])
    clock, layers = Stopwatch(), [0]

    def slow() -> None:
        for layer in net:
            clock.now += 1.0
            layer(torch.ones(1, 2))
            layers[0] += 1

    assert probing.compare(clock.step(1.0), slow, watched=net, clock=clock) == Times(1.0, None)
    assert layers[0] < 4
    assert not any(module._forward_hooks for module in net.modules())


def test_a_compilation_is_waited_for_and_told_apart_from_the_steps_after_it() -> None:
    found = compared(1.0, 90.0, 0.5, watched=False)
    assert found.faster
    assert (found.plain, found.other, found.start) == (1.0, 0.5, 89.5)


def test_a_gain_pays_when_it_is_more_than_the_cost_over_the_steps_that_are_left() -> None:
    assert probing.pays(0.5, steps=101, cost=50.0)
    assert not probing.pays(0.5, steps=100, cost=50.0)
    assert not probing.pays(0.0, steps=10**9, cost=0.0)


def test_the_same_times_compile_a_long_run_and_leave_a_short_one_and_one_of_many_folds() -> None:
    times = Times(1.0, 0.5, start=89.5)
    assert probing.worth_compiling(times, steps=200, starts=1)
    assert not probing.worth_compiling(times, steps=178, starts=1)
    assert not probing.worth_compiling(times, steps=200, starts=2)
    assert not probing.worth_compiling(Times(1.0, 0.98, start=0.0), steps=10**9, starts=1)
    assert not probing.worth_compiling(Times(1.0, None, problem="no compiler"), steps=10**9, starts=1)


def test_compiling_is_tried_only_where_a_fifth_of_all_steps_pays_for_it_and_its_trial() -> None:
    assert probing.hopeful(1.0, steps=601, starts=1)
    assert not probing.hopeful(1.0, steps=599, starts=1)
    assert not probing.hopeful(0.01, steps=10_000, starts=5)
