"""The wheels that a kernel lacks: found, checked by their tags, and resolved against what its image has."""

from __future__ import annotations

import email
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, NormalizedName, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from harness import files
from harness.errors import BundleError
from harness.kaggle import image as images
from harness.kaggle import packing
from harness.kaggle.image import Image

# what else in an image is compiled against, and what fits its driver: a bundle never replaces it
KEPT = frozenset(map(canonicalize_name, ("torch", "torchvision", "triton", "numpy")))
METADATA = re.compile(r"[^/]+\.dist-info/METADATA")


@dataclass(frozen=True)
class Wheel:
    """A wheel file and what its name and its metadata say."""

    path: Path
    name: NormalizedName
    version: Version
    tags: frozenset[Tag]
    requires: tuple[Requirement, ...]
    python: SpecifierSet

    def needs(self, extras: Iterable[str]) -> list[Requirement]:
        """What it requires on the kernel's Python, asked for with these extras."""
        return [wanted for wanted in self.requires if images.applies(wanted, extras)]

    def meets(self, requirement: Requirement) -> bool:
        """Whether its version is one that a requirement (of this package) allows."""
        return requirement.specifier.contains(self.version, prereleases=True)


def read(path: Path) -> Wheel:
    """A wheel file, opened.

    Raises:
        BundleError: no wheel.
    """
    try:
        name, version, _, tags = parse_wheel_filename(path.name)
        with zipfile.ZipFile(path) as archive:
            (inner,) = filter(METADATA.fullmatch, archive.namelist())  # not that of another, which it may bring along
            facts = email.message_from_bytes(archive.read(inner))
        python = SpecifierSet(str(facts.get("Requires-Python") or ""))
    except (InvalidWheelFilename, OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise BundleError(f"is no wheel ({error})", file=path, fix="give another, or leave it out") from error
    lines = facts.get_all("Requires-Dist") or []
    requires = tuple(images.requirement_of(str(line), path.name) for line in lines)
    return Wheel(path, name, version, tags, requires, python)


def gather(image: Image, into: Path, *, given: Path | None = None, also: Sequence[str] = ()) -> list[Wheel]:
    """The project's own wheel and every other that the image lacks, in `into`; the project's first.

    Args:
        given: a folder of wheels to take instead of fetching.
        also: distributions beside the harness itself, such as one that brings an adapter.

    Raises:
        BundleError: a wheel that is not to be had or does not fit, or requirements that nothing meets.
    """
    into.mkdir(parents=True, exist_ok=True)
    first = read(packing.own_wheel(into))
    found, waiting = {first.name: first}, [*first.needs(()), *map(Requirement, also)]
    own, asked = frozenset(map(canonicalize_name, also)), dict[NormalizedName, frozenset[str]]()
    while waiting:
        wanted = waiting.pop(0)
        name = canonicalize_name(wanted.name)
        if name in found:  # perhaps with extras that nobody asked for before
            more = frozenset(wanted.extras) - asked.get(name, frozenset())
            asked[name] = asked.get(name, frozenset()) | more
            waiting += found[name].needs(more) if more else []
            continue
        if image.meets(wanted):
            continue
        if name in KEPT:
            has = image.versions.get(name, "no version")
            fix = "choose a newer image, and give its `pip freeze` with --image"
            raise BundleError(f"{image.source} has {has} of {name}, and {wanted} is needed", fix=fix)
        found[name] = wheel = _wheel(wanted, into, given, public=name not in own)
        asked[name] = frozenset(wanted.extras)
        waiting += wheel.needs(wanted.extras)
    check(list(found.values()), image)
    return list(found.values())


def check(wheels: Iterable[Wheel], image: Image) -> None:
    """Holds wheels against the kernel's Python, and their requirements against each other and the image.

    Raises:
        BundleError: names every wheel of another platform, or every requirement that is not met.
    """
    wheels = list(wheels)
    strange = [wheel.path.name for wheel in wheels if not images.fits(wheel.tags) or not images.runs(wheel.python)]
    if strange:
        problem = f"not for CPython 3.12 on x86_64 Linux: {', '.join(strange)}"
        raise BundleError(problem, fix="give wheels for the kernel's Python with --wheels")
    brought = {wheel.name: wheel for wheel in wheels}
    unmet = []
    for wheel, extras in _asked(brought):
        for wanted in wheel.needs(extras):
            other = brought.get(canonicalize_name(wanted.name))
            if not (other.meets(wanted) if other else image.meets(wanted)):
                unmet.append(f"{wheel.name} needs {wanted.name}{wanted.specifier}")
    if unmet:
        fix = "give other versions with --wheels, or the image's own `pip freeze` with --image"
        raise BundleError(f"neither the wheels nor {image.source} meet: {', '.join(unmet)}", fix=fix)


def _asked(brought: Mapping[NormalizedName, Wheel]) -> Iterator[tuple[Wheel, frozenset[str]]]:
    """Each wheel with the extras that it is asked for with by any of them."""
    extras: dict[NormalizedName, frozenset[str]] = dict.fromkeys(brought, frozenset())
    before = None
    while before != extras:  # an extra may ask for a package with an extra
        before = dict(extras)
        for wanted in (wanted for name, wheel in brought.items() for wanted in wheel.needs(before[name])):
            name = canonicalize_name(wanted.name)
            if name in brought:
                extras[name] |= wanted.extras
    yield from ((wheel, extras[name]) for name, wheel in brought.items())


def _wheel(wanted: Requirement, into: Path, given: Path | None, *, public: bool) -> Wheel:
    """The wheel of one requirement: given, else as installed here, else fetched in the version installed here.

    What is not public, or was installed from a place of the user's own, is not fetched: who has its name on an index
    may be anybody.
    """
    if given is not None:
        fitting = [wheel for wheel in _named(given, wanted) if images.fits(wheel.tags) and wheel.meets(wanted)]
        if fitting:
            best = max(fitting, key=lambda wheel: wheel.version)
            files.write_bytes(into / best.path.name, best.path.read_bytes())
            return read(into / best.path.name)
    try:
        installed = metadata.distribution(wanted.name)
    except metadata.PackageNotFoundError:
        installed = None
    if installed is not None and wanted.specifier.contains(installed.version, prereleases=True):
        packed = packing.pack(installed, into)
        if packed is not None:
            return read(packed)
        wanted = Requirement(f"{wanted.name}=={installed.version.partition('+')[0]}")
    if not public or (installed is not None and installed.read_text("direct_url.json") is not None):
        problem = f"{wanted.name} was installed from a place of your own and cannot be packed again"
        raise BundleError(
            problem, fix=f"build its wheel, and give the folder with --wheels: {wanted.name} is not fetched"
        )
    if given is not None:
        fix = f"put a wheel of {wanted.name} for Python 3.12 into it"
        raise BundleError(f"has no wheel that meets {wanted.name}{wanted.specifier}", file=given, fix=fix)
    return read(packing.fetch(wanted, into))


def _named(folder: Path, wanted: Requirement) -> list[Wheel]:
    """The wheels of a package in a folder."""
    name = canonicalize_name(wanted.name)
    paths = sorted(folder.glob("*.whl"))
    return [read(path) for path in paths if canonicalize_name(path.name.partition("-")[0]) == name]
