"""Tables whose rows have a picture and a price, with columns that nobody declared: found, read, and told about.

Layouts: `train.csv` and `test.csv` with pictures below; or one table a shape of stone, `Id,Shape,...,Price`, as shops
export them. Columns are known by their names in lower case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from harness import listing
from harness.errors import DataError
from harness.rows import Rows

SAMPLE = "sample_submission.csv"
SHOP = {"id", "shape", "price"}
SIZES = ("length", "width", "height")
NAMED = ("image", "picture", "photo", "img", "file", "path")
MISSING = ("", "na", "n/a", "nan", "none", "null")
GRADE = ("F", "FR", "Fair", "GD", "Good", "VG", "Very Good", "Premium", "EX", "Excellent", "ID", "Ideal")
COLOUR = ("FANCY", "Y-Z", "W-X", "U-V", "S-T", "Q-R", "O-P", *"ZYXWVUTSRQPONMLKJIHGFED")
CLARITY = ("I3", "I2", "I1", "SI3", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF", "FL")
# worst first: the scales of the Gemological Institute of America (https://4cs.gia.edu), and how shops shorten them
ORDER = {"cut": GRADE, "polish": GRADE, "symmetry": GRADE, "colour": COLOUR, "color": COLOUR, "clarity": CLARITY}


@dataclass(frozen=True)
class Found:
    """What a data folder holds.

    Attributes:
        rows: id, image (a path), price (above 0), and the columns of `numbers` (floats, "" where missing) and
            `categories`; rows without their picture are left out.
        numbers: columns of numbers.
        categories: column -> its values, worst first where the order is known, else ().
        told: sentences on what was decided.
    """

    rows: Rows
    numbers: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]
    told: tuple[str, ...]


def training(root: Path) -> Found:
    """The rows that have a price.

    Raises:
        DataError: no such table, two layouts at once, no price, no pictures, an id with two different rows.
    """
    files = _tables(root)
    parts = [_read(file) for file in files]
    columns: dict[str, list[Any]] = {name: [] for part in parts for name in part}
    for name, column in columns.items():
        for part in parts:
            column += part.get(name, [""] * len(part["id"]))
    # the tree may stand twice in an archive: a line that does counts once
    lines = dict.fromkeys(zip(*columns.values(), strict=True))
    columns = {name: [line[place] for line in lines] for place, name in enumerate(columns)}
    if "price" not in columns:
        raise DataError("no column 'price'", file=files[0], row=1, fix="name the column of prices so")
    if len(set(columns["id"])) < len(columns["id"]) and "shape" in columns:  # each shape may count from one
        columns["id"] = [f"{shape}/{identity}" for shape, identity in zip(columns["shape"], columns["id"], strict=True)]
    named, pictures = _pictures(columns, root, without="test")
    there = [index for index, picture in enumerate(pictures) if picture is not None]
    if not there:
        fix = "keep pictures in train/ or images/, named by a column of the table or by its ids"
        raise DataError("no row of the table has a picture", file=files[0], fix=fix)
    told = [f"{len(files)} table(s) with {len(pictures)} rows; column '{named}' names the pictures"]
    if len(there) < len(pictures):
        lost = columns["id"][pictures.index(None)]
        told.append(f"{len(pictures) - len(there)} rows without a picture are left out, such as {lost}")
    test = _test(files)
    known = set(_read(test)) if test else set(columns)
    side = [name for name in columns if name in known and name not in ("id", "image", "price", named)]
    if alone := sorted(set(columns) - known - {"price"}):
        told.append(f"left out, for test.csv has no such columns: {', '.join(alone)}")
    numbers, categories, decided = _decide({name: [columns[name][row] for row in there] for name in side})
    found = {"id": columns["id"], "image": pictures, "price": columns["price"]}
    rows = Rows(found | _side(columns, numbers, categories)).take(there)
    return Found(rows, numbers, categories, (*told, *decided))


def testing(root: Path) -> Rows | None:
    """The rows of `test.csv`, in the order of the sample submission where there is one; None without test.csv.

    Raises:
        DataError: a row without its picture, or ids that differ from the sample submission's.
    """
    file = _test(_tables(root))
    if file is None:
        return None
    found, columns = training(root), _read(file)
    _, pictures = _pictures(columns, root, without="train")
    if None in pictures:
        lost = pictures.index(None)
        fix = "every test row needs one: download the data again"
        raise DataError(f"{columns['id'][lost]} has no picture", file=file, fix=fix)
    rows = Rows({"id": columns["id"], "image": pictures} | _side(columns, found.numbers, found.categories))
    order = file.with_name(SAMPLE)
    if not order.exists():
        return rows
    (ids,) = listing.read_table(order, listing.header(order)[:1]).values()
    places = {identity: place for place, identity in enumerate(rows.ids)}
    if odd := sorted(set(ids) ^ set(places), key=listing.natural):
        alone = f"the id {odd[0]} stands in {'test.csv' if odd[0] in places else SAMPLE} only"
        raise DataError(alone, file=order, fix="download the data again")
    return rows.take([places[identity] for identity in ids])


def _tables(root: Path) -> list[Path]:
    """`train.csv`, or the tables of the shapes of stones."""
    own = listing.find_file(root, ("train.csv",))
    others = [path for path in root.rglob("*.csv") if path.name not in ("train.csv", "test.csv", SAMPLE)]
    others = sorted((path for path in others if not path.name.startswith(".")), key=listing.natural)
    shops = [path for path in others if {name.strip().lower() for name in listing.header(path)} >= SHOP]
    if (own is None) != bool(shops):
        problem = f"two layouts at once, {own} and {shops[0]}" if own else "neither train.csv nor tables of shapes"
        fix = "point --data at the folder with train.csv, or at the one with tables Id,Shape,...,Price"
        raise DataError(problem, file=root, fix=fix)
    return [own] if own else shops


def _test(files: Sequence[Path]) -> Path | None:
    """`test.csv` beside train.csv."""
    beside = files[0].with_name("test.csv")
    return beside if files[0].name == "train.csv" and beside.exists() else None


def _read(file: Path) -> dict[str, list[Any]]:
    """Column -> cells: the price as a number, measurements `L-WxD` as three columns.

    Without a column "id" the first one is it. A row that stands twice counts once.
    """
    raw = listing.read_all(file)
    columns: dict[str, list[Any]] = {"id": list(next(iter(raw.values())))}
    columns |= {name.strip().lower(): list(texts) for name, texts in raw.items()}
    if not columns["id"]:
        raise DataError("a table without rows", file=file, fix="download the file again")
    kept = listing.one_answer_each(columns["id"], list(zip(*raw.values(), strict=True)), file=file)
    for row, text in enumerate(columns.get("price", ()), start=2):
        price = listing.number(text, file=file, row=row, column="price")
        if price <= 0:
            raise DataError(
                f"a price of {price:g}", file=file, row=row, fix="prices are above 0: mend or remove the row"
            )
        columns["price"][row - 2] = price
    # misspelt in the real tables; the sign between is an x or a multiplication sign
    for name in {"measurements", "messurements"} & set(columns):
        texts = columns.pop(name)
        parts = [re.findall(r"[0-9]+(?:\.[0-9]+)?", text) for text in texts]
        for place, size in enumerate(SIZES):  # a text of another form stays, so that it is told of
            columns[size] = [part[place] if len(part) == 3 else text for part, text in zip(parts, texts, strict=True)]
    return {name: [column[index] for index in kept] for name, column in columns.items()}


def _pictures(columns: Mapping[str, Sequence[Any]], root: Path, *, without: str) -> tuple[str, list[str | None]]:
    """(the column that names most pictures, each row's picture); no picture lies below a folder called `without`."""
    files: dict[str, list[Path]] = {}
    for path in sorted(root.rglob("*"), key=listing.shallowest_first):
        folders = [part.lower() for part in path.relative_to(root).parts[:-1]]
        if path.suffix.lower() in listing.PICTURES and not path.name.startswith(".") and without not in folders:
            files.setdefault(path.stem.lower(), []).append(path)
    near = columns.get("shape", [""] * len(columns["id"]))
    best: tuple[str, list[str | None]] = ("id", [None] * len(near))
    for name in [*(name for name in columns if any(word in name for word in NAMED)), "id"]:
        found = [_picture(files, cell, place) for cell, place in zip(columns[name], near, strict=True)]
        best = (name, found) if found.count(None) < best[1].count(None) else best
    return best


def _picture(files: Mapping[str, Sequence[Path]], cell: str, near: str) -> str | None:
    """The picture a cell names, with or without folder and ending; of several that in its folder, or below `near`."""
    name = PurePosixPath(cell.strip().replace("\\", "/").lower())
    found = files.get(name.stem if name.suffix in listing.PICTURES else name.name, ())
    for folder in (name.parent.name, near.strip().lower()):
        for path in found:
            if folder and folder in [part.lower() for part in path.parts[:-1]]:
                return str(path)
    return str(found[0]) if found else None


def _decide(
    columns: Mapping[str, Sequence[Any]],
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]], tuple[str, ...]]:
    """(columns of numbers, categories with their values, what was decided).

    A column holds numbers where at least 95 % of the cells that are not empty read as numbers. Texts of which more
    than half differ (addresses, names) are left out, and so are columns without a cell.
    """
    numbers: list[str] = []
    categories: dict[str, tuple[str, ...]] = {}
    told: list[str] = []
    for name, column in columns.items():
        # "None" is a missing number, and a grade of fluorescence
        values = {str(cell).strip() for cell in column} - {""}
        texts = [text for text in (str(cell).strip() for cell in column) if text.lower() not in MISSING]
        odd = [text for text in texts if _number(text) is None]
        if texts and len(odd) <= 0.05 * len(texts):
            numbers.append(name)
            told += [f"{name}: {len(odd)} cells such as {odd[0][:40]!r} are no numbers: missing"] if odd else []
        elif len(values) > len(texts) / 2 or not texts:
            told.append(f"{name}: left out, {'more than half of its texts differ' if texts else 'all cells are empty'}")
        else:
            known = [value for value in ORDER.get(name, ()) if value in values]
            categories[name] = tuple(known) if len(known) == len(values) else ()
    told += [f"numbers: {', '.join(numbers)}"] if numbers else []
    orders = [f"{name} ({' < '.join(values)})" if values else name for name, values in categories.items()]
    told += [f"categories: {', '.join(orders)}"] if orders else []
    return tuple(numbers), categories, tuple(told)


def _side(
    columns: Mapping[str, Sequence[Any]], numbers: Sequence[str], categories: Mapping[str, tuple[str, ...]]
) -> dict[str, list[Any]]:
    """Numbers as floats, "" where a cell is empty or no number; categories as text."""
    found: dict[str, list[Any]] = {name: [str(cell).strip() for cell in columns[name]] for name in categories}
    for name in numbers:
        values = [_number(str(cell)) for cell in columns[name]]
        found[name] = ["" if value is None else value for value in values]
    return found


def _number(text: str) -> float | None:
    try:
        return listing.number(text, file=Path(), row=0, column="")
    except DataError:
        return None
