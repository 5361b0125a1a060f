"""What adapters use to read a data folder: natural order, folders found by name, pictures paired with masks, tables."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import DataError

PICTURES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".webp")
CURRENCIES = "$€£¥₹₽₩₺₪₫฿₴"
PLAIN = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
# `0,950` is a decimal comma, not 950: a first group begins with no 0
GROUPED = r"[1-9][0-9]{0,2}(?P<comma>[, ])[0-9]{3}(?:(?P=comma)[0-9]{3})*(?:\.[0-9]*)?"
NUMBER = re.compile(rf"(?P<sign>[+-]?) ?[{CURRENCIES}]? ?(?P<digits>{GROUPED}|{PLAIN}) ?[{CURRENCIES}]?")


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


def find_file(root: Path, names: Sequence[str]) -> Path | None:
    """The shallowest file at or below `root` with one of the names (or glob patterns), or None.

    Of several equally deep ones the first name's, then the first in natural order. Folders below it are not walked.
    """
    level = [root]
    while level:
        here = [path for folder in level for path in _inside(folder)]
        for name in names:
            found = [path for path in here if path.match(name) and path.is_file()]
            if found:
                return min(found, key=natural)
        level = [path for path in here if path.is_dir() and not path.is_symlink()]
    return None


def class_folders(root: Path) -> list[tuple[str, Path]]:
    """(label, folder) of each sub-folder of `root`, which is a class, in natural order; hidden ones are left out.

    Raises:
        DataError: no sub-folder, or one without pictures.
    """
    folders = sorted((path for path in _inside(root) if path.is_dir()), key=natural)
    if not folders:
        raise DataError("no class folders", file=root, fix="expected one folder of pictures for each class")
    for folder in folders:
        if not any(path.suffix.lower() in PICTURES for path in _inside(folder)):
            raise DataError("a class without pictures", file=folder, fix="add its pictures or remove the folder")
    return [(folder.name, folder) for folder in folders]


def _inside(folder: Path) -> list[Path]:
    """What lies directly in `folder`, but for hidden things and the shadow folder in archives made by macOS."""
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "__MACOSX"]
    except OSError as error:
        raise DataError(f"unreadable ({error.strerror})", file=folder, fix="check its permissions") from error


def pictures(folder: Path) -> list[Path]:
    """The picture files directly in `folder`, in natural order, hidden ones left out.

    Raises:
        DataError: none.
    """
    found = sorted((path for path in _inside(folder) if path.suffix.lower() in PICTURES), key=natural)
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


def header(path: Path) -> tuple[str, ...]:
    """The column names of a table; no more than its beginning is read.

    Raises:
        DataError: unreadable or empty.
    """
    return tuple(_records(path, lines=1)[0])


def read_all(path: Path) -> dict[str, list[str]]:
    """All columns of a table, as `read_table` reads them."""
    return _columns(path, None)


def read_table(path: Path, columns: Sequence[str]) -> dict[str, list[str]]:
    """The named columns of a UTF-8 CSV as text. A byte order mark and CRLF are taken as they come.

    The separator is a comma; where the header has none, a tab or a semicolon if it has one. Blank lines at the end are
    left out.

    Raises:
        DataError: unreadable, no header, no such column, a row with another number of cells; with file and row.
    """
    return _columns(path, columns)


def _columns(path: Path, wanted: Sequence[str] | None) -> dict[str, list[str]]:
    names, *lines = _records(path)
    columns = names if wanted is None else wanted
    # without names to look for any may be right, but no column is called 0001.jpg: a row would be lost
    pictured = wanted is None and any(name.lower().endswith(PICTURES) for name in names)
    if pictured or (any(column not in names for column in columns) and _like_data(names, lines)):
        problem, fix = f"the header is missing: the file starts with {names[:8]}", "the first line names the columns"
        raise DataError(problem, file=path, row=1, fix=f"{fix}: {','.join(wanted)}" if wanted else fix)
    for column in columns:
        if names.count(column) != 1:
            problem = f"two columns '{column}'" if column in names else f"no column '{column}' among {names[:8]}"
            raise DataError(problem, file=path, row=1, fix="download the file again")
    for number, line in enumerate(lines, start=2):
        if len(line) != len(names):
            problem = f"{len(line)} cells under {len(names)} columns"
            raise DataError(problem, file=path, row=number, fix="mend or remove the row")
    places = {name: names.index(name) for name in columns}
    return {name: [line[place] for line in lines] for name, place in places.items()}


def _records(path: Path, *, lines: int | None = None) -> list[list[str]]:
    """The cells of the first `lines` lines of a table, or of all, at least one."""
    try:
        with path.open(encoding="utf-8-sig") as handle:
            text = handle.read() if lines is None else "".join(handle.readline() for _ in range(lines))
        first = re.sub('"[^"]*"', "", text[:65_536]).partition("\n")[0]  # quoted cells may hold anything
        separator = next((mark for mark in ",\t;" if mark in first), ",")
        limit = csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
        try:
            # no splitlines: it would cut a cell at a form feed or at U+2028
            records = list(csv.reader(io.StringIO(text), strict=True, delimiter=separator))
        finally:
            csv.field_size_limit(limit)
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 text (byte {error.start})", file=path, fix="save the table as UTF-8 CSV") from error
    except (OSError, csv.Error) as error:
        raise DataError(f"unreadable as CSV ({error})", file=path, fix="download the file again") from error
    while records and not records[-1]:
        records.pop()
    if not records:
        raise DataError("an empty table", file=path, fix="download the file again")
    return records


def _like_data(names: list[str], lines: list[list[str]]) -> bool:
    """Whether a first line holds data: a number, a picture's name, or a cell like the one below but for its digits."""
    below = lines[0] if lines else [""] * len(names)
    forms = [[re.sub("[0-9]+", "0", cell) for cell in line] for line in (names, below)]
    same = any("0" in name and name == cell for name, cell in zip(*forms, strict=False))
    return same or any(NUMBER.fullmatch(name) or name.lower().endswith(PICTURES) for name in names)


def one_answer_each(ids: Sequence[str], cells: Sequence[Any], *, file: Path) -> list[int]:
    """Indices of the rows to keep: of rows that repeat an id and its cell the first.

    Raises:
        DataError: an id with two different cells; with both rows of the file, whose header is row 1.
    """
    first: dict[str, int] = {}
    for index, (identity, cell) in enumerate(zip(ids, cells, strict=True)):
        before = first.setdefault(identity, index)
        if cells[before] != cell:
            problem = f"the id {identity!r} has {cell!r} here and {cells[before]!r} on row {before + 2}"
            raise DataError(problem, file=file, row=index + 2, fix="remove the row that is wrong")
    return list(first.values())


def number(text: str, *, file: Path, row: int, column: str) -> float:
    """The finite number in a cell such as `1200.5`, `$1,200.50`, `€ 950` or ` 1 200 `.

    Digits with at most one decimal point, or an exponent. Commas or spaces only between groups of three digits, the
    first of which may be shorter and does not begin with 0. One currency sign before or after, a minus or plus in front
    of all. So `1,20`, `950,5`, `0,950` and `1.2.3` are refused, while `1.200` is one and a fifth.

    Raises:
        DataError: anything else, an empty cell too; with file, row and column.
    """
    # every kind of space, the narrow one between thousands as well, is a space
    found = NUMBER.fullmatch(re.sub(r"\s", " ", text).strip())
    value = float(found["sign"] + re.sub("[, ]", "", found["digits"])) if found else math.nan
    if math.isfinite(value) and sum(map(text.count, CURRENCIES)) <= 1:
        return value
    fix = "write thousands in groups of three and a decimal point, as in 1,200.50" if "," in text else "write digits"
    problem = (
        f"column '{column}' holds {text[:40]!r}, which is not a number"
        if text.strip()
        else f"column '{column}' is empty"
    )
    raise DataError(problem, file=file, row=row, fix=fix if text.strip() else "fill in the number or remove the row")
