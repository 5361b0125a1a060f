"""7z and tar archives: real ones come out as they went in, hostile and damaged ones write nothing outside."""

from __future__ import annotations

import io
import os
import random
import tarfile
from pathlib import Path

import py7zr
import pytest

from harness.data import nesting, sevenzip, tars
from harness.data.entries import Limits
from harness.errors import DataError, SpaceError

FIX = "choose another disk with --out DIR"
CONTENT = {"train-jpg/train_0.jpg": bytes(range(256)) * 40, "train-jpg/deep/train_1.jpg": b"two", "empty.txt": b""}


def packed(path: Path, entries: dict[str, bytes]) -> Path:
    """A real 7z; names as they are given."""
    with py7zr.SevenZipFile(path, "w") as bundle:
        for number, (name, content) in enumerate(entries.items()):
            bundle.writestr(content, f"{number}")
            assert bundle.header.files_info is not None
            bundle.header.files_info.files[-1]["filename"] = name  # writestr refuses what an attacker writes
    return path


def tarred(path: Path, *entries: tarfile.TarInfo, content: bytes = b"harm") -> Path:
    with tarfile.open(path, "w") as bundle:
        for entry in entries:
            entry.size = len(content) if entry.isreg() else 0
            bundle.addfile(entry, io.BytesIO(content))
    return path


def held(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "outer" / "out"
    made.mkdir(parents=True)
    return made


def refused(archive: Path, folder: Path, match: str, limits: Limits | None = None) -> None:
    unpack = tars.unpack_into if archive.suffix == ".tar" else sevenzip.unpack_into
    with pytest.raises(DataError, match=match) as caught:
        unpack(archive, folder, fix=FIX, limits=limits)
    assert str(archive) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert held(folder.parent) == {}, "nothing was written"


def test_files_and_folders_come_out_as_they_went_in(tmp_path: Path, folder: Path) -> None:
    sevenzip.unpack_into(packed(tmp_path / "a.7z", CONTENT), folder, fix=FIX)
    assert held(folder) == CONTENT


def test_folders_and_parts_that_are_packed_apart_come_out(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "given" / "nothing").mkdir(parents=True)
    (tmp_path / "given" / "a.txt").write_bytes(b"a")
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w") as bundle:
        bundle.writeall(tmp_path / "given", "given")
    with py7zr.SevenZipFile(tmp_path / "a.7z", "a", filters=[{"id": py7zr.FILTER_BZIP2}]) as bundle:
        bundle.writestr(b"b" * 1000, "b.txt")
    sevenzip.unpack_into(tmp_path / "a.7z", folder, fix=FIX)
    assert held(folder) == {"given/a.txt": b"a", "b.txt": b"b" * 1000}
    assert (folder / "given" / "nothing").is_dir()


@pytest.mark.parametrize("name", ["/a.txt", "../a.txt", "a/../../b.txt", "C:\\a.txt", "c:a.txt", "..\\a.txt"])
def test_a_7z_entry_that_leaves_the_folder_is_refused(tmp_path: Path, folder: Path, name: str) -> None:
    refused(packed(tmp_path / "a.7z", {"good.txt": b"a", name: b"b"}), folder, "outside its folder")


@pytest.mark.parametrize("name", ["/a.txt", "../a.txt", "a/../../b.txt", "C:\\a.txt"])
def test_a_tar_entry_that_leaves_the_folder_is_refused(tmp_path: Path, folder: Path, name: str) -> None:
    refused(tarred(tmp_path / "a.tar", tarfile.TarInfo("good"), tarfile.TarInfo(name)), folder, "outside its folder")


def test_a_symbolic_link_in_a_7z_is_refused(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w") as bundle:
        bundle.write(tmp_path / "link", "link")
    refused(tmp_path / "a.7z", folder, "'link' is a symbolic link")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "is a link"),
        (tarfile.LNKTYPE, "is a link"),
        (tarfile.FIFOTYPE, "neither a file"),
        (tarfile.CHRTYPE, "neither a file"),
        (tarfile.GNUTYPE_SPARSE, "neither a file|damaged"),
    ],
)
def test_links_devices_and_holes_in_a_tar_are_refused(tmp_path: Path, folder: Path, kind: bytes, words: str) -> None:
    entry = tarfile.TarInfo("odd")
    entry.type, entry.linkname = kind, "../../victim"
    refused(tarred(tmp_path / "a.tar", tarfile.TarInfo("good"), entry), folder, words)


@pytest.mark.parametrize("name", ["line\nend", "turned\u202etxt", "n" * 1001, "d/" * 51 + "a"])
def test_names_nobody_should_write_are_refused(tmp_path: Path, folder: Path, name: str) -> None:
    refused(packed(tmp_path / "a.7z", {name: b"x"}), folder, "control characters|too long")


def test_a_bomb_is_refused_by_its_ratio(tmp_path: Path, folder: Path) -> None:
    bomb = packed(tmp_path / "a.7z", {"zeros": bytes(3_000_000)})
    refused(bomb, folder, "a zip bomb", Limits(large=1_000_000))


def test_two_entries_of_one_name_and_a_file_that_is_a_folder_are_refused(tmp_path: Path, folder: Path) -> None:
    refused(packed(tmp_path / "a.7z", {"a": b"1", "./a": b"2"}), folder, "twice")
    refused(packed(tmp_path / "b.7z", {"a": b"1", "a/b": b"2"}), folder, "a file and a folder at once")
    refused(tarred(tmp_path / "a.tar", tarfile.TarInfo("a"), tarfile.TarInfo("./a")), folder, "twice")


def test_too_many_entries_are_refused(tmp_path: Path, folder: Path) -> None:
    refused(packed(tmp_path / "a.7z", CONTENT), folder, "3 entries, more than 2", Limits(entries=2))


def test_an_encrypted_archive_is_refused(tmp_path: Path, folder: Path) -> None:
    for number, header in enumerate((False, True)):
        path = tmp_path / f"{number}.7z"
        with py7zr.SevenZipFile(path, "w", password="secret", header_encryption=header) as bundle:
            bundle.writestr(b"x" * 100, "a.txt")
        refused(path, folder, "encrypted|cannot be unpacked here")


def test_a_disk_that_is_too_small_is_named_with_both_amounts(tmp_path: Path, folder: Path) -> None:
    archive = packed(tmp_path / "a.7z", CONTENT)
    with pytest.raises(SpaceError, match=r"needs 16,384 bytes, the disk of .* has 9 bytes free; free some .*--out"):
        sevenzip.unpack_into(archive, folder, fix=FIX, free=lambda path: 9)
    assert held(folder) == {}


def test_no_damage_raises_anything_but_one_line_or_goes_by_unseen(tmp_path: Path) -> None:
    whole = packed(tmp_path / "a.7z", CONTENT).read_bytes()
    draw = random.Random(0)
    refusals = 0
    for number in range(int(os.environ.get("SEVENZIP_FUZZ", "150"))):
        content = bytearray(whole)
        if number % 3:
            for _ in range(draw.choice((1, 1, 4))):
                content[draw.randrange(len(content))] = draw.randrange(256)
        else:
            del content[draw.randrange(len(content)) :]
        out = tmp_path / f"{number}"
        out.mkdir()
        (tmp_path / "b.7z").write_bytes(content)
        try:
            sevenzip.unpack_into(tmp_path / "b.7z", out, fix=FIX)
        except DataError:
            refusals += 1
        else:
            assert held(out) == CONTENT
    assert refusals > 50


def test_a_tar_in_a_7z_and_a_zip_beside_it_are_unpacked_where_they_lie(tmp_path: Path) -> None:
    given = tmp_path / "given"
    (given / "sub").mkdir(parents=True)
    tarred(tmp_path / "inner.tar", tarfile.TarInfo("train-jpg/a.jpg"), tarfile.TarInfo("train-jpg/b.jpg"))
    with py7zr.SevenZipFile(given / "train-jpg.tar.7z", "w") as bundle:
        bundle.write(tmp_path / "inner.tar", "train-jpg.tar")
    packed(given / "sub" / "loose.7z", {"1.txt": b"1", "2.txt": b"2"})
    packed(given / "more.7z", {"train-jpg/c.jpg": b"3"})
    assert nesting.unpack_all(given, fix=FIX, say=print) == ["more.7z", "sub/loose.7z", "train-jpg.tar.7z"]
    names = ["sub/loose/1.txt", "sub/loose/2.txt", "train-jpg/a.jpg", "train-jpg/b.jpg", "train-jpg/c.jpg"]
    assert sorted(held(given)) == names


def test_an_archive_does_not_write_over_what_lies_beside_it_and_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = packed(tmp_path / "table.csv.7z", {"table.csv": b"theirs"}).read_bytes()
    (tmp_path / "table.csv").write_bytes(b"mine")
    nesting.unpack_all(tmp_path, fix=FIX, say=print)
    assert held(tmp_path) == {"table.csv": b"mine", "table.csv.7z": whole}
    assert capsys.readouterr().out.splitlines() == [
        "unpacking table.csv.7z",
        "table.csv.7z is left packed: table.csv is there already",
    ]


def test_a_thousand_archives_are_data_of_their_own() -> None:
    assert nesting.archives([f"{number}.zip" for number in range(1000)]) == []
    assert nesting.archives(["a.7z", "b.csv", "c.tar.7z"]) == ["a.7z", "c.tar.7z"]


def test_a_folder_that_only_a_mac_adds_is_not_made(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "given" / "__MACOSX" / "train").mkdir(parents=True)
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w") as bundle:
        bundle.writeall(tmp_path / "given" / "__MACOSX", "__MACOSX")
    sevenzip.unpack_into(tmp_path / "a.7z", folder, fix=FIX)
    assert list(folder.iterdir()) == []


def test_a_7z_does_not_write_over_what_is_there(tmp_path: Path, folder: Path) -> None:
    (folder / "empty.txt").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"'empty.txt' cannot be written \(File exists\)"):
        sevenzip.unpack_into(packed(tmp_path / "a.7z", CONTENT), folder, fix=FIX)
    assert (folder / "empty.txt").read_bytes() == b"mine"


def test_a_7z_entry_of_less_than_no_bytes_is_refused(tmp_path: Path, folder: Path) -> None:
    archive = packed(tmp_path / "a.7z", CONTENT)
    with py7zr.SevenZipFile(archive) as bundle:
        bundle.files.files_list[0]["uncompressed"] = -1
        with pytest.raises(DataError, match="less than no bytes"):
            sevenzip._checked(archive, bundle, Limits())
