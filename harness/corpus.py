"""Folders of text in the layouts that are met: split files, one file, tables of texts, a tree; told apart and read.

A part is (id, split, text), the split being "train", "valid" or "test". Texts are UTF-8; a byte order mark is dropped,
and CRLF is read as a line feed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import listing
from harness.errors import DataError
from harness.rows import Rows

SAMPLE = "sample_submission.csv"
SPLITS = ("train", "valid", "test")
NAMED = re.compile(r"(?:wiki\.|ptb\.)?(train|valid|test)\.(?:txt|tokens|raw)")
ASIDE = re.compile(r"(?:^|/)(?:\.|__MACOSX/|readme|licen[cs]e)", re.IGNORECASE)
MARK = b"\xef\xbb\xbf"
TRUE = ("true", "1", "yes")
Part = tuple[str, str, str]


@dataclass(frozen=True)
class Corpus:
    """What a folder holds.

    Attributes:
        parts: (id, split, text), training parts first.
        told: a sentence on the layout.
        table: whether each part is a row of a table.
    """

    parts: tuple[Part, ...]
    told: str
    table: bool = False

    def rows(self, *splits: str) -> Rows:
        """The parts of these splits as rows: id, text, split."""
        chosen = [part for part in self.parts if part[1] in splits]
        names = ("id", "split", "text")
        return Rows({name: [part[place] for part in chosen] for place, name in enumerate(names)})


def read(root: Path) -> Corpus:
    """The texts below `root`.

    Raises:
        DataError: no text, several layouts at once, a test file without a training file, a file that is not UTF-8.
    """
    files = [path for path in sorted(root.rglob("*"), key=listing.natural) if path.is_file()]
    files = [path for path in files if not ASIDE.search(path.relative_to(root).as_posix())]
    named = [path for path in files if NAMED.fullmatch(path.name)]
    tables = [path for path in files if path.suffix == ".csv" and path.name != SAMPLE and _text_column(path)]
    plain = [path for path in files if path.suffix == ".txt" and path not in named]
    single = [path for path in plain if path.name == "input.txt"]
    found = [group[0] for group in (named, single, tables) if group] or plain[:1]
    if not found:
        fix = "expected train.txt, wiki.train.tokens, ptb.train.txt, input.txt, a CSV of texts, or .txt files"
        raise DataError("no text", file=root, fix=fix)
    if len(found) > 1 or (tables and plain):
        first, second = (found + plain)[:2]
        fix = "point --data at one of them, or move the other away"
        raise DataError(f"two layouts at once: {first} and {second}", file=root, fix=fix)
    if named:
        corpus = _split_files(named)
    elif tables:
        corpus = _tables(tables)
    elif len(plain) == len(single) == 1:
        corpus = _one_file(single[0])
    else:
        corpus = _tree(root, plain)
    if not any(text.strip() for _, split, text in corpus.parts if split == "train"):
        raise DataError("an empty training text", file=found[0], fix="give it some text")
    return corpus


def _split_files(named: Sequence[Path]) -> Corpus:
    """`train.txt` and, where there are, `valid.txt` and `test.txt` beside it."""
    folder = min(named, key=listing.shallowest_first).parent
    parts: list[Part] = []
    for split in SPLITS:
        here = [path for path in named if path.parent == folder and f"{split}." in path.name]
        if len(here) > 1:
            fix = "move one of them away"
            raise DataError(f"two {split} files: {here[0].name} and {here[1].name}", file=folder, fix=fix)
        parts += [(path.name, split, _decoded(path)) for path in here]
    if not parts or parts[0][1] != "train":
        raise DataError("no training text", file=folder, fix="call it train.txt")
    return Corpus(tuple(parts), f"split files: {', '.join(identity for identity, _, _ in parts)}")


def _one_file(path: Path) -> Corpus:
    """The file's first 90 % of characters to train, then 5 % to validate and 5 % to test."""
    text = _decoded(path)
    cuts = (0, len(text) * 90 // 100, len(text) * 95 // 100, len(text))
    parts = [
        (f"{path.name}/{split}", split, text[start:end])
        for split, start, end in zip(SPLITS, cuts[:-1], cuts[1:], strict=True)
    ]
    return Corpus(tuple(parts), f"one file, {path.name}, cut into 90, 5 and 5 % of its {len(text)} characters")


def _tables(tables: Sequence[Path]) -> Corpus:
    """Rows of texts: `is_valid` tells validation rows, `test.csv` holds the test rows.

    Ids are the column "id", or the row's number after the name of its file.
    """
    splits = {path: path.stem if path.stem in SPLITS else "train" for path in tables}
    parts: list[Part] = []
    for split in SPLITS:
        here = [path for path in tables if splits[path] == split]
        if len(here) > 1:
            fix = "keep one, or call them train.csv, valid.csv and test.csv"
            raise DataError(f"two tables of texts: {here[0].name} and {here[1].name}", file=here[0].parent, fix=fix)
        for path in here:
            cells = {name.strip().lower(): texts for name, texts in listing.read_all(path).items()}
            texts = [text.replace("\r\n", "\n") for text in cells[_text_column(path).strip().lower()]]
            ids = cells.get("id", [f"{path.stem}-{number}" for number in range(1, len(texts) + 1)])
            valid = [
                split == "train" and cell.strip().lower() in TRUE for cell in cells.get("is_valid", [""] * len(ids))
            ]
            kept = listing.one_answer_each(ids, texts, file=path)
            parts += [(ids[row], "valid" if valid[row] else split, texts[row]) for row in kept]
    if "train" not in splits.values():
        raise DataError("no table of training texts", file=tables[0].parent, fix="call it train.csv")
    return Corpus(tuple(parts), f"tables of texts: {', '.join(path.name for path in tables)}", table=True)


def _tree(root: Path, files: Sequence[Path]) -> Corpus:
    """Every .txt file; those below folders train, valid and test belong there, all others are to train."""
    parts: list[Part] = []
    for path in files:
        place = path.relative_to(root)
        split = next((folder.lower() for folder in place.parts[:-1] if folder.lower() in SPLITS), "train")
        parts.append((place.as_posix(), split, _decoded(path)))
    counts = ", ".join(f"{sum(part[1] == split for part in parts)} {split}" for split in SPLITS)
    return Corpus(tuple(sorted(parts, key=_by_split)), f"a tree of texts: {counts}")


def _by_split(part: Part) -> int:
    return SPLITS.index(part[1])


def _text_column(path: Path) -> str:
    """The name of a table's column of texts, or "" where it has none."""
    names = listing.header(path)
    return next((name for name in names if name.strip().lower() in ("text", "review")), "")


def _decoded(path: Path) -> str:
    try:
        data = path.read_bytes().removeprefix(MARK)
    except OSError as error:
        raise DataError(f"unreadable ({error.strerror})", file=path, fix="check its permissions") from error
    try:
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise DataError("not UTF-8 text", file=path, row=row, fix="save the text as UTF-8") from error
