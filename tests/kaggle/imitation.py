"""An imitation of a kernel: input, working, a Python of its own, and no network."""

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

Layout = Literal["older", "newer", "packed"]
LEFT_OUT = ("harness", "competitions", "segmentation_models_pytorch", "_harness", "__editable__", "__pycache__")
# the kernel's Python, and every process it starts, notes and refuses each Internet socket
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
ALONE = ["unshare", "--net", "--mount"]
LOCKED = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'


@dataclass(frozen=True)
class Kernel:
    """A folder that stands for /kaggle.

    Attributes:
        root: holds input, working, the Python, and the log of sockets.
    """

    root: Path

    @property
    def submission(self) -> Path:
        return self.root / "working" / "submission.csv"

    @property
    def python(self) -> Path:
        return self.root / "python"

    @property
    def sockets(self) -> str:
        log = self.root / "sockets.log"
        return log.read_text() if log.exists() else ""


def start(root: Path) -> Kernel:
    """An empty kernel whose Python sees what this one sees, but for the harness and what its image lacks."""
    for name in ("input", "working", "kernels/kernels/python3", "seen", "temporary"):
        (root / name).mkdir(parents=True)
    kernel = Kernel(root)
    venv.create(kernel.python, symlinks=True, with_pip=False)
    (own,) = (kernel.python / "lib").glob("python3*/site-packages")
    for folder in {_folder_of("torch"), _folder_of("ipykernel")}:
        for entry in folder.iterdir():
            target = root / "seen" / entry.name
            if not entry.name.startswith(LEFT_OUT) and not target.exists():
                target.symlink_to(entry)
    (own / "seen.pth").write_text(f"{root / 'seen'}\n")
    (own / "sitecustomize.py").write_text(WATCH.format(log=str(root / "sockets.log")))
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
    """The command with no network and an input that nobody may write, not even root."""
    return [*ALONE, "sh", "-c", LOCKED, str(kernel.root / "input"), *command]


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
