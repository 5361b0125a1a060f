"""What Kaggle is told of a bundle: names, sources, and both metadata files with every field written.

Sources: the client's own checks (kaggle 2.2.5, `kernels_push`, `dataset_create_new`, `dataset_metadata_update`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from harness.errors import BundleError
from harness.kaggle import credentials
from harness.kaggle.pages import Page

Mode = Literal["predict", "run"]
T4X2 = "NvidiaTeslaT4"  # Kaggle's name of the machine with two of them
NOTEBOOK, SCRIPT = "notebook.ipynb", "script.py"


@dataclass(frozen=True)
class Names:
    """What the two uploads are called: titles that Kaggle turns into exactly these slugs.

    Attributes:
        owner: Kaggle user name.
        dataset, kernel: slugs of 6 to 50 letters.
    """

    owner: str
    dataset: str
    kernel: str

    @property
    def dataset_id(self) -> str:
        return f"{self.owner}/{self.dataset}"

    @property
    def kernel_id(self) -> str:
        return f"{self.owner}/{self.kernel}"


def names_of(owner: str, competition: str, digest: str, mode: Mode) -> Names:
    """Names that are the same for the same run and mode, and others for any other."""
    words = re.sub(r"[^a-z0-9]+", "-", competition.lower()).strip("-")
    short = words if len(words) <= 24 else words[:24].rpartition("-")[0] or words[:24]
    return Names(owner, f"harness-{short}-{digest}", f"harness-{short}-{digest}-{mode}")


def title_of(slug: str) -> str:
    """The title whose slug is this one."""
    return slug.replace("-", " ")


def owner_of(named: str | None, environment: Mapping[str, str] | None = None) -> str:
    """The Kaggle user name: as named, else KAGGLE_USERNAME, else whose credential is found.

    Raises:
        BundleError: none of these, or no user name.
    """
    environment = os.environ if environment is None else environment
    found = named or environment.get("KAGGLE_USERNAME")
    if not found:
        credential = credentials.find(environment)
        found = credential.user if credential else None
    fix = "give --owner with the user name of your Kaggle account"
    if not found:
        raise BundleError("whose bundle is it? No --owner, no KAGGLE_USERNAME, no credential with a name", fix=fix)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", found):
        raise BundleError(f"'{found}' is no Kaggle user name", fix=fix)
    return found


def machine_of(accelerator: str | None, device: str) -> str:
    """Kaggle's name of the machine, or "" for a CPU; without a word one like what the run used.

    Raises:
        BundleError: no name of a machine, or a TPU, which the harness does not use.
    """
    if accelerator is None:
        return T4X2 if device == "cuda" else ""
    known = {"none": "", "t4x2": T4X2}
    if accelerator.lower() in known:
        return known[accelerator.lower()]
    fix = "choose none, t4x2, or Kaggle's own name of a machine, such as NvidiaL4"
    if accelerator.lower().startswith("tpu"):
        raise BundleError(f"--accelerator {accelerator}: the harness runs on no TPU", fix=fix)
    if not re.fullmatch(r"Nvidia\w+", accelerator):
        raise BundleError(f"--accelerator {accelerator}: Kaggle has no machine of that name", fix=fix)
    return accelerator


def kernel(names: Names, page: Page | None, machine: str) -> dict[str, Any]:
    """kernel-metadata.json: private, no internet, the image kept as it is when the kernel is first pushed."""
    return {
        "id": names.kernel_id,
        "title": title_of(names.kernel),
        "code_file": NOTEBOOK,
        "language": "python",
        "kernel_type": "notebook",
        "is_private": True,
        "enable_gpu": bool(machine),
        "enable_tpu": False,
        "enable_internet": False,  # the client's own default is true
        "machine_shape": machine,
        "dataset_sources": [names.dataset_id, *([page.ref] if page and page.kind == "dataset" else [])],
        "competition_sources": [page.ref] if page and page.kind == "competition" else [],
        "kernel_sources": [],
        "model_sources": [],
        "keywords": [],
        "docker_image": None,  # not known before a kernel has run
        "docker_image_pinning_type": "original",
    }


def dataset(names: Names, competition: str, description: str) -> dict[str, Any]:
    """dataset-metadata.json: private, one licence; "other", for weights may not be freer than the data they saw."""
    return {
        "id": names.dataset_id,
        "title": title_of(names.dataset),
        "subtitle": f"Wheels and a trained run for {competition}"[:80],
        "description": description,
        "isPrivate": True,
        "licenses": [{"name": "other"}],
        "keywords": [],
        "resources": [],
        "collaborators": [],
        "expectedUpdateFrequency": "never",
        "userSpecifiedSources": "",
    }
