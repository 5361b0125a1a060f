"""A Kaggle of the tests' own: it speaks the client's protocol over a real socket, and fails when it is told to.

Calls are `POST /v1/<service>/<method>` with JSON and answer JSON; files come from `GET /files/...` (with Range),
uploads go to `PUT /upload/...` (with Content-Range). Read from kagglesdk 0.1.38 and the client's requests.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from tests.kaggle import world

PAGE = 20
Kind = Literal[
    "refuse",
    "page",
    "cut",
    "cut after",
    "half",
    "half silent",
    "silent",
    "silent after",
    "kill",
    "kill after",
    "refuse after",
    "page after",
    "redirect after",
    "held",
]


@dataclass
class Fault:
    """What goes wrong with calls of one kind.

    Attributes:
        method: of the API, or "upload", "files".
        kind: "refuse" with `code`; "page" answers 200 with a proxy's web page; "cut" and "silent" (for `seconds`)
            before anything is done, with "after" when all is done; "half" of the answer's body, with "silent" before
            the connection ends.
            "held" stays open until the client gives up; "redirect after" leads to where nobody listens.
        times: how often, once it begins.
        skip: calls that go well first.
        code: of a refusal.
        message: of a refusal.
        headers: of a refusal.
        seconds: of silence.
        process: that is killed, by "kill" before anything is done, by "kill after" when all is.
    """

    method: str
    kind: Kind = "refuse"
    times: int = 1
    skip: int = 0
    code: int = 500
    message: str = "something broke"
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 2.0
    process: int = 0


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, code: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.headers = code, message, headers or {}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    kaggle: world.Kaggle
    faults: list[Fault]
    lock: threading.Lock

    def handle(self) -> None:
        with suppress(ConnectionResetError):  # by a client that does not read to the end
            super().handle()

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        method = self.path.rsplit("/", 1)[1]
        self._answered(method, lambda: self._call(method, json.loads(content or b"{}")))

    def do_PUT(self) -> None:
        name = "upload" if int(self.headers.get("Content-Length") or 0) else "upload state"
        self._answered(name, self._upload)

    def do_GET(self) -> None:
        self._answered("files", self._file)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def _answered(self, method: str, work: Any) -> None:
        with self.lock:
            self.kaggle.calls.append(method)
            fault = next((each for each in self.faults if each.method == method), None)
            if fault is not None and fault.skip:
                fault.skip -= 1
                fault = None
            elif fault is not None:
                fault.times -= 1
                if not fault.times:
                    self.faults.remove(fault)
        kind = fault.kind if fault else ""
        if fault and kind == "kill":
            os.kill(fault.process, signal.SIGKILL)
            return self._close()
        if fault and kind == "held":  # open, and silent, for as long as the client stands it
            self.connection.settimeout(fault.seconds)
            with suppress(TimeoutError, OSError):
                self.kaggle.calls.append("given up" if self.connection.recv(1) == b"" else "spoken to")
            return self._close()
        if fault and kind in ("silent", "cut"):
            time.sleep(fault.seconds if kind == "silent" else 0)
            return self._close()
        try:
            if fault and kind == "refuse":
                raise Refused(fault.code, fault.message, fault.headers)
            if kind == "page":
                return self._send(200, b"<html>log in to the proxy</html>", {"Content-Type": "text/html"})
            with self.lock:
                code, body, headers = work()
            if fault and kind == "refuse after":
                raise Refused(fault.code, fault.message, fault.headers)
            if kind == "page after":
                return self._send(200, b"<html>log in to the proxy</html>", {"Content-Type": "text/html"})
            if kind == "redirect after":
                return self._send(302, b"", {"Location": "http://127.0.0.1:9/gone"})
        except (Refused, world.Refused) as refused:
            words = json.dumps({"code": refused.code, "message": refused.message}).encode()
            headers = {"Content-Type": "application/json", **getattr(refused, "headers", {})}
            return self._send(refused.code, words, headers)
        if fault and kind == "kill after":
            os.kill(fault.process, signal.SIGKILL)
            return self._close()
        if fault and kind in ("silent after", "cut after"):
            time.sleep(fault.seconds if kind == "silent after" else 0)
            return self._close()
        pause = fault.seconds if fault and kind == "half silent" else 0
        return self._send(code, body, headers, half=kind.startswith("half"), pause=pause)

    def _close(self) -> None:
        self.close_connection = True
        self.connection.close()

    def _send(self, code: int, body: bytes, headers: dict[str, str], *, half: bool = False, pause: float = 0) -> None:
        try:
            self.send_response(code)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if half else body)
            self.wfile.flush()
            time.sleep(pause)
        except (BrokenPipeError, ConnectionResetError):
            half = True
        if half:
            self._close()

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The server's own Date, whose clock may be wrong."""
        return super().date_time_string(self.kaggle.now() if timestamp is None else timestamp)

    def _call(self, method: str, request: dict[str, Any]) -> tuple[int, bytes, dict[str, str]]:
        given = self.headers.get("Authorization") or ""
        if method != "IntrospectToken" and given != self._wanted(given):
            raise Refused(401, "Unauthorized access")
        place = f"http://{self.headers['Host']}"
        answer = getattr(self.kaggle, method)(request)
        if isinstance(answer, world.Redirect):
            return 302, b"", {"Location": f"{place}{answer.path}"}
        text = json.dumps(answer).replace("{place}", place)
        return 200, text.encode(), {"Content-Type": "application/json"}

    def _wanted(self, given: str) -> str:
        if given.startswith("Bearer "):
            return f"Bearer {self.kaggle.token}"
        return "Basic " + base64.b64encode(f"{self.kaggle.user}:{self.kaggle.key}".encode()).decode()

    def _upload(self) -> tuple[int, bytes, dict[str, str]]:
        blob = self.kaggle.blobs.get(self.path.removeprefix("/upload/"))
        if blob is None:
            raise Refused(404, "expired")
        span = self.headers.get("Content-Range") or ""
        length = int(self.headers.get("Content-Length") or 0)
        if span.startswith("bytes */"):  # how much is there?
            if len(blob.content) == blob.length:
                return 200, b"", {}
            held = {"Range": f"bytes=0-{len(blob.content) - 1}"} if blob.content else {}
            return 308, b"", held
        start = int(span.removeprefix("bytes ").split("-")[0]) if span else 0
        blob.content = blob.content[:start] + self.rfile.read(length)
        return (200 if len(blob.content) == blob.length else 503), b"", {}

    def _file(self) -> tuple[int, bytes, dict[str, str]]:
        content = self.kaggle.file(self.path.removeprefix("/files/").split("?")[0])
        if content is None:
            raise Refused(404, "no such file")
        tag = f'"{hashlib.md5(content).hexdigest()}"'
        headers = {"Accept-Ranges": "bytes", "ETag": tag, "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        headers |= self.kaggle.file_headers
        span, tag = self.headers.get("Range"), headers["ETag"]
        if span is None or self.headers.get("If-Range", tag) != tag or not self.kaggle.ranges:
            return 200, content, headers
        start = int(span.removeprefix("bytes=").rstrip("-"))
        if start >= len(content):
            raise Refused(416, "past the end")
        self.kaggle.gone_on.append((start, len(content) - start))
        return 206, content[start:], {**headers, "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}


@contextmanager
def served(kaggle: world.Kaggle, faults: list[Fault]) -> Iterator[str]:
    """Yields the address of a running server."""
    handler = type("Bound", (Handler,), {"kaggle": kaggle, "faults": faults, "lock": threading.Lock()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
