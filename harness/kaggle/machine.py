"""What this machine has for a run: packages, GPUs, processor, disks, and what a Kaggle kernel mounts in it.

Nothing heavy is imported for it: torch alone takes seconds.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import __version__, files
from harness.data import entries, locate

NEEDED = ("torch", "torchvision", "timm", "segmentation-models-pytorch", "albumentations", "optuna", "scikit-learn")
OPTIONAL = ("kaggle", "kagglesdk", "py7zr", "tenacity")
LITTLE = 5_000_000_000  # bytes of disk: pictures of a competition take more, unpacked and decoded


@dataclass(frozen=True)
class Line:
    """One finding: what was looked at, whether it is well, what was found, what to do."""

    what: str
    ok: bool
    found: str
    fix: str = ""

    def text(self) -> str:
        """As the terminal shows it."""
        return f"{'ok  ' if self.ok else 'todo'}  {self.what}: {self.found}{f'; {self.fix}' if self.fix else ''}"


def versions() -> Iterator[Line]:
    """The harness, Python, and the packages: found by their metadata, as importing torch takes seconds."""
    yield Line("versions", True, f"harness {__version__}, Python {platform.python_version()}, {platform.platform()}")
    for what, names, fix in (
        ("packages", NEEDED, "pip install harness"),
        ("Kaggle's client", OPTIONAL, "pip install 'harness[kaggle]'"),
    ):
        held = {name: _version(name) for name in names}
        lacking = [name for name, version in held.items() if version is None]
        words = ", ".join(f"{name} {version or 'is not there'}" for name, version in held.items())
        yield Line(what, not lacking, words, fix if lacking else "")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def gpus() -> Line:
    """The GPUs that the driver shows, with the number formats they compute in.

    Source: compute capability 7.0 has tensor cores for fp16, 8.0 for bf16 (CUDA C++ Programming Guide, 17).
    """
    program = shutil.which("nvidia-smi")
    none = "none, runs use the processor"
    if program is None:
        return Line("GPUs", True, none)
    fields = "--query-gpu=name,memory.total,memory.free,compute_cap"
    try:
        asked = [program, fields, "--format=csv,noheader,nounits"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True)
        rows = [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines() if line.strip()]
        shown = [_shown(*row) for row in rows]
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as error:
        return Line("GPUs", False, f"nvidia-smi fails ({' '.join(str(error).split())[:200]})", "mend the driver")
    if not shown:
        return Line("GPUs", True, none)
    built, words = cuda_of_torch(), "; ".join(shown)
    if not built:
        return Line(
            "GPUs", False, f"{words}; but this torch is built for processors only", "install one built for CUDA"
        )
    return Line("GPUs", True, f"{words}; torch is built for CUDA {built}")


def cuda_of_torch() -> str:
    """The CUDA version that torch is built for, as its own file says; empty of one for processors, or of none."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return ""
    try:
        text = (Path(found.origin).parent / "version.py").read_text()
    except OSError:
        return ""
    named = re.search(r"^cuda\b.*= '([\d.]+)'", text, re.MULTILINE)
    return named[1] if named else ""


def _shown(name: str, total: str, free: str, capability: str) -> str:
    """One GPU; memory in MiB."""
    generation = float(capability)
    formats = "fp16 and bf16" if generation >= 8 else "fp16" if generation >= 7 else "fp32 only at full speed"
    memory = f"{float(total) / 1024:.0f} GiB, {float(free) / 1024:.0f} free"
    return f"{name}, {memory}, compute capability {capability}: {formats}"


def processor() -> Line:
    """Cores that this process may use, and memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        memory = f"{pages / 2**30:.0f} GiB of memory"
    except (ValueError, OSError, AttributeError):
        memory = "memory unknown"
    return Line("processor", True, f"{cores} cores, {memory}")


def disks(cache: Path, free: files.FreeSpace) -> Iterator[Line]:
    """Room for data here, and for what is derived of it in the cache."""
    for what, folder, fix in (
        ("disk here", Path.cwd(), "free some space, or work on another disk"),
        ("disk of the cache", cache, "free some space, or give --cache DIR"),
    ):
        room = free(folder)
        enough = room >= LITTLE
        yield Line(what, enough, f"{entries.amount(room)} free at {folder}", "" if enough else fix)


def kernel() -> Line:
    """Whether this is a Kaggle kernel, and what is mounted in it."""
    kind = os.environ.get("KAGGLE_KERNEL_RUN_TYPE")
    inputs = locate.inputs()
    held = [path for folder in (inputs, inputs / "competitions", *inputs.glob("datasets/*")) for path in _in(folder)]
    mounted = sorted(path.relative_to(inputs).as_posix() for path in held if path.name not in locate.GROUPS)
    if not kind and not mounted:
        return Line("Kaggle kernel", True, "no")
    shown = ", ".join(mounted[:20]) + (f" and {len(mounted) - 20} more" if len(mounted) > 20 else "")
    words = f"{kind or 'no'}; mounted in {inputs}: {shown or 'nothing'}"
    return Line("Kaggle kernel", bool(mounted), words, "" if mounted else "add the competition's data to the kernel")


def _in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
