"""Branch search on landscapes whose best rate and length are known."""

from __future__ import annotations

import math

import pytest

from harness.search.branch import (
    COOLED,
    DIVERGED,
    FACTOR,
    Look,
    Outcome,
    Plan,
    bracketed,
    first_rung,
    grid,
    lite,
    rungs,
    so_far,
    spaced,
)


class Field:
    """Nets whose loss after L steps at rate r is known; counts what is trained.

    The loss falls with r L up to a best distance, and rises with the distance of log r from `best`.
    """

    def __init__(self, *, best: float, breaks: float = math.inf, gains_until: int = 10**9) -> None:
        self.best, self.breaks, self.gains_until = best, breaks, gains_until
        self.started: list[float] = []
        self.steps = 0

    def trunk(self, rate: float) -> Line:
        self.started.append(rate)
        return Line(self, rate)


class Line:
    def __init__(self, field: Field, rate: float) -> None:
        self.field, self.rate, self.reached = field, rate, 0

    def cooled(self, rung: int) -> Outcome:
        begins = rung - round(COOLED * rung)
        self.field.steps += max(0, begins - self.reached) + rung - begins
        self.reached = max(self.reached, begins)
        if self.rate > self.field.breaks:
            return DIVERGED
        length = min(rung, self.field.gains_until)
        loss = 1 / math.sqrt(length) + 0.1 * math.log10(self.rate / self.field.best) ** 2
        return Outcome(-loss, loss)


class Found:
    """What following a plan gives."""

    def __init__(self, field: Field, planner, *, workers: int = 1, **how) -> None:  # type: ignore[no-untyped-def]
        self.done: dict[Look, Outcome] = {}
        lines: dict[float, Line] = {}
        while (plan := planner(self.done, **how)).best is None:
            assert not set(plan.wanted) & self.done.keys(), "nothing is scored twice"
            assert plan.alive <= self.done.keys()
            for look in plan.wanted[:workers]:
                if look.rate not in lines:
                    lines[look.rate] = field.trunk(look.rate)
                self.done[look] = lines[look.rate].cooled(look.steps)
        self.plan: Plan = plan
        assert plan.best is not None
        self.best: Look = plan.best


def found(
    field: Field, *, edge: float, longest: int = 3200, rates: tuple[float, float] = (1e-6, 10.0), workers: int = 1
) -> Found:
    return Found(field, bracketed, edge=edge, longest=longest, rates=rates, workers=workers)


@pytest.mark.parametrize("best", [3e-5, 1e-3, 1e-2, 0.3])
def test_the_rate_is_within_half_a_step_of_the_best_wherever_that_lies(best: float) -> None:
    field = Field(best=best)
    answer = found(field, edge=3e-2)
    assert abs(math.log(answer.best.rate / best)) <= math.log(FACTOR) / 2 + 0.01
    assert answer.best.steps == 3200
    on_first = [look.rate for look in answer.done if look.steps == 400]
    assert min(on_first) < answer.best.rate < max(on_first)  # the best is no end of the bracket
    assert len(set(field.started)) == len(field.started)  # no trunk was started twice


def test_it_costs_a_seventh_of_a_grid_of_eight_rates_and_six_lengths() -> None:
    field = Field(best=4e-3)
    found(field, edge=3e-2)
    grid = 8 * sum(3200 // 2**power for power in range(6))
    assert field.steps <= grid / 7


def test_it_stops_climbing_where_length_no_longer_gains() -> None:
    field = Field(best=4e-3, gains_until=800)
    answer = found(field, edge=3e-2)
    assert answer.best.steps == 800
    assert max(look.steps for look in answer.done) == 1600  # patience of one rung


def test_rates_that_diverge_are_worse_than_any_other() -> None:
    field = Field(best=1.0, breaks=5e-3)
    answer = found(field, edge=3e-2)
    assert answer.best.rate <= 5e-3
    assert DIVERGED in answer.done.values()


def test_rates_stay_within_the_space() -> None:
    answer = found(Field(best=1.0), edge=3e-2, rates=(1e-3, 2e-2))
    assert all(1e-3 * 0.99 <= look.rate <= 2e-2 * 1.01 for look in answer.done)
    assert answer.best.rate == pytest.approx(2e-2)


def test_all_diverging_still_ends_with_the_lowest_rate_tried() -> None:
    answer = found(Field(best=1.0, breaks=0.0), edge=3e-2, rates=(1e-3, 3e-2))
    assert answer.done[answer.best] == DIVERGED


def test_rungs_double_from_an_eighth_to_the_longest_and_have_a_hundred_steps() -> None:
    assert rungs(3200) == [400, 800, 1600, 3200]
    assert rungs(300) == [150, 300]
    assert rungs(60) == [60]
    assert first_rung(3200) == 400
    assert first_rung(150) == 100


def test_metric_and_loss_both_count_where_they_disagree() -> None:
    outcomes = {1: Outcome(0.80, 0.9), 2: Outcome(0.79, 0.2), 3: Outcome(0.70, 0.3), 0: Outcome(0.1, 2.0)}

    class Fixed(Field):
        def trunk(self, rate: float) -> Line:
            step = round(math.log(1e-2 / rate, FACTOR))
            line = Line(self, rate)
            line.cooled = lambda rung: outcomes.get(step, DIVERGED)  # type: ignore[method-assign]
            return line

    answer = found(Fixed(best=1.0), edge=1e-2, longest=100, rates=(1e-6, 1.0))
    # by metric second and by loss first: nothing is better in both
    assert answer.done[answer.best] == outcomes[2]


def test_workers_that_share_a_plan_find_what_one_finds() -> None:
    alone, together = (found(Field(best=4e-3), edge=3e-2, workers=workers) for workers in (1, 3))
    assert together.best == alone.best
    assert together.done == alone.done


def test_a_plan_goes_on_from_any_part_of_what_was_scored() -> None:
    field = Field(best=4e-3)
    whole = found(field, edge=3e-2)
    looks = list(whole.done)
    for kept in range(len(looks)):
        done = {look: whole.done[look] for look in looks[:kept]}
        plan = bracketed(done, edge=3e-2, longest=3200, rates=(1e-6, 10.0))
        assert plan.best is None
        assert set(plan.wanted) <= set(looks[kept:])


def test_no_rung_is_shorter_than_the_space_allows() -> None:
    assert rungs(3200, 1000) == [1600, 3200]
    assert first_rung(3200, 1000) == 1000


def test_lite_has_one_trunk_at_a_tenth_of_the_minimum_scored_at_every_length() -> None:
    field = Field(best=4e-3, gains_until=1600)
    answer = Found(field, lite, edge=3e-2, longest=3200, rates=(1e-6, 10.0))
    assert field.started == [3e-3]
    assert [look.steps for look in answer.done] == [400, 800, 1600, 3200]
    assert answer.best.steps == 1600


def test_a_grid_scores_every_cell_and_takes_the_shortest_of_equals() -> None:
    field = Field(best=1e-3, gains_until=200)
    answer = Found(field, grid, rates=spaced(1e-4, 1e-2, 3), lengths=[100, 200, 400])
    assert len(answer.done) == 9
    assert answer.best == Look(1e-3, 200)


def test_a_rate_that_loses_twice_by_metric_and_loss_is_left() -> None:
    answer = found(Field(best=1e-2), edge=3e-2)
    lengths = {rate: [look.steps for look in answer.done if look.rate == rate] for rate in (1e-2, 3.33e-3)}
    assert lengths == {1e-2: [400, 800, 1600, 3200], 3.33e-3: [400, 800]}


def test_a_lower_rate_that_catches_up_is_kept() -> None:
    class Late(Field):
        def trunk(self, rate: float) -> Line:
            line = Line(self, rate)
            # the longer, the lower the best rate: by loss at once, by the metric from 1600 steps on
            scores = {1e-2: (0.5, 0.5), 3.33e-3: (0.4, 0.3)}
            metric, loss = scores.get(rate, (0.1, 1.0))

            def cooled(steps: int) -> Outcome:
                late = 0.3 if steps >= 1600 and rate == 3.33e-3 else 0.0
                return Outcome(metric + late + steps / 1e5, loss)

            line.cooled = cooled  # type: ignore[method-assign]
            return line

    answer = found(Late(best=1.0), edge=3e-2)
    assert answer.best == Look(3.33e-3, 3200)


def test_a_search_that_must_end_answers_with_the_best_so_far() -> None:
    whole = found(Field(best=4e-3, gains_until=800), edge=3e-2)
    looks = list(whole.done)
    assert so_far(whole.done) == whole.best
    first = {look: whole.done[look] for look in looks[:2]}
    assert so_far(first) in first


def test_where_all_diverge_ever_lower_rates_are_tried_and_nothing_longer() -> None:
    answer = found(Field(best=1.0, breaks=0.0), edge=3e-2, rates=(1e-4, 3e-2))
    assert min(look.rate for look in answer.done) < 3e-4
    assert {look.steps for look in answer.done} == {400}
