"""Lists of picture addresses: `<class>.csv` or `<class>.txt` with one a line, or one table of labels and addresses."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from harness import listing
from harness.errors import DataError

LISTS = (".csv", ".txt")
ADDRESS = re.compile(r"https?://\S+", re.IGNORECASE)
LABELS = ("label", "labels", "class", "category", "tag", "name")
Item = tuple[str, str]  # (class, address)


def is_list(place: Path) -> bool:
    """Whether `place` is a list of addresses, or a folder with nothing but such lists."""
    try:
        return bool(_lists(place)) and all(_has_address(path) for path in _lists(place))
    except (OSError, UnicodeDecodeError):
        return False


def _lists(place: Path) -> list[Path]:
    if place.is_file():
        return [place] if place.suffix.lower() in LISTS else []
    inside = [path for path in place.iterdir() if not path.name.startswith(".")]
    if any(path.is_dir() or path.suffix.lower() not in LISTS for path in inside):
        return []
    return sorted(inside, key=listing.natural)


def _has_address(path: Path) -> bool:
    """Whether one of the first two lines holds an address: the first may be a header."""
    with open(path, encoding="utf-8-sig") as handle:
        return any(ADDRESS.search(handle.readline()) for _ in range(2))


def read(place: Path) -> tuple[list[Item], dict[Item, str]]:
    """((class, address) of each picture once, those that are not to be fetched with the reason).

    Raises:
        DataError: unreadable, a line without an address, a label that can name no folder, or a single class.
    """
    items: dict[Item, None] = {}
    paths = _lists(place)
    for path in paths:
        items.update(dict.fromkeys(_listed(path, alone=len(paths) == 1)))
    classes: dict[str, set[str]] = {}
    for label, url in items:
        classes.setdefault(url, set()).add(label)
    # one picture of two classes: no answer is right for both
    refused = {
        item: f"stands under {' and '.join(sorted(classes[item[1]]))}" for item in items if len(classes[item[1]]) > 1
    }
    return [item for item in items if item not in refused], refused


def _listed(path: Path, *, alone: bool) -> list[Item]:
    """(class, address) of each line; the class is a cell of the line, or the name of the file."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            lines = [[cell.strip() for cell in line] for line in csv.reader(handle)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"unreadable ({error})", file=path, fix="save the list as UTF-8 text") from error
    if not lines:
        raise DataError("an empty list", file=path, fix="write one https://... a line")
    header = [] if any(ADDRESS.fullmatch(cell) for cell in lines[0]) else [cell.lower() for cell in lines[0]]
    column = next((header.index(name) for name in LABELS if name in header), None)
    found: list[Item] = []
    for row, line in enumerate(lines, start=1):
        cells = [cell for cell in line if cell]
        if not cells or cells[0].startswith("#") or (row == 1 and header):
            continue
        urls = [cell for cell in cells if ADDRESS.fullmatch(cell)]
        if len(urls) != 1:
            raise DataError(
                f"{' '.join(cells)[:60]!r} is no address", file=path, row=row, fix="write one https://... a line"
            )
        others = [cell for cell in cells if cell != urls[0]]
        label = path.stem
        if column is not None:
            label = line[column] if column < len(line) else ""
        elif alone and not header and len(others) == 1:
            label = others[0]
        if not label or label.startswith(".") or re.search(r"[/\\\0]", label):
            raise DataError(f"{label!r} cannot name a folder", file=path, row=row, fix="write a label without slashes")
        found.append((label, urls[0]))
    if alone and len({label for label, _ in found}) < 2:
        fix = "expected one file for each class, or columns 'label' and 'url'"
        raise DataError("a list of a single class", file=path, fix=fix)
    return found
