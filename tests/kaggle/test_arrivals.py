"""A file that came is as large as Kaggle says, and room for it was asked for before."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import DataError, ServiceError, SpaceError
from harness.kaggle import arrivals, downloading
from harness.kaggle.shelf import contents
from tests.kaggle.conftest import Given
from tests.kaggle.server import Fault
from tests.kaggle.test_downloading import DATA, FILES, NOISE, TOY, WHOLE, fetched, singles, toy

__all__ = ["toy"]  # a fixture


def test_room_is_asked_for_what_comes_and_what_it_unpacks_to(toy: Given) -> None:
    with pytest.raises(SpaceError):
        fetched(toy, free=lambda folder: len(WHOLE) + len(NOISE) - 1)
    with pytest.raises(SpaceError):
        downloading.fetch_singles(
            toy.connect(), TOY, ("pictures/1.bin",), into=DATA, free=lambda folder: 2 * len(NOISE) - 1, say=print
        )
    enough = len(WHOLE) + sum(map(len, FILES.values()))
    assert fetched(toy, free=lambda folder: enough).state == "downloaded"


def arrived(path: Path, size: int | None) -> arrivals.Arrival:
    return arrivals.Arrival(path, arrivals.Told(size, '"x"', "", ""), came=True)


@pytest.mark.parametrize(("size", "listed"), [(5, 0), (None, 5), (3, 4)])
def test_a_file_of_fewer_or_more_bytes_than_said_is_removed(tmp_path: Path, size: int | None, listed: int) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"1234")
    with pytest.raises(DataError, match=r"4 bytes came of [35]; it is removed") as caught:
        arrivals._check(arrived(path, size), listed)
    assert not path.exists(), str(caught.value)


@pytest.mark.parametrize(("size", "listed"), [(4, 9), (None, 4), (None, 0)])
def test_a_file_of_as_many_bytes_as_said_stays(tmp_path: Path, size: int | None, listed: int) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"1234")
    arrivals._check(arrived(path, size), listed)
    assert path.exists()


def test_a_single_file_without_a_length_is_compared_with_the_list(toy: Given) -> None:
    toy.kaggle.file_headers = {"Content-Length": "", "Connection": "close", "ETag": '"x"'}
    toy.faults.append(Fault("files", "half"))
    with pytest.raises(DataError, match="2,250 bytes came of 4,500; it is removed"):
        singles(toy, "train.csv")
    toy.kaggle.file_headers = {}
    assert singles(toy, "train.csv").downloaded == 4500


def test_contents_are_the_same_only_where_all_that_is_said_agrees() -> None:
    first = arrivals.Told(4, "", "Thu, 01 Jan 2026 00:00:00 GMT", "")
    assert first.same(arrivals.Told(4, "", "Thu, 01 Jan 2026 00:00:00 GMT", ""))
    assert not first.same(arrivals.Told(4, "", "Fri, 02 Jan 2026 00:00:00 GMT", ""))
    assert not first.same(arrivals.Told(5, "", "Thu, 01 Jan 2026 00:00:00 GMT", ""))
    assert not arrivals.Told(4, "", "", "").same(arrivals.Told(4, "", "", "")), "nothing says so"


def test_what_came_takes_no_more_room(toy: Given) -> None:
    toy.faults += [Fault("files", "half"), Fault("files", "cut", times=9)]
    with pytest.raises(ServiceError):
        fetched(toy)
    toy.faults.clear()
    came = (DATA / ".toy.part" / "toy.zip").stat().st_size
    needed = len(WHOLE) - came + sum(map(len, FILES.values()))
    with pytest.raises(SpaceError):
        fetched(toy, free=lambda folder: needed - 1)
    with pytest.raises(SpaceError):  # what came of the zip of all is nothing of a single file
        downloading.fetch_singles(
            toy.connect(), TOY, ("pictures/1.bin",), into=DATA, free=lambda folder: 2 * len(NOISE) - 1, say=print
        )
    assert fetched(toy, free=lambda folder: needed).state == "downloaded"


def test_a_cache_on_another_disk_takes_no_room_here(toy: Given) -> None:
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == Path.cwd().stat().st_dev:
        pytest.skip("there is one disk only")
    assert fetched(toy, cache=other, free=lambda folder: len(WHOLE)).state == "downloaded"


def test_a_zip_of_another_size_is_the_user_s_own(toy: Given) -> None:
    fetched(toy)
    (DATA / "toy.zip").write_bytes(b"mine")
    toy.kaggle.contests["toy"].files["toy.zip"] = WHOLE[::-1]
    assert fetched(toy).state == "own"
    assert (DATA / "toy.zip").read_bytes() == b"mine"


def test_single_files_and_all_of_them_do_not_mix(toy: Given) -> None:
    singles(toy, "train.csv")
    with pytest.raises(DataError, match="data/toy: holds single files only; remove it, or give --out DIR"):
        fetched(toy)
    assert contents(DATA / "toy") == {"train.csv": 4500}
    downloading.fetch(toy.connect(), TOY, into=Path("all"), cache=DATA, say=print)
    with pytest.raises(DataError, match=r"all/toy.zip: all files are there; use them"):
        downloading.fetch_singles(toy.connect(), TOY, ("train.csv",), into=Path("all"), say=print)
    assert not Path("all/toy").exists()


def test_a_newer_file_of_the_same_size_and_tag_comes(toy: Given) -> None:
    toy.kaggle.file_headers = {"ETag": "", "x-goog-hash": "", "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    singles(toy, "train.csv")
    assert singles(toy, "train.csv").state == "there"
    toy.kaggle.contests["toy"].files["train.csv"] = FILES["train.csv"].upper()
    toy.kaggle.file_headers["Last-Modified"] = "Fri, 02 Jan 2026 00:00:00 GMT"
    assert singles(toy, "train.csv").state == "downloaded"
    assert (DATA / "toy" / "train.csv").read_bytes() == FILES["train.csv"].upper()
