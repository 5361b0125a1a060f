"""The adapter in a bundle: the user's own file, which must be importable with nothing beside it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import harness
from harness import registry
from harness.errors import BundleError
from harness.submission import writer

SECONDS = 60.0  # that an adapter may take to be imported
PACKAGES = ("site-packages", "dist-packages")
# without the working directory, PYTHONPATH and what .pth files name: none of these is on Kaggle
ALONE = ("-I", "-S", "-B")
IMPORTED = """
import sys
from importlib import util

file, root, *installed = sys.argv[1:]
sys.path += installed
sys.path.insert(0, root)
import competitions, harness
sys.path.remove(root)  # both are known now; what else lies there is not Kaggle's
found = util.spec_from_file_location("local_competition", file)
module = util.module_from_spec(found)
sys.modules["local_competition"] = module
found.loader.exec_module(module)
"""


def copy(name: str, data: Path) -> list[str]:
    """Copies an adapter of the user's own; the distributions that bring one, where it is an entry point's.

    Raises:
        BundleError: it needs a file that is not in the bundle.
    """
    place = registry.places().get(name)
    if place is None:  # a built-in one
        return []
    if place.entry is not None:
        return [place.entry.dist.name] if place.entry.dist else []
    assert place.file is not None, "a place is a file or an entry point"
    if not registry.is_shipped(place.file):
        copied = data / "competitions" / place.file.name
        writer.copy(place.file, copied)
        _check_alone(copied, place.file)
    return []


def _check_alone(copied: Path, own: Path) -> None:
    """Imports the copy in a process that sees the installed packages and nothing else."""
    root = Path(harness.__file__).resolve().parents[1]
    installed = [path for path in sys.path if Path(path).name in PACKAGES]
    command = [sys.executable, *ALONE, "-c", IMPORTED, str(copied.absolute()), str(root), *installed]
    fix = "put what it needs into its own file, or into an installed package that brings the adapter"
    with tempfile.TemporaryDirectory() as elsewhere:
        try:
            done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired as error:
            raise BundleError(f"is not imported in {SECONDS:.0f} s", file=own, fix=fix) from error
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["no word"]
        raise BundleError(f"does not import in the bundle ({said[-1].strip()[:200]})", file=own, fix=fix)
