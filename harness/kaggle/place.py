"""The folder of a bundle: what is one, and how a new one takes the place of an earlier one and of nothing else."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from harness import files
from harness.errors import BundleError

SCHEMA = 1  # of bundle.json: keys are only added
MADE = frozenset({"bundle.json", "dataset", "kernel"})
KEPT = ("pushed.json", "output")  # what `harness push` adds, and `harness submit` reads


def read(folder: Path) -> dict[str, Any]:
    """bundle.json of a bundle.

    Raises:
        BundleError: no bundle.
    """
    fix = "make one with: harness bundle RUN"
    try:
        facts = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError("is no bundle", file=folder, fix=fix) from error
    if not isinstance(facts, dict) or not all(isinstance(facts.get(name), str) for name in ("dataset", "kernel")):
        raise BundleError("is no bundle", file=folder, fix=fix)
    if facts.get("schema") != SCHEMA:
        raise BundleError("is a bundle of another version", file=folder, fix="make it anew with: harness bundle RUN")
    return facts


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """Yields a new folder that takes the place of `out`, an earlier bundle if anything, when the block ends well.

    What was pushed of the earlier one, and fetched, is carried over.

    Raises:
        BundleError: other things lie there, or it cannot be made.
    """
    out = Path(os.path.abspath(out))
    _check(out)
    unfinished = out.with_name(f".{out.name}.{os.getpid()}.part")
    earlier = out.with_name(f".{out.name}.{os.getpid()}.old.part")
    try:
        unfinished.mkdir(parents=True)
    except OSError as error:
        raise BundleError(f"cannot be made ({error.strerror})", file=out, fix="choose another --out") from error
    try:
        yield unfinished
        _check(out)  # it took its time
        if out.exists():
            for path in (out / name for name in KEPT):
                if path.is_dir():
                    shutil.copytree(path, unfinished / path.name)
                elif path.exists():
                    files.write_bytes(unfinished / path.name, path.read_bytes())
            out.replace(earlier)
        unfinished.replace(out)
        files.sync_folder(out.parent)
    finally:
        for folder in (unfinished, earlier):
            with suppress(OSError):
                shutil.rmtree(folder, ignore_errors=True)


def _check(out: Path) -> None:
    """Refuses a folder that is neither new nor empty nor a bundle, with nothing else in it.

    Raises:
        BundleError: says why it is left alone.
    """
    fix = "choose another --out"
    if out.is_symlink():
        raise BundleError("is a link", file=out, fix="name the folder itself with --out")
    if not out.exists():
        return
    if not out.is_dir():
        raise BundleError("exists and is no bundle", file=out, fix=fix)
    if Path.cwd().is_relative_to(out.resolve()):
        raise BundleError("is the folder you are in, and a bundle replaces its folder", file=out, fix=fix)
    names = {path.name for path in out.iterdir()}
    if not names:
        return
    try:
        read(out)
    except BundleError as error:
        raise BundleError("exists and is no bundle", file=out, fix=fix) from error
    left = {name for name in names if name.startswith(".") and name.endswith((".part", ".tmp"))}
    strange = sorted(names - MADE - {*KEPT} - left)
    if strange:
        problem = f"holds what is no part of a bundle: {', '.join(strange[:5])}"
        raise BundleError(problem, file=out, fix=f"move it away, or {fix}")
