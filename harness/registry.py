"""Which competitions there are: files in `competitions/`, in `./competitions/`, entry points, and built-in ones.

The file name is the registration; dashes and underscores are equal. Names are listed without importing anything, and
only the competition asked for is imported: a broken one breaks itself alone.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

import competitions as shipped
from harness.competition import Competition
from harness.errors import CompetitionError

GROUP = "harness.competitions"
# for data of one's own: no adapter file, not among `names`
BUILT_IN = {"folder": "harness.builtin.folder"}


@dataclass(frozen=True)
class Place:
    """Where an adapter comes from: a file, or an entry point of an installed package."""

    file: Path | None = None
    entry: EntryPoint | None = None


def places() -> dict[str, Place]:
    """Name (with dashes) -> place, shipped ones first; nothing is imported."""
    found: dict[str, Place] = {}
    folders = [Path(path).resolve() for path in shipped.__path__]
    for folder in [*folders, Path("competitions").resolve()]:
        for file in sorted(folder.glob("*.py")):
            if not file.name.startswith("_"):
                found.setdefault(normal(file.stem), Place(file=file))
    for entry in entry_points(group=GROUP):
        found.setdefault(normal(entry.name), Place(entry=entry))
    return found


def names() -> list[str]:
    """All names but those of `BUILT_IN`, sorted; nothing is imported."""
    return sorted(places())


def normal(name: str) -> str:
    """The name with dashes, in lower case."""
    return name.strip().lower().replace("_", "-")


def resolve(name: str) -> str:
    """The full name of a name or of a prefix that fits one competition only.

    Raises:
        CompetitionError: none, or several.
    """
    known, wanted = names(), normal(name)
    if wanted in known or wanted in BUILT_IN:
        return wanted
    starting = [candidate for candidate in known if candidate.startswith(wanted)] if wanted else []
    if len(starting) == 1:
        return starting[0]
    if starting:
        raise CompetitionError(f"'{name}' fits {', '.join(starting)}", fix="give more letters")
    parts = {part: candidate for candidate in (*BUILT_IN, *known) for part in (candidate, *candidate.split("-"))}
    close = difflib.get_close_matches(wanted, list(parts), n=1, cutoff=0.6)
    hint = f"did you mean '{parts[close[0]]}'?" if close else f"known: {', '.join(known)}"
    raise CompetitionError(f"no competition '{name}'", fix=hint)


def load(name: str) -> Competition:
    """The competition of that name (or unique prefix); imports only its own module.

    Raises:
        CompetitionError: no such name, or an adapter that does not import or declares no such competition.
    """
    full = resolve(name)
    if full in BUILT_IN:
        return importlib.import_module(BUILT_IN[full]).competition
    place = places()[full]
    where = place.file or (place.entry.value if place.entry else full)
    try:
        found = place.entry.load() if place.entry else _module(full, place.file)
    except (Exception, SystemExit) as error:  # whatever a third party's module does at import, told with its file
        fix = "mend the adapter; `harness check` walks through it"
        raise CompetitionError(f"does not import ({type(error).__name__}: {error})", file=where, fix=fix) from error
    competition = found if isinstance(found, Competition) else getattr(found, "competition", None)
    if not isinstance(competition, Competition):
        raise CompetitionError("declares no `competition`", file=where, fix="end with `competition = Competition(...)`")
    if competition.name != full:
        fix = f"name the file {competition.name.replace('-', '_')}.py, or the competition '{full}'"
        raise CompetitionError(f"is called '{competition.name}'", file=where, fix=fix)
    return competition


def is_shipped(file: Path) -> bool:
    """Whether an adapter's file comes with the harness, and not from the working directory."""
    return file.parent in [Path(path).resolve() for path in shipped.__path__]


def _module(name: str, file: Path | None) -> ModuleType:
    assert file is not None, "a place is a file or an entry point"
    if is_shipped(file):
        return importlib.import_module(f"competitions.{file.stem}")
    # one of the working directory: registered under a name of its own, so that its functions pickle
    module_name = f"local_competition_{file.stem}"
    specification = importlib.util.spec_from_file_location(module_name, file)
    assert specification is not None, f"no specification for {file}"
    assert specification.loader is not None, f"no loader for {file}"
    module = importlib.util.module_from_spec(specification)
    sys.modules[module_name] = module
    try:
        specification.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module
