"""Columns of a table become arrays: numbers standardised, categories as codes, by what the training rows say.

N rows, F numeric columns, K categorical columns.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from harness.errors import DataError
from harness.typed import from_values

Vocabulary = tuple[str, ...]

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "<na>"})
BINS = 48  # per number; Gorishniy et al. 2022 (arXiv:2203.05556) tune 2 to 256, and duplicates fall together
LIMIT = 10.0  # standard deviations: a slip of the decimal point must not rule a net's whole row
# float() would also take "1_000", "inf" and digits of other scripts
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class NumberFit:
    """What the training rows say about one numeric column.

    Attributes:
        name: the column.
        mean, spread: of the cells that are there; the spread is 1 where all are equal or none is there.
        edges: quantiles in standardised units that stay apart in float16, strictly ascending; of a constant column one.
        gaps: whether any training cell is missing, which adds an indicator column.
    """

    name: str
    mean: float
    spread: float
    edges: tuple[float, ...]
    gaps: bool


@dataclass(frozen=True)
class CategoryFit:
    """The vocabulary of one categorical column; the code of `vocabulary[i]` is i + 1, and 0 means none of them."""

    name: str
    vocabulary: Vocabulary


@dataclass(frozen=True)
class TableFit:
    """What turns columns into arrays, fitted on training rows."""

    numbers: tuple[NumberFit, ...]
    categories: tuple[CategoryFit, ...]

    @property
    def features(self) -> int:
        """Columns of the array "numbers": F, and one for every column with gaps."""
        return len(self.numbers) + sum(number.gaps for number in self.numbers)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """For every categorical column its largest code + 1."""
        return tuple(len(category.vocabulary) + 1 for category in self.categories)

    @property
    def edges(self) -> tuple[tuple[float, ...], ...]:
        """The bin edges of every numeric column."""
        return tuple(number.edges for number in self.numbers)

    def as_json(self) -> dict[str, Any]:
        """A JSON value that `from_json` reads back without loss."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> TableFit:
        """The fit that `as_json` wrote.

        Raises:
            ConfigError: a key that a fit does not have.
        """
        return from_values(value, TableFit)


def fit(
    columns: Mapping[str, Sequence[Any]],
    *,
    numbers: Sequence[str],
    categories: Mapping[str, Vocabulary | None],
    rows: np.ndarray,
    bins: int = BINS,
) -> TableFit:
    """What the cells at `rows` (int64, the training rows) say; no other cell is read.

    Args:
        columns: column -> cells; "id", where it is there, names rows in errors.
        numbers: columns of numbers, as text or not.
        categories: columns of categories, with their natural order, or None for the sorted values of the training rows.
        bins: the most bins of a number's piecewise-linear embedding.

    Raises:
        DataError: a column is absent, a cell is not a number, or a declared vocabulary holds none of the cells.
    """
    assert len(rows), "a fit needs training rows"
    assert bins >= 1, f"{bins} bins"
    return TableFit(
        tuple(_fit_number(name, read_numbers(columns, name, rows), bins) for name in numbers),
        tuple(_fit_category(columns, name, rows, declared) for name, declared in categories.items()),
    )


def transform(fit: TableFit, columns: Mapping[str, Sequence[Any]]) -> dict[str, np.ndarray]:
    """The arrays a table net reads, all rows; an array without columns is left out.

    Returns:
        "numbers": float32 [N, fit.features], standardised and cut at 10 standard deviations, missing as 0; after the F
        numbers one indicator (1 = missing) for every column with gaps in the training rows. "codes": int64 [N, K].

    Raises:
        DataError: a column is absent, or a cell is not a number.
    """
    arrays: dict[str, np.ndarray] = {}
    if fit.numbers:
        cells = np.stack([read_numbers(columns, number.name) for number in fit.numbers], axis=1)
        missing = np.isnan(cells)
        means, spreads = (np.array([getattr(n, part) for n in fit.numbers]) for part in ("mean", "spread"))
        with np.errstate(over="ignore"):  # cut below
            scaled = np.where(missing, 0.0, (cells - means) / spreads).clip(-LIMIT, LIMIT)
        gaps = np.array([number.gaps for number in fit.numbers])
        arrays["numbers"] = np.concatenate([scaled, missing[:, gaps]], axis=1).astype(np.float32)
    if fit.categories:
        arrays["codes"] = np.stack([_codes(columns, category) for category in fit.categories], axis=1)
    return arrays


def _fit_number(name: str, cells: np.ndarray, bins: int) -> NumberFit:
    there = cells[~np.isnan(cells)]
    gaps = len(there) < len(cells)
    if not len(there):
        return NumberFit(name, 0.0, 1.0, (), gaps)
    mean, low, high = float(there.mean()), float(there.min()), float(there.max())
    # the mean of equal cells may differ from them in the last digit, and then so does their spread from 0
    spread = float(there.std()) if high > low else 1.0
    if not 0 < spread < math.inf:
        raise DataError(
            f"the numbers of column '{name}' are too large", fix="give it in a larger unit, or leave it out"
        )
    quantiles = np.quantile((there - mean) / spread, np.linspace(0, 1, bins + 1)).clip(-LIMIT, LIMIT)
    edges = np.unique(quantiles.astype(np.float16)).tolist()
    return NumberFit(name, mean, spread, tuple(edges), gaps)


def _fit_category(
    columns: Mapping[str, Sequence[Any]], name: str, rows: np.ndarray, declared: Vocabulary | None
) -> CategoryFit:
    cells = _column(columns, name)
    found = {_text(cells[row]) for row in rows.tolist()} - {""}
    if declared is None:
        return CategoryFit(name, tuple(sorted(found)))
    assert len(set(declared)) == len(declared), f"a value of column '{name}' is declared twice"
    if found and not found.intersection(declared):
        problem = f"column '{name}' holds {min(found)!r} and {len(found) - 1} more, none of them declared"
        raise DataError(problem, fix=f"use the values {', '.join(declared)}")
    return CategoryFit(name, tuple(declared))


def _codes(columns: Mapping[str, Sequence[Any]], category: CategoryFit) -> np.ndarray:
    code = {value: index for index, value in enumerate(category.vocabulary, start=1)}
    return np.array([code.get(_text(cell), 0) for cell in _column(columns, category.name)], dtype=np.int64)


def read_numbers(columns: Mapping[str, Sequence[Any]], name: str, rows: np.ndarray | None = None) -> np.ndarray:
    """float64: the column's cells at `rows` (all if None), missing ones as nan.

    Raises:
        DataError: the column is absent, or a cell is not a number.
    """
    cells = _column(columns, name)
    chosen = range(len(cells)) if rows is None else rows.tolist()
    values = np.empty(len(chosen))
    for place, row in enumerate(chosen):
        value = _number(cells[row])
        if value is None:
            identity = columns["id"][row] if "id" in columns else row
            problem = f"column '{name}' holds {str(cells[row])[:40]!r}, which is not a number"
            raise DataError(problem, fix="write digits with a point, or leave the cell empty", row=str(identity))
        values[place] = value
    return values


def _number(cell: Any) -> float | None:
    """The cell as a float, nan where it is missing, None where it is anything else."""
    if cell is None:
        return math.nan
    if isinstance(cell, str):
        text = cell.strip()
        if text.lower() in MISSING:
            return math.nan
        value = float(text) if NUMBER.fullmatch(text) else math.inf
    else:
        try:
            value = float(cell)
        except (TypeError, ValueError):
            # pandas' NA refuses; it says its name
            return math.nan if str(cell).lower() in MISSING else None
    return None if math.isinf(value) else value


def _text(cell: Any) -> str:
    """A category's text, "" where the cell is missing; "NA" stays, for it is a category in some data sets."""
    missing = cell is None or (isinstance(cell, float) and math.isnan(cell))
    return "" if missing else str(cell).strip()


def _column(columns: Mapping[str, Sequence[Any]], name: str) -> Sequence[Any]:
    if name not in columns:
        raise DataError(f"no column '{name}'", fix=f"the table has {', '.join(columns)}")
    return columns[name]
