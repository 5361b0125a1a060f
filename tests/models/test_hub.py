"""The hub: its cache, downloads from a server on this machine, and what is told of a hub that fails."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import safetensors.torch
import torch

from harness.models import hub
from harness.models.weights import find, load_encoder
from tests.encoders import SMALL, classifier, mask_encoder

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_auto_takes_what_the_hubs_own_cache_holds(tmp_path: Path) -> None:
    repository = tmp_path / "hub" / f"models--timm--{SMALL}.lamb_in1k"
    path = repository / "snapshots" / COMMIT / "pytorch_model.bin"
    for file, text in ((repository / "refs" / "main", COMMIT), (path, "")):
        file.parent.mkdir(parents=True)
        file.write_text(text)
    environment = {"HF_HUB_CACHE": str(tmp_path / "hub")}
    assert find("auto", SMALL, cache=tmp_path, offline=True, environment=environment).path == path


def test_offline_never_asks_and_remembers_nothing(tmp_path: Path) -> None:
    environment = {"HF_HUB_CACHE": str(tmp_path / "hub")}
    found = find("auto", SMALL, cache=tmp_path, offline=True, environment=environment)
    assert found.told == f"{SMALL} starts from scratch: no local file, and the hub is not asked offline"
    assert not (tmp_path / "weights").exists()


def client(port: int, cache: Path) -> dict[str, str]:
    """The hub client's variables for a hub on this machine."""
    endpoint = f"http://127.0.0.1:{port}"
    return {"HF_ENDPOINT": endpoint, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A listener whose connections are made by the kernel and never answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def test_a_silent_hub_is_left_after_the_timeout_and_not_asked_again_for_a_day(
    silent: socket.socket, tmp_path: Path
) -> None:
    environment = client(silent.getsockname()[1], tmp_path / "hub")
    noon = 1_700_000_000.0

    def ask(at: float, timeout: float = 2.0) -> str:
        return find(
            "auto",
            SMALL,
            cache=tmp_path,
            offline=False,
            timeout=timeout,
            clock=lambda: at,
            environment=environment,
        ).told

    said = f"{SMALL} starts from scratch: no local file, and the hub did not answer within"
    assert ask(noon) == f"{said} 2 s (not tried again for a day)"
    with silent.accept()[0] as connection:
        connection.settimeout(5)
        assert connection.recv(4096).startswith(b"HEAD /timm/")
        assert connection.recv(4096) == b"", "the child still holds its connection"
    assert json.loads((tmp_path / "weights" / f"{SMALL}.failed.json").read_text())["time"] == noon

    assert ask(noon + 86_399) == f"{said} 2 s, less than a day ago"
    with pytest.raises(BlockingIOError):
        silent.accept()

    assert ask(noon + 86_401, timeout=3.0) == f"{said} 3 s (not tried again for a day)"
    silent.accept()[0].close()


def test_a_note_of_a_failure_that_cannot_be_read_does_not_stand_in_the_way(tmp_path: Path) -> None:
    note = tmp_path / "weights" / f"{SMALL}.failed.json"
    note.parent.mkdir()
    note.write_text('{"time": ')
    with socket.create_server(("127.0.0.1", 0)) as listener:
        environment = client(listener.getsockname()[1], tmp_path / "hub")
    # the port is closed again: connecting to it is refused at once
    found = find("auto", SMALL, cache=tmp_path, offline=False, environment=environment)
    assert found.path is None
    assert "the hub could not be used (" in found.told
    assert json.loads(note.read_text())["schema"] == 1


@dataclass
class Hub:
    """A hub of one repository: `files` by name; `pause` seconds between pieces; after `stop` bytes it falls silent."""

    files: dict[str, bytes] = field(default_factory=dict)
    pause: float = 0.0
    stop: int | None = None
    over: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)
    port: int = 0


@pytest.fixture
def loopback() -> Iterator[Hub]:
    """A running `Hub`; it speaks the part of the protocol that a download needs (HEAD, GET, ETag, X-Repo-Commit)."""
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            state.asked.append(f"{self.command} {self.path}")
            content = state.files.get(self.path.rpartition("/")[2])
            self.send_response(404 if content is None else 200)
            self.send_header("X-Repo-Commit", COMMIT)
            if content is None:
                self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("ETag", f'"{hashlib.sha256(content or b"").hexdigest()}"')
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            content = state.files[self.path.rpartition("/")[2]]
            for start in range(0, len(content), 1 << 20):
                if state.stop is not None and start >= state.stop:
                    state.over.wait(30)
                    return
                self.wfile.write(content[start : start + (1 << 20)])
                time.sleep(state.pause)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield state
        state.over.set()
        server.shutdown()
        thread.join()


def test_what_the_hub_delivers_fills_the_encoder_and_is_found_again_offline(loopback: Hub, tmp_path: Path) -> None:
    source = classifier(SMALL)
    loopback.files["model.safetensors"] = safetensors.torch.save(source.state_dict())
    environment = client(loopback.port, tmp_path / "hub")
    found = find("auto", SMALL, cache=tmp_path, offline=False, environment=environment)
    assert found.path is not None
    assert found.told == f"{SMALL} starts from {found.path}, downloaded from timm/{SMALL}.lamb_in1k"
    module = mask_encoder(SMALL, channels=3)
    load_encoder(module, found.path, 3)
    assert torch.equal(module.state_dict()["conv_stem.weight"], source.state_dict()["conv_stem.weight"])
    assert find("auto", SMALL, cache=tmp_path, offline=True, environment=environment).path == found.path


def test_the_second_file_name_is_asked_for_where_the_first_is_missing(loopback: Hub, tmp_path: Path) -> None:
    loopback.files["second"] = b"content"
    path = hub.fetch("a/b", ("first", "second"), timeout=5, environment=client(loopback.port, tmp_path))
    assert path.read_bytes() == b"content"
    assert loopback.asked[0] == "HEAD /a/b/resolve/main/first"


def test_a_repository_without_the_files_is_told(loopback: Hub, tmp_path: Path) -> None:
    with pytest.raises(hub.NoFileError, match="the hub holds no first or second"):
        hub.fetch("a/b", ("first", "second"), timeout=5, environment=client(loopback.port, tmp_path))


def test_a_slow_download_may_take_longer_than_the_timeout(loopback: Hub, tmp_path: Path) -> None:
    loopback.files["slow"], loopback.pause = os.urandom(12 << 20), 0.25
    start = time.monotonic()
    path = hub.fetch("a/b", ("slow",), timeout=2.0, environment=client(loopback.port, tmp_path))
    assert time.monotonic() - start > 2.0
    assert path.read_bytes() == loopback.files["slow"]


def test_a_download_that_stops_is_left_after_the_timeout_and_leaves_no_partial_file(
    loopback: Hub, tmp_path: Path
) -> None:
    loopback.files["half"], loopback.stop = os.urandom(4 << 20), 2 << 20
    with pytest.raises(hub.NoFileError, match="the hub sent nothing for 2 s"):
        hub.fetch("a/b", ("half",), timeout=2.0, environment=client(loopback.port, tmp_path))
    assert not list(tmp_path.rglob("*.incomplete"))
