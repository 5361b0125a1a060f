"""A list of addresses becomes class folders: against a real server on loopback that behaves as servers do."""

from __future__ import annotations

import io
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness import listing, registry
from harness.data import addresses, download
from harness.data.download import Manners
from harness.data.pictures import read_picture
from harness.errors import DataError
from harness.pipeline.preparation import World, data_root

FAST = Manners(timeout=0.3, retries=2, wait=0.01, pause=0.0, largest=100_000)


def picture(shade: int, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((24, 32, 3), shade, np.uint8)).save(buffer, format=kind)
    return buffer.getvalue()


class Handler(BaseHTTPRequestHandler):
    """What a path gives: /busy answers at the second request, /slow after its client has left."""

    asked: Counter[str]
    agents: set[str]

    def do_GET(self) -> None:
        self.asked[self.path] += 1
        self.agents.add(self.headers["User-Agent"])
        name = self.path.strip("/").split("/")[0]
        if name == "busy" and self.asked[self.path] == 1:
            return self.answer(b"", 503, {"Retry-After": "0"})
        if name == "tired":
            return self.answer(b"", 429, {"Retry-After": "3600"})
        if name == "slow":
            time.sleep(0.6)
        contents = {
            "page": b"<!doctype html><html><body>removed</body></html>",
            "cut": picture(9)[:300],
            "gif": picture(40, "GIF"),
            "large": b"\xff\xd8" + bytes(200_000),
        }
        if name == "short":
            return self.answer(picture(9)[:300], 200, {"Content-Length": "4000"})
        if name == "gone":
            return self.answer(b"", 404, {})
        return self.answer(contents.get(name, picture(len(self.path) * 5)), 200, {})

    def answer(self, body: bytes, status: int, headers: dict[str, str]) -> None:
        try:
            self.send_response(status)
            for key, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has left, as it should

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, Counter[str], set[str]]]:
    """(address, requests of each path, user agents) of a server on a free port."""
    asked, agents = Counter[str](), set[str]()
    handler = type("Own", (Handler,), {"asked": asked, "agents": agents})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", asked, agents
        running.shutdown()
        thread.join()


def fetch(place: Path, tmp_path: Path, manners: Manners = FAST) -> Path:
    return download.fetch(
        place, cache=tmp_path / "cache", say=print, progress=World(tmp_path).progress, manners=manners
    )


def lists(folder: Path, **classes: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, urls in classes.items():
        (folder / f"{name}.txt").write_text("\n".join(urls) + "\n")
    return folder


def reasons(target: Path) -> dict[str, str]:
    columns = listing.read_all(target / "failed.csv")
    return dict(zip([url.rsplit("/", 1)[1] for url in columns["url"]], columns["reason"], strict=True))


def test_what_is_a_picture_is_kept_and_the_rest_is_listed_with_its_reason(server, tmp_path: Path) -> None:
    url, asked, agents = server
    bad = ["gone", "page", "cut", "short", "slow", "large", "tired"]
    cats = [f"{url}/{name}" for name in ["a", "busy", "a", "gif", *bad, "both"]]
    place = lists(tmp_path / "lists", cats=cats, dogs=[f"{url}/dog", f"{url}/both"])
    target = fetch(place, tmp_path)
    kept = sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.parent != target)
    assert [name.split("-")[0] + name[-4:] for name in kept] == [
        "cats/00000.jpg", "cats/00001.jpg", "cats/00002.png", "dogs/00010.jpg",
    ]  # fmt: skip
    assert all(read_picture(target / name, 3).shape == (24, 32, 3) for name in kept)
    found = reasons(target)
    assert found["gone"] == "404 Not Found"
    assert found["page"] == "a web page, no picture"
    assert found["cut"].startswith("unreadable or truncated picture")
    assert found["short"] == "the answer broke off"
    assert found["slow"] == "no answer in time"
    assert found["large"] == "larger than 0 MB"
    assert found["tired"] == "429 Too Many Requests, to be asked again in 3600 s"
    assert found["both"] == "stands under cats and dogs"
    assert set(found) == {*bad, "both"}
    assert asked["/a"] == 1  # although the list names it twice
    assert asked["/busy"] == 2
    assert (asked["/gone"], asked["/tired"], asked["/both"]) == (1, 1, 0)
    assert (asked["/slow"], asked["/short"]) == (3, 3)
    assert all(agent.startswith("harness/") for agent in agents)


def test_a_finished_download_asks_nobody_and_removing_failed_csv_asks_for_the_failed_alone(
    server, tmp_path: Path
) -> None:
    url, asked, _ = server
    place = lists(tmp_path / "lists", cats=[f"{url}/a", f"{url}/gone"], dogs=[f"{url}/dog"])
    target = fetch(place, tmp_path)
    assert fetch(place, tmp_path) == target
    assert asked == {"/a": 1, "/gone": 1, "/dog": 1}
    (target / "failed.csv").unlink()
    assert fetch(place, tmp_path) == target
    assert asked == {"/a": 1, "/gone": 2, "/dog": 1}


def test_requests_to_one_host_keep_a_pause(server, tmp_path: Path) -> None:
    url, _, _ = server
    place = lists(tmp_path / "lists", cats=[f"{url}/a", f"{url}/b"], dogs=[f"{url}/dog"])
    began = time.monotonic()
    fetch(place, tmp_path, Manners(pause=0.1))
    assert time.monotonic() - began >= 0.2


def test_a_host_that_never_answers_is_left_alone_and_without_any_picture_nothing_counts_as_done(tmp_path: Path) -> None:
    dead = "http://127.0.0.1:1"  # nobody listens on port 1
    place = lists(tmp_path / "lists", cats=[f"{dead}/{n}" for n in range(40)], dogs=[f"{dead}/dog"])
    with pytest.raises(DataError, match=r"no picture of 41; http://127.0.0.1:1/0: no answer \("):
        fetch(place, tmp_path, Manners(wait=0.01, retries=1, pause=0.01))
    assert not list((tmp_path / "cache").rglob("failed.csv"))


@pytest.mark.parametrize(
    "text",
    [
        "label,url\ncat,{0}/a\ndog,{0}/b\n",
        "url,id,class\r\n{0}/a,1,cat\r\n{0}/b,2,dog\r\n",
        "\ufeffcat,{0}/a\n\ndog,{0}/b\n",
        "{0}/a,cat\n# a note\n{0}/b,dog\n",
    ],
)
def test_one_table_of_labels_and_addresses_is_read_in_any_order(text: str, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(text.format("http://x"), encoding="utf-8")
    assert addresses.is_list(tmp_path / "list.csv")
    assert addresses.read(tmp_path / "list.csv")[0] == [("cat", "http://x/a"), ("dog", "http://x/b")]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("http://x/a\nhttp://x/b\n", "a list of a single class"),
        ("label,url\n../cat,http://x/a\n", "cannot name a folder"),
        ("label,url\n,http://x/a\n", "cannot name a folder"),
        ("http://x/a\nftp://x/b\n", "list.csv, row 2: 'ftp://x/b' is no address"),
    ],
)
def test_a_list_that_cannot_be_followed_says_which_row(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(DataError, match=problem):
        addresses.read(tmp_path / "list.csv")


def test_a_folder_of_pictures_or_a_table_of_names_is_no_list(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("image,label\n1.jpg,cat\n")
    assert not addresses.is_list(tmp_path)
    (tmp_path / "cat").mkdir()
    (tmp_path / "train.csv").write_text("http://x/a\n")
    assert not addresses.is_list(tmp_path)


def test_a_competition_of_labels_downloads_the_list_it_is_given(server, tmp_path: Path) -> None:
    url, _, _ = server
    place = lists(tmp_path / "lists", cat=[f"{url}/a"], dog=[f"{url}/bb"])
    settings = {"sample": False, "sample_rows": 0, "seed": 0, "world": World(tmp_path / "cache")}
    root = data_root(registry.load("folder"), data=place, **settings)
    rows = registry.load("folder").train(root)
    assert rows["label"] == ["cat", "dog"]
    assert data_root(registry.load("gemstone-price"), data=place, **settings) == place
