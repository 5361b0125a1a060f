"""Rows: a table as columns of equal length, without pandas, so that listing competitions stays instant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import DataError


@dataclass(frozen=True)
class Rows:
    """One row per example. `columns["id"]` is unique text; other cells are paths, numbers or text.

    Raises:
        DataError: columns of different length, or an id that stands twice.
    """

    columns: dict[str, list[Any]]

    def __post_init__(self) -> None:
        assert "id" in self.columns, "rows need a column 'id'"
        lengths = {name: len(cells) for name, cells in self.columns.items()}
        assert len(set(lengths.values())) == 1, f"columns differ in length: {lengths}"
        seen: set[str] = set()
        for identity in self.columns["id"]:
            if identity in seen:
                raise DataError(f"the id {identity!r} stands twice", fix="remove one of the two rows")
            seen.add(identity)

    def __len__(self) -> int:
        return len(self.columns["id"])

    def __getitem__(self, column: str) -> list[Any]:
        return self.columns[column]

    def __contains__(self, column: str) -> bool:
        return column in self.columns

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self.row(index) for index in range(len(self)))

    @property
    def ids(self) -> list[str]:
        """The id column, in row order."""
        return self.columns["id"]

    def row(self, index: int) -> dict[str, Any]:
        """One row as column -> cell."""
        return {name: cells[index] for name, cells in self.columns.items()}

    def take(self, indices: Sequence[int]) -> Rows:
        """The rows at `indices`, in that order."""
        return Rows({name: [cells[index] for index in indices] for name, cells in self.columns.items()})
