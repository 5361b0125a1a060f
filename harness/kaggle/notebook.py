"""A notebook and a script of the same cells."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

CELLS = Path(__file__).with_name("in_kernel.py")


@dataclass(frozen=True)
class Cell:
    """One cell: its kind and its text."""

    kind: Literal["markdown", "code"]
    text: str


def cells(settings: Mapping[str, Any]) -> list[Cell]:
    """The cells of a kernel, its settings filled in."""
    return list(_cells(CELLS.read_text(encoding="utf-8"), settings))


def _cells(source: str, settings: Mapping[str, Any]) -> Iterator[Cell]:
    for block in source.split("\n# %%")[1:]:  # what stands before the first is about this file
        mark, _, text = block.partition("\n")
        if "markdown" in mark:
            yield Cell("markdown", "\n".join(line.removeprefix("# ") for line in text.strip().splitlines()))
        elif "settings" in mark:
            yield Cell("code", "\n".join(f"{name} = {value!r}" for name, value in settings.items()))
        else:
            yield Cell("code", text.strip())


def notebook(made: list[Cell]) -> dict[str, Any]:
    """The cells as a notebook. Source: the notebook format 4.5."""
    return {
        "cells": [_notebook_cell(number, cell) for number, cell in enumerate(made)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _notebook_cell(number: int, cell: Cell) -> dict[str, Any]:
    identity = hashlib.sha256(f"{number}:{cell.text}".encode()).hexdigest()[:8]  # the same cells, the same file
    facts = {"id": identity, "cell_type": cell.kind, "metadata": {}, "source": cell.text}
    return facts | ({"execution_count": None, "outputs": []} if cell.kind == "code" else {})


def script(made: list[Cell]) -> str:
    """The cells as a script, in the percent format that editors show as cells."""
    parts = []
    for cell in made:
        markdown = cell.kind == "markdown"
        text = "\n".join(f"# {line}" for line in cell.text.splitlines()) if markdown else cell.text
        parts.append(f"# %%{' [markdown]' if markdown else ''}\n{text}\n")
    return "\n".join(parts)
