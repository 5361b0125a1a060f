"""One file from the model hub, fetched by a child process that is killed when it falls silent.

Why a child: name look-ups and half-open connections can hang where no timeout of the client reaches, and only a
process can be ended for certain. Why it is not simply killed after `timeout` seconds: an encoder weighs 87 MB, and that
rule would throw away every download on a home line. So the child has `timeout` seconds to report the hub's first
answer, and after that the same time from one report of arriving bytes to the next; a hub that does not answer costs
`timeout` seconds, one that sends slowly may take what it needs.

The child runs this file as a script, so that it loads neither torch nor timm. It reports on stdout, one JSON pair
(word, value) a line: asking, answered (bytes or null), grown (bytes), path, missing, failed (reason).
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

START_SECONDS = 60.0  # for Python and the hub's client to load, on a busy machine
LEAVE_SECONDS = 1.0  # from the request to leave to the kill; time for the client to remove its partial file
CHUNK_BYTES = 64 * 1024
SILENCE = {"started": "the hub's client did not start within", "asking": "the hub did not answer within"}
# No token is sent: the weights are public, and a stale one would be refused. Plain HTTP, because only there does the
# file grow as bytes arrive.
CHILD_ENVIRONMENT = {
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}


class NoFileError(Exception):
    """The hub gave no file; the text says why, as a clause ("the hub did not answer within 5 s")."""


def fetch(
    repository: str,
    names: Sequence[str],
    *,
    revision: str = "main",
    timeout: float,
    environment: Mapping[str, str] | None = None,
) -> Path:
    """The path, in the hub client's own cache, of the first of `names` that the repository holds.

    Args:
        repository: "organization/model".
        names: file names, best first.
        revision: branch, tag or commit.
        timeout: seconds of silence after which the child is killed.
        environment: variables set for the child, over this process's own.

    Raises:
        NoFileError: no answer, no such file, or a download that broke off.
    """
    command = [sys.executable, "-P", __file__, repository, revision, str(timeout), *names]
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **CHILD_ENVIRONMENT, **(environment or {})},
        encoding="utf-8",
    )
    try:
        return _listen(child, timeout)
    finally:
        _end(child)


def _listen(child: subprocess.Popen[str], timeout: float) -> Path:
    """The path that the child reports last."""
    reports: queue.Queue[tuple[str, Any]] = queue.Queue()
    assert child.stdout is not None, "the child's reports are read from a pipe"
    threading.Thread(target=_read, args=(child.stdout, reports), daemon=True).start()
    last, patience = "started", START_SECONDS
    while True:
        try:
            word, value = reports.get(timeout=patience)
        except queue.Empty:
            raise NoFileError(f"{SILENCE.get(last, 'the hub sent nothing for')} {patience:g} s") from None
        if word == "path":
            return Path(value)
        if word == "missing":
            raise NoFileError(f"the hub holds no {value}")
        if word == "failed":
            raise NoFileError(f"the hub could not be used ({value})")
        if word == "ended":
            raise NoFileError("the process that asked the hub ended without a word")
        last, patience = word, timeout


def _read(stream: IO[str], reports: queue.Queue[tuple[str, Any]]) -> None:
    """Passes the child's reports on, and ("ended", None) when there will be no more."""
    with stream:
        for line in stream:
            word, value = json.loads(line)
            reports.put((word, value))
    reports.put(("ended", None))


def _end(child: subprocess.Popen[str]) -> None:
    """Ends the child for certain; asked first, so that it removes what it has half downloaded."""
    child.terminate()
    try:
        child.wait(LEAVE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


# ---- the child: everything below runs in its own process


def _report(word: str, value: Any = None) -> None:
    print(json.dumps([word, value]), flush=True)


def _leave(number: int, frame: object) -> NoReturn:
    raise SystemExit(1)


def _failed(kind: type[BaseException], error: BaseException, trace: object) -> None:
    """Reports what ended the child: its first line, because the client's messages go on for paragraphs."""
    words = str(error).strip().splitlines()
    _report("failed", f"{kind.__name__}: {words[0]}" if words else kind.__name__)


def _watch(folder: Path) -> None:
    """Reports whenever the unfinished downloads in `folder` have changed in size."""
    before = 0
    while True:
        time.sleep(0.2)
        now = 0
        for path in folder.glob("blobs/*.incomplete"):
            try:
                now += path.stat().st_size
            except FileNotFoundError:  # finished between the listing and the look
                continue
        if now != before:
            _report("grown", now)
        before = now


def main(repository: str, revision: str, timeout: str, *names: str) -> None:
    """Downloads the first of `names` that exists and reports its path."""
    signal.signal(signal.SIGTERM, _leave)
    sys.excepthook = _failed
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.file_download import repo_folder_name
    from huggingface_hub.utils import EntryNotFoundError

    # The client writes 10 MB at a time, which on a slow line looks like silence.
    constants.DOWNLOAD_CHUNK_SIZE = CHUNK_BYTES
    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type="model")
    _report("asking")
    for name in names:
        try:
            # Twice the parent's patience: it is the parent that decides, this only keeps an orphan from waiting on.
            url = hf_hub_url(repository, name, revision=revision)
            metadata = get_hf_file_metadata(url, timeout=2 * float(timeout))
        except EntryNotFoundError:
            continue
        _report("answered", metadata.size)
        threading.Thread(target=_watch, args=(folder,), daemon=True).start()
        _report("path", hf_hub_download(repository, name, revision=revision))
        return
    _report("missing", " or ".join(names))


if __name__ == "__main__":
    main(*sys.argv[1:])
