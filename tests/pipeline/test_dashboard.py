"""Optuna's own dashboard opens a run's study."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.search import study
from harness.search.book import LOOK, Book
from harness.search.branch import Outcome
from harness.search.sampled import idle


@contextmanager
def served(journal: Path) -> Iterator[str]:
    """The dashboard of a journal file on a free port; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["--host", "127.0.0.1", "--port", str(port), "--server", "wsgiref", "--quiet"]
    start = "from optuna_dashboard._cli import main; main()"
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", start, str(journal), *words]) as server:
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def asked(address: str, *, patience: float = 60) -> Any:
    """The JSON at an address, once somebody answers there."""
    for _ in range(int(patience / 0.2)):
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.URLError:
            time.sleep(0.2)
    raise AssertionError(f"nobody answers at {address}")


def test_the_dashboard_shows_every_trial_with_its_intermediate_values(tmp_path: Path) -> None:
    book = Book(study.opened("diamonds", tmp_path / "study.log", higher_is_better=False, **idle()))
    for rate, steps, seen in ((3e-3, 400, {}), (3e-3, 800, {500: 2.0})):
        trial = book.claim(f"{rate}/{steps}", {"rate": rate, "epochs": steps / 100}, LOOK, seen=seen, steps=steps)
        assert trial is not None
        trial.report(1000 / steps, steps * 10 // 8)
        book.tell(trial, Outcome(-1000 / steps, 0.5))
    with served(tmp_path / "study.log") as address:
        (shown,) = asked(f"{address}/api/studies")["study_summaries"]
        assert shown["study_name"] == "diamonds"
        trials = asked(f"{address}/api/studies/{shown['study_id']}?after=0")["trials"]
    assert [trial["state"] for trial in trials] == ["Complete", "Complete"]
    assert [trial["values"] for trial in trials] == [[2.5], [1.25]]
    assert [value["step"] for value in trials[1]["intermediate_values"]] == [500, 1000]
