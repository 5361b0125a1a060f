"""Branch search on landscapes whose best rate and length are known."""

from __future__ import annotations

import math

import pytest

from harness.search.branch import COOLED, DIVERGED, FACTOR, Branch, Outcome, first_rung, rungs, search


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
        assert begins >= self.reached, "a trunk never goes back"
        self.field.steps += begins - self.reached + rung - begins
        self.reached = begins
        if self.rate > self.field.breaks:
            return DIVERGED
        length = min(rung, self.field.gains_until)
        loss = 1 / math.sqrt(length) + 0.1 * math.log10(self.rate / self.field.best) ** 2
        return Outcome(-loss, loss)


def found(field: Field, *, edge: float, longest: int = 3200, rates: tuple[float, float] = (1e-6, 10.0)):  # type: ignore[no-untyped-def]
    seen: list[Branch] = []
    answer = search(field.trunk, edge=edge, longest=longest, rates=rates, seen=seen.append)
    assert tuple(seen) == answer.branches
    return answer


@pytest.mark.parametrize("best", [3e-5, 1e-3, 1e-2, 0.3])
def test_the_rate_is_within_half_a_step_of_the_best_wherever_that_lies(best: float) -> None:
    field = Field(best=best)
    answer = found(field, edge=3e-2)
    assert abs(math.log(answer.best.rate / best)) <= math.log(FACTOR) / 2 + 1e-9
    assert answer.best.rung == 3200
    on_first = [branch.rate for branch in answer.branches if branch.rung == 400]
    assert min(on_first) < answer.best.rate < max(on_first)  # the best is no end of the bracket
    assert len(set(field.started)) == len(field.started)  # no trunk was started twice


def test_it_costs_a_sixth_of_a_grid_of_eight_rates_and_six_lengths() -> None:
    field = Field(best=4e-3)
    found(field, edge=3e-2)
    grid = 8 * sum(3200 // 2**power for power in range(6))
    assert field.steps <= grid / 5


def test_it_stops_climbing_where_length_no_longer_gains() -> None:
    field = Field(best=4e-3, gains_until=800)
    answer = found(field, edge=3e-2)
    assert answer.best.rung == 800
    assert max(branch.rung for branch in answer.branches) == 1600  # patience of one rung


def test_rates_that_diverge_are_worse_than_any_other() -> None:
    field = Field(best=1.0, breaks=5e-3)
    answer = found(field, edge=3e-2)
    assert answer.best.rate <= 5e-3
    assert DIVERGED in [branch.outcome for branch in answer.branches]


def test_rates_stay_within_the_space() -> None:
    answer = found(Field(best=1.0), edge=3e-2, rates=(1e-3, 2e-2))
    assert all(1e-3 * 0.999 <= branch.rate <= 2e-2 * 1.001 for branch in answer.branches)
    assert answer.best.rate == pytest.approx(2e-2)


def test_all_diverging_still_ends_with_the_lowest_rate_tried() -> None:
    answer = found(Field(best=1.0, breaks=0.0), edge=3e-2, rates=(1e-3, 3e-2))
    assert answer.best.outcome == DIVERGED


def test_rungs_double_from_an_eighth_to_the_longest_and_have_a_hundred_steps() -> None:
    assert rungs(3200) == [400, 800, 1600, 3200]
    assert rungs(300) == [150, 300]
    assert rungs(60) == [60]
    assert first_rung(3200) == 400
    assert first_rung(150) == 100


def test_metric_and_loss_both_count_where_they_disagree() -> None:
    outcomes = {1: Outcome(0.80, 0.9), 2: Outcome(0.79, 0.2), 3: Outcome(0.70, 0.3), 0: Outcome(0.1, 2.0)}

    class Fixed:
        def __init__(self, rate: float) -> None:
            self.step = round(math.log(1e-2 / rate, FACTOR))

        def cooled(self, rung: int) -> Outcome:
            return outcomes.get(self.step, DIVERGED)

    answer = search(Fixed, edge=1e-2, longest=100, rates=(1e-6, 1.0), seen=lambda branch: None)
    # by metric second and by loss first: nothing is better in both
    assert answer.best.outcome == outcomes[2]
