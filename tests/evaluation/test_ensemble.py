"""Members weighed on the other folds: never much worse than the best of them, deaf to what a row says of itself."""

from __future__ import annotations

import numpy as np
import pytest

from harness.evaluation.choice import Weights, greedy
from harness.evaluation.intervals import interval
from harness.evaluation.plain import AsIs, Fixed
from harness.evaluation.scores import finer_parts, nested
from harness.metrics import ACCURACY, RMSE, Metric

FOLDS = np.arange(300) % 5


class Values:
    """Members that predict numbers, and what a blend of them says."""

    def __init__(self, members: list[np.ndarray], truth: np.ndarray) -> None:
        self.members, self.truth = members, truth

    def __call__(self, weights: Weights) -> Fixed:
        used = [(weight, member) for weight, member in zip(weights, self.members, strict=True) if weight > 0]
        blended = sum(weight * member for weight, member in used)
        errors = (blended - self.truth) ** 2
        return Fixed({RMSE.name: errors[:, None]}, np.arange(len(self.truth)), AsIs())


def members(seed: int, *noise: float) -> Values:
    random = np.random.default_rng(seed)
    truth = random.normal(size=300)
    return Values([truth + random.normal(size=300) * spread for spread in noise], truth)


def single(values: Values, member: int) -> float:
    weights = tuple(float(index == member) for index in range(len(values.members)))
    return float(RMSE.reduce(values(weights).statistics(None, RMSE), np.arange(300)))


def test_two_members_of_independent_errors_are_averaged_and_beat_both() -> None:
    values = members(0, 0.5, 0.5)
    found = nested(values, FOLDS, RMSE, kinds=(0, 1))
    assert found.value < 0.8 * min(single(values, 0), single(values, 1))
    assert all(abs(weights[0] - 0.5) <= 0.2 for weights in found.weights.values())
    assert sum(found.final_weights) == pytest.approx(1)


def test_a_useless_member_gets_no_weight_to_speak_of() -> None:
    values = members(1, 0.2, 5.0)
    found = nested(values, FOLDS, RMSE, kinds=(0, 1))
    assert found.final_weights[1] <= 0.1
    assert found.value <= 1.01 * single(values, 0)


def test_a_small_share_is_found_where_half_would_be_too_much() -> None:
    # the best share of the worse member is var1 / (var1 + var2) = 0.1: half and half is worse than the better one alone
    values = members(2, 0.3, 0.9)
    alone, (weights, _) = greedy(values, np.arange(300), RMSE, kinds=(0, 1), picks=10)
    assert alone[0] == (1.0, 0.0)
    assert 0 < weights[1] <= 0.3


def test_the_walk_goes_on_past_a_step_that_costs() -> None:
    # errors +1 and -2: two to one cancels them; the second step, half and half, is no better than one to none was
    truth = np.random.default_rng(0).normal(size=300)
    values = Values([truth + 1, truth - 2], truth)
    alone, (weights, _) = greedy(values, np.arange(300), RMSE, kinds=(0, 1), picks=10)
    assert alone[0] == (1.0, 0.0)
    assert weights == (2 / 3, 1 / 3)


@pytest.mark.parametrize("higher_is_better", [False, True])
def test_a_mixture_that_gains_only_where_it_was_chosen_is_not_kept(higher_is_better: bool) -> None:
    """Mixing pays in the first of three folds and costs in the others: one of them and the first would have it."""
    folds, rows = np.arange(30) // 10, np.arange(30)
    flip = -1.0 if higher_is_better else 1.0
    metric = Metric("own", RMSE.statistics, lambda s, g: flip * s[..., 0].mean(axis=-1), 0, higher_is_better, "")

    def blend(weights: Weights) -> Fixed:
        mixing = 4 * weights[0] * weights[1]  # 1 at half and half
        loss = 1 + 3 * weights[1] + mixing * np.where(folds == 0, -4.0, 1.0)
        return Fixed({"own": loss[:, None]}, rows, AsIs())

    _, (walked, _) = greedy(blend, rows[folds != 2], metric, kinds=(0, 1), picks=10)
    assert 0.1 < walked[1] < 0.4
    found = nested(blend, folds, metric, kinds=(0, 1))
    assert set(found.weights.values()) == {(1.0, 0.0)}
    assert abs(found.value) == 1


@pytest.mark.parametrize("seed", range(8))
def test_the_nested_ensemble_is_no_worse_than_its_best_member_by_more_than_noise(seed: int) -> None:
    values = members(seed, *np.random.default_rng(seed).uniform(0.2, 1.5, 3))
    found = nested(values, FOLDS, RMSE, kinds=(0, 1, 2))
    assert found.value <= 1.02 * min(single(values, member) for member in range(3))


def test_the_weights_of_a_fold_do_not_depend_on_its_own_truth() -> None:
    values = members(3, 0.5, 0.6)
    before = nested(values, FOLDS, RMSE, kinds=(0, 1))
    values.truth = np.where(FOLDS == 2, -values.truth * 7, values.truth)
    after = nested(values, FOLDS, RMSE, kinds=(0, 1))
    assert after.weights[2] == before.weights[2]
    assert after.weights[0] != before.weights[0]


def test_one_part_leaves_the_first_member_alone() -> None:
    found = nested(members(4, 1.0, 0.1), np.zeros(300, dtype=int), RMSE, kinds=(0, 1))
    assert found.final_weights == (1.0, 0.0)


def test_a_member_that_is_not_a_number_is_never_chosen() -> None:
    values = members(5, 0.4, 0.4)
    values.members[0][3] = np.nan
    assert greedy(values, np.arange(300), RMSE, kinds=(0, 1), picks=10)[1][0] == (0.0, 1.0)


@pytest.mark.parametrize("metric", [RMSE, ACCURACY])
def test_the_interval_of_sums_is_that_of_drawn_rows(metric: Metric) -> None:
    """An additive metric's bootstrap draws sums of units; drawing their rows gives the same numbers."""
    statistics = np.random.default_rng(0).random((60, 1))
    units = np.arange(60) // 4
    settings = {"resamples": 50, "confidence": 0.9, "seed": 3}
    fast = interval(statistics, np.arange(60), units, metric, **settings)
    drawn = Metric(metric.name, metric.statistics, metric.reduce, 0, True, "", additive=False)
    assert fast == pytest.approx(interval(statistics, np.arange(60), units, drawn, **settings), abs=1e-12)


def test_of_members_of_one_kind_the_better_answers_and_of_equals_the_first() -> None:
    noisy, better = members(5, 1.0, 0.4, 0.6), members(6, 0.5, 0.4, 5.0)
    weights = nested(noisy, FOLDS, RMSE, kinds=(0, 0, 1)).final_weights
    assert weights[0] == 0
    assert weights[1] > 0
    assert weights[2] > 0
    # the two of one kind would gain by each other, and may not be mixed
    assert nested(better, FOLDS, RMSE, kinds=(0, 0, 1)).final_weights == (0.0, 1.0, 0.0)
    twins = Values([noisy.members[0], noisy.members[0]], noisy.truth)
    assert nested(twins, FOLDS, RMSE, kinds=(0, 0)).final_weights == (1.0, 0.0)


def with_constant(values: Values) -> Values:
    return Values([*values.members, np.zeros(300)], values.truth)


def test_members_that_know_nothing_leave_the_answer_to_the_constant() -> None:
    left = []
    for seed in range(12):
        random = np.random.default_rng(seed)
        values = Values([random.normal(size=300) * spread for spread in (0.1, 0.4, 0.0)], random.normal(size=300))
        found = nested(values, FOLDS, RMSE, kinds=(0, 1, 2), constant=True)
        assert found.value == pytest.approx(single(values, 2), rel=0.02)
        left += [weights == (0.0, 0.0, 1.0) for weights in found.weights.values()]
    assert np.mean(left) > 0.5


def test_members_that_gain_answer_and_the_constant_has_no_share() -> None:
    values = with_constant(members(0, 0.5, 0.6))
    found = nested(values, FOLDS, RMSE, kinds=(0, 1, 2), constant=True)
    before = nested(members(0, 0.5, 0.6), FOLDS, RMSE, kinds=(0, 1))
    assert found.final_weights == (*before.final_weights, 0.0)
    assert found.value == before.value < single(values, 2)


def test_a_gain_that_is_one_of_the_rows_that_chose_does_not_replace_the_constant() -> None:
    """In each of three folds another guess is right: of any two folds the best guess is wrong in the third."""
    folds, truth = np.arange(300) // 100, np.ones(300)
    values = with_constant(Values([np.where(folds == fold, 1.0, -0.3) for fold in range(3)], truth))
    two = values((1.0, 0.0, 0.0, 0.0)).take(np.flatnonzero(folds < 2))
    assert RMSE.reduce(two.statistics(None, RMSE), two.groups) < 0.95 * single(values, 3)
    found = nested(values, folds, RMSE, kinds=(0, 0, 0, 1), constant=True)
    assert set(found.weights.values()) == {(0.0, 0.0, 0.0, 1.0)}


def test_what_one_of_two_parts_chooses_is_checked_within_it() -> None:
    """Each guess is right in a quarter of the rows: on the half that chooses it gains, on a quarter of it it costs."""
    quarters, truth = np.arange(300) // 75, np.ones(300)
    values = with_constant(Values([np.where(quarters == one, 1.0, -0.3) for one in range(4)], truth))
    parts, kinds = quarters // 2, (0, 0, 0, 0, 1)
    finer = finer_parts(parts, [str(one) for one in quarters], contiguous=True)
    assert finer.tolist() == quarters.tolist()
    assert finer_parts(quarters, [""] * 300, contiguous=False) is quarters
    only = (0.0, 0.0, 0.0, 0.0, 1.0)
    assert only not in nested(values, parts, RMSE, kinds=kinds, constant=True).weights.values()
    assert set(nested(values, parts, RMSE, kinds=kinds, constant=True, finer=finer).weights.values()) == {only}
