"""Files that tests write into a folder."""

from __future__ import annotations

from pathlib import Path


def touch(folder: Path, *names: str) -> Path:
    """Empty files below `folder`."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def table(folder: Path, content: bytes) -> Path:
    """`folder/table.csv` with these bytes."""
    path = folder / "table.csv"
    path.write_bytes(content)
    return path
