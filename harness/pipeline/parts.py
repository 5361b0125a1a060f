"""Rows with what was read and decoded of them, whatever the inputs and the task.

N rows, H height, W width, L labels.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from harness.competition import Competition, Size
from harness.data import alike, joining
from harness.data.cache import Cache
from harness.errors import DataError
from harness.models.classical import picture_features
from harness.rows import Rows


@dataclass(frozen=True)
class Spoilt:
    """A row that cannot be used.

    Attributes:
        id: of the row.
        side: whether it is a training or a test row.
        error: what is wrong with which file.
    """

    id: str
    side: Literal["train", "test"]
    error: DataError


@dataclass(frozen=True)
class Part:
    """Rows with what was read and decoded of them.

    Attributes:
        competition: as this data has it, its task knowing the labels.
        rows: the training or the test rows; of a text its blocks.
        pictures: cache in row order, where there are pictures.
        masks: cache of the masks, where the target is one.
        targets: [N, ...] as the task encodes them, where the target is none of both.
        tokens: of each row, where the input is text.
        hash: of ids, groups and everything read.
        duplicates: pictures whose bytes another picture of these rows has too.
        spoilt: rows that cannot be used: training rows, which are not among `rows`, or test rows with black pictures.
    """

    competition: Competition
    rows: Rows
    pictures: Cache | None
    masks: Cache | None
    targets: np.ndarray | None
    tokens: list[list[str]] | None
    hash: str
    duplicates: int
    spoilt: tuple[Spoilt, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def told(self) -> list[str]:
        """A sentence on the rows that cannot be used; none where all can."""
        if not self.spoilt:
            return []
        test, first = self.spoilt[0].side == "test", self.spoilt[0].error
        total = len(self) if test else len(self) + len(self.spoilt)
        what = "test rows are answered as black pictures" if test else "training rows are left out"
        where = f"first {first.file}: {first.problem}"
        return [f"{len(self.spoilt)} of {total} {what}, as they cannot be used ({where})"]

    def size(self, row: int) -> Size:
        """(height, width) of a row's picture at native size; (bytes, tokens) of a text; (1, 1) of anything else."""
        if self.pictures is not None:
            height, width = self.pictures.sizes[row].tolist()
            return height, width
        return (self.rows["bytes"][row], len(self.tokens[row])) if self.tokens is not None else (1, 1)

    def shape(self, row: int) -> tuple[int, ...]:
        """Of a row's prediction as it is kept: masks at native size, a number for each label, class or token."""
        kind, outputs = self.competition.task.kind, self.competition.task.outputs
        if kind == "mask":
            return self.size(row)
        if kind == "classes":
            return (outputs, *self.size(row))
        return (outputs,) if self.tokens is None else (len(self.tokens[row]),)

    @functools.cached_property
    def features(self) -> np.ndarray | None:
        """float32 [N, F]: what a classical model sees of the pictures; computed once for all folds."""
        if self.pictures is None:
            return None
        return np.stack([picture_features(self.pictures[row]) for row in range(len(self))])

    def take(self, rows: np.ndarray) -> Self:
        """Some of the rows, in the order of `rows`, with what was read of them and of no other."""
        return replace(
            self,
            rows=self.rows.take(rows.tolist()),
            pictures=None if self.pictures is None else self.pictures.take(rows),
            masks=None if self.masks is None else self.masks.take(rows),
            targets=None if self.targets is None else self.targets[rows],
            tokens=None if self.tokens is None else [self.tokens[row] for row in rows.tolist()],
        )

    def picture_names(self, root: Path) -> list[str]:
        """[N]: each row's picture, below the data folder where it lies there."""
        assert self.competition.picture is not None, "only pictures have files"
        return [path.removeprefix(f"{root}/") for path in self.rows[self.competition.picture.column]]

    def truth(self, row: int) -> Any:
        """The true decision of a row: bool [H, W], a class map, bool [L], a number, or (0 nats, tokens, bytes)."""
        if self.masks is not None:
            mask = self.masks[row][:, :, 0]
            return mask.view(np.bool_) if self.competition.task.kind == "mask" else mask
        if self.tokens is not None:
            return 0.0, len(self.tokens[row]), self.rows["bytes"][row]
        assert self.targets is not None, "rows without truth have no answer"
        return float(self.targets[row][0]) if self.competition.task.kind == "value" else self.targets[row]


@dataclass(frozen=True)
class Data(Part):
    """The training rows.

    Attributes:
        root: the unpacked data folder.
        ignore: why alike pictures may lie in different folds; "" keeps them in one.
    """

    root: Path = field(kw_only=True)
    ignore: str = ""

    @property
    def train(self) -> Rows:
        """The rows."""
        return self.rows

    @property
    def groups(self) -> list[str]:
        """[N]: each row's group as the adapter names it, or the row itself."""
        return self.rows[self.competition.folds.group or "id"]

    @property
    def units(self) -> list[str]:
        """[N]: what a fold must not split: a row's group, joined with nearly identical pictures, or the row itself."""
        return self.joined.units

    @functools.cached_property
    def joined(self) -> joining.Joined:
        """The same, with what is to be said of it; rows with labels that a model made are in no unit."""
        if len(own := self.own) < len(self):
            joined = self.take(own).joined
            units = dict(zip(own.tolist(), joined.units, strict=True))
            return replace(joined, units=[units.get(row, "") for row in range(len(self))])
        if self.pictures is None or self.competition.folds.contiguous:
            return joining.Joined(self.groups)
        names, group = self.picture_names(self.root), self.competition.folds.group
        return joining.join(self.groups, self.looks, names, group=group, ignore=self.ignore)

    @functools.cached_property
    def own(self) -> np.ndarray:
        """int64: positions of the rows with true labels."""
        column = self.competition.folds.pseudo
        if column is None:
            return np.arange(len(self))
        return np.flatnonzero([not cell for cell in self.rows[column]])

    @functools.cached_property
    def looks(self) -> np.ndarray:
        """int64 [N]: pictures of one number are nearly the same."""
        assert self.pictures is not None, "pictures are alike, nothing else is"
        assert self.pictures.thumbnails is not None, "caches of pictures have thumbnails"
        return alike.alike_groups(self.pictures.thumbnails)

    @functools.cached_property
    def areas(self) -> np.ndarray:
        """int64 [N]: pixels inside each training mask; counted once for the folds, and for sampling by them."""
        assert self.masks is not None, "areas are of masks"
        return np.array([int(np.count_nonzero(self.masks[row])) for row in range(len(self.masks))], dtype=np.int64)


def decoded_images(data: Data, test: Part | None, before: dict[str, int]) -> dict[str, int]:
    """Pictures decoded in a run, in all its processes: those `before`, and those these rows decoded."""
    parts = [data, *([test] if test else [])]
    counts = {
        "train": data.pictures.decoded if data.pictures else 0,
        "test": test.pictures.decoded if test and test.pictures else 0,
        "masks": sum(part.masks.decoded for part in parts if part.masks),
    }
    return {kind: count + before.get(kind, 0) for kind, count in counts.items()}
