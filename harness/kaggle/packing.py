"""Where wheels come from: built from the checkout, packed again from what is installed, or fetched by pip."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

import harness
from harness import files
from harness.errors import BundleError
from harness.kaggle.image import LIBC, PYTHON

EPOCH = 1_580_601_600  # the time of all files in a wheel: equal sources make equal bytes; hatchling's own default
SECONDS = 120.0  # that pip or the builder may take
OWN = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json", "uv_cache.json"}  # the installer's, not the wheel's


def own_wheel(into: Path) -> Path:
    """The project's own wheel: built from the checkout it runs from, else packed again from its installation.

    Raises:
        BundleError: the builder is missing or fails, or the installation was changed.
    """
    root = Path(harness.__file__).resolve().parents[1]
    if _is_checkout(root):
        return build(root, into)
    packed = pack(metadata.distribution("harness"), into)
    if packed is None:
        raise BundleError("the installed harness is no pure wheel", file=root, fix="install it anew from its wheel")
    return packed


def _is_checkout(root: Path) -> bool:
    project = root / "pyproject.toml"
    return project.exists() and tomllib.loads(project.read_text("utf-8")).get("project", {}).get("name") == "harness"


def build(root: Path, into: Path) -> Path:
    """The wheel of a checkout, by the build backend in a process of its own.

    Raises:
        BundleError: the builder is missing or fails.
    """
    with tempfile.TemporaryDirectory(dir=into) as scratch:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(Path(scratch).absolute())]
        fix = "install the dev extra (hatchling), or install the harness from a wheel"
        _called(command, what="the harness's own wheel cannot be built", fix=fix, cwd=root)
        return _moved(Path(scratch), into)


def pack(distribution: metadata.Distribution, into: Path) -> Path | None:
    """The py3-none-any wheel of an installed distribution, of exactly the files that its RECORD lists.

    None where it is not pure Python or not complete: compiled, editable, with files outside its folder.
    Source: the binary distribution format (PEP 427), "The .dist-info directory" and "Signed wheel files".

    Raises:
        BundleError: a file is not what was installed.
    """
    facts = (distribution.read_text("WHEEL") or "").splitlines()
    listed = distribution.files
    if "Tag: py3-none-any" not in facts or "Root-Is-Purelib: true" not in facts or not listed:
        return None
    scripts = {entry.name for entry in distribution.entry_points if entry.group.endswith("_scripts")}
    content: dict[str, bytes] = {}
    for path in listed:
        name = path.as_posix()
        if path.name in OWN or path.suffix == ".pyc" or (".." in path.parts and path.name in scripts):
            continue  # made anew where the wheel is installed
        if path.hash is None or path.hash.mode != "sha256" or ".." in path.parts or path.suffix == ".pth":
            return None
        content[name] = _read(distribution, path)
    folder = next(name.split("/")[0] for name in content if name.endswith(".dist-info/WHEEL"))
    target = into / f"{folder.removesuffix('.dist-info')}-py3-none-any.whl"
    lines = [f"{name},sha256={_digest(content[name])},{len(content[name])}" for name in sorted(content)]
    content[f"{folder}/RECORD"] = ("\n".join([*lines, f"{folder}/RECORD,,"]) + "\n").encode()
    with files.replacing(target) as handle, zipfile.ZipFile(handle, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(content, key=lambda name: (name.startswith(folder), name)):  # metadata last, as PEP 427 asks
            entry = zipfile.ZipInfo(name, (2020, 2, 2, 0, 0, 0))
            entry.external_attr, entry.compress_type = 0o100644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, content[name])
    return target


def _read(distribution: metadata.Distribution, path: metadata.PackagePath) -> bytes:
    """The bytes of an installed file, as they were installed."""
    fix = f"install {distribution.name} {distribution.version} anew, or give its wheel with --wheels"
    try:
        content = path.read_binary()
    except OSError as error:
        raise BundleError(f"unreadable ({error.strerror})", file=str(path.locate()), fix=fix) from error
    if path.hash is None or _digest(content) != path.hash.value:
        raise BundleError("was changed since it was installed", file=str(path.locate()), fix=fix)
    return content


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def fetch(requirement: Requirement, into: Path) -> Path:
    """The wheel that pip, as the user has configured it, finds for the kernel's Python.

    Raises:
        BundleError: none is found, or not in time.
    """
    text = f"{requirement.name}{requirement.specifier}"
    major, newest = LIBC
    platforms = [f"manylinux_{major}_{newest}_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64"]
    with tempfile.TemporaryDirectory(dir=into) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
        command += ["--disable-pip-version-check", "--retries", "1", "--timeout", "10", "--dest", scratch]
        command += ["--python-version", ".".join(map(str, PYTHON)), "--implementation", "cp", "--abi", "cp312"]
        command += [word for platform in platforms for word in ("--platform", platform)]
        fix = "put that wheel into a folder and give it with --wheels"
        _called([*command, text], what=f"no wheel of {text} for Python 3.12 from pip", fix=fix)
        return _moved(Path(scratch), into)


def _called(command: list[str], *, what: str, fix: str, cwd: Path | None = None) -> None:
    """Runs a command to its end; its last line of complaint becomes the error."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)}
    try:
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise BundleError(f"{what} in {SECONDS:.0f} s", fix=fix) from error
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()] or ["no word"]
        raise BundleError(f"{what} ({said[-1].strip()[:200]})", fix=fix)


def _moved(scratch: Path, into: Path) -> Path:
    """The one wheel in a folder, moved."""
    (wheel,) = scratch.glob("*.whl")
    return Path(shutil.move(wheel, into / wheel.name))
