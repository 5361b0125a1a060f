"""A real PostgreSQL for tests: on a temporary folder and a free port of the loopback, thrown away at the end."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ACCOUNT = "postgres"  # what Debian's package creates; a server refuses to run as root
# a test's database need not outlive the machine's power
FAST = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200 -c shared_buffers=32MB"


def programs() -> Path | None:
    """The folder of initdb and pg_ctl: the newest that is installed, else what the search path has."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    named = shutil.which("initdb")
    return found[-1].parent if found else None if named is None else Path(named).resolve().parent


@contextmanager
def server(programs: Path) -> Iterator[str]:
    """The address of a server's first database while the server runs, without a password."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # a short path: that of a socket has a hundred letters at most
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, ACCOUNT)
        data, port = folder / "data", _free_port()
        _run(programs / "initdb", "-D", data, "-U", ACCOUNT, "--auth=trust", "--no-sync", "-E", "UTF8", cwd=folder)
        how = f"-h 127.0.0.1 -p {port} -k {folder} {FAST}"
        _run(programs / "pg_ctl", "-D", data, "-o", how, "-l", folder / "log", "-w", "-t", "60", "start", cwd=folder)
        try:
            yield f"postgresql://{ACCOUNT}@127.0.0.1:{port}/postgres"
        finally:
            _run(programs / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop", cwd=folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(*words: object, cwd: Path) -> None:
    """A server's program, as a user without privileges where the tests have them."""
    account = ["runuser", "-u", ACCOUNT, "--"] if os.geteuid() == 0 else []
    # the server that pg_ctl leaves behind must not hold a pipe of this process
    log = cwd / "output"
    with open(log, "wb") as output:
        ended = subprocess.run([*account, *map(str, words)], cwd=cwd, stdout=output, stderr=output, check=False)
    assert ended.returncode == 0, f"{words[0]} ended with {ended.returncode}: {log.read_text()[-2000:]}"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def database(address: str, name: str) -> str:
    """The address of a new, empty database on the same server."""
    import psycopg

    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]  # a name made here
    return f"{address.rpartition('/')[0]}/{name}"
