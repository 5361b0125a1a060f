"""What the user has below `data/` stays as it is, what came from Kaggle is not fetched twice, what is missing is."""

from __future__ import annotations

import contextlib
import io
import shutil
from pathlib import Path
from typing import Any

import py7zr
import pytest

from harness.cli import main
from harness.errors import DataError, ServiceError, SpaceError
from harness.kaggle import downloading, named, shelf
from harness.kaggle.named import meant
from tests.kaggle import world
from tests.kaggle.conftest import Given
from tests.kaggle.server import Fault
from tests.kaggle.test_downloading import DATA, FILES, NOISE, TOY, WHOLE, fetched, nested, shipped, singles, toy

__all__ = ["toy"]  # a fixture
INTO = DATA / "toy"


def ships(toy: Given, **files: bytes) -> None:
    """Gives the competition other files: `t_zip` is `t.zip`."""
    toy.kaggle.contests["toy"].files = {name.replace("_", "."): content for name, content in files.items()}


def packed(files: dict[str, bytes]) -> bytes:
    memory = io.BytesIO()
    with py7zr.SevenZipFile(memory, "w") as bundle:
        for name, content in files.items():
            bundle.writestr(content, name)
    return memory.getvalue()


@pytest.fixture
def unpacked(toy: Given) -> Given:
    """A Kaggle whose competition is unpacked to a folder, and came."""
    ships(toy, train_zip=b"", notes_txt=b"n", toy_zip=nested())
    fetched(toy)
    return toy


def test_data_of_another_owner_does_not_take_the_place_of_the_first(toy: Given) -> None:
    other = shipped({"b.csv": b"bob"})
    toy.kaggle.datasets["ann/stones"] = world.Dataset([{**FILES, "stones.zip": WHOLE}], 0, {})
    toy.kaggle.datasets["bob/stones"] = world.Dataset([{"b.csv": b"bob", "stones.zip": other}], 0, {})
    fetched(toy, wanted=meant("ann/stones"))
    with pytest.raises(DataError, match=r"data/stones.zip: holds ann/stones, not bob/stones; give --out DIR"):
        fetched(toy, wanted=meant("bob/stones"))
    assert (DATA / "stones.zip").read_bytes() == WHOLE
    downloading.fetch_singles(toy.connect(), meant("ann/stones"), ("train.csv",), into=Path("few"), say=print)
    with pytest.raises(DataError, match="holds ann/stones, not bob/stones"):
        downloading.fetch_singles(toy.connect(), meant("bob/stones"), ("b.csv",), into=Path("few"), say=print)


def test_a_mount_of_another_owner_is_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_KAGGLE", str(tmp_path))
    place = tmp_path / "input" / "datasets" / "ann" / "stones"
    place.mkdir(parents=True)
    (place / "x").write_text("x")
    assert named.meant("bob/stones").mounted is None
    assert named.meant("ann/stones").mounted == place
    shutil.copytree(place, tmp_path / "input" / "stones")
    assert named.meant("bob/stones").mounted == tmp_path / "input" / "stones", "the older layout names no owner"


def test_a_file_of_the_user_s_in_kaggle_s_folder_stops_a_newer_version_before_it_comes(unpacked: Given) -> None:
    (INTO / "my_folds.csv").write_text("years of work")
    assert fetched(unpacked).state == "there"
    unpacked.kaggle.contests["toy"].files["toy.zip"] = WHOLE
    with pytest.raises(DataError, match=r"data/toy/my_folds.csv: is there already, and not from Kaggle; move or"):
        fetched(unpacked)
    assert not (DATA / ".toy.part").exists(), "no byte came"
    (INTO / "my_folds.csv").rename("my_folds.csv")
    assert fetched(unpacked).path == DATA / "toy.zip"


def test_an_edited_file_of_kaggle_s_is_not_written_over(unpacked: Given) -> None:
    (INTO / "notes.txt").write_bytes(b"mine")
    unpacked.kaggle.contests["toy"].files["toy.zip"] = WHOLE
    with pytest.raises(DataError, match=r"notes.txt: is not as it came from Kaggle"):
        fetched(unpacked)
    assert (INTO / "notes.txt").read_bytes() == b"mine"


def test_a_file_that_was_removed_comes_again(unpacked: Given) -> None:
    (INTO / "notes.txt").unlink()
    assert fetched(unpacked).downloaded == len(nested())
    assert (INTO / "notes.txt").read_bytes() == b"n"


def test_a_single_file_that_was_removed_comes_again(toy: Given) -> None:
    singles(toy, "train.csv", "pictures/1.bin")
    (INTO / "train.csv").unlink()
    found = singles(toy, "train.csv", "pictures/1.bin")
    assert (found.state, found.downloaded) == ("downloaded", len(FILES["train.csv"]))
    assert (INTO / "train.csv").read_bytes() == FILES["train.csv"]


def test_a_newer_single_takes_its_older_files_away_and_no_other(toy: Given) -> None:
    ships(toy, t_zip=shipped({"x.csv": b"1", "deep/y.csv": b"2"}))
    singles(toy, "t.zip")
    (INTO / "t" / "mine.csv").write_bytes(b"mine")
    ships(toy, t_zip=shipped({"x.csv": b"11", "z.csv": b"3"}))
    singles(toy, "t.zip")
    held = {path.relative_to(INTO / "t").as_posix(): path.read_bytes() for path in sorted((INTO / "t").rglob("*"))}
    assert held == {"mine.csv": b"mine", "x.csv": b"11", "z.csv": b"3"}


@pytest.mark.parametrize("name", ["z.csv", "x.csv", "y.csv"])
def test_a_newer_single_does_not_write_over_the_user_s(toy: Given, name: str) -> None:
    ships(toy, t_zip=shipped({"x.csv": b"1", "y.csv": b"2"}))
    singles(toy, "t.zip")
    (INTO / "t" / name).write_bytes(b"mine")
    ships(toy, t_zip=shipped({"x.csv": b"11", "z.csv": b"theirs"}))
    with pytest.raises(DataError, match=f"data/toy/t/{name}: is "):
        singles(toy, "t.zip")
    assert (INTO / "t" / name).read_bytes() == b"mine"
    (INTO / "t" / name).rename("elsewhere.csv")
    assert singles(toy, "t.zip").downloaded == 0, "it came before"
    assert (INTO / "t" / "z.csv").read_bytes() == b"theirs"


def test_a_stop_at_any_step_of_a_newer_single_is_gone_on_with(toy: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = [shipped({"x.csv": b"1", "y.csv": b"2"}), shipped({"x.csv": b"11", "z.csv": b"3"})]
    for step in ("write_json", "sync_folder"):
        for nth in range(1, 5):
            shutil.rmtree(DATA, ignore_errors=True)
            ships(toy, t_zip=versions[0])
            singles(toy, "t.zip")
            ships(toy, t_zip=versions[1])
            real, calls = getattr(downloading.files, step), []

            def stopping(*given: Any, nth: int = nth, real: Any = real, calls: list = calls) -> None:
                calls.append(1)
                if len(calls) == nth:
                    raise KeyboardInterrupt
                real(*given)

            with monkeypatch.context() as patch:
                patch.setattr(downloading.files, step, stopping)
                with contextlib.suppress(KeyboardInterrupt):
                    singles(toy, "t.zip")
            singles(toy, "t.zip")
            assert shelf.contents(INTO) == {"t/x.csv": 2, "t/z.csv": 1}, (step, nth)
            assert singles(toy, "t.zip").state == "there"
            assert not (DATA / ".toy.part").exists()


def test_the_kept_zip_does_not_take_the_place_of_the_user_s(toy: Given) -> None:
    ships(toy, train_zip=b"", toy_zip=nested())
    DATA.mkdir()
    (DATA / "toy.shipped.zip").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"toy.shipped.zip: is there already, and not from here"):
        fetched(toy, keep_zip=True)
    assert (DATA / "toy.shipped.zip").read_bytes() == b"mine"
    assert not (DATA / ".toy.part").exists(), "no byte came"


def test_the_zip_is_kept_where_the_data_was_there_before(unpacked: Given) -> None:
    (INTO / "my_folds.csv").write_text("stays")
    found = fetched(unpacked, keep_zip=True)
    assert (found.state, found.path, found.downloaded) == ("downloaded", INTO, len(nested()))
    assert (DATA / "toy.shipped.zip").read_bytes() == nested()
    assert fetched(unpacked, keep_zip=True).state == "there"
    assert (INTO / "my_folds.csv").exists()


def test_the_zip_is_kept_after_a_stop_just_before(toy: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    ships(toy, train_zip=b"", toy_zip=nested())
    real = downloading.files.adopt

    def adopt(source: Path, target: Path) -> None:
        if target.name == "toy.shipped.zip":
            raise KeyboardInterrupt
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(downloading.files, "adopt", adopt)
        with pytest.raises(KeyboardInterrupt):
            fetched(toy, keep_zip=True)
    assert fetched(toy, keep_zip=True).downloaded == 0
    assert (DATA / "toy.shipped.zip").read_bytes() == nested()


def test_a_single_archive_that_came_is_not_sent_again_when_unpacking_it_was_stopped(
    toy: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    ships(toy, t_7z=packed({"x.bin": NOISE, "y": b"2"}))
    rooms = iter([10**9, 100])
    with pytest.raises(SpaceError):
        downloading.fetch_singles(toy.connect(), TOY, ("t.7z",), into=DATA, free=lambda folder: next(rooms), say=print)

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(downloading.nesting, "unpack_all", stop)
        with pytest.raises(KeyboardInterrupt):
            singles(toy, "t.7z")
    found = singles(toy, "t.7z")
    assert (found.state, found.downloaded) == ("downloaded", 0)
    assert (INTO / "t" / "x.bin").read_bytes() == NOISE
    assert not (DATA / ".toy.part").exists()


def test_what_came_of_the_whole_zip_and_of_other_files_survives_a_single_one(toy: Given) -> None:
    toy.faults += [Fault("files", "half"), Fault("files", "cut", times=9)]
    with pytest.raises(ServiceError):
        fetched(toy)
    toy.faults[:] = [Fault("files", "half"), Fault("files", "cut", times=9)]
    with pytest.raises(ServiceError):
        singles(toy, "pictures/1.bin")
    toy.faults.clear()
    singles(toy, "train.csv")
    assert (DATA / ".toy.part" / "toy.zip").exists()
    singles(toy, "pictures/1.bin")
    assert len(toy.kaggle.gone_on) == 1
    assert (INTO / "pictures" / "1.bin").read_bytes() == NOISE


@pytest.mark.parametrize("words", [[], ["--file", "train.csv"]])
@pytest.mark.parametrize("out", ["afile", "afile/below"])
def test_a_file_where_the_folder_should_be_is_one_line(
    toy: Given, capsys: pytest.CaptureFixture[str], out: str, words: list[str]
) -> None:
    Path("afile").write_text("mine")
    with pytest.raises(SystemExit) as stop:
        main(["download", "toy", "--out", out, *words])
    shown = capsys.readouterr().err.strip()
    assert (stop.value.code, len(shown.splitlines())) == (2, 1)
    assert shown.startswith(f"error: {out}: cannot be used (")
    assert Path("afile").read_text() == "mine"


def test_a_zip_that_cannot_be_unpacked_is_removed(toy: Given) -> None:
    ships(toy, train_7z=b"", toy_zip=shipped({"train.7z": packed({"x": b"1"})[:-3], "notes.txt": b"n"}))
    with pytest.raises(DataError, match=r"train.7z: a truncated or damaged 7z"):
        fetched(toy)
    assert not list(DATA.rglob("toy.zip"))
    ships(toy, train_7z=packed({"x": b"1"})[:-3])
    with pytest.raises(DataError, match=r"train.7z: a truncated or damaged 7z"):
        singles(toy, "train.7z")
    assert not list(DATA.rglob("train.7z"))
