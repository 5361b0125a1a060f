"""Which process this is, on which machine, so that another one can see whether it still lives."""

from __future__ import annotations

import functools
import os
import socket
from pathlib import Path

PROC = Path("/proc")


def own() -> str:
    """This process by name: machine, number, and when it was started (numbers come again)."""
    return f"{machine()}/{os.getpid()}/{started(os.getpid()) or '?'}"


def alive(name: str) -> bool | None:
    """Whether a process that `own` named still lives; None where this one cannot see it."""
    place, _, rest = name.partition("/")
    number, _, since = rest.partition("/")
    if place != machine() or not since or since == "?" or not number.isdigit():
        return None
    return started(int(number)) == since


@functools.cache
def machine() -> str:
    """The machine since its last start, and what of its processes is seen from here; of containers each its own."""
    words = [socket.gethostname()]
    for read in (lambda: (PROC / "sys/kernel/random/boot_id").read_text().strip()[:8], _namespace):
        try:
            words.append(read())
        except OSError:  # no Linux: the name alone, and nothing is said about its processes
            continue
    return ":".join(words)


def _namespace() -> str:
    return os.readlink(PROC / "self/ns/pid").strip("pid:[]")


def started(number: int) -> str | None:
    """When a process was started, in ticks; None where there is none, or it has ended and waits to be collected."""
    try:
        words = (PROC / str(number) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if words[0] in ("Z", "X") else words[19]
