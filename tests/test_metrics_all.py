"""Every metric beside masks' Dice: scikit-learn or a slow count says the same, and reductions keep their promises.

N rows, L labels, C classes.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from harness.metrics import (
    ACCURACY,
    BITS_PER_BYTE,
    DICE_PER_PICTURE,
    DICE_PER_VOLUME,
    LOG_LOSS,
    MACRO_F1,
    MAE,
    MICRO_F1,
    NATS_PER_TOKEN,
    PERPLEXITY,
    RMSE,
    RMSLE,
    SAMPLES_F2,
    VOID,
    Metric,
    global_accuracy,
    mean_iou,
)

CLASSES = 4
ZERO: Any = 0
Pairs = list[tuple[Any, Any]]


def score(metric: Metric, pairs: Pairs) -> float:
    return float(metric.reduce(statistics(metric, pairs), np.zeros(len(pairs), dtype=np.int64)))


def statistics(metric: Metric, pairs: Pairs) -> np.ndarray:
    return np.array([metric.statistics(decision, truth) for decision, truth in pairs], dtype=np.float64)


def tags(random: np.random.Generator) -> Pairs:
    """Up to nine rows of tags, some empty, of two to five labels, of which each occurs."""
    count, labels = int(random.integers(1, 10)), int(random.integers(2, 6))
    both = random.random((count, 2, labels)) < random.random(labels)
    both[0, 0] = True
    return [(row[0], row[1]) for row in both]


def one_label(random: np.random.Generator) -> Pairs:
    count, labels = int(random.integers(1, 10)), int(random.integers(2, 6))
    eye = np.eye(labels, dtype=np.bool_)
    return [(eye[random.integers(labels)], eye[random.integers(labels)]) for _ in range(count)]


def probabilities(random: np.random.Generator) -> Pairs:
    count, labels = int(random.integers(1, 10)), int(random.integers(2, 6))
    rows = random.dirichlet(np.full(labels, 0.05), count)
    eye = np.eye(labels, dtype=np.bool_)
    return [(row, eye[random.integers(labels)]) for row in rows]


def prices(random: np.random.Generator) -> Pairs:
    return [tuple(pair) for pair in random.lognormal(3, 2, (int(random.integers(1, 10)), 2)).tolist()]


def class_maps(random: np.random.Generator) -> Pairs:
    """Pictures of up to 5x5 pixels; void in truths, pixels that no class claims in answers."""
    values = np.array([*range(CLASSES), VOID], np.uint8)[int(random.integers(0, 3)) :]
    sizes = [tuple(random.integers(1, 6, 2)) for _ in range(int(random.integers(1, 6)))]
    pairs = [(random.choice(values, size), random.choice(values, size)) for size in sizes]
    pairs[0][1][0, 0] = CLASSES - 1
    return pairs


def texts(random: np.random.Generator) -> Pairs:
    """(nats, tokens, bytes) of answers; a truth knows its tokens and bytes."""
    rows = [
        (float(random.exponential(20)), int(random.integers(1, 50)), int(random.integers(1, 300))) for _ in range(7)
    ]
    return [(row, (0.0, *row[1:])) for row in rows]


def sides(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """(truths, decisions), as scikit-learn takes them."""
    return np.array([truth for _, truth in pairs]), np.array([decision for decision, _ in pairs])


def known_pixels(pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
    truth = np.concatenate([truth.ravel() for _, truth in pairs])
    decided = np.concatenate([decision.ravel() for decision, _ in pairs])
    return truth[truth != VOID], decided[truth != VOID]


def label_f(pairs: Pairs, average: Any, beta: float) -> float:
    return float(reference.fbeta_score(*sides(pairs), beta=beta, average=average, zero_division=ZERO))


def jaccard(pairs: Pairs) -> float:
    truth, decided = known_pixels(pairs)
    occurring = sorted({*truth.tolist(), *decided.tolist()} - {VOID})
    return float(reference.jaccard_score(truth, decided, labels=occurring, average="macro", zero_division=ZERO))


def log_loss(pairs: Pairs) -> float:
    truth, decided = sides(pairs)
    return float(reference.log_loss(truth.argmax(axis=1), decided, labels=range(truth.shape[1])))


def slow_perplexity(pairs: Pairs) -> float:
    return math.prod(math.exp(nats / sum(truth[1] for _, truth in pairs)) for (nats, _, _), _ in pairs)


def slow_bits(pairs: Pairs) -> float:
    return sum(nats for (nats, _, _), _ in pairs) / sum(truth[2] for _, truth in pairs) * math.log2(math.e)


CASES: dict[str, tuple[Metric, Callable[[np.random.Generator], Pairs], Callable[[Pairs], float]]] = {
    "accuracy of one label": (ACCURACY, one_label, lambda pairs: reference.accuracy_score(*sides(pairs))),
    "accuracy of tags": (ACCURACY, tags, lambda pairs: reference.accuracy_score(*sides(pairs))),
    "macro F1 of tags": (MACRO_F1, tags, lambda pairs: label_f(pairs, "macro", 1)),
    "macro F1 of one label": (
        MACRO_F1,
        one_label,
        lambda pairs: reference.f1_score(
            *(side.argmax(axis=1) for side in sides(pairs)), average="macro", zero_division=ZERO
        ),
    ),
    "micro F1": (MICRO_F1, tags, lambda pairs: label_f(pairs, "micro", 1)),
    "mean F2": (SAMPLES_F2, tags, lambda pairs: label_f(pairs, "samples", 2)),
    "log loss": (LOG_LOSS, probabilities, log_loss),
    "RMSE": (RMSE, prices, lambda pairs: reference.root_mean_squared_error(*sides(pairs))),
    "RMSLE": (RMSLE, prices, lambda pairs: reference.root_mean_squared_log_error(*sides(pairs))),
    "MAE": (MAE, prices, lambda pairs: reference.mean_absolute_error(*sides(pairs))),
    "mean IoU": (mean_iou(CLASSES), class_maps, jaccard),
    "global accuracy": (
        global_accuracy(CLASSES),
        class_maps,
        lambda pairs: reference.accuracy_score(*known_pixels(pairs)),
    ),
    "perplexity": (PERPLEXITY, texts, slow_perplexity),
    "nats per token": (NATS_PER_TOKEN, texts, lambda pairs: math.log(slow_perplexity(pairs))),
    "bits per byte": (BITS_PER_BYTE, texts, slow_bits),
}


@pytest.mark.parametrize("name", CASES)
def test_the_metric_equals_its_reference(name: str) -> None:
    metric, draw, expected = CASES[name]
    for seed in range(20):
        pairs = draw(np.random.default_rng(seed))
        assert score(metric, pairs) == pytest.approx(expected(pairs), rel=1e-12, abs=1e-12), seed


@pytest.mark.parametrize("name", CASES)
def test_an_additive_metric_needs_only_the_mean_of_its_statistics(name: str) -> None:
    metric, draw, _ = CASES[name]
    assert metric.additive
    for seed in range(10):
        rows = statistics(metric, draw(np.random.default_rng(seed)))
        of_all = metric.reduce(rows, np.arange(len(rows)))
        of_mean = metric.reduce(rows.mean(axis=0, keepdims=True), np.zeros(1, dtype=np.int64))
        assert float(of_all) == pytest.approx(float(of_mean), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("metric", [DICE_PER_PICTURE, DICE_PER_VOLUME])
def test_dice_needs_more_than_the_mean_of_its_statistics_and_says_so(metric: Metric) -> None:
    assert not metric.additive
    rows = np.array([[1.0, 1, 1], [0, 4, 0]])
    of_mean = metric.reduce(rows.mean(axis=0, keepdims=True), np.zeros(1, dtype=np.int64))
    assert abs(float(metric.reduce(rows, np.arange(2))) - float(of_mean)) > 0.1


@pytest.mark.parametrize("name", CASES)
def test_many_sets_of_rows_are_reduced_at_once(name: str) -> None:
    metric, draw, _ = CASES[name]
    rows = statistics(metric, draw(np.random.default_rng(1)))
    groups = np.arange(len(rows))
    sets = np.stack([rows, rows[::-1], rows * 2, rows[[0] * len(rows)]]).reshape(2, 2, *rows.shape)
    together = metric.reduce(sets, groups)
    assert together.shape == (2, 2)
    for place in np.ndindex(2, 2):
        assert float(together[place]) == pytest.approx(float(metric.reduce(sets[place], groups)), rel=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_the_truth_as_answer_reaches_the_best_value_and_no_answer_passes_it(name: str) -> None:
    metric, draw, _ = CASES[name]
    pairs = draw(np.random.default_rng(2))
    # a truth that is void or without tags has no perfect answer
    truths = [truth for _, truth in pairs if draw is not tags or truth.any()] or [pairs[0][0]]
    perfect = score(metric, [(truth.astype(float) if draw is probabilities else truth, truth) for truth in truths])
    assert perfect == pytest.approx(metric.best, abs=1e-12)
    for seed in range(10):
        drawn = score(metric, draw(np.random.default_rng(seed)))
        assert drawn <= perfect + 1e-12 if metric.higher_is_better else drawn >= perfect - 1e-12


@pytest.mark.parametrize("name", ["accuracy of tags", "macro F1 of tags", "micro F1", "mean F2", "log loss"])
def test_statistics_of_labels_are_taken_of_many_rows_at_once(name: str) -> None:
    metric, draw, _ = CASES[name]
    pairs = draw(np.random.default_rng(3))
    truth, decided = sides(pairs)
    np.testing.assert_array_equal(metric.statistics(decided, truth), statistics(metric, pairs))


@pytest.mark.parametrize("name", CASES)
def test_a_metric_goes_to_a_worker(name: str) -> None:
    metric, draw, _ = CASES[name]
    pairs = draw(np.random.default_rng(4))
    assert score(pickle.loads(pickle.dumps(metric)), pairs) == score(metric, pairs)
