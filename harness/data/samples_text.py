"""A drawing kit for text: sentences of a small random grammar. A pure function of (rows, seed), as in `samples.py`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.random import Generator, default_rng

from harness.competition import SampleFile

# words of each part of speech, 300 in all with the seven of FIXED
PARTS = {"determiner": 5, "adjective": 60, "noun": 128, "verb": 72, "adverb": 28}
FIXED = (".", ",", "and", "with", "to", "that", "=")
TOPICS = 8
ONSETS = ("b", "br", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "st", "t", "v", "z")
VOWELS = ("a", "e", "i", "o", "u", "ai", "é")  # one letter that takes two bytes
# numbers that keep the streams of random numbers of one seed apart
WORDS, SENTENCES = range(2)


def grammar(rows: int, seed: int) -> Iterator[SampleFile]:
    """`train.txt`, `valid.txt` and `test.txt` with about 1,000 tokens a row in all, 80, 10 and 10 % of them.

    Each article has a topic, which chooses its words, and a heading between blank lines; most sentences are lines of
    their own. valid.txt begins with a byte order mark and has CRLF line ends. Tokens are words and line ends.
    """
    words = _words(default_rng([seed, WORDS]))
    rng = default_rng([seed, SENTENCES])
    for name, share in (("train", 0.8), ("valid", 0.1), ("test", 0.1)):
        lines, tokens = list[str](), 0
        while tokens < round(rows * 1000 * share) - 30:
            for line in _article(rng, words):
                lines.append(line)
                tokens += len(line.split()) + 1
                if tokens >= round(rows * 1000 * share) - 30:
                    break
        text = "\n".join(lines) + "\n"
        yield f"{name}.txt", b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() if name == "valid" else text


def _words(rng: Generator) -> dict[str, list[str]]:
    """Part of speech -> different words of one to three syllables."""
    syllables = [onset + vowel for onset in ONSETS for vowel in VOWELS]
    seen: set[str] = set(FIXED)
    words: dict[str, list[str]] = {}
    for part, count in PARTS.items():
        words[part] = []
        while len(words[part]) < count:
            word = "".join(rng.choice(syllables, size=1 if part == "determiner" else int(rng.integers(2, 4))))
            if word not in seen:
                seen.add(word)
                words[part].append(word)
    return words


def _article(rng: Generator, words: dict[str, list[str]]) -> Iterator[str]:
    """A heading and 6 to 12 sentences on one topic."""
    topic = int(rng.integers(TOPICS))
    yield from ("", f" = {_pick(rng, words, 'noun', topic)} = ", "")
    for _ in range(int(rng.integers(6, 13))):
        yield f" {_sentence(rng, words, topic)} "


def _sentence(rng: Generator, words: dict[str, list[str]], topic: int) -> str:
    clause = _clause(rng, words, topic)
    while rng.random() < 0.35:
        clause += [",", "and", *_clause(rng, words, topic)]
    return " ".join([*clause, "."])


def _clause(rng: Generator, words: dict[str, list[str]], topic: int) -> list[str]:
    """Subject, verb, object; an adverb, a companion or what is said may follow."""
    clause = [*_noun_phrase(rng, words, topic), _pick(rng, words, "verb", topic), *_noun_phrase(rng, words, topic)]
    chance = rng.random()
    if chance < 0.3:
        clause.append(_pick(rng, words, "adverb", topic))
    elif chance < 0.5:
        clause += [("with", "to")[int(chance < 0.4)], *_noun_phrase(rng, words, topic)]
    elif chance < 0.6:
        clause += ["that", *_noun_phrase(rng, words, topic), _pick(rng, words, "verb", topic)]
    return clause


def _noun_phrase(rng: Generator, words: dict[str, list[str]], topic: int) -> list[str]:
    """A determiner that goes with the noun, perhaps an adjective, a noun."""
    noun = int(_place(rng, len(words["noun"]), topic))
    phrase = [words["determiner"][noun % len(words["determiner"])]]
    if rng.random() < 0.4:
        phrase.append(_pick(rng, words, "adjective", topic))
    return [*phrase, words["noun"][noun]]


def _pick(rng: Generator, words: dict[str, list[str]], part: str, topic: int) -> str:
    return words[part][_place(rng, len(words[part]), topic)]


def _place(rng: Generator, count: int, topic: int) -> int:
    """A word's place: in nine of ten cases one of the topic's own, and of those the first ones most often."""
    own = np.arange(topic, count, TOPICS)
    if rng.random() < 0.1 or not len(own):
        return int(rng.integers(count))
    return int(own[min(int(rng.exponential(len(own) / 3)), len(own) - 1)])
