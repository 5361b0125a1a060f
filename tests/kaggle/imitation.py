"""An imitation of a kernel: input, working, a Python of its own, and no network.

Where this user may have name spaces, no process in it has a network or sees the checkout, the run and the user's
folder. Beyond that, and alone elsewhere, every Internet socket that its Python opens is noted and refused; what is not
Python, or another Python, is not.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import harness

Layout = Literal["older", "newer", "packed"]
LEFT_OUT = ("harness", "competitions", "segmentation_models_pytorch", "_harness", "__editable__", "__pycache__")
# in the kernel's Python, whoever starts it
WATCH = """
import socket, sys

def watch(event, arguments):
    asked = event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
    opened = event == "socket.__new__" and arguments[1] in (socket.AF_INET, socket.AF_INET6)
    # pip asks at its import whether there is IPv6 at all; that is refused too, and reaches nothing
    probe = opened and getattr(sys._getframe(1).f_back, "f_code", watch.__code__).co_name == "_has_ipv6"
    if (asked or opened) and not probe:
        with open({log!r}, "a") as log:
            log.write(f"{{event}} {{arguments[1:]}} {{sys.argv}}\\n")
    if asked or opened:
        raise OSError(f"a kernel has no Internet: {{event}}")

sys.addaudithook(watch)
"""
# Unix sockets: Jupyter itself needs no Internet socket
DRIVER = """
import sys
import nbformat
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

book = nbformat.read(sys.argv[1], as_version=4)
manager = KernelManager(kernel_name="python3", transport="ipc", ip=sys.argv[2])
NotebookClient(book, km=manager, timeout=120).execute()
texts = [output.get("text", "") for cell in book.cells for output in cell.get("outputs", [])]
print("".join(texts))
"""
# each process that has the harness says at its end where from
WATCH += """
import atexit

def told():
    if "harness" in sys.modules:
        with open({told!r}, "a") as log:
            log.write(f"{{sys.modules['harness'].__file__}}\\n")

atexit.register(told)
"""
ALONE = ["unshare", "--net", "--mount"]
# the input is locked; what is hidden is empty, but for the Python at hand and its packages, which come back into it
LOCKED = """
set -e
lock() { mount --bind "$1" "$1"; mount -o remount,ro,bind "$1"; }
lock "$0"
aside=$1; shift
kept=$1; shift
number=0
for place in $kept; do number=$((number + 1)); mkdir -p "$aside/$number"; mount --bind "$place" "$aside/$number"; done
while [ "$1" != -- ]; do mount -t tmpfs hidden "$1"; shift; done
shift
number=0
for place in $kept; do number=$((number + 1)); mkdir -p "$place"; mount --bind "$aside/$number" "$place"; done
cd "$PWD"  # else what lay there before is still seen
exec "$@"
"""


@dataclass(frozen=True)
class Kernel:
    """A folder that stands for /kaggle.

    Attributes:
        root: holds input, working, the Python, and the logs of what its processes did.
        hidden: folders that it must not see: the checkout, the user's own, and what a test adds.
    """

    root: Path
    hidden: tuple[Path, ...]

    @property
    def submission(self) -> Path:
        return self.root / "working" / "submission.csv"

    @property
    def python(self) -> Path:
        return self.root / "python"

    @property
    def harness(self) -> set[Path]:
        """Where its processes imported the harness from."""
        log = self.root / "harness.log"
        return set(map(Path, log.read_text().splitlines())) if log.exists() else set()

    @property
    def sockets(self) -> str:
        log = self.root / "sockets.log"
        return log.read_text() if log.exists() else ""


def start(root: Path, *hidden: Path) -> Kernel:
    """An empty kernel whose Python sees what this one sees, but for the harness and what its image lacks."""
    places = [Path(harness.__file__).parents[1], Path.home(), *hidden]
    places = [place.resolve() for place in places if place.is_dir()]
    for name in ("input", "working", "kernels/kernels/python3", "seen", "temporary"):
        (root / name).mkdir(parents=True)
    # a folder that holds the kernel itself, or lies in another that is hidden, is none of them
    apart = {place for place in places if not root.resolve().is_relative_to(place)}
    kernel = Kernel(root, tuple(sorted(place for place in apart if not apart & set(place.parents))))
    venv.create(kernel.python, symlinks=True, with_pip=False)
    (own,) = (kernel.python / "lib").glob("python3*/site-packages")
    for folder in {_folder_of("torch"), _folder_of("ipykernel")}:
        for entry in folder.iterdir():
            target = root / "seen" / entry.name
            if not entry.name.startswith(LEFT_OUT) and not target.exists():
                target.symlink_to(entry)
    (own / "seen.pth").write_text(f"{root / 'seen'}\n")
    (own / "sitecustomize.py").write_text(WATCH.format(log=str(root / "sockets.log"), told=str(root / "harness.log")))
    command = [str(kernel.python / "bin" / "python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    facts = {"argv": command, "display_name": "Python 3", "language": "python"}
    (root / "kernels/kernels/python3/kernel.json").write_text(json.dumps(facts))
    return kernel


def _folder_of(package: str) -> Path:
    found = importlib.util.find_spec(package)
    assert found is not None, f"{package} is not installed"
    assert found.origin is not None, f"{package} is no package"
    return Path(found.origin).parents[1]


def upload(bundle: Path, kernel: Kernel, layout: Layout) -> None:
    """Mounts the data set of a bundle as Kaggle does after an upload with `dir_mode` "zip"."""
    owner, _, slug = json.loads((bundle / "bundle.json").read_text())["dataset"].partition("/")
    target = kernel.root / "input" / (slug if layout == "older" else f"datasets/{owner}/{slug}")
    target.mkdir(parents=True)
    for folder in (bundle / "dataset").iterdir():  # the metadata file itself is not uploaded
        if folder.is_dir():
            packed = shutil.make_archive(str(target / folder.name), "zip", folder)
            if layout != "packed":
                shutil.unpack_archive(packed, target / folder.name)
                Path(packed).unlink()


def isolated() -> bool:
    """Whether this user may have a network and mounts of its own."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*ALONE, "true"], capture_output=True, timeout=20).returncode == 0


def cut_off(command: list[str], kernel: Kernel) -> list[str]:
    """The command with no network, an input that nobody may write, not even root, and hidden folders empty."""
    kept = {Path(sys.prefix), Path(sys.base_prefix), _folder_of("torch"), _folder_of("ipykernel")}
    kept = {place for place in kept if any(place.absolute().is_relative_to(hidden) for hidden in kernel.hidden)}
    assert not any(" " in str(place) for place in kept), "the Python of these tests lies in a folder with a space"
    words = [" ".join(map(str, sorted(kept))), *map(str, kernel.hidden), "--"]
    return [*ALONE, "sh", "-c", LOCKED, str(kernel.root / "input"), str(kernel.root / "aside"), *words, *command]


def execute(bundle: Path, kernel: Kernel) -> str:
    """Runs the notebook of a bundle in a kernel and returns what it printed.

    Raises:
        AssertionError: it ended with an error; the message has its words.
    """
    driver = kernel.root / "driver.py"
    driver.write_text(DRIVER)
    kept = ("PATH", "HOME", "LANG", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment["PATH"] = f"{kernel.python / 'bin'}{os.pathsep}{environment['PATH']}"
    environment |= {"HARNESS_KAGGLE": str(kernel.root), "JUPYTER_PATH": str(kernel.root / "kernels")}
    environment |= {"TMPDIR": str(kernel.root / "temporary"), "PIP_CONFIG_FILE": os.devnull}
    with tempfile.TemporaryDirectory(prefix="k", dir="/tmp") as short:  # a Unix socket's path has 108 bytes at most
        environment |= {"JUPYTER_RUNTIME_DIR": short, "IPYTHONDIR": short}
        command = [sys.executable, str(driver), str(bundle / "kernel" / "notebook.ipynb"), f"{short}/k"]
        command = cut_off(command, kernel) if isolated() else command
        done = subprocess.run(
            command, env=environment, cwd=kernel.root / "working", capture_output=True, text=True, timeout=200
        )
    assert done.returncode == 0, done.stderr[-3000:] + kernel.sockets
    return done.stdout
