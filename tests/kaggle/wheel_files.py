"""Wheels without code, for what is read of their names and metadata."""

from __future__ import annotations

import zipfile
from pathlib import Path


def made(folder: Path, name: str, *requires: str, python: str = "", vendored: str = "") -> Path:
    """A wheel of that file name with no code in it, but perhaps another's metadata."""
    folder.mkdir(exist_ok=True)
    distribution, version, *_ = name.split("-")
    lines = ["Metadata-Version: 2.1", f"Name: {distribution}", f"Version: {version}"]
    lines += [f"Requires-Python: {python}"] if python else []
    with zipfile.ZipFile(folder / name, "w") as archive:
        text = "\n".join([*lines, *(f"Requires-Dist: {text}" for text in requires)]) + "\n"
        archive.writestr(f"{distribution}-{version}.dist-info/METADATA", text)
        archive.writestr(f"{distribution}-{version}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        if vendored:
            archive.writestr(vendored, "Metadata-Version: 2.1\nName: another\nVersion: 9\n")
    return folder / name
