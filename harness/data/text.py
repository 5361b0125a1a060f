"""Text becomes tokens, tokens become ids: units, blocks and the vocabulary. Windows of ids are in `windows.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np

Unit = Literal["word", "char", "byte"]
UNKNOWN, END = "<unk>", "<eos>"
NEWLINE = "\n"


def tokenize(text: str, unit: Unit) -> list[str]:
    """The tokens of `text`.

    Words: what whitespace separates in each line, and `<eos>` after every line, blank ones too; only so does WikiText-2
    have its published 217,646 and 245,569 tokens (Merity et al. 2016, arXiv:1609.07843, table 1). Lines end at "\\n" (a
    "\\r" before it is whitespace); a final newline starts no further line. Characters: code points. Bytes: of UTF-8,
    each as the character of that number, so that no token is ever unknown.
    """
    if unit == "char":
        return list(text)
    if unit == "byte":
        # lone surrogates, which a JSON or CSV file may hold, have no strict UTF-8
        return list(text.encode("utf-8", "surrogatepass").decode("latin-1"))
    tokens: list[str] = []
    for line in (text.removesuffix(NEWLINE).split(NEWLINE)) if text else ():
        tokens += line.split()
        tokens.append(END)
    return tokens


def blocks(tokens: Sequence[str], size: int = 1000) -> list[tuple[int, Sequence[str]]]:
    """(index of the first token, tokens) of neighbouring blocks that hold every token once.

    All have `size` tokens but the last, which has from size/2 to 3 size/2 (fewer only when it is alone).
    """
    assert size > 0, "a block has at least one token"
    starts = list(range(0, len(tokens), size))
    if len(starts) > 1 and len(tokens) - starts[-1] < size / 2:
        starts.pop()
    return [(start, tokens[start:end]) for start, end in pairwise([*starts, len(tokens)])]


@dataclass(frozen=True)
class Vocabulary:
    """Which number each token has.

    Attributes:
        tokens: index = id. Words: `<unk>`, `<eos>`, then by falling frequency, equal ones in code point order.
            Characters: `<unk>`, newline, then in code point order. Bytes: all 256.
        unknown: the id of tokens that are not in the vocabulary; None where there are none.
    """

    tokens: tuple[str, ...]
    unknown: int | None

    @classmethod
    def build(
        cls, texts: Iterable[Sequence[str]], unit: Unit, *, minimum_frequency: int = 2, most: int = 60_000
    ) -> Vocabulary:
        """The vocabulary of the tokens of training texts; never of what is scored.

        Args:
            texts: tokens of each text; an `<unk>` that a corpus carries already is the vocabulary's own.
            unit: what a token is.
            minimum_frequency: a rarer word is unknown; every character seen is known.
            most: words in all, `<unk>` and `<eos>` among them.
        """
        assert most >= 2, "the vocabulary holds <unk> and <eos>"
        if unit == "byte":
            return cls(tuple(map(chr, range(256))), None)
        counts: Counter[str] = Counter()
        for tokens in texts:
            counts.update(tokens)
        if unit == "char":
            return cls((UNKNOWN, NEWLINE, *sorted(counts.keys() - {NEWLINE})), 0)
        # the rule of WordLevelTrainer in the tokenizers package: special tokens first, frequency, then the token itself
        known = [(-count, word) for word, count in counts.items() if count >= minimum_frequency]
        words = [word for _, word in sorted(known) if word not in (UNKNOWN, END)]
        return cls((UNKNOWN, END, *words[: most - 2]), 0)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {token: index for index, token in enumerate(self.tokens)}

    @property
    def start(self) -> int:
        """The id that stands before the first token of a text: a line's end, `<eos>` or newline."""
        return self._index[END] if END in self._index else self._index[NEWLINE]

    def __len__(self) -> int:
        """The number of ids."""
        return len(self.tokens)

    def ids(self, tokens: Sequence[str]) -> np.ndarray:
        """int32 [len(tokens)]."""
        index, unknown = self._index, self.unknown
        if unknown is None:
            return np.fromiter((index[token] for token in tokens), dtype=np.int32, count=len(tokens))
        return np.fromiter((index.get(token, unknown) for token in tokens), dtype=np.int32, count=len(tokens))

    def out_of_vocabulary(self, tokens: Sequence[str]) -> np.ndarray:
        """bool [len(tokens)]: which are not in the vocabulary; an `<unk>` written in the text is in it."""
        return np.fromiter((token not in self._index for token in tokens), dtype=np.bool_, count=len(tokens))

    def as_json(self) -> dict[str, Any]:
        """A JSON value that `from_json` reads."""
        return {"schema": 1, "tokens": list(self.tokens), "unknown": self.unknown}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Vocabulary:
        """The vocabulary that gave `value`."""
        return cls(tuple(value["tokens"]), value["unknown"])
