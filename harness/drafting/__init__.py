"""Drafts of adapters: a data folder is looked at, and what it seems to be is written down as code to be mended."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness import files, registry
from harness.drafting import writing
from harness.drafting.sniffing import sniff
from harness.errors import ConfigError, DataError


@dataclass(frozen=True)
class Drafted:
    """What was written: the adapter, its tests, and sentences on what was decided and why."""

    adapter: Path
    tests: Path
    told: tuple[str, ...]


def draft(slug: str, folder: Path, *, into: Path) -> Drafted:
    """Writes `<into>/competitions/<slug>.py` and `<into>/tests/test_<slug>.py` for the data in `folder`.

    Raises:
        ConfigError: a slug that can name no file, or that is taken; nothing is overwritten.
        DataError: no folder, or data that fits no draft; says what was found and what is expected.
    """
    name = registry.normal(slug)
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise ConfigError(f"'{slug}' is no name", fix="letters, digits and single dashes, as in my-pictures")
    if name in registry.names() or name in registry.BUILT_IN:
        raise ConfigError(f"there is a competition '{name}' already", fix="choose another name")
    stem = name.replace("-", "_")
    adapter, tests = into / "competitions" / f"{stem}.py", into / "tests" / f"test_{stem}.py"
    for path in (adapter, tests):
        if path.exists():
            raise ConfigError(f"{path} exists", fix="choose another name, or remove the file")
    if not folder.is_dir():
        fix = "give the unpacked data folder" if folder.exists() else "give the data folder"
        raise DataError("no folder", file=folder, fix=fix)
    found = sniff(folder)
    files.write_text(adapter, writing.adapter(name, found))
    files.write_text(tests, writing.tests(name))
    return Drafted(adapter, tests, found.told)
