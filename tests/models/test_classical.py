"""Forests and boosting on simple features: what they learn, and what they answer where the training rows say little."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from harness.models.classical import PRIOR, fit_labels, fit_tags, fit_values, picture_features
from harness.models.columns import CATEGORIES, TableFeatures


def coloured(seed: int, *, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """(features [rows, F], colours int64 [rows]): noisy red, green and blue pictures."""
    random = np.random.default_rng(seed)
    colours = random.integers(0, 3, size=rows)
    pictures = random.integers(0, 160, size=(rows, 20, 30, 3))
    pictures[np.arange(rows), :, :, colours] += 60
    return np.stack([picture_features(picture.astype(np.uint8)) for picture in pictures]), colours


def some_table(seed: int, *, rows: int, pictures: np.ndarray | None = None) -> tuple[TableFeatures, np.ndarray]:
    """(TableFeatures with gaps, values [rows] in 1..100): the value is a code's level times a number."""
    random = np.random.default_rng(seed)
    numbers, codes = random.uniform(1, 10, size=(rows, 2)), random.integers(0, 4, size=(rows, 2))
    values = numbers[:, 0] * np.array([1.0, 7.0, 2.0, 10.0])[codes[:, 0]]
    numbers[random.random(numbers.shape) < 0.05] = np.nan
    codes[random.random(codes.shape) < 0.05] = -1
    return TableFeatures(numbers, codes, pictures), values


FEATURES, COLOURS = coloured(0, rows=90)
ASKED, TRUTH = coloured(1, rows=40)


@pytest.mark.parametrize(("channels", "number"), [(1, 306), (3, 870)])
def test_pictures_of_any_size_have_the_same_number_of_features(channels: int, number: int) -> None:
    for height, width in ((5, 3), (64, 64), (97, 300)):
        features = picture_features(np.full((height, width, channels), 7, dtype=np.uint8))
        assert (features.shape, features.dtype) == ((number,), np.float32)
        assert np.isfinite(features).all()


def test_an_even_picture_has_its_colour_no_spread_and_no_gradients() -> None:
    features = picture_features(np.tile(np.array([200, 100, 50], dtype=np.uint8), (40, 50, 1)))
    assert features[:6].tolist() == [200, 100, 50, 200, 100, 50]
    assert features[432:438].tolist() == [200, 100, 50, 0, 0, 0]
    assert sorted(features[438:742].tolist())[-5:] == [0, 1, 1, 1, 1]  # one bin of hue and its like, and of L, a, b
    assert not features[742:].any()


def test_gradients_are_counted_in_their_cell_and_direction() -> None:
    steps = np.zeros((64, 64, 1), dtype=np.uint8)
    steps[:, 8:] = 100  # a vertical edge: the brightness changes along x, direction 0, in the left cells
    by_cell = picture_features(steps)[-128:].reshape(4, 4, 8)
    assert by_cell[:, 0, 0].min() > 0
    assert by_cell[:, 1:].sum() == by_cell[:, :, 1:].sum() == 0
    turned = picture_features(np.ascontiguousarray(steps.transpose(1, 0, 2)))[-128:].reshape(4, 4, 8)
    np.testing.assert_allclose(turned[0, :, 4], by_cell[:, 0, 0], rtol=1e-6)


def test_labels_learn_colours_with_probabilities_that_sum_to_one() -> None:
    answers = fit_labels(FEATURES, COLOURS, number=3, seed=0).predict(ASKED)
    assert (answers.shape, answers.dtype) == ((40, 3), np.float32)
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-6)
    assert (answers.argmax(axis=1) == TRUTH).mean() > 0.95


@pytest.mark.parametrize("tabular", [False, True])
def test_a_class_without_a_training_row_keeps_the_prior_alone(tabular: bool) -> None:
    features = TableFeatures(FEATURES[:, :9], np.empty((90, 0), dtype=np.int64)) if tabular else FEATURES
    classes = COLOURS * 2  # 0, 2 and 4 of six
    answers = fit_labels(features, classes, number=6, seed=0).predict(features)
    np.testing.assert_allclose(answers[:, [1, 3, 5]], PRIOR * 1 / (90 + 6), rtol=1e-6)
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-6)
    assert (answers.argmax(axis=1) == classes).mean() > 0.95


@pytest.mark.parametrize("tabular", [False, True])
def test_one_class_alone_is_answered_everywhere(tabular: bool) -> None:
    features = TableFeatures(FEATURES[:, :9], np.empty((90, 0), dtype=np.int64)) if tabular else FEATURES
    answers = fit_labels(features, np.full(90, 2), number=3, seed=0).predict(features)
    np.testing.assert_allclose(answers, np.tile([PRIOR / 93, PRIOR / 93, 1 - 2 * PRIOR / 93], (90, 1)), rtol=1e-6)


def test_tags_learn_colours_and_stay_inside_zero_and_one_where_all_rows_agree() -> None:
    truth = np.stack([COLOURS == 0, COLOURS != 1, np.ones(90, bool), np.zeros(90, bool)], axis=1)
    answers = fit_tags(FEATURES, truth, seed=0).predict(ASKED)
    assert (answers.shape, answers.dtype) == ((40, 4), np.float32)
    assert ((answers[:, 0] > 0.5) == (TRUTH == 0)).mean() > 0.95
    assert ((answers[:, 1] > 0.5) == (TRUTH != 1)).mean() > 0.95
    np.testing.assert_allclose(answers[:, 2], 1 - PRIOR / 92, rtol=1e-6)
    np.testing.assert_allclose(answers[:, 3], PRIOR / 92, rtol=1e-5)


def test_one_tag_keeps_its_axis() -> None:
    assert fit_tags(FEATURES[:, :20], COLOURS[:, None] == 1, seed=0).predict(ASKED[:, :20]).shape == (40, 1)


def test_a_table_answers_tags_with_gaps_in_it() -> None:
    table, values = some_table(0, rows=400)
    asked, truth = some_table(1, rows=200)
    answers = fit_tags(table, np.stack([values > 20, values > 40], axis=1), seed=0).predict(asked)
    assert ((answers > 0.5) == np.stack([truth > 20, truth > 40], axis=1)).mean() > 0.85


def test_values_of_pictures_stay_inside_the_training_range() -> None:
    prices = np.array([10.0, 500.0, 8000.0])[COLOURS]
    answers = fit_values(FEATURES, prices, seed=0).predict(ASKED)
    assert (answers.shape, answers.dtype) == ((40,), np.float32)
    assert answers.min() >= 10
    assert answers.max() <= 8000
    assert np.abs(answers - np.array([10.0, 500.0, 8000.0])[TRUTH]).mean() < 1500


def test_boosting_learns_a_table_with_gaps_and_keeps_prices_positive() -> None:
    table, values = some_table(0, rows=1000)
    asked, truth = some_table(1, rows=300)
    answers = fit_values(table, values, seed=0).predict(asked)
    assert (answers.dtype, answers.min() >= values.min() > 0) == (np.float32, True)
    assert np.sqrt(((answers - truth) ** 2).mean()) < 0.5 * truth.std()


def test_categories_have_no_order() -> None:
    # the levels of codes 0 to 5 jump up and down, and one number says nothing
    codes = np.arange(600)[:, None] % 6
    levels = np.array([0.0, 9.0, 1.0, 8.0, 2.0, 7.0])[codes[:, 0]]
    answers = fit_values(TableFeatures(np.zeros((600, 1)), codes), levels, seed=0).predict(
        TableFeatures(np.zeros((600, 1)), codes)
    )
    np.testing.assert_allclose(answers, levels, atol=0.01)


def test_an_unknown_code_answers_as_a_missing_one_does() -> None:
    table, values = some_table(0, rows=300)
    predictor = fit_values(table, values, seed=0)
    numbers = np.full((2, 2), 5.0)
    unknown, missing = np.array([[99, 0], [-7, 0]]), np.array([[-1, 0], [-1, 0]])
    assert np.array_equal(
        predictor.predict(TableFeatures(numbers, unknown)), predictor.predict(TableFeatures(numbers, missing))
    )


def test_of_many_codes_the_commonest_are_kept() -> None:
    codes = np.concatenate([np.arange(1000), np.repeat(np.arange(1000, 1010), 100)])[:, None]
    values = np.where(codes[:, 0] >= 1000, codes[:, 0] % 2, 5.0)
    predictor = fit_values(TableFeatures(np.empty((2000, 0)), codes), values, seed=0)
    answers = predictor.predict(TableFeatures(np.empty((10, 0)), np.arange(1000, 1010)[:, None]))
    assert len(np.unique(codes)) > CATEGORIES
    np.testing.assert_allclose(answers, [0, 1] * 5, atol=0.05)


def test_a_table_that_knows_nothing_answers_the_mean() -> None:
    table = TableFeatures(np.full((30, 2), np.nan), np.full((30, 1), -1))
    answers = fit_values(table, np.arange(30.0), seed=0).predict(
        TableFeatures(np.ones((2, 2)), np.ones((2, 1), dtype=int))
    )
    np.testing.assert_allclose(answers, 14.5)


def test_picture_features_help_a_table() -> None:
    prices = np.array([10.0, 500.0, 8000.0])[COLOURS]
    nothing, codes = np.zeros((90, 1)), np.empty((90, 0), dtype=np.int64)
    predictor = fit_values(TableFeatures(nothing, codes, FEATURES), prices, seed=0)
    answers = predictor.predict(TableFeatures(nothing[:40], codes[:40], ASKED))
    assert np.abs(answers - np.array([10.0, 500.0, 8000.0])[TRUTH]).mean() < 1000


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not() -> None:
    first, again, other = (
        fit_labels(FEATURES[:, :60], COLOURS, number=3, seed=seed).predict(ASKED[:, :60]).tobytes()
        for seed in (5, 5, 6)
    )
    assert first == again != other


def test_the_number_of_threads_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = np.stack([COLOURS == 0, COLOURS != 1], axis=1)
    two = fit_tags(FEATURES[:, :60], truth, seed=5).predict(ASKED[:, :60])
    monkeypatch.setattr("harness.models.classical.THREADS", 1)
    assert np.array_equal(fit_tags(FEATURES[:, :60], truth, seed=5).predict(ASKED[:, :60]), two)


def test_beyond_the_budget_trees_draw_rows_and_still_learn() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(7000, 10)).astype(np.float32)
    truth = features[:, :1] + features[:, 1:2] > 0
    answers = fit_tags(features[:6000], truth[:6000], seed=0).predict(features[6000:])
    assert ((answers > 0.5) == truth[6000:]).mean() > 0.9


def test_gemstone_photographs_are_told_apart(real_data: Path) -> None:
    with zipfile.ZipFile(real_data / "gemstones-images.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")]
        encoded = [np.frombuffer(archive.read(name), dtype=np.uint8) for name in names]
    pictures = [np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR_RGB)) for code in encoded]
    features = np.stack([picture_features(picture) for picture in pictures])
    kinds, classes = np.unique([name.split("/")[1] for name in names], return_inverse=True)
    train = np.array([name.startswith("train/") for name in names])
    predictor = fit_labels(features[train], classes[train], number=len(kinds), seed=0)
    accuracy = (predictor.predict(features[~train]).argmax(axis=1) == classes[~train]).mean()
    print(f"gemstones: accuracy {accuracy:.3f} on {(~train).sum()} test pictures of {len(kinds)} classes")
    assert accuracy > 0.85


def test_gemstone_prices_from_the_real_table(real_data: Path) -> None:
    with zipfile.ZipFile(real_data / "playground-series-s3e8.zip") as archive:
        rows = list(csv.DictReader(archive.read("train.csv").decode().splitlines()))
    numbers = np.array([[float(row[name]) for name in ("carat", "depth", "table", "x", "y", "z")] for row in rows])
    codes = [np.unique([row[name] for row in rows], return_inverse=True)[1] for name in ("cut", "color", "clarity")]
    prices, table = np.array([float(row["price"]) for row in rows]), np.stack(codes, axis=1)
    predictor = fit_values(TableFeatures(numbers[:16000], table[:16000]), prices[:16000], seed=0)
    errors = predictor.predict(TableFeatures(numbers[16000:], table[16000:])) - prices[16000:]
    rmse = float(np.sqrt((errors**2).mean()))
    print(f"playground-series-s3e8: RMSE {rmse:.1f} on the last 4,000 of 20,000 rows")
    assert rmse < 640
