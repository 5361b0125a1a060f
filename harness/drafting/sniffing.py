"""What a data folder seems to be, and why: masks beside pictures, labelled pictures, or a table with a target."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness import label_forms, labelled, listing, own_pictures
from harness.errors import DataError

Kind = Literal["pictures", "table", "masks"]
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
MISSING = ("", "na", "n/a", "nan", "null", "none")
FEW = 20  # distinct whole numbers that are classes rather than amounts
WORDS = 50  # distinct texts that are still categories
EXPECTED = (
    "expected <class>/<picture>, a table of picture names and labels, <picture>_mask files beside pictures, or "
    "train.csv and test.csv with one column that only train.csv has"
)


@dataclass(frozen=True)
class Found:
    """What a draft is written from: names only, no values of any row.

    Attributes:
        kind: which draft.
        single: whether the target is one label; with `labels` () and no separator it is a number or a mask.
        labels: the label names, or () for a number or a mask.
        separator: between labels of a cell, "" for one label.
        header: of the submission.
        names: further names the draft needs, by their use.
        told: what was decided, and why.
    """

    kind: Kind
    header: tuple[str, ...]
    told: tuple[str, ...]
    labels: tuple[str, ...] = ()
    separator: str = ""
    names: Mapping[str, Any] | None = None

    def name(self, use: str) -> Any:
        """A name the draft needs."""
        assert self.names is not None, "sniffed drafts have names"
        return self.names[use]


def sniff(root: Path) -> Found:
    """The draft that fits the folder.

    Raises:
        DataError: none does; says what was found and expected.
    """
    if masks := sorted(path for path in root.rglob("*_mask.*") if path.suffix.lower() in listing.PICTURES):
        return _masks(root, masks)
    if any(path.suffix.lower() in listing.PICTURES for path in root.rglob("*")):
        return _pictures(root)
    train, test = (listing.find_file(root, (name,)) for name in ("train.csv", "test.csv"))
    if train is None or test is None:
        inside = ", ".join(sorted(path.name for path in root.iterdir())[:6]) or "nothing"
        raise DataError(f"fits no draft: found {inside}", file=root, fix=EXPECTED)
    return _table(root, train, test)


def _pictures(root: Path) -> Found:
    found = own_pictures.read(root)
    base, ((header, rows), file) = own_pictures.beginning(root), own_pictures.form(root)
    if found.single and len(found.labels) > FEW and all(NUMBER.fullmatch(label) for label in found.labels):
        problem = f"{len(found.labels)} different numbers are no labels, but a number to predict from a picture"
        raise DataError(problem, file=root, fix="start from the adapter of gemstone-price, which does that")
    form, told = label_forms.submission(
        header, rows, single=found.single, labels=found.labels, separator=found.separator, file=file
    )
    separator = "" if found.single else getattr(form.write, "keywords", {}).get("separator", "|")
    folders = {path.name: path for path in sorted(base.iterdir()) if path.is_dir()}
    table = own_pictures.label_tables(base)
    train = next((name for name in folders if name.lower() in own_pictures.TRAIN), "")
    if table:
        train = train or next((name for name in folders if name.lower() in own_pictures.FLAT), "")
    names = {
        "train": train,
        "test": next((name for name in folders if name.lower() in own_pictures.TEST), ""),
        "answers": file.name if file else "",
        "truth": own_pictures.has_truth(root),
        "valid": next((name for name in folders if name.lower() in own_pictures.VALID), ""),
        "table": table[0].name if table else "",
        "columns": _columns(table[0]) if table else (),
    }
    task = "one label a picture: SingleLabel, accuracy" if found.single else "several labels: Multilabel, macro F1"
    return Found("pictures", tuple(header), (*found.told, task, told), found.labels, separator, names)


def _columns(table: Path) -> tuple[str, str]:
    """Two column names for a stand-in of the table: the first, and the last that may be labels."""
    header = listing.header(table)
    likely = [name for name in header[1:] if name.lower() in labelled.LABEL_COLUMNS]
    return header[0], (likely or ["label"])[0]


def _masks(root: Path, masks: Sequence[Path]) -> Found:
    folders = sorted({path.parent for path in masks}, key=listing.natural)
    stems = [path.stem.removesuffix("_mask") for path in masks]
    told = [f"{len(masks)} masks <picture>_mask beside pictures in {len(folders)} folders: BinaryMask, mean Dice"]
    subjects = Counter(found[1] for found in (re.fullmatch(r"(.+?)[_-]\d+", stem) for stem in stems) if found)
    grouped = sum(subjects.values()) == len(stems) and 2 <= len(subjects) <= len(stems) / 2
    if grouped:
        told.append(
            f"groups: {len(subjects)} subjects, the names before the last number: are those patients or objects?"
        )
    else:
        told.append("groups: none seen in the names; nearly identical pictures stay in one fold")
    file = labelled.sample_file(root)
    header = tuple(listing.header(file)) if file else ("id", "pixels")
    if len(header) != 2:
        raise DataError(f"{len(header)} columns", file=file, row=1, fix="expected an id and run lengths")
    test = next((path.name for path in sorted(root.rglob("test")) if path.is_dir()), "")
    places = {folder.relative_to(root).parts[0] if folder != root else "" for folder in folders}
    names = {
        "test": test,
        "group": grouped,
        "answers": file.name if file and test else "",
        "train": "train" if places == {"train"} else "",
    }
    return Found("masks", header, tuple(told), names=names)


def _table(root: Path, train: Path, test: Path) -> Found:
    known, asked, file = listing.read_all(train), listing.read_all(test), labelled.sample_file(root)
    header = tuple(listing.header(file)) if file else ()
    new = [name for name in known if name not in asked]
    target = next((name for name in new if name in header[1:]), new[0] if len(new) == 1 else None)
    if target is None:
        seen = f"columns that only {train.name} has: {', '.join(new[:6]) or 'none'}"
        raise DataError(f"no target; {seen}", file=root, fix="expected one, or its name in the sample submission")
    identity = _identity(known, asked, header)
    if identity is None:
        fix = "add a column 'id' of unique values to train.csv and test.csv"
        raise DataError("no column identifies the rows", file=train, row=1, fix=fix)
    header = header or (identity, target)
    if len(header) != 2:
        problem = f"the sample submission has {len(header)} columns"
        raise DataError(problem, file=file, row=1, fix="a draft answers with an id and one column")
    told = [f"target: column '{target}', which test.csv lacks; ids: column '{identity}'"]
    cells = [text.strip() for text in known[target]]
    values = set(cells)
    empty = next((row for row, text in enumerate(cells, start=2) if text.lower() in MISSING), None)
    if empty:
        raise DataError(f"no {target}", file=train, row=empty, fix="fill in the target or remove the row")
    numeric = all(NUMBER.fullmatch(text) for text in values)
    whole = numeric and all(float(text).is_integer() for text in values)
    labels: tuple[str, ...] = ()
    if numeric and not (whole and len(values) <= FEW and len(cells) >= 5 * len(values)):
        told.append(f"{len(values)} different numbers: Regression, RMSE")
    elif len(values) < 2 or len(values) > max(2, len(cells) // 2):
        problem = f"column '{target}' has {len(values)} different texts in {len(cells)} rows"
        raise DataError(problem, file=train, fix="expected a number, or a label that several rows share")
    else:
        labels = tuple(sorted(values))
        told.append(f"{len(labels)} different {'whole numbers' if numeric else 'texts'}: SingleLabel, accuracy")
    numbers, categories, left = _features(known, [name for name in asked if name in known and name != identity])
    told.append(f"inputs: {len(numbers)} columns of numbers, {len(categories)} of categories")
    told += [f"left out, free text or the same in every row: {', '.join(left)}"] if left else []
    if not numbers and not categories:
        raise DataError("no column to learn from", file=train, row=1, fix="expected numbers or categories")
    positive = not labels and all(float(text) > 0 for text in values)
    spread = positive and max(map(float, values)) > 30 * min(map(float, values))
    told += ["the target spans factors above 30: its logarithm is learned"] if spread else []
    names = {
        "id": identity,
        "target": target,
        "numbers": numbers,
        "categories": categories,
        "answers": file.name if file else "",
        "log": spread,
    }
    return Found("table", header, tuple(told), labels, names=names)


def _identity(known: Mapping[str, list[str]], asked: Mapping[str, list[str]], header: Sequence[str]) -> str | None:
    """The column of ids: the sample's first, else one called so, else the first whose values are all different."""
    both = [name for name in asked if name in known]
    unique = [name for name in both if all(len(set(part[name])) == len(part[name]) for part in (known, asked))]
    called = [name for name in unique if name.lower() == "id" or name.lower().endswith(("_id", "id"))]
    return next((name for name in (*header[:1], *called, *unique) if name in unique), None)


def _features(
    columns: Mapping[str, list[str]], candidates: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
    """(columns of numbers, of categories, those that are neither)."""
    numbers: list[str] = []
    categories: list[str] = []
    left: list[str] = []
    for name in candidates:
        values = {text.strip() for text in columns[name]} - {""}
        there = {text for text in values if text.lower() not in MISSING}
        if len(values) < 2 and len(set(columns[name])) < 2:
            left.append(name)
        elif there and all(NUMBER.fullmatch(text) for text in there):
            numbers.append(name)
        elif len(there) <= min(WORDS, max(2, len(columns[name]) // 2)):
            categories.append(name)
        else:
            left.append(name)
    return tuple(numbers), tuple(categories), left
