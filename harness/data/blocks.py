"""Texts become rows: blocks of about a thousand tokens, none dropped, with their bytes counted.

A block's id is `<row id>:<first token>`. Neighbouring blocks of one text are a stretch: a net carries its state from
one to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.competition import Tokens
from harness.data import text
from harness.rows import Rows

END = "<eos>"


def blocks_of(rows: Rows, declared: Tokens, unit: Any, *, whole: bool) -> tuple[Rows, list[list[str]]]:
    """(rows of blocks, the tokens of each).

    The texts' column gives way to `source` (the id of the text), `first` (the block's first token), `length` (in
    tokens) and `bytes`; other columns are repeated for each block.

    Args:
        unit: "word", "char" or "byte".
        whole: texts are not cut, and keep their ids.
    """
    kept = [name for name in rows.columns if name not in ("id", declared.column)]
    columns: dict[str, list[Any]] = {name: [] for name in ("id", "source", "first", "length", "bytes", *kept)}
    tokens: list[list[str]] = []
    for row in rows:
        found = text.tokenize(row[declared.column], unit)
        for first, part in [(0, found)] if whole else text.blocks(found, declared.block):
            identity = row["id"] if whole else f"{row['id']}:{first}"
            before = found[first - 1] if first else END
            counts = (first, len(part), count_bytes(part, unit, before=before))
            cells = (identity, row["id"], *counts, *(row[name] for name in kept))
            for name, cell in zip(columns, cells, strict=True):
                columns[name].append(cell)
            tokens.append(list(part))
    return Rows(columns), tokens


def count_bytes(tokens: Sequence[str], unit: Any, *, before: str = END) -> int:
    """UTF-8 bytes of the text the tokens stand for: a word has its separator, a line end after a word no more."""
    if unit == "byte":
        return len(tokens)
    if unit == "char":
        return sum(len(token.encode()) for token in tokens)
    total = 0
    for token in tokens:
        total += (before == END) if token == END else len(token.encode()) + 1
        before = token
    return total


def stretches(rows: Rows, chosen: Sequence[int]) -> list[list[int]]:
    """`chosen` (ascending) as runs of neighbouring blocks of one text."""
    found: list[list[int]] = []
    for row in chosen:
        if found and found[-1][-1] == row - 1 and rows["source"][row - 1] == rows["source"][row]:
            found[-1].append(row)
        else:
            found.append([row])
    return found
