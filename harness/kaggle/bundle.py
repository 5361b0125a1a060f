"""A folder ready to upload: what the kernel lacks, the run, and a kernel that uses both.

<out>/bundle.json   what `harness push` reads
<out>/dataset/      dataset-metadata.json, wheels/, run/, and where needed competitions/ and encoder/
<out>/kernel/       kernel-metadata.json, notebook.ipynb, script.py
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import files, registry, runs
from harness.hashing import hash_value, sha256_of
from harness.kaggle import adapter, carried, image, metadata, notebook, wheels
from harness.kaggle.metadata import Mode, Names
from harness.kaggle.pages import Page, page_of
from harness.kaggle.place import SCHEMA, read, replacing

__all__ = ["Wanted", "make", "read"]
# the client's default, "skip", leaves folders out without a word; a zip is a folder again where Kaggle mounts it
DIR_MODE = "zip"


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes:
        owner: Kaggle user name.
        mode: "predict" writes the submission from the run's weights, "run" trains anew with the run's configuration.
        accelerator: "none", "t4x2" or Kaggle's name of a machine; None for one like the run's.
        freeze: `pip freeze` of a kernel; None for the shipped list.
        wheels: a folder of wheels to take instead of fetching.
    """

    owner: str
    mode: Mode = "predict"
    accelerator: str | None = None
    freeze: Path | None = None
    wheels: Path | None = None


def make(run: runs.Run, wanted: Wanted, out: Path | None = None) -> dict[str, Any]:
    """Writes the bundle of a run into a folder (`<run>/bundle`), in place of an earlier one; returns bundle.json.

    Raises:
        BundleError: a run, wheels or a folder that cannot be used so.
    """
    settings = run.settings()
    competition = registry.load(settings["competition"])
    page = page_of(competition)
    part = carried.of(run, wanted.mode)
    # of the name of a copy, or of when it was bundled, the names say nothing: the same run is the same data set
    digest = hash_value([part.texts, settings.get("data_hash")])[:6]
    names = metadata.names_of(wanted.owner, competition.name, digest, wanted.mode)
    machine = metadata.machine_of(wanted.accelerator, part.device)
    has = image.read(wanted.freeze)
    with replacing(out or run.path / "bundle") as folder:
        data = folder / "dataset"
        part.write(data)
        also = adapter.copy(competition.name, data)
        brought = wheels.gather(has, data / "wheels", given=wanted.wheels, also=also)
        _write_kernel(folder / "kernel", names, page, machine=machine, mode=wanted.mode, competition=competition.name)
        described = (
            f"Made by `harness bundle` ({wanted.mode}) from the run {run.path.absolute().name} of {competition.title}."
        )
        files.write_json(data / "dataset-metadata.json", metadata.dataset(names, competition.name, described))
        facts = {
            "schema": SCHEMA,
            "run": str(run.path),
            "competition": competition.name,
            "source": {"kind": page.kind if page else "", "reference": page.ref if page else ""},
            "mode": wanted.mode,
            "owner": names.owner,
            "dataset": names.dataset_id,
            "kernel": names.kernel_id,
            "dir_mode": DIR_MODE,
            "convert_to_csv": False,  # the client's default rewrites tables
            "machine_shape": machine,
            "image": has.source,
            "bytes": {name: _bytes(folder / name) for name in ("dataset", "kernel")},
            "wheels": [{"file": wheel.path.name, "sha256": sha256_of(wheel.path)} for wheel in brought],
        }
        files.write_json(folder / "bundle.json", facts)
    return {**facts, "bundle": str(out or run.path / "bundle")}


def _write_kernel(folder: Path, names: Names, page: Page | None, *, machine: str, mode: Mode, competition: str) -> None:
    """The notebook, the script, and what Kaggle is told of them."""
    settings = {"MODE": mode, "COMPETITION": competition, "BUNDLE": names.dataset_id}
    made = notebook.cells({**settings, "KIND": page.kind if page else "", "REFERENCE": page.ref if page else ""})
    files.write_json(folder / metadata.NOTEBOOK, notebook.notebook(made))
    files.write_text(folder / metadata.SCRIPT, notebook.script(made))
    files.write_json(folder / "kernel-metadata.json", metadata.kernel(names, page, machine))


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
