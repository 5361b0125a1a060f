"""What a kernel's image has: its Python, the wheels that fit it, and the packages that are there already."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging import tags
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from harness.errors import BundleError

PYTHON = (3, 12)
LIBC = (2, 28)  # older than the image's own: a wheel that needs a newer one is refused
SHIPPED = Path(__file__).with_name("image.txt")
# the image's own third number changes: what holds for one of these ends only is taken as the stricter of both
ENDS = ("3.12.0", "3.12.99")
# what markers see there; source: PEP 508, "Environment Markers"
MARKERS = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_release": "",
    "platform_system": "Linux",
    "platform_version": "",
    "python_version": "3.12",
    "sys_platform": "linux",
}


@dataclass(frozen=True)
class Image:
    """The packages of an image.

    Attributes:
        source: where the list is from, for messages.
        versions: canonical name -> version; None where the list names none.
    """

    source: str
    versions: Mapping[NormalizedName, Version | None]

    def meets(self, requirement: Requirement) -> bool:
        """Whether the image satisfies a requirement; a version that is not known is taken as new enough."""
        name = canonicalize_name(requirement.name)
        if name not in self.versions:
            return False
        version = self.versions[name]
        return version is None or requirement.specifier.contains(version, prereleases=True)


def read(path: Path | None = None) -> Image:
    """The image of a `pip freeze`, or the shipped one: `name==version`, `name @ address` or `name` a line.

    Raises:
        BundleError: unreadable, or a line that is none of these.
    """
    path = path or SHIPPED
    fix = "give what `pip freeze` printed in a kernel"
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"unreadable ({error})", file=path, fix=fix) from error
    versions: dict[NormalizedName, Version | None] = {}
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].partition(";")[0].strip()
        # comments; editable installs, whose name is not told; what pip says beside the list
        if not text or text.startswith(("-", "WARNING:", "DEPRECATION:", "[notice]")):
            continue
        found = re.fullmatch(r"([A-Za-z0-9._-]+?)\s*(?:===\s*(?P<any>\S+)|==\s*(?P<version>\S+)|@.*)?", text)
        try:
            if found is None:
                raise InvalidVersion(text)
            version = found["version"] or (found["any"] if _is_version(found["any"]) else None)
            versions[canonicalize_name(found[1])] = None if version is None else Version(version)
        except InvalidVersion as error:
            raise BundleError(f"'{text[:60]}' is no line of a freeze", file=path, row=number, fix=fix) from error
    if canonicalize_name("torch") not in versions:
        raise BundleError("lists no torch, so it is no kernel's", file=path, fix=fix)
    return Image("the shipped list" if path == SHIPPED else str(path), versions)


def _is_version(text: str | None) -> bool:
    """Whether what stands behind `===` is a version as others are; it may be anything."""
    try:
        return text is not None and bool(Version(text))
    except InvalidVersion:
        return False


def applies(requirement: Requirement, extras: Iterable[str] = ()) -> bool:
    """Whether a requirement can hold on the kernel's Python, for a package that was asked for with these extras."""
    marker = requirement.marker
    seen = [{**MARKERS, "python_full_version": end, "implementation_version": end} for end in ENDS]
    return marker is None or any(
        marker.evaluate({**there, "extra": extra}) for there in seen for extra in ("", *extras)
    )


def runs(python: SpecifierSet) -> bool:
    """Whether the kernel's Python, whatever its third number, is one that a wheel asks for."""
    return all(python.contains(end) for end in ENDS)


def fits(wheel_tags: frozenset[tags.Tag]) -> bool:
    """Whether a wheel of these tags installs on the kernel's Python (PEP 425; PEP 600 for manylinux).

    A plain `linux_x86_64` does not: it does not say how new a C library it needs.
    """
    major, newest = LIBC
    platforms = [f"manylinux_{major}_{minor}_x86_64" for minor in range(newest, 4, -1)]
    platforms += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"]
    allowed = {*tags.cpython_tags(PYTHON, ["cp312"], platforms), *tags.compatible_tags(PYTHON, "cp312", platforms)}
    return not allowed.isdisjoint(wheel_tags)


def requirement_of(text: str, place: str) -> Requirement:
    """The requirement that a line of a package's metadata states.

    Raises:
        BundleError: it is none.
    """
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        raise BundleError(f"{place} requires '{text}', which is no requirement", fix="give another --wheels") from error
