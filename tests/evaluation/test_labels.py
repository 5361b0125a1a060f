"""Label thresholds from the sweep equal those of trying every cut; F scores equal scikit-learn's."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import fbeta_score

from harness.evaluation.labels import (
    Average,
    LabelDecision,
    LabelEvidence,
    choose,
    choose_per_label,
    choose_single,
    f_score,
)

AVERAGES: tuple[Average, ...] = ("samples", "macro", "micro")
every_average = pytest.mark.parametrize("average", AVERAGES)


def evidence(seed: int, rows: int = 8) -> LabelEvidence:
    """Random rows; in turn float64 all distinct, float32 with ties, and probabilities that reach 0 and 1."""
    random = np.random.default_rng(seed)
    probability = random.random((rows, 3))
    if seed % 3 == 1:
        probability = np.round(probability, 1).astype(np.float32)
    if seed % 3 == 2:
        probability = np.clip(2 * probability - 0.5, 0, 1)
    rates = random.choice([0.0, 0.2, 0.5, 0.9], 3)
    return LabelEvidence(probability, random.random((rows, 3)) < rates, np.arange(rows) % 4)


def scored(held: LabelEvidence, decision: LabelDecision, beta: float, average: Average) -> float:
    return f_score(decision(held.probability), held.truth, beta=beta, average=average)


def cut(probability: np.ndarray) -> list[float]:
    """A threshold on each distinct probability and one above all: every answer that a threshold can give."""
    return [*np.unique(probability).tolist(), 2.0]


def learned(strength: float, shift: float) -> LabelEvidence:
    """400 rows in 5 folds, 5 labels that are half of them true; logits know `strength` of it, and lie `shift` apart."""
    random = np.random.default_rng(3)
    truth = random.random((400, 5)) < 0.5
    logits = strength * (truth - 0.5) + random.normal(0, 1, truth.shape) + shift * np.arange(-2, 3)
    return LabelEvidence(1 / (1 + np.exp(-logits)), truth, np.arange(400) % 5)


@every_average
@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_the_f_score_equals_scikit_learn(beta: float, average: Average) -> None:
    for seed in range(20):
        random = np.random.default_rng(seed)
        truth, decided = random.random((2, 12, 5)) < random.choice([0.0, 0.1, 0.4, 0.9], 5)
        # of an indicator matrix scikit-learn averages every column: those that occur nowhere are left out by hand
        named = np.flatnonzero((truth | decided).any(axis=0)) if average == "macro" else None
        options: dict[str, Any] = {"average": average, "labels": named, "zero_division": 0}
        expected = fbeta_score(truth, decided, beta=beta, **options)
        assert f_score(decided, truth, beta=beta, average=average) == pytest.approx(expected, abs=1e-12)


def test_nothing_named_and_nothing_true_scores_zero() -> None:
    nothing = np.zeros((3, 2), dtype=bool)
    assert [f_score(nothing, nothing, beta=2.0, average=average) for average in AVERAGES] == [0.0] * 3


def test_a_decision_names_what_reaches_its_threshold_and_fills_empty_answers_if_told_to() -> None:
    probability = np.array([[0.5, 0.4, 0.1], [0.3, 0.2, 0.3]])
    assert LabelDecision()(probability).tolist() == [[True, False, False], [False, False, False]]
    assert LabelDecision(likeliest=True)(probability).tolist() == [[True, False, False], [True, False, False]]
    each = LabelDecision((0.6, 0.2, 0.3))
    assert each(probability).tolist() == [[False, True, False], [False, True, True]]
    assert each(probability[1]).tolist() == [False, True, True]
    assert LabelDecision((0.9,), likeliest=True)(probability[None, ::-1]).tolist() == [[[True, False, False]] * 2]
    with pytest.raises(AssertionError, match="2 thresholds do not fit 3 labels"):
        LabelDecision((0.1, 0.2))(probability)


def test_a_float32_probability_is_compared_without_rounding_the_threshold() -> None:
    low = np.float32(0.3)
    high = np.nextafter(low, np.float32(1))
    middle = (float(low) + float(high)) / 2
    assert LabelDecision((middle,))(np.array([low, high])).tolist() == [False, True]


@every_average
@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_the_single_threshold_is_the_best_of_every_cut(beta: float, average: Average) -> None:
    for seed in range(30):
        held = evidence(seed)
        chosen = choose_single(held, beta=beta, average=average)
        assert chosen.likeliest == (average == "samples")
        tried = [LabelDecision((value,), chosen.likeliest) for value in cut(held.probability)]
        best = max(scored(held, decision, beta, average) for decision in tried)
        assert scored(held, chosen, beta, average) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_macro_thresholds_per_label_are_the_best_of_all_combinations_of_cuts(beta: float) -> None:
    for seed in range(12):
        held = evidence(seed, rows=5)
        single = choose_single(held, beta=beta, average="macro")
        chosen = choose_per_label(held, single, beta=beta, average="macro")
        combinations = product(*(cut(column) for column in held.probability.T))
        best = max(scored(held, LabelDecision(values), beta, "macro") for values in combinations)
        assert scored(held, chosen, beta, "macro") == pytest.approx(best, abs=1e-12)


@every_average
@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_no_cut_of_any_one_label_improves_thresholds_per_label(beta: float, average: Average) -> None:
    gained = 0
    for seed in range(30):
        held = evidence(seed)
        single = choose_single(held, beta=beta, average=average)
        chosen = choose_per_label(held, single, beta=beta, average=average)
        value = scored(held, chosen, beta, average)
        assert value >= scored(held, single, beta, average)
        gained += value > scored(held, single, beta, average)
        for label, column in enumerate(held.probability.T):
            for threshold in cut(column):
                values = (*chosen.thresholds[:label], threshold, *chosen.thresholds[label + 1 :])
                assert scored(held, LabelDecision(values, chosen.likeliest), beta, average) <= value + 1e-11
    assert gained > 5


def test_the_threshold_lies_midway_between_its_neighbours() -> None:
    held = LabelEvidence(np.array([[0.1, 0.2, 0.7, 0.9]]), np.array([[False, False, True, True]]), np.zeros(1, int))
    assert choose(held, beta=1.0, average="samples").thresholds == (pytest.approx(0.45),)


def test_among_equal_cuts_the_middle_of_the_widest_plateau_wins() -> None:
    # F1 with 1..6 named: 2/3, 1/2, 2/5, 2/3, 4/7, 1/2; so thresholds in 0.9..0.95 and in 0.05..0.1 are equally good
    probability = np.array([[0.95, 0.9, 0.5, 0.1, 0.05, 0.0]])
    truth = np.array([[True, False, False, True, False, False]])
    held = LabelEvidence(probability, truth, np.zeros(1, int))
    assert choose(held, beta=1.0, average="micro").thresholds[0] in (pytest.approx(0.925), pytest.approx(0.075))
    probability[0, 3] = 0.3
    assert choose(held, beta=1.0, average="micro").thresholds[0] == pytest.approx(0.175)


def test_a_row_that_falls_back_to_its_likeliest_label_does_not_end_a_plateau() -> None:
    # both rows name their likeliest label above 0.2: the plateau 0.2..1 has its middle 0.6 within the gap 0.3..0.8
    truth = np.array([[True, False], [True, False]])
    held = LabelEvidence(np.array([[0.8, 0.0], [0.3, 0.2]]), truth, np.zeros(2, int))
    assert choose(held, beta=2.0, average="samples").thresholds == (pytest.approx(0.55),)


@every_average
@pytest.mark.parametrize("constant", [0.0, 0.3, 1.0])
def test_constant_probabilities_name_everything_rather_than_nothing(constant: float, average: Average) -> None:
    truth = np.random.default_rng(0).random((20, 3)) < 0.5
    held = LabelEvidence(np.full((20, 3), constant, dtype=np.float32), truth, np.arange(20) % 2)
    chosen = choose(held, beta=2.0, average=average)
    assert chosen(held.probability).all()


@every_average
def test_neighbouring_floats_and_a_probability_of_one_can_be_parted(average: Average) -> None:
    for false, true in ((p, np.nextafter(p, 1)) for p in (0.0, 0.3, np.nextafter(0.3, 0), np.nextafter(1.0, 0))):
        held = LabelEvidence(np.array([[false, true], [true, false]]), np.eye(2, dtype=bool)[::-1], np.arange(2))
        assert scored(held, choose_single(held, beta=1.0, average=average), 1.0, average) == 1.0
    top = LabelEvidence(np.array([[1.0, 0.2], [1.0, 0.8]]), np.array([[False, False], [False, True]]), np.zeros(2, int))
    chosen = choose_per_label(top, LabelDecision(), beta=1.0, average="macro")
    assert np.array_equal(chosen(top.probability), top.truth)


def test_an_empty_answer_counts_as_the_first_of_many_equals() -> None:
    # beyond 16 labels an unstable sort would take another one first
    for seed in range(30):
        probability = np.random.default_rng(seed).integers(0, 3, (1, 40)) / 4
        held = LabelEvidence(probability, np.arange(40)[None] == probability.argmax(), np.zeros(1, int))
        assert scored(held, choose(held, beta=1.0, average="samples"), 1.0, "samples") == 1.0


def test_equal_probabilities_are_never_parted() -> None:
    # with the ties parted in the right order the first two would score 1
    held = LabelEvidence(np.array([[0.6], [0.6], [0.6], [0.1]]), np.arange(4)[:, None] < 2, np.arange(4))
    chosen = choose(held, beta=1.0, average="micro")
    assert chosen.thresholds == (pytest.approx(0.35),)
    assert scored(held, chosen, 1.0, "micro") == pytest.approx(4 / 5)


def test_a_label_without_positives_is_never_named_by_macro_thresholds() -> None:
    held = learned(strength=3, shift=0)
    truth = held.truth.copy()
    truth[:, 2] = False
    held = replace(held, truth=truth)
    chosen = choose(held, beta=1.0, average="macro")
    assert not chosen(held.probability)[:, 2].any()
    # otherwise it costs a fifth of the mean
    assert scored(held, chosen, 1.0, "macro") > scored(held, LabelDecision(), 1.0, "macro") + 0.1


@every_average
def test_thresholds_per_label_are_kept_when_labels_are_miscalibrated_differently(average: Average) -> None:
    held = learned(strength=4, shift=1.5)
    chosen = choose(held, beta=1.0, average=average)
    assert len(chosen.thresholds) == 5
    assert np.all(np.diff(np.log(np.array(chosen.thresholds) / (1 - np.array(chosen.thresholds)))) > 0.3)
    single = choose_single(held, beta=1.0, average=average)
    assert scored(held, chosen, 1.0, average) > scored(held, single, 1.0, average) + 0.02


@every_average
def test_thresholds_per_label_are_dropped_on_noise(average: Average) -> None:
    held = learned(strength=0, shift=0)
    single = choose_single(held, beta=1.0, average=average)
    # they do look better on their own rows
    fitted = choose_per_label(held, single, beta=1.0, average=average)
    assert scored(held, fitted, 1.0, average) > scored(held, single, 1.0, average)
    assert choose(held, beta=1.0, average=average) == single


def test_one_fold_alone_gets_one_threshold() -> None:
    held = learned(strength=4, shift=1.5)
    alone = held.take(np.flatnonzero(held.folds == 2))
    assert choose(alone, beta=1.0, average="macro") == choose_single(alone, beta=1.0, average="macro")


def test_a_probability_outside_0_to_1_is_refused() -> None:
    for bad in (np.nan, -0.1, 1.1):
        with pytest.raises(AssertionError, match="finite and within"):
            LabelEvidence(np.array([[bad]]), np.array([[True]]), np.zeros(1, int))


@every_average
@settings(max_examples=25, deadline=None)
@given(
    cells=st.lists(st.tuples(*[st.tuples(st.integers(0, 8), st.booleans())] * 3), min_size=1, max_size=12),
    folds=st.integers(1, 4),
    beta=st.sampled_from([0.5, 1.0, 2.0]),
)
def test_the_choice_is_at_least_as_good_as_one_half_on_its_own_rows(
    cells: list[tuple], folds: int, beta: float, average: Average
) -> None:
    eighths, truth = np.moveaxis(np.array(cells), -1, 0)
    held = LabelEvidence((eighths / 8).astype(np.float32), truth.astype(bool), np.arange(len(truth)) % folds)
    chosen = choose(held, beta=beta, average=average)
    assert scored(held, chosen, beta, average) >= scored(held, LabelDecision(), beta, average) - 1e-12
