"""Decisions from histograms equal decisions from pixels."""

from __future__ import annotations

import numpy as np
import pytest

from harness.evaluation.masks import (
    Decision,
    Histograms,
    choose,
    histogram,
    presence,
    statistics,
    sweep,
)
from harness.metrics import DICE_PER_PICTURE, DICE_PER_VOLUME, Metric
from harness.metrics.pixels import overlap

Pictures = list[tuple[np.ndarray, np.ndarray]]


def pictures(seed: int, count: int = 6) -> Pictures:
    """(uint8 probabilities, bool truth) of different sizes; some truths empty, some probabilities flat."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        size = (int(random.integers(3, 40)), int(random.integers(3, 40)))
        truth = random.random(size) < random.choice([0.0, 0.2, 0.6])
        noise = random.normal(0, random.choice([0.0, 30.0, 80.0]), size)
        probability = np.clip(np.where(truth, 170, 70) + noise, 0, 255).astype(np.uint8)
        made.append((probability, truth))
    return made


def histograms(made: Pictures, groups: np.ndarray | None = None) -> Histograms:
    both = [histogram(probability, truth) for probability, truth in made]
    inside, outside = (np.stack(side) for side in zip(*both, strict=True))
    return Histograms(inside, outside, np.arange(len(made)) if groups is None else groups)


def decided(made: Pictures, decision: Decision) -> np.ndarray:
    return np.array([overlap(decision(probability), truth) for probability, truth in made])


def flat(value: int, truth: bool) -> tuple[np.ndarray, np.ndarray]:
    return np.full((4, 5), value, dtype=np.uint8), np.full((4, 5), truth)


@pytest.mark.parametrize("seed", range(5))
def test_the_sweep_equals_counting_pixels_at_every_threshold(seed: int) -> None:
    made = pictures(seed)
    found = sweep(histograms(made))
    assert found.shape == (255, len(made), 3)
    for threshold in range(1, 256):
        np.testing.assert_array_equal(found[threshold - 1], decided(made, Decision(threshold)))


def test_counting_from_histograms_equals_deciding_every_picture() -> None:
    for seed in range(60):
        made, random = pictures(seed), np.random.default_rng([seed, 1])
        held = histograms(made)
        # gates and areas that lie exactly on a picture's value are the ones where rounding could tell them apart
        gates = [0.0, random.uniform(0, 255), *presence(held.inside + held.outside)]
        shares = sweep(held)[..., 1] / (held.inside + held.outside).sum(axis=1)
        areas = [0.0, random.uniform(0, 1), *random.choice(shares.ravel(), 4)]
        for _ in range(10):
            decision = Decision(int(random.integers(1, 256)), float(random.choice(areas)), float(random.choice(gates)))
            np.testing.assert_array_equal(statistics(held, decision), decided(made, decision))


def test_presence_is_the_mean_of_the_brightest_fifth_of_a_percent() -> None:
    probability = np.zeros(1000, dtype=np.uint8)
    probability[[3, 500]] = [200, 101]
    large = np.bincount(probability, minlength=256)
    small = np.bincount(np.array([7, 9, 9, 250], dtype=np.uint8), minlength=256)
    assert presence(np.stack([large, small])).tolist() == [150.5, 250.0]
    # 0.2 % of 1,500 pixels are three
    more = np.bincount(np.r_[probability, np.full(500, 11, dtype=np.uint8)], minlength=256)
    assert presence(more[None])[0] == pytest.approx((200 + 101 + 11) / 3)


def test_a_mask_smaller_than_the_area_or_below_the_gate_becomes_empty() -> None:
    probability = np.zeros((10, 10), dtype=np.uint8)
    probability[:2, :2] = 200
    assert Decision(128, area=0.04)(probability).sum() == 4
    assert Decision(128, area=0.05)(probability).sum() == 0
    assert Decision(128, gate=200)(probability).sum() == 4
    assert Decision(128, gate=200.5)(probability).sum() == 0
    assert Decision(201)(probability).sum() == 0


@pytest.mark.parametrize("metric", [DICE_PER_PICTURE, DICE_PER_VOLUME])
def test_the_choice_is_at_least_as_good_as_any_single_threshold(metric: Metric) -> None:
    for seed in range(8):
        held = histograms(pictures(seed, 12), np.arange(12) // 3)
        chosen = metric.reduce(statistics(held, choose(held, metric)), held.groups)
        brute = max(metric.reduce(statistics(held, Decision(t)), held.groups) for t in range(1, 256))
        assert chosen >= brute - 1e-12


def test_the_best_threshold_of_a_case_without_empty_pictures_is_found() -> None:
    truth = np.zeros((20, 20), dtype=bool)
    truth[5:15, 5:15] = True
    probability = np.where(truth, 91, 90).astype(np.uint8)
    chosen = choose(histograms([(probability, truth)] * 3), DICE_PER_PICTURE)
    assert chosen == Decision(91, 0.0, 0.0)


def test_among_equals_the_middle_of_the_widest_plateau_wins() -> None:
    truth = np.zeros((10, 10), dtype=bool)
    truth[:5] = True
    probability = np.where(truth, 150, 50).astype(np.uint8)
    # any threshold from 51 to 150 is perfect
    chosen = choose(histograms([(probability, truth)]), DICE_PER_PICTURE)
    assert chosen.threshold in (100, 101)
    assert (chosen.area, chosen.gate) == (0.0, 0.0)


def test_a_narrow_peak_beside_a_wide_plateau_of_the_same_value_loses() -> None:
    truth = np.array([[True, False, False, False, True, False, True]])
    probability = np.array([[103, 100, 100, 100, 90, 10, 0]], dtype=np.uint8)
    # Dice 2*1/(1+3) at the thresholds 101..103, and 2*2/(5+3) at 11..90; less between and below
    chosen = choose(histograms([(probability, truth)]), DICE_PER_PICTURE)
    assert chosen.threshold in (50, 51)


def test_the_gate_is_found_where_faint_answers_to_empty_pictures_cost_most() -> None:
    truth = np.zeros((20, 20), dtype=bool)
    truth[:10, :10] = True
    seen = np.where(truth, 200, 10).astype(np.uint8)
    faint = np.where(truth, 140, 10).astype(np.uint8)
    dim = np.where(truth, 120, 10).astype(np.uint8)
    made = [(seen, truth)] * 4 + [(faint, np.zeros_like(truth))] * 4 + [(dim, np.zeros_like(truth))] * 4
    held = histograms(made)
    chosen = choose(held, DICE_PER_PICTURE)
    assert DICE_PER_PICTURE.reduce(statistics(held, chosen), held.groups) == 1.0


def test_a_metric_that_is_better_when_lower_is_minimised() -> None:
    def distance(counts: np.ndarray, groups: np.ndarray) -> np.ndarray:
        return 1 - DICE_PER_PICTURE.reduce(counts, groups)

    loss = Metric("Dice distance", overlap, distance, 0.0, False, "1 - Dice")
    for seed in range(4):
        held = histograms(pictures(seed, 8))
        assert choose(held, loss) == choose(held, DICE_PER_PICTURE)


def test_some_rows_of_histograms_are_the_histograms_of_these_rows() -> None:
    made = pictures(0)
    part = histograms(made).take(np.array([4, 1]))
    expected = histograms([made[4], made[1]])
    assert len(part) == 2
    np.testing.assert_array_equal(part.inside, expected.inside)
    np.testing.assert_array_equal(part.outside, expected.outside)
    assert part.groups.tolist() == [4, 1]


def test_flat_pictures_are_decided_by_their_one_value() -> None:
    held = histograms([flat(128, True), flat(127, True), flat(0, False)])
    np.testing.assert_array_equal(statistics(held, Decision(128)), [[20, 20, 20], [0, 0, 20], [0, 0, 0]])
