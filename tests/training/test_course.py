"""A schedule whose end the clock decides."""

from __future__ import annotations

import itertools
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.training.course import Course
from harness.training.loop import advance
from tests.tiny import bits, fresh, recipe


def test_while_all_fits_it_is_the_plain_schedule() -> None:
    course = Course(rise=10, end=100)
    for step in range(100):
        course = course.steered(step, fits=1000.0, total=100, cooldown=0.2)
    assert (course.begun, course.end) == (80, 100)


def test_less_time_moves_the_start_of_the_cooldown_and_keeps_its_share() -> None:
    course = Course(rise=10, end=1000)
    for step in range(100):
        course = course.steered(step, fits=100.0 - step, total=1000, cooldown=0.2)
    assert course.end == 100
    assert 79 <= course.begun <= 81


@given(st.lists(st.floats(0.3, 3.0), min_size=1, max_size=5), st.integers(20, 400))
@settings(max_examples=60, deadline=None)
def test_the_rate_never_jumps_and_ends_low_however_the_speed_changes(speeds: list[float], fits: int) -> None:
    course, left, step, rates = Course(rise=5, end=1000), float(fits), 0, list[float]()
    while step < course.end:
        speed = speeds[step * len(speeds) // 400 % len(speeds)]
        course = course.steered(step, fits=left / speed, total=1000, cooldown=0.2)
        if step >= course.end:
            break
        rates.append(course.rate(step, 1.0).learning_rate)
        left, step = left - speed, step + 1
    assert left >= -3.0  # no more than a step too many
    falling = rates[course.begun :] if course.begun >= 0 else []
    assert all(after <= before for before, after in itertools.pairwise(falling))


def test_a_saved_state_knows_where_its_cooldown_began(tmp_path: Path) -> None:
    training = fresh()
    training.course = Course(rise=2, end=40, begun=8, done=0.25)
    steps = recipe()

    def rate(step: int):
        assert training.course is not None
        return training.course.rate(step, 1e-2)

    advance(training, 10, rate, steps)
    training.save(tmp_path / "state.safetensors")
    advance(training, 20, rate, steps)
    whole = bits(training)
    training.course = None
    training.load(tmp_path / "state.safetensors")
    assert training.course == Course(rise=2, end=40, begun=8, done=0.25)
    advance(training, 20, rate, steps)
    assert bits(training) == whole
