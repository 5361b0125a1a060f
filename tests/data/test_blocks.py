"""Texts as blocks: no token is lost, bytes are those of the text, neighbours know each other."""

from __future__ import annotations

import pytest

from harness.competition import Tokens
from harness.data.blocks import blocks_of, count_bytes, stretches
from harness.data.text import tokenize
from harness.rows import Rows

TEXT = "one two three\n\n four five\n" * 100


def rows(*texts: str) -> Rows:
    return Rows(
        {"id": [f"t{place}" for place in range(len(texts))], "text": list(texts), "split": ["train"] * len(texts)}
    )


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_the_blocks_of_a_text_are_its_tokens_in_order(unit: str) -> None:
    found, tokens = blocks_of(rows(TEXT, "six\n"), Tokens("text", block=64), unit, whole=False)
    own = [token for source, part in zip(found["source"], tokens, strict=True) if source == "t0" for token in part]
    assert own == tokenize(TEXT, unit)  # type: ignore[arg-type]
    assert found["length"] == [len(part) for part in tokens]
    assert found.ids[:2] == ["t0:0", "t0:64"]
    assert found["split"] == ["train"] * len(tokens)
    assert "text" not in found


def test_whole_texts_keep_their_ids() -> None:
    found, tokens = blocks_of(rows(TEXT, "six\n"), Tokens("text", block=64), "word", whole=True)
    assert found.ids == ["t0", "t1"]
    assert tokens[1] == ["six", "<eos>"]


def test_bytes_of_words_are_those_of_the_text_written_with_single_spaces() -> None:
    text = "one two\n\nthree\n"
    assert count_bytes(tokenize(text, "word"), "word") == len(text.encode())
    assert count_bytes(tokenize("é\n", "char"), "char") == 3
    assert count_bytes(tokenize("é\n", "byte"), "byte") == 3


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_the_bytes_of_all_blocks_are_those_of_the_text(unit: str) -> None:
    text = TEXT.replace("\n four", "\nfour")
    found, _ = blocks_of(rows(text), Tokens("text", block=64), unit, whole=False)
    assert sum(found["bytes"]) == len(text.encode())


def test_a_stretch_ends_where_a_row_is_left_out_or_another_text_begins() -> None:
    found, _ = blocks_of(rows(TEXT, TEXT), Tokens("text", block=200), "word", whole=False)
    first = found["source"].count("t0")
    assert stretches(found, [0, 1, 2]) == [[0, 1, 2]]
    assert first == 4
    assert stretches(found, [0, 2, 3, 4]) == [[0], [2, 3], [4]]
    assert stretches(found, [first - 1, first]) == [[first - 1], [first]]
