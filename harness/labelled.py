"""Labelled pictures in a layout that nobody described: where the labels stand, in which form, and how to answer alike.

Three forms are told apart: one folder for each label; a table with one column of labels, one or several in a cell; a
table with one 0/1 column for each label. What was decided is kept in sentences; where two readings fit equally well
the user is asked to make one of them impossible.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from harness import label_forms, listing
from harness.errors import DataError

TRAIN, TEST = ("train", "train_images", "train-images", "images"), ("test", "test_images", "test-images", "images")
SAMPLES = ("sample_submission.csv", "sampleSubmission.csv", "SampleSubmission.csv", "*sample*.csv", "*submission*.csv")
LABEL_COLUMNS = ("label", "labels", "tag", "tags", "style", "styles", "class", "classes", "category", "target")
APART = ("sample", "submission", "test")  # tables that hold no labels
BITS = {"0": False, "1": True, "0.0": False, "1.0": True}


@dataclass(frozen=True)
class Labelled:
    """Labelled pictures.

    Attributes:
        ids, images: of each picture: what the table calls it, or its path below the folder; its path.
        targets: its label, or a tuple of its labels.
        single: whether each picture has exactly one label.
        separator: between the labels of a cell, or "" where cells did not say.
        told: what was decided, and why.
    """

    ids: list[str]
    images: list[str]
    targets: list[Any]
    single: bool
    separator: str
    told: tuple[str, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that occur, sorted."""
        found = self.targets if self.single else [label for target in self.targets for label in target]
        return tuple(sorted(set(found)))


def read(root: Path) -> Labelled:
    """The labelled pictures below `root`.

    Raises:
        DataError: neither class folders nor a table, a picture missing, folders and table that contradict each
            other, or two readings that fit equally; with file and row.
    """
    folder, table = _folder(root, TRAIN), _table(root)
    classes = [path for path in folder.iterdir() if path.is_dir() and path.name[0] != "."] if folder != root else []
    in_folders = _from_folders(folder) if len(classes) > 1 else None
    if table is None:
        if in_folders is None:
            fix = "expected train/<label>/<picture>, or a table train.csv with a column of pictures and one of labels"
            raise DataError("neither class folders nor a table of labels", file=root, fix=fix)
        return in_folders
    found = _from_table(table, folder)
    if in_folders is None:
        return found
    label_of = dict(zip(in_folders.images, in_folders.targets, strict=True))
    pairs = list(zip(found.images, found.targets, strict=True))
    differing = [row for row, (image, target) in enumerate(pairs) if not _agree(label_of.get(image), target)]
    if len(differing) == len(pairs):
        return replace(found, told=(*found.told, f"the folders in {folder.name}/ are no labels: none agrees with it"))
    if differing:
        image, target = pairs[differing[0]]
        problem = f"{target!r} in the table, but the picture lies in {Path(image).parent}"
        raise DataError(problem, file=f"{table}, {image}", fix="mend the table, or remove it to go by the folders")
    return replace(found, told=(*found.told, f"the folders in {folder.name}/ agree with {table.name}, which was used"))


def _agree(label: str | None, target: str | tuple[str, ...]) -> bool:
    return label in ((target,) if isinstance(target, str) else target)


def test_pictures(root: Path) -> tuple[list[str], list[str]] | None:
    """(ids, paths) of the test pictures, in the order of the sample submission where there is one; None without any.

    Raises:
        DataError: a picture that the sample names is missing, or stands twice; with file and row.
    """
    sample, folder = sample_file(root), _folder(root, TEST)
    if sample is None:
        if folder == root or folder.name == "images":
            return None
        paths = sorted(set(_index(folder).values()) - {""}, key=listing.natural)
        return [PurePosixPath(path).relative_to(folder.as_posix()).as_posix() for path in paths], paths
    rows = sample_form(root)[1]
    kept = listing.one_answer_each([row[0] for row in rows], [row[1:] for row in rows], file=sample)
    ids, index = [rows[place][0] for place in kept], _index(folder)
    return ids, [find_picture(rows[place][0], index, file=sample, row=place + 2) for place in kept]


def sample_file(root: Path) -> Path | None:
    """The sample submission below `root`, or None."""
    return listing.find_file(root, SAMPLES)


def sample_form(root: Path) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """(header, rows) of the sample submission below `root`; of one label under `id,label` without any rows if none."""
    sample = sample_file(root)
    if sample is None:
        return ("id", "label"), []
    columns = listing.read_all(sample)
    return tuple(columns), list(zip(*columns.values(), strict=True))


def by_stem(root: Path, folders: Sequence[str]) -> dict[str, str]:
    """Stem -> path of the pictures in folders of these names, the shallowest of several that share a stem.

    In the order of `folders`, then of depth, then of names.
    """
    found: dict[str, str] = {}
    for folder in folders:
        for path in sorted(root.rglob(f"{folder}/*"), key=listing.shallowest_first):
            if path.suffix.lower() in listing.PICTURES and not path.name.startswith("."):
                found.setdefault(path.stem, str(path))
    return found


def find_picture(text: str, index: Mapping[str, str], *, file: Path, row: int) -> str:
    """The path of the picture that a cell names.

    Args:
        index: name -> path, "" for a name that two pictures have.

    Raises:
        DataError: none, or two.
    """
    path = _path(text, index)
    if not path:
        problem = f"two pictures are called {text!r}" if text in index else f"the picture {text!r} is missing"
        raise DataError(problem, file=file, row=row, fix="download the data again, or mend the row")
    return path


def _folder(root: Path, names: Sequence[str]) -> Path:
    """The shallowest folder with the first of `names` that there is, or `root`."""
    for name in names:
        found = [path for path in root.rglob(name) if path.is_dir()]
        if found:
            return min(found, key=listing.shallowest_first)
    return root


def _table(root: Path) -> Path | None:
    """The table of training labels, or None."""
    tables = [path for path in root.rglob("*.csv") if not path.name.startswith(".") and "__MACOSX" not in path.parts]
    tables = [path for path in tables if not any(word in path.stem.lower() for word in APART)]
    named = [path for path in tables if path.stem.lower().startswith("train") or "label" in path.stem.lower()]
    tables = sorted(named or tables, key=listing.shallowest_first)
    exact = [path for path in tables if path.name == "train.csv"]
    if len(tables) > 1 and not exact:
        names = ", ".join(path.name for path in tables[:4])
        raise DataError(f"{names} could each hold the labels", file=root, fix="name the right one train.csv")
    return (exact or tables or [None])[0]


def _from_folders(folder: Path) -> Labelled:
    pairs = [(label, path) for label, inside in listing.class_folders(folder) for path in listing.pictures(inside)]
    ids, labels = [path.relative_to(folder).as_posix() for _, path in pairs], [label for label, _ in pairs]
    told = (f"labels: the {len(set(labels))} folders in {folder.name}/, so one label a picture",)
    return Labelled(ids, [str(path) for _, path in pairs], labels, True, "", told)


def _from_table(table: Path, folder: Path) -> Labelled:
    columns, index = listing.read_all(table), _index(folder)
    column, others = _picture_column(columns, index, table=table, folder=folder)
    ids = columns[column]
    where = f"pictures: column '{column}' of {table.name}, in {folder.name}/"
    # a number for each row, as pandas writes it, is no label
    others = {name: texts for name, texts in others.items() if name and not name.startswith("Unnamed:")}
    if len(others) > 1 and all(text.strip() in BITS for texts in others.values() for text in texts):
        targets = _from_bits(others)
        single, separator = all(len(target) == 1 for target in targets), ""
        why = "every row has exactly one 1: one label a picture" if single else "several labels a picture"
        told = (where, f"labels: a column of 0 and 1 for each of {len(others)} labels; {why}")
        values: list[Any] = [target[0] for target in targets] if single else targets
    else:
        name = _label_column(list(others), table)
        single, separator, why = label_forms.split(others[name], file=table)
        values = [label_forms.parts(text, separator) for text in others[name]]
        if single:
            values = [" ".join(text.split()) for text in others[name]]
            empty = next((row for row, text in enumerate(values, start=2) if not text), None)
            if empty:
                raise DataError(f"no {name}", file=table, row=empty, fix="write the label or remove the row")
        told = (where, f"labels: column '{name}'; {why}")
    kept = listing.one_answer_each(ids, values, file=table)
    images = [find_picture(ids[place], index, file=table, row=place + 2) for place in kept]
    return Labelled([ids[place] for place in kept], images, [values[place] for place in kept], single, separator, told)


def _from_bits(columns: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    rows = zip(*columns.values(), strict=True)
    return [tuple(name for name, text in zip(columns, row, strict=True) if BITS[text.strip()]) for row in rows]


def _label_column(names: list[str], table: Path) -> str:
    """The column of labels among those that hold no pictures."""
    likely = [name for name in names if name.lower() in LABEL_COLUMNS] if len(names) > 1 else names
    if len(likely) == 1:
        return likely[0]
    if not names:
        raise DataError("no column beside the pictures", file=table, row=1, fix="add a column of labels")
    problem = f"the columns {', '.join((likely or names)[:6])} could each be the label"
    raise DataError(problem, file=table, row=1, fix="name one of them 'label', or remove the others")


def _picture_column(
    columns: dict[str, list[str]], index: Mapping[str, str], *, table: Path, folder: Path
) -> tuple[str, dict[str, list[str]]]:
    """(name of the column that names most pictures, the other columns)."""
    counts = {name: len({_path(text, index) for text in texts} - {""}) for name, texts in columns.items()}
    best = max(columns, key=lambda name: counts[name])  # of two columns that name as many, the first
    if not counts[best]:
        fix = "one column holds file names such as 0001.jpg"
        raise DataError(f"no column names pictures in {folder}", file=table, row=1, fix=fix)
    if _path(best, index):
        problem = f"the header is missing: the first line names the picture {best!r}"
        raise DataError(problem, file=table, row=1, fix="the first line names the columns, as in file,label")
    return best, {name: texts for name, texts in columns.items() if name != best}


def _index(folder: Path) -> dict[str, str]:
    """The pictures below `folder` by path, name and stem; "" where two share a name."""
    index: dict[str, str] = {}
    for path in sorted(folder.rglob("*"), key=listing.natural):
        if path.suffix.lower() in listing.PICTURES and not path.name.startswith("."):
            inside = path.relative_to(folder)
            for name in {inside.as_posix(), inside.with_suffix("").as_posix(), path.name, path.stem}:
                index[name] = "" if name in index else str(path)
    return index


def _path(text: str, index: Mapping[str, str]) -> str:
    """The picture that a cell names, or ""."""
    name = text.strip().replace("\\", "/").removeprefix("./")
    # a path from the root, or from its author's disk, ends in the path below the folder
    places = [name, *(name[place + 1 :] for place, letter in enumerate(name) if letter == "/")]
    return next((index[place] for place in places if index.get(place)), "")
