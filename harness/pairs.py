"""Pictures and masks that lie in folders of their own, paired by a list or by their names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from harness import listing
from harness.errors import DataError
from harness.rows import Rows

Pair = tuple[Path, Path]
AGAIN = "get the data again, or mend the list"


def lines(file: Path) -> list[tuple[int, str]]:
    """(number, text) of the lines that are not blank, numbered from 1.

    Raises:
        DataError: unreadable, or not one line.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"not UTF-8 text (byte {error.start})", file=file, fix=AGAIN) from error
    except OSError as error:
        raise DataError(f"unreadable ({error.strerror})", file=file, fix=AGAIN) from error
    found = [(row, line.strip()) for row, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not found:
        raise DataError("an empty list", file=file, fix=AGAIN)
    return found


def listed(file: Path) -> list[Pair]:
    """(picture, mask) of each line of a list, in its order.

    A line holds two paths of one file name. They are those of its author's disk: folder and file are looked for beside
    the list.

    Raises:
        DataError: another kind of line, a file that is missing, a frame that stands twice; with file and row.
    """
    pairs: dict[str, Pair] = {}
    for row, line in lines(file):
        paths = [file.parent.joinpath(*PurePosixPath(path).parts[-2:]) for path in line.split()]
        if len(paths) != 2 or paths[0].name != paths[1].name:
            fix = "write the picture's path, a space and the path of its mask, which has the same name"
            raise DataError(f"{line[:80]!r} is no picture with its mask", file=file, row=row, fix=fix)
        for path in paths:
            if not path.is_file():
                raise DataError(f"{path.parent.name}/{path.name} is missing", file=file, row=row, fix=AGAIN)
        if paths[0].stem in pairs:
            raise DataError(f"{paths[0].name} stands twice", file=file, row=row, fix="remove one of the two lines")
        pairs[paths[0].stem] = (paths[0], paths[1])
    return list(pairs.values())


def beside(pictures: Path, masks: Path, *, suffix: str) -> list[Pair]:
    """(picture, mask) of each picture in a folder, in natural order; the mask is `<stem><suffix>.png` in another.

    Raises:
        DataError: no pictures, or a picture without a mask.
    """
    pairs = [(picture, masks / f"{picture.stem}{suffix}.png") for picture in listing.pictures(pictures)]
    for picture, mask in pairs:
        if not mask.is_file():
            problem = f"the picture has no mask {masks.name}/{mask.name}"
            raise DataError(problem, file=picture, fix="add the mask or remove the picture")
    return pairs


def named(file: Path, folder: Path) -> set[str]:
    """Stems of the files in `folder` that a list names, one a line.

    Raises:
        DataError: a file that is missing; with file and row.
    """
    for row, line in lines(file):
        if not (folder / PurePosixPath(line).name).is_file():
            raise DataError(f"{folder.name}/{PurePosixPath(line).name} is missing", file=file, row=row, fix=AGAIN)
    return {PurePosixPath(line).stem for _, line in lines(file)}


def rows(found: Sequence[Pair]) -> Rows:
    """Rows with `id` (the picture's stem), `image` and `mask`.

    Raises:
        DataError: two pictures of one name.
    """
    first: dict[str, Path] = {}
    for picture, _ in found:
        if picture.stem in first:
            problem = f"the id {picture.stem!r} stands twice, the first time for {first[picture.stem]}"
            raise DataError(problem, file=picture, fix="remove one of the two from its list")
        first[picture.stem] = picture
    images, masks = ([str(pair[place]) for pair in found] for place in (0, 1))
    return Rows({"id": [picture.stem for picture, _ in found], "image": images, "mask": masks})
