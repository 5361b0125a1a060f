"""Modified Kneser-Ney: against a slow dictionary implementation, as a distribution, and on real text."""

from __future__ import annotations

import math
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.models import ngram

NONE = np.empty(0, dtype=np.int32)


def some_text(seed: int, *, length: int, vocabulary: int) -> np.ndarray:
    """int32 [length]: common and rare tokens, and repeated stretches, so that every count from 1 on occurs."""
    random = np.random.default_rng(seed)
    words = [np.minimum(random.geometric(0.3, size=random.integers(1, 5)) - 1, vocabulary - 1) for _ in range(12)]
    return np.concatenate([words[random.integers(12)] for _ in range(length)])[:length].astype(np.int32)


class SlowModel:
    """The textbook recursion on dictionaries of tuples; a run's start is the left neighbour None."""

    def __init__(self, runs: Sequence[Sequence[int]], *, vocabulary: int, order: int) -> None:
        self.vocabulary, self.order = vocabulary, order
        self.counts: list[dict[tuple, int]] = []
        for k in range(1, order + 1):
            occurrences = Counter(tuple(run[i : i + k]) for run in runs for i in range(len(run) - k + 1))
            left: dict[tuple, set] = {gram: set() for gram in occurrences}
            for run in runs:
                for i in range(len(run) - k + 1):
                    left[tuple(run[i : i + k])].add(run[i - 1] if i else None)
            self.counts.append(dict(occurrences) if k == order else {gram: len(found) for gram, found in left.items()})
        self.discounts = [self.discount(counts) for counts in self.counts]

    @staticmethod
    def discount(counts: dict[tuple, int]) -> list[float]:
        n = [sum(count == i for count in counts.values()) for i in range(5)]
        if 0 in n[1:]:
            return [0.5, 1.0, 1.5]
        y = n[1] / (n[1] + 2 * n[2])
        found = [1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3]]
        return found if all(0 < value <= i + 1 for i, value in enumerate(found)) else [0.5, 1.0, 1.5]

    def probability(self, token: int, context: tuple) -> float:
        context = context[max(0, len(context) - self.order + 1) :]
        lower = self.probability(token, context[1:]) if context else 1 / self.vocabulary
        counts, discounts = self.counts[len(context)], self.discounts[len(context)]
        followers = {gram: count for gram, count in counts.items() if gram[:-1] == context}
        if not followers:
            return lower
        total = sum(followers.values())
        taken = sum(discounts[min(count, 3) - 1] for count in followers.values())
        count = counts.get((*context, token), 0)
        own = count - discounts[min(count, 3) - 1] if count else 0.0
        return own / total + taken / total * lower


def distribution(model: ngram.NGram, context: np.ndarray) -> np.ndarray:
    """float64 [V]: the probability of every token after `context`."""
    tokens = np.arange(model.vocabulary, dtype=np.int32)
    return np.exp([-model.nats(tokens[i : i + 1], context)[0] for i in range(model.vocabulary)])


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_a_slow_dictionary_implementation(order: int, seed: int) -> None:
    text = some_text(seed, length=700, vocabulary=9)
    runs = [text[:400], text[400:400], text[400:402], text[402:]]
    model = ngram.fit(runs, vocabulary=9, order=order)
    slow = SlowModel([run.tolist() for run in runs], vocabulary=9, order=order)
    asked = some_text(seed + 50, length=60, vocabulary=9)
    expected = [-math.log(slow.probability(int(asked[i]), tuple(asked[:i].tolist()))) for i in range(10, 60)]
    np.testing.assert_allclose(model.nats(asked[10:], asked[:10]), expected, rtol=1e-12, atol=1e-12)


def test_the_discount_formula_and_not_only_its_fallback_is_compared() -> None:
    slow = SlowModel([some_text(0, length=700, vocabulary=9).tolist()], vocabulary=9, order=3)
    assert slow.discounts[2] != [0.5, 1.0, 1.5]


def test_discounts_follow_the_counts_of_counts() -> None:
    # 4 of count 1, 2 of 2, 1 of 3, 1 of 4: y = 1/2; 1 - 1/2, 2 - 3/4, 3 - 2
    assert ngram.discounts(np.array([1, 1, 1, 1, 2, 2, 3, 4, 9])) == (0.5, 1.25, 1.0)


@settings(max_examples=25, deadline=None)
@given(
    text=st.lists(st.integers(0, 5), max_size=60),
    context=st.lists(st.integers(0, 6), max_size=6),
    cut=st.integers(0, 60),
    order=st.integers(1, 5),
)
def test_probabilities_sum_to_one_after_any_context(text: list[int], context: list[int], cut: int, order: int) -> None:
    corpus = np.array(text, dtype=np.int32)
    model = ngram.fit([corpus[:cut], corpus[cut:]], vocabulary=7, order=order)
    probabilities = distribution(model, np.array(context, dtype=np.int32))
    assert probabilities.min() > 0
    assert probabilities.sum() == pytest.approx(1, abs=1e-9)


def test_an_unseen_context_answers_as_the_shorter_one_does() -> None:
    model = ngram.fit([some_text(3, length=500, vocabulary=6)], vocabulary=8, order=3)
    unseen, short = np.array([7, 2], dtype=np.int32), np.array([2], dtype=np.int32)
    assert np.array_equal(distribution(model, unseen), distribution(model, short))


def test_a_context_that_only_ends_a_run_answers_as_the_shorter_one_does() -> None:
    model = ngram.fit([np.array([0, 1, 0, 1, 2]), np.array([3, 3])], vocabulary=4, order=3)
    assert np.array_equal(distribution(model, np.array([1, 2])), distribution(model, NONE))


def test_no_ngram_crosses_the_border_of_two_runs() -> None:
    apart = ngram.fit([np.array([0, 0, 0, 1]), np.array([2, 3, 3])], vocabulary=4, order=2)
    joined = ngram.fit([np.array([0, 0, 0, 1, 2, 3, 3])], vocabulary=4, order=2)
    two, one = np.array([2]), np.array([1])
    assert joined.nats(two, one)[0] < apart.nats(two, one)[0] == apart.nats(two, NONE)[0]


def test_a_corpus_of_one_repeated_token_is_nearly_certain_and_stays_finite() -> None:
    model = ngram.fit([np.full(1000, 4)], vocabulary=10, order=3)
    # level 1 counts two neighbours (itself, the start), level 2 as well, level 3 counts 998; discounts 1, 1, 1.5
    level1 = 1 / 2 + 1 / 2 / 10
    level2 = 1 / 2 + 1 / 2 * level1
    level3 = (998 - 1.5) / 998 + 1.5 / 998 * level2
    nats = model.nats(np.array([4, 4, 4, 5]), NONE)
    np.testing.assert_allclose(np.exp(-nats[:3]), [level1, level2, level3], rtol=1e-12)
    assert nats[3] == pytest.approx(-math.log(1.5 / 998 / 2 / 2 / 10))


def test_scoring_block_by_block_equals_scoring_at_once() -> None:
    model = ngram.fit([some_text(5, length=900, vocabulary=7)], vocabulary=7, order=4)
    text = some_text(6, length=90, vocabulary=7)
    blocks = [model.nats(text[i : i + 7], text[:i]) for i in range(0, 90, 7)]
    assert np.array_equal(np.concatenate(blocks), model.nats(text, NONE))


def test_an_empty_corpus_is_uniform() -> None:
    model = ngram.fit([], vocabulary=5, order=3)
    np.testing.assert_allclose(model.nats(np.array([0, 4, 2, 2]), NONE), math.log(5))
    assert model.nats(NONE, NONE).shape == (0,)


def test_a_large_vocabulary_needs_no_packing_of_whole_ngrams() -> None:
    random = np.random.default_rng(0)
    text = random.integers(0, 2**31 - 1, size=2000).astype(np.int32)
    model = ngram.fit([text], vocabulary=2**31 - 1, order=6)
    assert model.nats(text[6:], text[:6]).mean() < 0.2 * math.log(2**31)


def test_the_default_order_is_four_for_words_and_seven_for_characters() -> None:
    assert (ngram.default_order(10_000), ngram.default_order(256)) == (4, 7)


def test_shakespeare_by_characters(real_data: Path) -> None:
    with zipfile.ZipFile(real_data / "tinyshakespeare.zip") as archive:
        text = archive.read("input.txt").decode()
    characters, tokens = np.unique(np.array(list(text)), return_inverse=True)
    cut = len(tokens) * 9 // 10
    order = ngram.default_order(len(characters))
    model = ngram.fit([tokens[:cut]], vocabulary=len(characters), order=order)
    nats = model.nats(tokens[cut:], tokens[:cut]).mean()
    print(f"tinyshakespeare, last 10 %: {nats:.4f} nats per character at order {order}")
    assert nats == pytest.approx(1.5165, abs=2e-3)


def test_wikitext_by_words(real_data: Path) -> None:
    def words(name: str) -> list[str]:
        lines = archive.read(f"wikitext-2/{name}.txt").decode().split("\n")[:-1]
        return [word for line in lines for word in [*line.split(), "<eos>"]]

    with zipfile.ZipFile(real_data / "wikitext-2.zip") as archive:
        train, valid = words("train"), words("valid")
    kept = [word for word, count in Counter(train).items() if count >= 2]
    number = {word: place for place, word in enumerate(kept)}
    train_tokens, valid_tokens = (
        np.array([number.get(word, number["<unk>"]) for word in part]) for part in (train, valid)
    )
    model = ngram.fit([train_tokens], vocabulary=len(kept), order=ngram.default_order(len(kept)))
    perplexity = float(np.exp(model.nats(valid_tokens, train_tokens).mean()))
    print(f"wikitext-2: {len(train)} train words, {len(kept)} entries: valid perplexity {perplexity:.1f}")
    assert perplexity == pytest.approx(157.2, abs=0.5)
