"""Scores that no row had a say in, intervals over groups, and what costs no training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.evaluation.intervals import interval
from harness.evaluation.masks import Decision, Histograms, choose, collect, statistics
from harness.evaluation.scores import alone, choice_parts, nested
from harness.metrics import DICE_PER_PICTURE, DICE_PER_VOLUME, Metric

FOLDS = np.repeat([0, 1, 2], 4)


def noisy(seed: int, count: int = 12, *, signal: float = 60.0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(uint8 probabilities, bool truths) of 10x10 pixels; with no signal they have nothing to do with each other."""
    random = np.random.default_rng(seed)
    truths = [(random.random((10, 10)) < random.choice([0.0, 0.3])) for _ in range(count)]
    noise = [random.normal(100, 40, (10, 10)) for _ in range(count)]
    mixed = [np.clip(one + signal * truth, 0, 255).astype(np.uint8) for one, truth in zip(noise, truths, strict=True)]
    return mixed, truths


def gathered(probabilities: list[np.ndarray], truths: list[np.ndarray]) -> Histograms:
    groups = np.arange(len(truths)) // 2
    return collect(range(len(truths)), groups, probabilities.__getitem__, truths.__getitem__)


def bounds(statistics: np.ndarray, units: np.ndarray, *, seed: int = 0, metric: Metric = DICE_PER_PICTURE):
    rows = np.arange(len(statistics))
    return interval(statistics, rows, units, metric, resamples=400, confidence=0.95, seed=seed)


def test_a_fold_is_decided_without_its_own_truth() -> None:
    probabilities, truths = noisy(0)
    before = nested(alone(gathered(probabilities, truths)), FOLDS, DICE_PER_PICTURE)
    for row in np.flatnonzero(FOLDS == 1):
        truths[row] = ~truths[row]
    after = nested(alone(gathered(probabilities, truths)), FOLDS, DICE_PER_PICTURE)
    assert after.decisions[1] == before.decisions[1]
    assert after.decisions[0] != before.decisions[0]
    assert after.final != before.final


@pytest.mark.parametrize("metric", [DICE_PER_PICTURE, DICE_PER_VOLUME])
def test_every_row_is_counted_with_what_the_other_folds_chose(metric: Metric) -> None:
    held = gathered(*noisy(1))
    found = nested(alone(held), FOLDS, metric)
    assert sorted(found.decisions) == [0, 1, 2]
    assert found.final == choose(held, metric)
    for fold in range(3):
        inside = np.equal(FOLDS, fold)
        rows, others = np.flatnonzero(inside), np.flatnonzero(~inside)
        assert found.decisions[fold] == choose(held.take(others), metric)
        own = statistics(held.take(rows), found.decisions[fold])
        np.testing.assert_array_equal(found.statistics[rows], own)
    assert found.value == metric.reduce(found.statistics, held.groups)
    on_itself = metric.reduce(statistics(held, found.final), held.groups)
    assert found.optimism == pytest.approx(on_itself - found.value)


def test_folds_may_be_numbered_and_ordered_in_any_way() -> None:
    probabilities, truths = noisy(2)
    folds = np.array([5, 2, 9] * 4)
    found = nested(alone(gathered(probabilities, truths)), folds, DICE_PER_PICTURE)
    assert list(found.decisions) == [2, 5, 9]
    assert found.statistics.shape == (12, 3)


def test_choices_are_crossed_over_the_folds_or_over_parts_of_an_only_one() -> None:
    units = [f"unit{index // 3}" for index in range(30)]
    assert choice_parts(np.arange(30) % 3, units, contiguous=False).tolist() == [row % 3 for row in range(30)]
    only = np.full(30, 4)
    runs = choice_parts(only, units, contiguous=True)
    assert runs.tolist() == [row // 6 for row in range(30)]
    dealt = choice_parts(only, units, contiguous=False)
    assert dealt.tolist() == [row // 3 % 5 for row in range(30)]
    # a unit is never cut, so that two of them make two parts and one makes none to cross over
    assert choice_parts(only[:6], units[:6], contiguous=True).tolist() == [0, 0, 0, 1, 1, 1]
    assert set(choice_parts(only[:3], units[:3], contiguous=False).tolist()) == {0}


def test_a_single_part_keeps_the_decision_fixed_in_advance() -> None:
    held = gathered(*noisy(3))
    found = nested(alone(held), np.zeros(12, dtype=int), DICE_PER_PICTURE)
    assert found.decisions == {0: Decision()}
    assert found.final == Decision()
    assert found.optimism == 0
    assert found.value == DICE_PER_PICTURE.reduce(statistics(held, Decision()), held.groups)


def test_choosing_on_noise_looks_better_than_it_is() -> None:
    optimism = [
        nested(alone(gathered(*noisy(seed, signal=0.0))), FOLDS, DICE_PER_PICTURE).optimism for seed in range(100, 130)
    ]
    assert np.mean(optimism) >= 0


def test_the_interval_covers_the_value_and_is_the_same_for_a_seed() -> None:
    random = np.random.default_rng(0)
    overlaps = random.integers(0, 11, 60).astype(float)
    counts = np.stack([overlaps, np.full(60, 10.0), np.full(60, 10.0)], axis=1)
    low, high = bounds(counts, np.arange(60))
    assert low < DICE_PER_PICTURE.reduce(counts, np.arange(60)) < high
    # the normal interval of a mean of 60 is about as wide
    assert high - low == pytest.approx(2 * 1.96 * (overlaps / 10).std() / np.sqrt(60), rel=0.2)
    assert bounds(counts, np.arange(60)) == (low, high)
    assert bounds(counts, np.arange(60), seed=1) != (low, high)


def test_the_interval_widens_when_rows_of_a_group_resemble_each_other() -> None:
    per_group = np.random.default_rng(1).integers(0, 11, 12).astype(float)
    counts = np.stack([np.repeat(per_group, 10), np.full(120, 10.0), np.full(120, 10.0)], axis=1)
    rows, groups = bounds(counts, np.arange(120)), bounds(counts, np.repeat(np.arange(12), 10))
    assert groups[1] - groups[0] > 2 * (rows[1] - rows[0])


def test_the_interval_of_rows_that_are_all_alike_is_a_point() -> None:
    counts = np.tile([5.0, 10, 10], (20, 1))
    assert bounds(counts, np.array([f"unit{row % 4}" for row in range(20)])) == pytest.approx((0.5, 0.5))


def test_a_volume_drawn_twice_counts_as_two_volumes() -> None:
    # one volume wrong, two right: the wrong one is most often drawn once, and its resample scores 2/3;
    # were its copies or theirs one volume, that would be 1/2
    counts, volumes = np.array([[0.0, 4, 4], [4, 4, 4], [4, 4, 4]]), np.arange(3)
    low, high = interval(counts, volumes, volumes, DICE_PER_VOLUME, resamples=400, confidence=0.2, seed=0)
    assert (low, high) == pytest.approx((2 / 3, 2 / 3))


@pytest.mark.parametrize("metric", [DICE_PER_PICTURE, DICE_PER_VOLUME])
def test_the_optimism_of_every_choice_adds_up_to_that_of_all(metric: Metric) -> None:
    held = gathered(*noisy(3))
    found = nested(alone(held), FOLDS, metric)
    assert list(found.choices) == ["weights", "threshold", "post-processing"]
    assert found.choices["weights"] == 0  # of one member
    on_itself = metric.reduce(statistics(held, found.final), held.groups)
    assert sum(found.choices.values()) == pytest.approx(on_itself - found.value)
    moved = [replace(found.decisions[fold], threshold=found.final.threshold) for fold in range(3)]
    rows = [np.flatnonzero(fold == FOLDS) for fold in range(3)]
    half = np.concatenate([statistics(held.take(own), one) for own, one in zip(rows, moved, strict=True)])
    assert found.choices["threshold"] == pytest.approx(metric.reduce(half, held.groups) - found.value)


def test_rows_that_do_not_count_still_choose() -> None:
    held, counted = gathered(*noisy(4)), FOLDS > 0
    found, whole = (
        nested(alone(held), FOLDS, DICE_PER_PICTURE, counted=counted),
        nested(alone(held), FOLDS, DICE_PER_PICTURE),
    )
    assert (found.decisions, found.final) == (whole.decisions, whole.final)
    assert found.value == DICE_PER_PICTURE.reduce(whole.statistics[counted], held.groups[counted])
    on_itself = DICE_PER_PICTURE.reduce(statistics(held, found.final)[counted], held.groups[counted])
    assert found.optimism == pytest.approx(on_itself - found.value)
