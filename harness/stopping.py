"""Signals that ask a run to end: the first lets it come to a good place, the second ends it where it stands."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

from harness.errors import Stopped

# Ctrl-C, what systems and batch queues send before they kill, a terminal that is closed
ASKING = tuple(number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)))


class AtOnce(KeyboardInterrupt):
    """A second signal: it may come in the middle of a step, so that nothing more is kept."""


@dataclass
class Stop:
    """Whether this process was asked to end.

    Attributes:
        by: name of the first signal; empty while there was none.
    """

    by: str = ""

    def check(self) -> None:
        """Asked between two pieces of work, where all that is done can be kept.

        Raises:
            Stopped: a signal came.
        """
        if self.by:
            raise Stopped(f"stopped by {self.by}", fix="go on with: harness resume RUN")


@contextmanager
def signals(*, ignored: tuple[int, ...] = (), led: bool = False) -> Iterator[Stop]:
    """Yields what the first signal sets; a second one raises AtOnce wherever the process is.

    Outside the main thread, which alone hears signals, nothing changes.

    Args:
        ignored: signals that another process answers.
        led: by another process, which says what it hears, and kills this one where it does not end.
    """
    stop = Stop()

    def hear(number: int, frame: FrameType | None) -> None:
        if stop.by and led:
            return
        if stop.by:
            raise AtOnce
        stop.by = signal.Signals(number).name
        if led:
            return
        # past all buffers, as a handler may interrupt whoever holds them; the terminal may be what is gone
        with suppress(OSError):
            os.write(2, f"\n{stop.by}: finishing the step and saving; once more ends it at once\n".encode())

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    found: dict[int, Any] = {number: signal.getsignal(number) for number in ASKING}
    # what was ignored when the process began stays so: nohup, and Ctrl-C of what runs in the background of a script
    before = {number: was for number, was in found.items() if was is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, signal.SIG_IGN if number in ignored else hear)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
