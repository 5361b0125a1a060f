"""What adapters use to read a data folder: natural order, folders found by name, pictures paired with masks, tables."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import DataError

PICTURES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".webp")


def natural(name: str | Path) -> list[Any]:
    """Sort key by which `2.tif` comes before `10.tif`; no two names are equal under it."""
    parts = [part for part in re.split(r"(\d+)", str(name)) if part]
    # the name itself last: `1.tif` and `01.tif` would else stand in the order of the disk
    return [(1, int(part), "") if part.isdecimal() else (2, 0, part) for part in parts] + [(0, 0, str(name))]


def shallowest_first(path: Path) -> list[Any]:
    """Sort key by which a path comes before those that lie deeper."""
    return [len(path.parts), natural(path)]


def find_folder(root: Path, name: str) -> Path:
    """The shallowest folder called `name` at or below `root`.

    Raises:
        DataError: none.
    """
    found = [path for path in [root, *root.rglob(name)] if path.is_dir() and path.name == name]
    if not found:
        raise DataError(f"no folder '{name}'", file=root, fix="point --data at the unpacked competition data")
    return min(found, key=shallowest_first)


def pictures(folder: Path) -> list[Path]:
    """The picture files directly in `folder`, in natural order.

    Raises:
        DataError: none.
    """
    try:
        found = sorted((path for path in folder.iterdir() if path.suffix.lower() in PICTURES), key=natural)
    except OSError as error:
        raise DataError(f"unreadable ({error.strerror})", file=folder, fix="check its permissions") from error
    if not found:
        raise DataError("a folder without pictures", file=folder, fix=f"expected files ending in {', '.join(PICTURES)}")
    return found


def pair_masks(folder: Path, suffix: str = "_mask") -> list[tuple[Path, Path]]:
    """(picture, mask) pairs directly in `folder`, the mask being `<picture stem><suffix>` with the same ending.

    Raises:
        DataError: no pictures, a picture without a mask, a mask without its picture.
    """
    files = pictures(folder)
    masks = {path for path in files if path.stem.endswith(suffix)}
    pairs: list[tuple[Path, Path]] = []
    for picture in files:
        if picture in masks:
            continue
        mask = picture.with_name(f"{picture.stem}{suffix}{picture.suffix}")
        if mask not in masks:
            raise DataError(
                f"the picture has no mask {mask.name}", file=picture, fix="add the mask or remove the picture"
            )
        pairs.append((picture, mask))
    lonely = masks - {mask for _, mask in pairs}
    if lonely:
        first = min(lonely, key=natural)
        raise DataError("a mask without its picture", file=first, fix="add the picture or remove the mask")
    return pairs


def match(pattern: str, path: Path, *, example: str) -> tuple[str, ...]:
    """The groups of `pattern` in the path's stem.

    Raises:
        DataError: the name is of another form.
    """
    found = re.fullmatch(pattern, path.stem)
    if found is None:
        raise DataError("a file name of another form", file=path, fix=f"expected names such as {example}")
    return found.groups()


def read_table(path: Path, columns: Sequence[str]) -> dict[str, list[str]]:
    """The named columns of a UTF-8 CSV as text. A byte order mark and CRLF are taken as they come.

    Raises:
        DataError: unreadable, no such column, a row with another number of cells; with file and row.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        limit = csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
        try:
            # no splitlines: it would cut a cell at a form feed or at U+2028
            lines = list(csv.reader(io.StringIO(text), strict=True))
        finally:
            csv.field_size_limit(limit)
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 text (byte {error.start})", file=path, fix="save the table as UTF-8 CSV") from error
    except (OSError, csv.Error) as error:
        raise DataError(f"unreadable as CSV ({error})", file=path, fix="download the file again") from error
    if not lines:
        raise DataError("an empty table", file=path, fix="download the file again")
    header = lines[0]
    for column in columns:
        if column not in header:
            raise DataError(f"no column '{column}' among {header[:8]}", file=path, row=1, fix="download the file again")
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(header):
            problem = f"{len(line)} cells under {len(header)} columns"
            raise DataError(problem, file=path, row=number, fix="mend or remove the row")
    places = {name: header.index(name) for name in columns}
    return {name: [line[place] for line in lines[1:]] for name, place in places.items()}
