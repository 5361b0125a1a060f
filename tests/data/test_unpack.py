"""Unpacking: once, whole or not at all, and nothing written for an archive that could harm."""

from __future__ import annotations

import re
import stat
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from harness.data.unpack import Limits, unpack
from harness.errors import DataError, SpaceError

CENTRAL, LOCAL = b"PK\x01\x02", b"PK\x03\x04"


def packed(path: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as bundle:
        for name, content in entries.items():
            bundle.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return path


def patched(archive: Path, signature: bytes, offset: int, value: bytes) -> None:
    """Overwrites a field of the archive's only local or central header."""
    content = bytearray(archive.read_bytes())
    place = content.index(signature) + offset
    content[place : place + len(value)] = value
    archive.write_bytes(bytes(content))


def refused(archive: Path, cache: Path, match: str, limits: Limits | None = None) -> str:
    with pytest.raises(DataError, match=match) as caught:
        unpack(archive, cache=cache, limits=limits)
    assert str(archive) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not [path for path in cache.rglob("*") if not path.name.endswith(".lock") and path.name != "unpacked"]
    return str(caught.value)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_files_and_folders_come_out_as_they_went_in(tmp_path: Path, cache: Path) -> None:
    entries = {"train/1.txt": b"one", "empty/": b"", "table.csv": b"a,b\n" * 1000, "nothing.txt": b""}
    folder = unpack(packed(tmp_path / "nerve.zip", entries), cache=cache)
    assert folder.parent == cache / "unpacked"
    assert re.fullmatch(r"nerve-[0-9a-f]{16}", folder.name)
    assert {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == {
        name: content for name, content in entries.items() if name != "empty/"
    }
    assert (folder / "empty").is_dir()


def test_stored_entries_come_out_as_they_went_in(tmp_path: Path, cache: Path) -> None:
    folder = unpack(packed(tmp_path / "a.zip", {"a.bin": bytes(range(256)) * 9}, zipfile.ZIP_STORED), cache=cache)
    assert (folder / "a.bin").read_bytes() == bytes(range(256)) * 9


def test_an_archive_is_unpacked_once(tmp_path: Path, cache: Path) -> None:
    archive, calls = packed(tmp_path / "a.zip", {"a.txt": b"a", "b.txt": b"bc"}), []
    first = unpack(archive, cache=cache, progress=lambda done, total: calls.append((done, total)))
    assert unpack(archive, cache=cache, progress=lambda done, total: calls.append((done, total))) == first
    assert calls == [(1, 3), (3, 3)]


def test_a_changed_archive_is_another_folder(tmp_path: Path, cache: Path) -> None:
    first = unpack(packed(tmp_path / "a.zip", {"a.txt": b"a"}), cache=cache)
    second = unpack(packed(tmp_path / "a.zip", {"a.txt": b"b"}), cache=cache)
    assert first != second
    assert (second / "a.txt").read_bytes() == b"b"


def test_what_a_killed_process_left_is_replaced(tmp_path: Path, cache: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"a.txt": b"whole"})
    folder = unpack(archive, cache=cache)
    left = folder.with_name(f".{folder.name}.part")
    folder.rename(left)
    (left / "a.txt").write_bytes(b"wh")
    (left / "b.txt").write_bytes(b"stale")
    again = unpack(archive, cache=cache)
    assert {path.name: path.read_bytes() for path in again.iterdir()} == {"a.txt": b"whole"}
    assert not left.exists()


def test_what_a_mac_adds_is_left_out(tmp_path: Path, cache: Path) -> None:
    entries = {"__MACOSX/._a.txt": b"fork", "train/.DS_Store": b"icons", "train/a.txt": b"a"}
    folder = unpack(packed(tmp_path / "a.zip", entries), cache=cache)
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["a.txt"]


def test_backslashes_that_stay_inside_separate_folders(tmp_path: Path, cache: Path) -> None:
    assert (unpack(packed(tmp_path / "a.zip", {"train\\1.txt": b"1"}), cache=cache) / "train" / "1.txt").is_file()


@pytest.mark.parametrize(
    "name", ["/a.txt", "../a.txt", "a/../../b.txt", "C:\\a.txt", "c:a.txt", "..\\a.txt", "\\a.txt"]
)
def test_an_entry_that_leaves_the_folder_is_refused(tmp_path: Path, cache: Path, name: str) -> None:
    refused(packed(tmp_path / "a.zip", {"good.txt": b"a", name: b"b"}), cache, "outside its folder")


def test_a_symbolic_link_is_refused(tmp_path: Path, cache: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as bundle:
        bundle.writestr(link, "/etc/passwd")
    refused(tmp_path / "a.zip", cache, "'link' is a symbolic link")


def test_an_absent_file_is_refused(tmp_path: Path, cache: Path) -> None:
    refused(tmp_path / "absent.zip", cache, "no such file")


def test_what_is_no_zip_is_refused_and_a_login_page_is_named(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"<!DOCTYPE html><html>")
    assert "login" in refused(tmp_path / "a.zip", cache, "not a zip")


def test_a_truncated_zip_is_refused(tmp_path: Path, cache: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"a.txt": b"a" * 500, "b.txt": b"b" * 500}, zipfile.ZIP_STORED)
    archive.write_bytes(archive.read_bytes()[:700])
    refused(archive, cache, "truncated")


def test_a_wrong_checksum_is_refused_with_the_entry(tmp_path: Path, cache: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"a.txt": b"unchanged"}, zipfile.ZIP_STORED)
    archive.write_bytes(archive.read_bytes().replace(b"unchanged", b"unchanGed"))
    refused(archive, cache, "'a.txt' is damaged")


def test_a_damaged_stream_is_refused(tmp_path: Path, cache: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"a.txt": bytes(range(250)) * 40})
    patched(archive, LOCAL, 30 + len("a.txt"), b"\xff\xff\xff\xff")
    refused(archive, cache, "'a.txt' is damaged")


def test_an_encrypted_entry_is_refused(tmp_path: Path, cache: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"a.txt": b"a"})
    patched(archive, CENTRAL, 8, struct.pack("<H", 1))
    refused(archive, cache, "encrypted")


def test_an_uncommon_packing_method_is_refused(tmp_path: Path, cache: Path) -> None:
    refused(packed(tmp_path / "a.zip", {"a.txt": b"a"}, zipfile.ZIP_BZIP2), cache, "method 12")


def test_a_name_that_stands_twice_is_refused(tmp_path: Path, cache: Path) -> None:
    refused(packed(tmp_path / "a.zip", {"d/a.txt": b"a", "d//a.txt": b"b"}), cache, "twice")


def test_a_file_that_is_a_folder_as_well_is_refused(tmp_path: Path, cache: Path) -> None:
    refused(packed(tmp_path / "a.zip", {"a": b"a", "a/b.txt": b"b"}), cache, "a file and a folder")


def test_a_name_too_long_for_the_disk_is_refused(tmp_path: Path, cache: Path) -> None:
    refused(packed(tmp_path / "a.zip", {"a" * 300: b"a"}), cache, "cannot be written")


def test_too_many_entries_are_refused(tmp_path: Path, cache: Path) -> None:
    archive = packed(tmp_path / "a.zip", {f"{number}.txt": b"" for number in range(4)})
    refused(archive, cache, "4 entries", Limits(entries=3))


def test_the_default_limits_are_those_of_the_documentation() -> None:
    assert Limits() == Limits(entries=2_000_000, ratio=200, large=100_000_000, name=1000, depth=50)


def test_an_entry_that_declares_a_bomb_is_refused(tmp_path: Path, cache: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"a.bin": bytes(1_000_000)})
    refused(archive, cache, "zip bomb", Limits(large=999_999))
    assert unpack(archive, cache=cache, limits=Limits(large=1_000_000)).is_dir()


def test_many_entries_that_are_a_bomb_together_are_refused(tmp_path: Path, cache: Path) -> None:
    archive = packed(tmp_path / "a.zip", {f"{number}.bin": bytes(100_000) for number in range(20)})
    refused(archive, cache, r"unpacks to \d+ times its size: a zip bomb", Limits(large=1_000_000))
    assert unpack(archive, cache=cache, limits=Limits(large=2_000_000)).is_dir()


def test_entries_on_the_same_bytes_are_refused(tmp_path: Path, cache: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"a.bin": bytes(5000), "b.bin": bytes(5000)})
    content = archive.read_bytes()
    second = content.index(CENTRAL, content.index(CENTRAL) + 4)
    archive.write_bytes(content[: second + 42] + struct.pack("<I", 0) + content[second + 46 :])
    refused(archive, cache, "'b.bin' shares bytes of the archive|'a.bin' shares bytes of the archive")


@pytest.mark.parametrize(
    "name", ["a\nerror.txt", "a\tb.txt", "a\x1b[31m.txt", "a\x00b.txt", "gpj.\u202ea.txt", "a\u2028b.txt", "a\x7f.txt"]
)
def test_a_name_that_shows_as_another_is_refused(tmp_path: Path, cache: Path, name: str) -> None:
    safe = "".join("_" if letter == "\0" else letter for letter in name)
    archive = packed(tmp_path / "a.zip", {safe: b"a"})
    if safe != name:  # zipfile writes no zero byte
        archive.write_bytes(archive.read_bytes().replace(safe.encode(), name.encode()))
    refused(archive, cache, "control characters|outside its folder")


@pytest.mark.parametrize(
    "name", ["ä/ü.txt", "写真/一.txt", "a\u0301.txt", "👩‍🔬.txt", "．．／a.txt", "a..txt", "con.txt"]
)
def test_names_of_every_script_come_out_as_they_went_in(tmp_path: Path, cache: Path, name: str) -> None:
    assert (unpack(packed(tmp_path / "a.zip", {name: b"a"}), cache=cache) / name).read_bytes() == b"a"


def test_names_without_end_are_refused_before_their_folders_are_listed(tmp_path: Path, cache: Path) -> None:
    tracemalloc.start()
    refused(packed(tmp_path / "a.zip", {"a/" * 30_000 + "b": b""}), cache, "60,001 letters in 30,001 folders")
    refused(packed(tmp_path / "b.zip", {"a/" * 60 + "b": b""}), cache, "121 letters in 61 folders")
    assert tracemalloc.get_traced_memory()[1] < 20_000_000  # all folders' paths together are 900 MB
    tracemalloc.stop()


def test_a_table_of_contents_without_end_is_refused_without_being_written(tmp_path: Path, cache: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"a.txt": b"a"})
    patched(archive, CENTRAL, 20, b"\xff\xff\xff\x7f")  # the packed size
    patched(archive, CENTRAL, 24, b"\xff\xff\xff\x7f")
    refused(archive, cache, "shares bytes of the archive")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_an_entry_that_holds_more_than_it_declares_is_refused(tmp_path: Path, cache: Path, method: int) -> None:
    archive = packed(tmp_path / "a.zip", {"a.bin": bytes(5000)}, method)
    patched(archive, CENTRAL, 24, struct.pack("<I", 100))
    refused(archive, cache, "more than the 100 bytes it declares")


def test_an_entry_that_holds_less_than_it_declares_is_refused(tmp_path: Path, cache: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"a.bin": bytes(5000)})
    patched(archive, CENTRAL, 24, struct.pack("<I", 6000))
    refused(archive, cache, "'a.bin' is damaged")


def test_a_zip_larger_than_the_free_disk_is_refused_with_both_numbers_and_the_option(
    tmp_path: Path, cache: Path
) -> None:
    archive = packed(tmp_path / "a.zip", {"a.bin": bytes(3_000_000)})
    with pytest.raises(SpaceError, match=r"3\.00 MB.*2\.00 MB free.*--cache DIR"):
        unpack(archive, cache=cache, free=two_megabytes)
    assert not [path for path in cache.rglob("*") if path.is_dir() and path.name != "unpacked"]


def two_megabytes(folder: Path) -> int:
    return 2_000_000
