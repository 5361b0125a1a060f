"""Data arrives whole whatever fails, goes on where it stopped, and is never written over what is the user's."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import signal
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from harness.errors import DataError, NotYetError, ServiceError, SpaceError
from harness.kaggle import downloading, service
from harness.kaggle.arrivals import CHUNK
from harness.kaggle.named import Wanted, meant
from harness.kaggle.pages import Page
from tests.kaggle import world
from tests.kaggle.conftest import QUICK, Given, pointed_at
from tests.kaggle.server import Fault

DATA = Path("data")
TOY = Wanted("toy", Page("competition", "toy"))
NOISE = random.Random(0).randbytes(1_000_000)
FILES = {"train.csv": b"id,price\n" * 500, "pictures/1.bin": NOISE}


def shipped(files: dict[str, bytes]) -> bytes:
    """The zip of all, as Kaggle packs it."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as bundle:
        for name, content in files.items():
            bundle.writestr(zipfile.ZipInfo(name), content)
    return memory.getvalue()


WHOLE = shipped(FILES)


@pytest.fixture
def toy(kaggle: Given) -> Given:
    """A Kaggle whose competition has files."""
    kaggle.kaggle.contests["toy"].files = {**FILES, "toy.zip": WHOLE}
    return kaggle


def fetched(toy: Given, **given: Any) -> downloading.Fetched:
    manners = given.pop("manners", {})
    given = {"into": DATA, "cache": DATA, "say": print, **given}
    return downloading.fetch(toy.connect(**manners), given.pop("wanted", TOY), **given)


def test_the_zip_lies_where_the_harness_looks_and_nothing_else_does(toy: Given) -> None:
    found = fetched(toy)
    assert (found.state, found.path, found.files, found.downloaded) == ("downloaded", DATA / "toy.zip", 2, len(WHOLE))
    assert found.bytes == sum(map(len, FILES.values()))
    assert (DATA / "toy.zip").read_bytes() == WHOLE
    assert sorted(path.name for path in DATA.iterdir()) == [".toy.download.json", ".toy.lock", "toy.zip"]


def test_a_second_call_downloads_nothing(toy: Given) -> None:
    fetched(toy)
    before = (DATA / "toy.zip").stat().st_mtime_ns
    found = fetched(toy)
    assert (found.state, found.downloaded, found.path) == ("there", 0, DATA / "toy.zip")
    assert (DATA / "toy.zip").stat().st_mtime_ns == before


def test_a_new_version_on_kaggle_takes_the_place_of_the_old_one(toy: Given) -> None:
    fetched(toy)
    toy.kaggle.contests["toy"].files["toy.zip"] = newer = shipped({"train.csv": b"new"})
    assert fetched(toy).state == "downloaded"
    assert (DATA / "toy.zip").read_bytes() == newer


# what fails on the way of data that arrives all the same, and how many bytes are asked for again at most
SCENARIOS = {
    "a cut in the middle": [Fault("files", "half")],
    "two cuts in the middle": [Fault("files", "half"), Fault("files", "half", skip=1)],
    "a cut before a byte": [Fault("files", "cut")],
    "a server that falls silent in the middle": [Fault("files", "half silent")],
    "a server that says nothing": [Fault("files", "silent")],
    "429 with Retry-After at the list": [Fault("ListDataFiles", code=429, headers={"Retry-After": "0"})],
    "429 with Retry-After at the file": [Fault("files", code=429, headers={"Retry-After": "0"})],
    "500 at the address": [Fault("DownloadDataFiles", code=500, times=2)],
    "500 at the file": [Fault("files", code=500, times=2)],
    "503 while it goes on": [Fault("files", "half"), Fault("files", code=503, skip=1)],
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_data_arrives_whole_whatever_fails_once_or_twice(toy: Given, name: str) -> None:
    toy.faults += [Fault(**vars(fault)) for fault in SCENARIOS[name]]
    assert fetched(toy).state == "downloaded"
    assert (DATA / "toy.zip").read_bytes() == WHOLE
    assert not toy.faults, "all of it happened"


def test_after_a_cut_only_the_rest_is_sent(toy: Given) -> None:
    toy.faults.append(Fault("files", "half"))
    fetched(toy)
    half = len(WHOLE) // 2 // CHUNK * CHUNK
    assert toy.kaggle.gone_on == [(half, len(WHOLE) - half)]


def test_a_later_call_goes_on_where_one_stopped(toy: Given) -> None:
    toy.faults += [Fault("files", "half"), Fault("files", "cut", times=9)]
    with pytest.raises(ServiceError, match="no way to Kaggle"):
        fetched(toy)
    toy.faults.clear()
    assert not (DATA / "toy.zip").exists()
    fetched(toy)
    half = len(WHOLE) // 2 // CHUNK * CHUNK
    assert toy.kaggle.gone_on == [(half, len(WHOLE) - half)]
    assert (DATA / "toy.zip").read_bytes() == WHOLE


def test_a_line_that_breaks_again_and_again_arrives_as_long_as_it_goes_forward(toy: Given) -> None:
    toy.faults += [Fault("files", "half"), *[Fault("files", "half", skip=1) for _ in range(3)]]
    assert fetched(toy, manners={"tries": 2}).state == "downloaded"
    assert (DATA / "toy.zip").read_bytes() == WHOLE
    assert len(toy.kaggle.gone_on) == 4


def downloads(address: str, folder: str) -> None:
    """What the killed process does."""
    import os

    os.chdir(folder)
    with pytest.MonkeyPatch.context() as patch:
        pointed_at(address, patch)
        patch.setenv("KAGGLE_USERNAME", "bob")
        patch.setenv("KAGGLE_KEY", "k3y")
        downloading.fetch(service.connect(QUICK), TOY, into=DATA, cache=DATA, say=print)


class Stops:
    """Raises at a chosen step of those that change folders: a rename, a removal, a new folder."""

    def __init__(self) -> None:
        self.left, self.armed = 0, False

    def __call__(self, event: str, arguments: tuple) -> None:
        if self.armed and event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir"):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


STOPS = Stops()
sys.addaudithook(STOPS)  # cannot be taken away again


def test_stopped_at_any_step_the_next_call_ends_with_the_same_files(
    toy: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sync", lambda: None)  # the machine stays up
    monkeypatch.setattr("os.fsync", lambda handle: None)
    files, newer = toy.kaggle.contests["toy"].files, shipped({"b.csv": b"new"})
    connected, steps, stopped = toy.connect(), 0, 1
    while stopped:
        steps, stopped = steps + 1, 0
        into = tmp_path / f"{steps}"
        files.clear()
        for whole in (nested(), newer):
            files |= {"train.zip": b"", "toy.zip": whole}
            STOPS.left, STOPS.armed = steps, True
            try:
                downloading.fetch(connected, TOY, into=into, cache=into, say=print)
            except KeyboardInterrupt:
                stopped += 1
            STOPS.armed = False
            assert downloading.fetch(connected, TOY, into=into, cache=into, say=print).state != "own"
            names = {path.relative_to(into).as_posix() for path in into.rglob("*") if path.is_file()}
            held = {"toy.zip"} if whole == newer else {"toy/notes.txt", "toy/train/1.txt", "toy/train/2.txt"}
            assert names - {".toy.download.json", ".toy.lock"} == held, f"step {steps}"
    assert steps > 20


def test_what_a_killed_process_has_is_not_sent_again(toy: Given, forks: Any, tmp_path: Path) -> None:
    toy.faults.append(Fault("files", "half silent", seconds=1.0))
    process = forks.Process(target=downloads, args=(toy.address, str(tmp_path)))
    process.start()
    part = DATA / ".toy.part" / "toy.zip"
    end = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size) and time.monotonic() < end:
        time.sleep(0.01)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    has = part.stat().st_size
    assert has > 0
    fetched(toy)
    assert toy.kaggle.gone_on == [(has, len(WHOLE) - has)]
    assert (DATA / "toy.zip").read_bytes() == WHOLE


def test_a_server_that_ignores_a_range_sends_all_again_and_it_is_whole(toy: Given) -> None:
    toy.kaggle.ranges = False
    toy.faults.append(Fault("files", "half"))
    fetched(toy)
    assert (DATA / "toy.zip").read_bytes() == WHOLE
    assert toy.kaggle.gone_on == []


def test_a_file_that_changed_between_two_calls_begins_anew(toy: Given) -> None:
    toy.faults += [Fault("files", "half"), Fault("files", "cut", times=9)]
    with pytest.raises(ServiceError):
        fetched(toy)
    toy.faults.clear()
    toy.kaggle.contests["toy"].files["toy.zip"] = newer = shipped({**FILES, "pictures/1.bin": NOISE[::-1]})
    fetched(toy)
    assert (DATA / "toy.zip").read_bytes() == newer
    assert toy.kaggle.gone_on == []


@pytest.mark.parametrize("header", ["x-goog-hash", "ETag"])
def test_a_wrong_hash_removes_the_file_and_names_it(toy: Given, header: str) -> None:
    digest = hashlib.md5(b"other").digest()
    said = f"crc32c=AAAAAA==,md5={base64.b64encode(digest).decode()}" if header != "ETag" else f'"{digest.hex()}"'
    toy.kaggle.file_headers = {header: said}
    with pytest.raises(DataError, match=f"toy.zip: damaged on the way: its MD5 is .*, Kaggle says {digest.hex()}"):
        fetched(toy)
    assert not list(DATA.rglob("toy.zip*"))
    toy.kaggle.file_headers = {}
    assert fetched(toy).state == "downloaded"


def test_without_a_hash_the_checksums_in_the_zip_are_compared(toy: Given) -> None:
    spoilt = bytearray(WHOLE)
    spoilt[len(spoilt) // 2] ^= 1
    toy.kaggle.contests["toy"].files["toy.zip"] = bytes(spoilt)
    toy.kaggle.file_headers = {"x-goog-hash": "crc32c=AAAAAA==", "ETag": '"no-md5"'}
    with pytest.raises(DataError, match=r"entry 'pictures/1.bin' is damaged .*: it is removed"):
        fetched(toy)
    assert not list(DATA.rglob("toy.zip*"))


@pytest.mark.parametrize("content", [WHOLE[:-40], b"<html>log in</html>"])
def test_a_zip_that_is_truncated_or_none_is_removed(toy: Given, content: bytes) -> None:
    toy.kaggle.contests["toy"].files["toy.zip"] = content
    with pytest.raises(DataError, match="it is removed"):
        fetched(toy)
    assert not list(DATA.rglob("toy.zip*"))


def test_a_proxy_s_login_page_is_no_data(toy: Given) -> None:
    toy.faults.append(Fault("files", "page"))
    with pytest.raises(ServiceError, match="a web page came; log in to the proxy"):
        fetched(toy)


def test_a_full_disk_is_named_before_a_byte_is_written(toy: Given) -> None:
    with pytest.raises(SpaceError, match=r"data: needs 1.00 MB to download and 1.00 MB unpacked, the disk has 0 bytes"):
        fetched(toy, free=lambda folder: 0)
    assert not list(DATA.rglob("toy.zip*"))


def test_a_disk_that_fills_up_is_one_line(toy: Given) -> None:
    (DATA / ".toy.part").mkdir(parents=True)
    (DATA / ".toy.part" / "toy.zip").symlink_to("/dev/full")
    with pytest.raises(SpaceError, match="the disk filled up; free some space or choose another disk with --out"):
        fetched(toy)


def test_rules_that_are_not_accepted_are_named_with_their_page(toy: Given) -> None:
    toy.kaggle.contests["toy"].accepted = False
    page = "accept the rules at https://www.kaggle.com/competitions/toy/rules"
    with pytest.raises(ServiceError, match=page):
        fetched(toy)


def test_a_name_that_kaggle_does_not_know_is_told(toy: Given) -> None:
    with pytest.raises(ServiceError, match="Kaggle has no such thing"):
        fetched(toy, wanted=Wanted("nothing", Page("competition", "nothing")))


def test_too_much_patience_is_not_waited_for(toy: Given) -> None:
    toy.faults.append(Fault("files", code=429, headers={"Retry-After": "3600"}))
    with pytest.raises(NotYetError, match="3600 s"):
        fetched(toy)


def test_all_pages_of_the_list_are_counted(toy: Given) -> None:
    many = {f"{number}.txt": b"12345" for number in range(45)}
    toy.kaggle.contests["toy"].files = {**many, "toy.zip": shipped(many)}
    found = fetched(toy)
    assert (found.files, found.bytes, toy.kaggle.calls.count("ListDataFiles")) == (45, 225, 3)


@pytest.mark.parametrize("own", ["toy.zip", "toy"])
def test_what_the_user_has_there_is_left_alone(toy: Given, own: str) -> None:
    DATA.mkdir()
    (DATA / own).write_bytes(b"mine") if own == "toy.zip" else (DATA / own).mkdir()
    found = fetched(toy)
    assert (found.state, found.path, found.downloaded) == ("own", DATA / own, 0)
    assert toy.kaggle.calls == ["ListDataFiles"]


def test_a_data_set_arrives_too(toy: Given) -> None:
    toy.kaggle.datasets["ann/stones"] = world.Dataset([{**FILES, "stones.zip": WHOLE}], 0, {})
    found = fetched(toy, wanted=meant("ann/stones"))
    assert (found.path, found.files) == (DATA / "stones.zip", 2)
    assert (DATA / "stones.zip").read_bytes() == WHOLE


def nested() -> bytes:
    return shipped({"train.zip": shipped({"train/1.txt": b"one", "train/2.txt": b"two"}), "notes.txt": b"n"})


def test_archives_in_the_zip_are_unpacked_to_a_folder_and_the_zip_goes(toy: Given) -> None:
    toy.kaggle.contests["toy"].files = {"train.zip": b"", "notes.txt": b"n", "toy.zip": nested()}
    assert fetched(toy).path == DATA / "toy"
    paths = [path.relative_to(DATA).as_posix() for path in sorted(DATA.rglob("*")) if path.is_file()]
    record = [".toy.download.json", ".toy.lock"]
    assert paths == [*record, "toy/notes.txt", "toy/train/1.txt", "toy/train/2.txt"]
    assert fetched(toy).state == "there"
    toy.kaggle.contests["toy"].files["toy.zip"] = WHOLE
    assert fetched(toy).path == DATA / "toy.zip"
    assert not (DATA / "toy").exists(), "the folder of the older version would be read before the zip"


def test_a_zip_that_came_is_not_downloaded_again_when_unpacking_it_was_stopped(
    toy: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.kaggle.contests["toy"].files = {"train.zip": b"", "toy.zip": nested()}

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(downloading.nesting, "unpack_all", stop)
        with pytest.raises(KeyboardInterrupt):
            fetched(toy)
    found = fetched(toy, keep_zip=True)
    assert (found.state, found.downloaded, found.path) == ("downloaded", 0, DATA / "toy")
    assert (DATA / "toy.shipped.zip").read_bytes() == nested()


def singles(toy: Given, *names: str) -> downloading.Fetched:
    return downloading.fetch_singles(toy.connect(), TOY, names, into=DATA, say=print)


def test_single_files_come_into_the_folder_unpacked(toy: Given) -> None:
    toy.kaggle.contests["toy"].files = {**FILES, "table.csv.zip": shipped({"table.csv": b"a,b\n"})}
    toy.faults.append(Fault("files", "half"))
    found = singles(toy, "pictures/1.bin", "table.csv.zip")
    assert (found.state, found.path, found.files) == ("downloaded", DATA / "toy", 2)
    assert (DATA / "toy" / "pictures" / "1.bin").read_bytes() == NOISE
    assert (DATA / "toy" / "table.csv").read_bytes() == b"a,b\n"
    assert singles(toy, "pictures/1.bin").state == "there"
    assert singles(toy, "train.csv").downloaded == len(FILES["train.csv"])
    toy.kaggle.contests["toy"].files["train.csv"] = b"newer"
    singles(toy, "train.csv")
    assert (DATA / "toy" / "train.csv").read_bytes() == b"newer"


def test_single_files_are_not_written_over_the_user_s(toy: Given) -> None:
    (DATA / "toy").mkdir(parents=True)
    (DATA / "toy" / "train.csv").write_bytes(b"mine")
    with pytest.raises(DataError, match="is there already, and not from Kaggle"):
        singles(toy, "train.csv")
    with pytest.raises(DataError, match=r"has no file trian.csv; did you mean train.csv\?"):
        singles(toy, "trian.csv")
    assert (DATA / "toy" / "train.csv").read_bytes() == b"mine"


def test_a_hostile_name_on_kaggle_stays_inside(toy: Given) -> None:
    toy.kaggle.contests["toy"].files = {"../../evil.csv": b"x"}
    with pytest.raises(DataError, match="outside its folder"):
        singles(toy, "../../evil.csv")


def test_the_record_says_where_it_came_from(toy: Given) -> None:
    fetched(toy)
    record = json.loads((DATA / ".toy.download.json").read_text())
    assert record["from"] == {"kind": "competition", "ref": "toy"}
    assert record["told"]["md5"] == hashlib.md5(WHOLE).hexdigest()
    assert [file["name"] for file in record["files"]] == list(FILES)
