"""Metrics of labels, prices and texts: numbers computed by hand, and constant answers to the real Planet labels."""

from __future__ import annotations

import math
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import listing
from harness.metrics import ACCURACY, BITS_PER_BYTE, MACRO_F1, MICRO_F1, PERPLEXITY, RMSLE, SAMPLES_F2, Metric
from harness.tasks import Multilabel

Pairs = list[tuple[Any, Any]]


def score(metric: Metric, pairs: Pairs) -> float:
    rows = np.array([metric.statistics(decision, truth) for decision, truth in pairs], dtype=np.float64)
    return float(metric.reduce(rows, np.arange(len(rows))))


def test_scores_of_three_rows_are_the_ones_computed_by_hand() -> None:
    yes, no = True, False
    pairs: Pairs = [
        (np.array([yes, yes, no]), np.array([yes, no, no])),  # F2 = 5 x 1 / (4 x 1 + 2) = 5/6
        (np.array([no, no, no]), np.array([no, yes, no])),  # nothing said: 0
        (np.array([no, no, yes]), np.array([no, yes, yes])),  # 5 x 1 / (4 x 2 + 1) = 5/9
    ]
    assert score(SAMPLES_F2, pairs) == pytest.approx((5 / 6 + 5 / 9) / 3)
    assert score(MACRO_F1, pairs) == pytest.approx((1 + 0 + 1) / 3)
    assert score(MICRO_F1, pairs) == pytest.approx(2 * 2 / (2 * 2 + 1 + 2))
    assert score(ACCURACY, pairs) == 0


def test_no_tags_in_truth_and_answer_score_zero_as_on_the_competitions_page() -> None:
    empty = np.zeros(3, dtype=np.bool_)
    assert score(SAMPLES_F2, [(empty, empty)]) == 0


def test_a_price_below_zero_counts_as_zero_in_the_logarithmic_error() -> None:
    assert score(RMSLE, [(-5.0, math.e - 1)]) == pytest.approx(1)


def test_bytes_and_tokens_are_those_of_the_truth() -> None:
    pairs: Pairs = [((8.0, 99, 99), (0.0, 4, 16))]
    assert score(PERPLEXITY, pairs) == pytest.approx(math.exp(2))
    assert score(BITS_PER_BYTE, pairs) == pytest.approx(0.5 / math.log(2))


def test_constant_answers_to_the_real_planet_labels_score_the_published_numbers(
    real_data: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(real_data / "planet-labels-only.zip") as archive:
        archive.extractall(tmp_path)
    table = listing.find_file(tmp_path, ["train_v2.csv"])
    assert table is not None
    cells = [tuple(cell.split(" ")) for cell in listing.read_table(table, ("tags",))["tags"]]
    task = Multilabel().learn(cells)
    truth = np.stack([task.encode(cell, "train_v2.csv") for cell in cells])
    assert truth.shape == (40_479, 17)
    commonest = [label for label, _ in Counter(label for cell in cells for label in set(cell)).most_common(6)]
    for answer, expected in ((["primary", "clear"], 0.64294), (["primary"], 0.40126), (commonest, 0.68901)):
        rows = SAMPLES_F2.statistics(np.broadcast_to(task.encode(answer, ""), truth.shape), truth)
        assert round(float(SAMPLES_F2.reduce(rows, np.arange(len(rows)))), 5) == expected
