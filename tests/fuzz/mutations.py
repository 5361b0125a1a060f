"""Drawn bytes: real files of a kind, changed here and there as hypothesis chooses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from hypothesis import strategies as st

LONGEST = 20_000  # bytes of a drawn input: enough for every branch, and fast
COMMON = (
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\n",
    b"\r\n",
    b'"',
    b" ",
    b"-1",
    b"0",
    b"9" * 20,
    b"\xe2\x80\xa8",
    b"\xf0\x9f",
)
KINDS = ("overwrite", "insert", "remove", "repeat", "cut", "splice")
Change = tuple[str, int, int, bytes]  # (kind, place, length, bytes)


def inputs(seeds: Sequence[bytes], tokens: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """One of the seeds after up to six changes with `tokens`, bytes of its own and pieces of other seeds."""
    words = st.one_of(st.sampled_from([*COMMON, *tokens]), st.binary(min_size=1, max_size=4), st.sampled_from(seeds))
    change = st.tuples(st.sampled_from(KINDS), st.integers(0, 2**16), st.integers(1, 40), words)
    return st.builds(changed, st.sampled_from(seeds), st.lists(change, max_size=6))


def variations(content: bytes, tokens: Sequence[bytes], count: int) -> Iterator[bytes]:
    """An input and `count` others near it, which cost no drawing; the same for the same input."""
    yield content
    random = Random(content)
    words = [*COMMON, *tokens]
    for _ in range(count):
        changes = [
            (random.choice(KINDS), random.randrange(2**16), random.randint(1, 40), random.choice(words))
            for _ in range(random.randint(1, 3))
        ]
        yield changed(content, changes)


def changed(content: bytes, changes: Sequence[Change]) -> bytes:
    """`content` after some changes; a place is counted around the end."""
    for kind, far, length, word in changes:
        place = far % (len(content) + 1)
        before, after = content[:place], content[place:]
        content = {
            "overwrite": before + word + after[len(word) :],
            "insert": before + word + after,
            "remove": before + after[length:],
            "repeat": before + after[:length] * 2 ** (length % 8) + after,
            "cut": before,
            "splice": before + word[place % (len(word) + 1) :],
        }[kind][:LONGEST]
    return content
