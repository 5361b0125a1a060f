"""Labelled pictures as people keep them: a folder for each class, parts of a split above, or a table beside them.

Layouts: `<class>/...`; `train/<class>/...` with `valid/<class>/...`; a table of file names and labels, which `labelled`
reads. Pictures to predict lie in `test/`, in class folders too where their labels are known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import labelled, listing
from harness.errors import DataError
from harness.rows import Rows

TRAIN, VALID, TEST = ("train", "training"), ("valid", "val", "validation"), ("test", "testing")
# what `labelled` may call a folder of training pictures that are not in class folders
FLAT = ("images", *labelled.TRAIN, *labelled.TEST)
# tables that hold no labels: what a download left, test rows, a form to fill in
APART = ("failed", "test", "sample", "submission")
PLAIN = ".csv", ".txt", ".tsv", ".json", ".md", ".xml", ".yaml", ".yml", ".html", ".zip", ".db", ".ini", ""


@dataclass(frozen=True)
class Own:
    """The labelled pictures of a folder.

    Attributes:
        rows: id, image, label (text, or a tuple of texts), and split ("train" or "valid") where the folder has one.
        single: whether each picture has exactly one label.
        labels: those that occur, sorted.
        separator: between the labels of a cell, or "".
        told: what was read, and why.
    """

    rows: Rows
    single: bool
    labels: tuple[str, ...]
    separator: str
    told: tuple[str, ...]


def read(root: Path) -> Own:
    """The labelled pictures below `root`.

    Raises:
        DataError: neither class folders nor a table of labels, a single class, a class without pictures, or a table
            and folders that contradict each other; with file, row and fix.
    """
    base = beginning(root)
    parts, tables = _parts(base), label_tables(base)
    if not tables and not parts:
        fix = "expected <class>/<picture>, train/<class>/<picture>, or a table with columns of file names and of labels"
        raise DataError(f"neither class folders nor a table of labels ({_shown(base)})", file=root, fix=fix)
    if tables:
        found = labelled.read(base)
        _agree(found, table=tables[0])
        rows = Rows({"id": found.ids, "image": found.images, "label": found.targets})
        count = f"{len(rows)} pictures with {len(found.labels)} labels"
        return _several(Own(rows, found.single, found.labels, found.separator, (*found.told, count)), base)
    columns: dict[str, list[Any]] = {"id": [], "image": [], "label": [], "split": []}
    for split, folder, classes in parts:
        for label, path in _labelled(classes):
            columns["label"].append(label)
            columns["image"].append(str(path))
            columns["id"].append(path.relative_to(base if len(parts) > 1 else folder).as_posix())
            columns["split"].append(split)
    told = [f"labels: the {len(set(columns['label']))} folders in {_names(parts)}, one label a picture"]
    if len(parts) > 1:
        counts = Counter(columns["split"])
        told.append(
            f"the folder's own split: {counts['train']} to train, {counts['valid']} to validate with --split published"
        )
    else:
        del columns["split"]
    sizes = Counter(columns["label"])
    least, most = min(sizes.values()), max(sizes.values())
    told.append(f"{len(columns['id'])} pictures, {least} to {most} a class")
    told += _left_out([folder for _, _, classes in parts for folder in classes])
    loose = sum(path.suffix.lower() in listing.PICTURES for folder in {base, parts[0][1]} for path in _entries(folder))
    told += [f"{loose} pictures lie in no class folder and are left out"] if loose else []
    return _several(Own(Rows(columns), True, tuple(sorted(sizes)), "", tuple(told)), base)


def test(root: Path) -> Rows | None:
    """The pictures to predict: id, image, and label where they lie in class folders; None without any.

    Those in `test/`; all there are in a folder with neither classes nor a table, as `harness predict --data` may get.

    In the order of the sample submission where there is one.

    Raises:
        DataError: a picture that the sample names is missing, or an empty `test/`.
    """
    base = beginning(root)
    folder = _named(base, TEST)
    if labelled.sample_file(base) is not None:
        found = labelled.test_pictures(base)
        return None if found is None else Rows({"id": found[0], "image": found[1]})
    if folder is None:
        if _parts(base) or label_tables(base):
            return None
        folder = base  # nothing to learn from, so all of them are asked about
    if has_truth(root):
        pairs = _labelled(_inside(folder))
        columns = {"image": [str(path) for _, path in pairs], "label": [label for label, _ in pairs]}
        return Rows({"id": [path.relative_to(folder).as_posix() for _, path in pairs], **columns})
    paths = _pictures(folder)
    if not paths:
        raise DataError("no pictures to test", file=folder, fix="put pictures there or remove the folder")
    return Rows({"id": [path.relative_to(folder).as_posix() for path in paths], "image": [str(path) for path in paths]})


def has_truth(root: Path) -> bool:
    """Whether the test pictures lie in folders that are called as the classes are."""
    base = beginning(root)
    folder, parts = _named(base, TEST), _parts(base)
    if folder is None or not parts or label_tables(base) or labelled.sample_file(base) is not None:
        return False
    known = {inside.name for _, _, classes in parts for inside in classes}
    return bool(_inside(folder)) and {inside.name for inside in _inside(folder)} <= known


def form(root: Path) -> tuple[tuple[tuple[str, ...], list[tuple[str, ...]]], Path | None]:
    """((header, rows), file) of the sample submission; `id,label` without rows and None where there is none."""
    return labelled.sample_form(beginning(root)), labelled.sample_file(beginning(root))


def beginning(root: Path) -> Path:
    """Where the data begins: below folders that hold one folder and nothing else, as archives do."""
    while True:
        inside = [
            path for path in _entries(root) if path.is_dir() or path.suffix.lower() in (".csv", *listing.PICTURES)
        ]
        if len(inside) != 1 or not inside[0].is_dir() or not _inside(inside[0]):
            return root
        root = inside[0]


def _parts(base: Path) -> list[tuple[str, Path, list[Path]]]:
    """(split, folder, its class folders) of the training and the validation part."""
    train, valid = _named(base, TRAIN), _named(base, VALID)
    folder = train or base
    apart = () if train else (*VALID, *TEST)
    classes = [inside for inside in _inside(folder) if inside.name.lower() not in apart]
    # one folder of pictures beside a table is no class
    if not classes or (not train and all(inside.name.lower() in FLAT for inside in classes)):
        return []
    found = [("train", folder, classes)]
    return [*found, ("valid", valid, _inside(valid))] if valid and _inside(valid) else found


def _labelled(classes: Sequence[Path]) -> list[tuple[str, Path]]:
    """(label, picture) of all pictures in class folders, however deep they lie there."""
    found: list[tuple[str, Path]] = []
    for folder in classes:
        paths = _pictures(folder)
        if not paths:
            fix = f"add pictures ({', '.join(listing.PICTURES)}) or remove the folder"
            raise DataError("a class without pictures", file=folder, fix=fix)
        found += [(folder.name, path) for path in paths]
    return found


def label_tables(base: Path) -> list[Path]:
    """The tables beside the pictures with a column that names pictures."""
    tables = [path for path in _entries(base) if path.suffix.lower() == ".csv"]
    tables = [path for path in tables if not any(word in path.stem.lower() for word in APART)]
    if not tables:
        return []
    names = {name for path in _pictures(base) for name in (path.name, path.stem)}
    found = []
    for table in tables:
        columns = listing.read_all(table)
        ends = [{text.strip().replace("\\", "/").rpartition("/")[2] for text in texts} for texts in columns.values()]
        # a number in a cell may be a picture's name by chance, half of a column's are not
        if any(2 * len(cells & names) >= len(cells) > 0 for cells in ends):
            found.append(table)
    return found


def _agree(found: labelled.Labelled, *, table: Path) -> None:
    """Refuses a table that says one class where the folder of the picture says another."""
    for image, target in zip(found.images, found.targets, strict=True):
        labels = (target,) if isinstance(target, str) else target
        folder = Path(image).parent.name
        if folder in found.labels and folder not in labels:
            problem = f"{', '.join(labels)!r} in the table, but the picture lies in {folder}/"
            raise DataError(problem, file=f"{table}, {image}", fix="mend the table, or remove it to go by the folders")


def _several(found: Own, base: Path) -> Own:
    """The same; refused when there is nothing to tell apart."""
    if len(found.labels) < 2:
        only = found.labels[0] if found.labels else "none"
        raise DataError(
            f"a single class, {only!r}", file=base, fix="expected two classes at least, one folder for each"
        )
    return found


def _left_out(folders: Sequence[Path]) -> list[str]:
    """A sentence on files in class folders that look like pictures of a kind that is not read."""
    endings = Counter(path.suffix.lower() for folder in folders for path in _files(folder))
    odd = {ending: count for ending, count in endings.items() if ending not in (*listing.PICTURES, *PLAIN)}
    if not odd:
        return []
    counted = ", ".join(f"{count} {ending}" for ending, count in sorted(odd.items()))
    return [f"left out, no kind of picture that is read: {counted}; save them as .jpg or .png to use them"]


def _names(parts: Sequence[tuple[str, Path, list[Path]]]) -> str:
    return " and ".join(f"{folder.name}/" for _, folder, _ in parts)


def _shown(base: Path) -> str:
    names = [f"{path.name}/" if path.is_dir() else path.name for path in _entries(base)]
    return f"found {', '.join(names[:6])}{', ...' if len(names) > 6 else ''}" if names else "an empty folder"


def _named(base: Path, names: Sequence[str]) -> Path | None:
    """The folder directly in `base` with the first of the names, in any case."""
    folders = {path.name.lower(): path for path in _inside(base)}
    return next((folders[name] for name in names if name in folders), None)


def _entries(folder: Path) -> list[Path]:
    """What lies directly in a folder, in natural order, without hidden things."""
    if not folder.is_dir():
        raise DataError("no such folder", file=folder, fix="name the folder with your pictures with --data")
    found = (path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "__MACOSX")
    return sorted(found, key=listing.natural)


def _inside(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_dir()]


def _files(folder: Path) -> list[Path]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def _pictures(folder: Path) -> list[Path]:
    return sorted((path for path in _files(folder) if path.suffix.lower() in listing.PICTURES), key=listing.natural)
