"""Dice per picture and per volume, against a version that counts one pixel at a time."""

from __future__ import annotations

import numpy as np
import pytest

from harness.metrics import DICE_PER_PICTURE, DICE_PER_VOLUME
from harness.metrics.pixels import overlap

Pair = tuple[np.ndarray, np.ndarray]


def slow_counts(decision: np.ndarray, truth: np.ndarray) -> tuple[int, int, int]:
    both = predicted = true = 0
    for row in range(truth.shape[0]):
        for column in range(truth.shape[1]):
            both += int(decision[row, column] and truth[row, column])
            predicted += int(decision[row, column])
            true += int(truth[row, column])
    return both, predicted, true


def slow_dice(counts: tuple[int, int, int]) -> float:
    both, predicted, true = counts
    if predicted == 0 and true == 0:
        return 1.0
    return 2 * both / (predicted + true)


def slow_volumes(pairs: list[Pair], groups: np.ndarray) -> float:
    pooled: dict[int, tuple[int, int, int]] = {}
    for (decision, truth), group in zip(pairs, groups.tolist(), strict=True):
        before, here = pooled.get(group, (0, 0, 0)), slow_counts(decision, truth)
        pooled[group] = (before[0] + here[0], before[1] + here[1], before[2] + here[2])
    scores = [slow_dice(counts) for counts in pooled.values()]
    return sum(scores) / len(scores)


def mask(random: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    return random.random(size) < random.choice([0.0, 0.1, 0.5, 0.9, 1.0], p=[0.4, 0.2, 0.2, 0.1, 0.1])


def case(seed: int) -> tuple[list[Pair], np.ndarray]:
    """One to six pairs of masks of up to 5x5 pixels, and the group of each."""
    random = np.random.default_rng(seed)
    pairs = []
    for _ in range(int(random.integers(1, 7))):
        size = (int(random.integers(1, 6)), int(random.integers(1, 6)))
        pairs.append((mask(random, size), mask(random, size)))
    return pairs, random.integers(-2, 3, len(pairs))


def statistics(pairs: list[Pair]) -> np.ndarray:
    return np.array([overlap(decision, truth) for decision, truth in pairs])


def test_both_metrics_equal_counting_one_pixel_at_a_time() -> None:
    for seed in range(1000):
        pairs, groups = case(seed)
        per_picture = np.mean([slow_dice(slow_counts(*pair)) for pair in pairs])
        assert abs(DICE_PER_PICTURE.reduce(statistics(pairs), groups) - per_picture) < 1e-12
        assert abs(DICE_PER_VOLUME.reduce(statistics(pairs), groups) - slow_volumes(pairs, groups)) < 1e-12


@pytest.mark.parametrize("metric", [DICE_PER_PICTURE, DICE_PER_VOLUME])
def test_an_empty_answer_to_an_empty_mask_scores_one(metric) -> None:
    empty = np.zeros((3, 4), dtype=bool)
    assert metric.reduce(np.array([metric.statistics(empty, empty)]), np.array([0])) == 1.0


@pytest.mark.parametrize("metric", [DICE_PER_PICTURE, DICE_PER_VOLUME])
def test_one_wrong_pixel_on_an_empty_mask_scores_zero(metric) -> None:
    answer = np.zeros((3, 4), dtype=bool)
    answer[1, 1] = True
    assert metric.reduce(np.array([metric.statistics(answer, np.zeros((3, 4), dtype=bool))]), np.array([0])) == 0.0


def test_the_answers_themselves_reach_the_best_value() -> None:
    for seed in range(20):
        pairs, groups = case(seed)
        perfect = statistics([(truth, truth) for _, truth in pairs])
        assert DICE_PER_PICTURE.reduce(perfect, groups) == DICE_PER_PICTURE.best
        assert DICE_PER_VOLUME.reduce(perfect, groups) == DICE_PER_VOLUME.best


def test_all_empty_answers_score_the_share_of_empty_masks() -> None:
    random = np.random.default_rng(1)
    truths = [np.zeros((4, 4), dtype=bool)] * 7 + [random.random((4, 4)) < 0.5 for _ in range(3)]
    assert all(truth.any() for truth in truths[7:])
    found = statistics([(np.zeros_like(truth), truth) for truth in truths])
    assert DICE_PER_PICTURE.reduce(found, np.zeros(10, dtype=int)) == pytest.approx(0.7, abs=1e-12)


@pytest.mark.parametrize("metric", [DICE_PER_PICTURE, DICE_PER_VOLUME])
def test_a_sweep_in_one_call_equals_one_call_each(metric) -> None:
    random = np.random.default_rng(2)
    counts = np.sort(random.integers(0, 9, (4, 5, 12, 3)), axis=-1).astype(float)
    groups = random.integers(0, 4, 12)
    at_once = metric.reduce(counts, groups)
    assert at_once.shape == (4, 5)
    one_by_one = [[metric.reduce(counts[a, b], groups) for b in range(5)] for a in range(4)]
    np.testing.assert_allclose(at_once, one_by_one, rtol=0, atol=1e-12)


def test_the_order_of_rows_does_not_matter_to_the_dice_per_volume() -> None:
    for seed in range(50):
        pairs, groups = case(seed)
        found = statistics(pairs)
        shuffled = np.random.default_rng(seed).permutation(len(pairs))
        expected = DICE_PER_VOLUME.reduce(found, groups)
        assert DICE_PER_VOLUME.reduce(found[shuffled], groups[shuffled]) == pytest.approx(expected, abs=1e-12)


def test_a_volume_is_pooled_and_not_the_mean_of_its_slices() -> None:
    found = np.array([[10.0, 10, 10], [0, 0, 2]])  # one slice right, one small lesion missed
    assert DICE_PER_VOLUME.reduce(found, np.array([5, 5])) == pytest.approx(20 / 22)
    assert DICE_PER_PICTURE.reduce(found, np.array([5, 5])) == pytest.approx(0.5)


def test_a_mean_of_batch_means_would_be_another_number() -> None:
    found = np.array([[1.0, 1, 1], [0, 1, 1], [0, 1, 1]])
    groups = np.zeros(3, dtype=int)
    batches = [DICE_PER_PICTURE.reduce(found[:2], groups[:2]), DICE_PER_PICTURE.reduce(found[2:], groups[2:])]
    assert np.mean(batches) == pytest.approx(0.25)
    assert DICE_PER_PICTURE.reduce(found, groups) == pytest.approx(1 / 3)
