"""A tar is whole or refused, and archives in archives leave what lies beside them alone."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from harness.data import nesting, tars
from harness.data.entries import Limits
from harness.errors import SpaceError
from tests.data.test_sevenzip import FIX, folder, held, packed, refused, tarred

__all__ = ["folder"]  # a fixture


def whole_tar(path: Path, count: int = 4, size: int = 1000) -> bytes:
    entries = []
    for number in range(count):
        entry = tarfile.TarInfo(f"d/{number}.jpg")
        entry.size = size
        entries.append(entry)
    return tarred(path, *entries, content=b"x" * size).read_bytes()


def damaged_tars(path: Path) -> dict[str, bytes]:
    """A tar of four entries, of 1,536 bytes each, in ways that tarfile reads as one of two."""
    whole = whole_tar(path)
    flipped, zeroed = bytearray(whole), bytearray(whole)
    flipped[2 * 1536 + 5] ^= 1
    zeroed[2 * 1536 : 2 * 1536 + 512] = bytes(512)
    return {
        "cut between two entries": whole[: 2 * 1536],
        "cut in a header": whole[: 2 * 1536 + 300],
        "cut in a file": whole[: 2 * 1536 + 700],
        "cut before the second block of the end": whole[: 4 * 1536 + 512],
        "a flipped bit in a header": bytes(flipped),
        "a zeroed header": bytes(zeroed),
    }


def test_a_tar_that_breaks_off_or_has_a_damaged_header_is_refused(tmp_path: Path, folder: Path) -> None:
    for content in damaged_tars(tmp_path / "a.tar").values():
        (tmp_path / "b.tar").write_bytes(content)
        refused(tmp_path / "b.tar", folder, "truncated|damaged")
    tars.unpack_into(tmp_path / "a.tar", folder, fix=FIX)
    assert len(held(folder)) == 4


def test_a_tar_is_held_to_what_zips_are(tmp_path: Path, folder: Path) -> None:
    whole_tar(tmp_path / "a.tar")
    refused(tmp_path / "a.tar", folder, "3 entries, more than 2", Limits(entries=2))
    with pytest.raises(SpaceError, match=r"needs 16,384 bytes, the disk of .* has 9 bytes free"):
        tars.unpack_into(tmp_path / "a.tar", folder, fix=FIX, free=lambda path: 9)
    assert held(folder) == {}
    both = tarred(tmp_path / "b.tar", tarfile.TarInfo("a"), tarfile.TarInfo("a/b"))
    refused(both, folder, "a file and a folder at once")


MAC = ("train/1.jpg", "__MACOSX/train/._1.jpg", "train/.DS_Store")


def test_what_a_mac_adds_is_not_unpacked(tmp_path: Path) -> None:
    for suffix, make in (
        (".tar", lambda path: tarred(path, *map(tarfile.TarInfo, MAC), content=b"1")),
        (".7z", lambda path: packed(path, dict.fromkeys(MAC, b"1"))),
    ):
        given = tmp_path / suffix
        given.mkdir()
        make(given / f"train{suffix}")
        nesting.unpack_all(given, fix=FIX, say=print)
        assert [path.relative_to(given).as_posix() for path in sorted(given.rglob("*"))] == ["train", "train/1.jpg"]


def test_a_file_of_the_archive_s_name_leaves_it_packed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"mine")
    whole = packed(tmp_path / "a.7z", {"1.txt": b"1", "2.txt": b"2"}).read_bytes()
    nesting.unpack_all(tmp_path, fix=FIX, say=print)
    assert held(tmp_path) == {"a": b"mine", "a.7z": whole}


def test_a_shipped_folder_of_a_hidden_name_stays(tmp_path: Path) -> None:
    (tmp_path / ".a.7z.part").mkdir()
    (tmp_path / ".a.7z.part" / "data.csv").write_bytes(b"theirs")
    packed(tmp_path / "a.7z", {"1.txt": b"1"})
    nesting.unpack_all(tmp_path, fix=FIX, say=print)
    assert held(tmp_path) == {".a.7z.part/data.csv": b"theirs", "1.txt": b"1"}
