"""Interpolated modified Kneser-Ney n-grams over integer tokens: what counting alone knows of a text.

V words in the vocabulary, T tokens, level k for runs of k tokens (k-grams), h for the k-1 tokens before one.

Sources: Kneser and Ney 1995, "Improved backing-off for m-gram language modeling" (ICASSP, pages 181-184): lower levels
count the different left neighbours of a k-gram instead of its occurrences. Chen and Goodman 1999, "An empirical study
of smoothing techniques for language modeling" (Computer Speech and Language 13, pages 359-394): three discounts a
level, by the counts 1, 2, and 3 or more, and interpolation instead of back-off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WORDS = 1000  # a vocabulary of at least so many entries holds words (or pieces of them), not characters or bytes
# where a level has no k-gram of some count 1 to 4, the formula for the discounts has no value
FALLBACK = (0.5, 1.0, 1.5)
# the number of a k-gram that the training runs do not hold: it reads the last entry of `share` and `rest`
ABSENT = -1


@dataclass(frozen=True)
class Level:
    """The k-grams of one length k, sorted; a k-gram's number is its place, and level 0 holds the empty one, number 0.

    Attributes:
        keys: int64, `number of the first k-1 tokens * V + last token`: fits for 2**31 k-grams and V = 2**32.
        share: float64, `(count - discount) / count of h`, one per k-gram, and 0 for ABSENT.
        rest: float64, what the discounts leave for level k-1, one per h, 1 where nothing follows h, and 1 for ABSENT.
    """

    keys: np.ndarray
    share: np.ndarray
    rest: np.ndarray


@dataclass(frozen=True)
class NGram:
    """A fitted model; level k is `levels[k - 1]`."""

    levels: tuple[Level, ...]
    vocabulary: int

    @property
    def order(self) -> int:
        """Tokens that one prediction looks at, the predicted one included."""
        return len(self.levels)

    def nats(self, tokens: np.ndarray, before: np.ndarray) -> np.ndarray:
        """float64 [T]: -ln p(token | up to order-1 tokens before it), which are the last of `before` at the start.

        For every context the probabilities of all V tokens sum to 1 and are above 0. With fewer than order-1 tokens
        before, the level of that length answers.

        Args:
            tokens: int [T] in 0..V-1.
            before: int, the tokens just before `tokens`, any number; empty at the start of a text.
        """
        context = before[max(0, len(before) - self.order + 1) :]
        text = np.concatenate([context, tokens]).astype(np.int64)
        assert text.size == 0 or (text.min() >= 0 and text.max() < self.vocabulary), "a token is outside the vocabulary"
        probability = np.full(len(text), 1 / self.vocabulary)
        numbers = np.zeros(len(text), dtype=np.int64)  # of the k-1 tokens from each place on; level 0: the empty one
        for k, level in enumerate(self.levels, start=1):
            if k > len(text):
                break
            numbers = numbers[: len(text) - k + 1]
            grams = _find(level.keys, numbers, text[k - 1 :], self.vocabulary)
            probability[k - 1 :] = level.share[grams] + level.rest[numbers] * probability[k - 1 :]
            numbers = grams
        return -np.log(probability[len(context) :])


def default_order(vocabulary: int) -> int:
    """A good order for a vocabulary of that size: 4 for words, 7 for characters and bytes."""
    return 4 if vocabulary >= WORDS else 7


def fit(runs: Sequence[np.ndarray], *, vocabulary: int, order: int) -> NGram:
    """The n-gram model of the runs; an empty corpus gives 1/V everywhere.

    Below the highest level a k-gram counts its different left neighbours, and the start of a run is one neighbour
    more: so every k-gram has a count of at least 1.

    Costs about 3 s and 0.5 GB for 2 million tokens and order 5 on one core; the result holds about 24 bytes for each
    different k-gram of each level.

    Args:
        runs: int [length] in 0..V-1 each; no k-gram crosses from one into the next.
        vocabulary: V.
        order: the highest level, at least 1.
    """
    assert order >= 1, f"order {order}: a prediction looks at one token at least"
    assert vocabulary >= 1, f"a vocabulary of {vocabulary} entries predicts nothing"
    runs = [run for run in runs if len(run)]
    text = np.concatenate([np.empty(0, dtype=np.int64), *runs]).astype(np.int64)
    assert text.size == 0 or (text.min() >= 0 and text.max() < vocabulary), "a token is outside the vocabulary"
    lengths = np.array([len(run) for run in runs], dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    left = np.repeat(starts + lengths, lengths) - np.arange(len(text))  # tokens from each place to its run's end
    # numbers[place] is the k-gram that begins there, ABSENT where its run is too short
    numbers, contexts = np.zeros(len(text), dtype=np.int64), 1
    keys, occurrences, counts = list[np.ndarray](), np.empty(0, dtype=np.int64), list[np.ndarray]()
    for k in range(1, order + 1):
        places = np.flatnonzero(left >= k)
        packed = numbers[places] * vocabulary + text[places + k - 1]
        unique, first, inverse, occurrences = np.unique(
            packed, return_index=True, return_inverse=True, return_counts=True
        )
        if k > 1:
            # each different k-gram is one left neighbour of the (k-1)-gram that begins one place later
            neighbours = np.bincount(numbers[places[first] + 1], minlength=contexts)
            at_start = np.unique(numbers[starts[lengths >= k - 1]])
            neighbours[at_start] += 1
            counts.append(neighbours)
        numbers = np.full(len(text), ABSENT, dtype=np.int64)
        numbers[places] = inverse
        contexts = len(unique)
        keys.append(unique)
    counts.append(occurrences)
    sizes = [1, *(len(part) for part in keys)]
    levels = (_level(part, count, size, vocabulary) for part, count, size in zip(keys, counts, sizes, strict=False))
    return NGram(tuple(levels), vocabulary)


def _level(keys: np.ndarray, counts: np.ndarray, contexts: int, vocabulary: int) -> Level:
    """A level from its k-grams' keys and counts [G] and the number of (k-1)-grams, its contexts."""
    discount = np.array([0.0, *discounts(counts)])[np.minimum(counts, 3)]
    context = keys // vocabulary
    total = np.bincount(context, weights=counts, minlength=contexts)
    kept = np.bincount(context, weights=discount, minlength=contexts)
    share = (counts - discount) / total[context]
    rest = np.divide(kept, total, out=np.ones(contexts), where=total > 0)
    return Level(keys, np.append(share, 0.0), np.append(rest, 1.0))  # the last ones are ABSENT's


def discounts(counts: np.ndarray) -> tuple[float, float, float]:
    """What is taken from the counts 1, 2, and 3 or more: D1, D2, D3+ (Chen and Goodman 1999, modified Kneser-Ney).

    With n_i k-grams of count i and Y = n1 / (n1 + 2 n2): D_i = i - (i + 1) Y n_{i+1} / n_i. FALLBACK where an n_i is 0
    or a discount would not lie in 0 < D_i <= i, as on tiny corpora and on the characters' first levels.
    """
    n = np.bincount(np.minimum(counts, 5), minlength=6).astype(np.float64)
    if (n[1:5] == 0).any():
        return FALLBACK
    y = n[1] / (n[1] + 2 * n[2])
    one, two, more = (float(i - (i + 1) * y * n[i + 1] / n[i]) for i in (1, 2, 3))
    return (one, two, more) if 0 < one <= 1 and 0 < two <= 2 and 0 < more <= 3 else FALLBACK


def _find(keys: np.ndarray, contexts: np.ndarray, tokens: np.ndarray, vocabulary: int) -> np.ndarray:
    """int64: the numbers of the k-grams `context + token`, ABSENT where the level does not hold them."""
    if len(keys) == 0:
        return np.full(len(contexts), ABSENT, dtype=np.int64)
    wanted = contexts * vocabulary + tokens  # below 0 where the context is ABSENT: no key is
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place, ABSENT)
