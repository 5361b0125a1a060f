"""The four readers of what strangers write, each with the promise that no input may break.

Of all of them: nothing but a HarnessError of one line escapes. Besides: what is accepted reads back as what it is, and
nothing is written outside the folder it belongs in.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import stat
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from harness import cells, labelled, listing, own_pictures, pictured, registry
from harness.config import TrainConfig, as_json, from_json, override
from harness.data import addresses
from harness.data.unpack import Limits, unpack
from harness.errors import HarnessError
from harness.formats import check_run_lengths, decode_run_lengths, run_lengths
from harness.pipeline.job import Request
from harness.runs import Run
from harness.submission import lines
from tests.submissions import EXPECTED, VALID, verdict

DISK = 20_000_000  # bytes that an archive may unpack to here


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        name: of it.
        seeds: right inputs.
        tokens: what such inputs are made of.
        check: reads an input in an empty folder; raises where a promise is broken.
    """

    name: str
    seeds: Sequence[bytes]
    tokens: Sequence[bytes]
    check: Callable[[bytes, Path], None]


def refused(read: Callable[[], object]) -> bool:
    """Whether the reader refuses its input, in one line."""
    try:
        read()
    except HarnessError as error:
        told = str(error)
    else:
        return False
    assert len(told.splitlines()) == 1, f"more than one line: {told!r}"
    return True


def check_table(content: bytes, folder: Path) -> None:
    """A table is refused, or has columns of one length that another program's writing reads back as."""
    root = folder / "images"
    root.mkdir()
    for name in ("a.jpg", "b.jpg", "1.png"):
        (root / name).touch()
    for name in ("train.csv", "sample_submission.csv"):
        (folder / name).write_bytes(content)
    file = folder / "train.csv"
    refused(lambda: listing.header(file))
    for read in (labelled.read, labelled.test_pictures, own_pictures.read, own_pictures.test, pictured.training):
        refused(lambda read=read: read(folder))
    if addresses.is_list(file):
        refused(lambda: addresses.read(file))
    refused(lambda: addresses.read(file))
    _check_submission(content, folder)
    if refused(lambda: listing.read_all(file)):
        return
    columns = listing.read_all(file)
    assert len({len(texts) for texts in columns.values()}) == 1
    names = list(columns)
    again = io.StringIO()
    writer = csv.writer(again, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([names, *zip(*columns.values(), strict=True)])
    file.write_bytes(again.getvalue().encode())
    assert listing.read_all(file) == columns
    for texts in columns.values():
        for row, text in enumerate(texts[:20], start=2):
            refused(lambda text=text, row=row: listing.number(text, file=file, row=row, column="a"))


def _check_submission(content: bytes, folder: Path) -> None:
    found = verdict(folder, content)
    assert found.valid == (not found.errors)
    assert all(len(error.line().splitlines()) == 1 for error in found.errors)
    if found.valid:
        rows = list(lines.read_cells(folder / "submission.csv", EXPECTED.submission.header))
        for (_, *rest), size in zip(rows, EXPECTED.sizes, strict=True):
            EXPECTED.submission.read([tuple(rest)], size)


def check_runs(content: bytes, folder: Path) -> None:
    """Run lengths are refused, or are the mask that they say, which the encoder writes as the same mask."""
    size = (content[0] % 40 + 1, content[1] % 40 + 1) if len(content) > 1 else (3, 4)
    text = content[2:].decode("utf-8", errors="replace")
    problem = check_run_lengths(text, size)
    for check in (cells.check_number, cells.check_label, cells.check_tags, cells.check_indicator):
        check(text, size)
    if problem is not None:
        assert all(len(part.splitlines()) == 1 for part in problem), problem
        return
    mask = decode_run_lengths(text, size)
    numbers = [int(word) for word in text.split()]
    expected = np.zeros(size[0] * size[1], dtype=bool)
    for start, length in zip(numbers[::2], numbers[1::2], strict=True):
        expected[start - 1 : start - 1 + length] = True
    np.testing.assert_array_equal(mask, expected.reshape(size[::-1]).T)
    np.testing.assert_array_equal(decode_run_lengths(run_lengths(mask), size), mask)


def check_configuration(content: bytes, folder: Path) -> None:
    """Settings and a run's config.json are refused, or are a configuration that JSON brings back the same."""
    text = content.decode("utf-8", errors="replace")
    found: list[TrainConfig] = []
    refused(lambda: found.append(override(TrainConfig(), text.split("\n"))))
    for config in found:
        assert from_json(json.loads(json.dumps(as_json(config)))) == config
    (folder / "config.json").write_bytes(content)
    run, settings = Run(folder), list[dict]()
    if refused(lambda: settings.append(run.settings())):
        return
    refused(lambda: found.append(from_json(settings[0]["config"])))
    for config in found:
        assert isinstance(config, TrainConfig)
        assert from_json(json.loads(json.dumps(as_json(config)))) == config
    refused(lambda: from_json(settings[0]["request"], Request))
    refused(lambda: registry.load(settings[0]["competition"]))


def check_archive(content: bytes, folder: Path) -> None:
    """An archive is refused and leaves nothing, or is unpacked, as Python's own reader has it, inside its folder."""
    archive, cache = folder / "in" / "a.zip", folder / "in" / "cache"
    archive.parent.mkdir()
    archive.write_bytes(content)
    found: list[Path] = []
    stopped = refused(
        lambda: found.append(unpack(archive, cache=cache, free=lambda _: DISK, limits=Limits(large=1_000_000)))
    )
    assert [path.name for path in folder.iterdir()] == ["in"], "written outside"
    inside = [path for path in folder.rglob("*") if path not in (archive.parent, archive, cache, cache / "unpacked")]
    kept = [path for path in inside if not path.name.endswith(".lock")]
    if stopped:
        assert not kept, "a refused archive left something"
        return
    (target,) = found
    assert all(path == target or target in path.parents for path in kept), "written outside"
    kinds = {stat.S_IFMT(path.lstat().st_mode) for path in kept}
    assert kinds <= {stat.S_IFREG, stat.S_IFDIR}, "neither file nor folder"
    assert sum(path.stat().st_size for path in kept if path.is_file()) <= DISK
    with zipfile.ZipFile(archive) as bundle:
        for entry in bundle.infolist():
            name = entry.filename.replace("\\", "/")
            if name.endswith(("/", ".DS_Store")) or "__MACOSX" in name.split("/"):
                continue
            assert (target / name).read_bytes() == bundle.read(entry)


def _archives() -> list[bytes]:
    names = [
        ["train/1.txt", "train/2.txt", "table.csv"],
        ["../out.txt", "a.txt"],
        ["/out.txt"],
        ["a\\b.txt", "C:\\out.txt"],
        ["__MACOSX/._a", "a/.DS_Store", "ä.txt"],
        ["folder/", "folder/deep/er/file.bin"],
    ]
    found = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        for group in names:
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w", method) as bundle:
                for number, name in enumerate(group):
                    bundle.writestr(zipfile.ZipInfo(name), bytes(range(65, 70)) * 20 * number, compress_type=method)
            found.append(buffer.getvalue())
    link = zipfile.ZipInfo("link")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as bundle:
        bundle.writestr(link, "/etc/passwd")
        bundle.writestr("link/a.txt", "a")
    return [*found, buffer.getvalue()]


def _tables() -> list[bytes]:
    return [
        VALID,
        b"id,label\na.jpg,x\nb.jpg,y\n",
        b"image_name,tags\na,haze primary\nb,clear\n1,haze\n",
        b"\xef\xbb\xbffile;style\r\na.jpg;modern\r\nb.jpg;old\r\n",
        b"image\tgood\tbad\na.jpg\t1\t0\nb.jpg\t0\t1\n",
        b'Id,Shape,Weight,Length/width,Price,image\n1,round,"0,30",4.1,"$1,200",a.jpg\n2,pear,.31,4.0,900,b.jpg\n',
        b"label,url\nx,https://example.org/a.jpg\ny,http://example.org/b.png\n",
        b"id,carat,cut,price\n0,1.52,Premium,13619\n1,2.03,Very Good,13387\n",
    ]


def _configurations() -> list[bytes]:
    settings = [
        b"train.rate=3e-3\ntrain.size=96x128\nstages.0.epochs=3\nstages.1.epochs=2",
        b"model.decoder=64x32x16x8x8\nmodel.text=lstm\ndata.folds=none\nspace.rate=1e-4:1e-1:log",
        b"space.weight_decay=1e-4:1e-1:log\nspace.batch=8:64\nspace.model.text=lstm|gpt\nspace.blurpool=true|false",
        b"stages.0.rates=1e-4,2e-3\nstages.0.freeze=yes\nviews=none\nseed=7\ndata.quarantine=0.05",
    ]
    config = override(TrainConfig(), ["space.weight_decay=1e-4:1e-1:log", "stages.1.size=64x64"])
    whole = {
        "schema": 1,
        "competition": "camvid",
        "request": asdict(Request(only_folds=(1,))),
        "config": as_json(config),
    }
    return [*settings, json.dumps(whole).encode(), json.dumps({**whole, "config": {"train": {}}}).encode()]


def _masks() -> list[bytes]:
    return [bytes([11, 19]) + text for text in (b"", b"1 1", b"3 2 15 4", b"1 240", b"1 1 3 1 5 1 7 1", b"239 2")]


TARGETS = (
    Target(
        "CSV reader",
        _tables(),
        (b",", b";", b"\t", b"a.jpg", b"id", b"price", b"1e309", b"nan", b"https://"),
        check_table,
    ),
    Target(
        "run-length decoder", _masks(), (b"1", b"240", b"241", b" 1 1", b"999999999999999", b"+", b".0"), check_runs
    ),
    Target(
        "configuration parser",
        _configurations(),
        (b"=", b".", b"null", b"[]", b"{}", b'"', b":", b"|", b"nan", b"inf", b"1e309", b"true", b"-1", b"[" * 3000),
        check_configuration,
    ),
    Target(
        "zip reader",
        _archives(),
        (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"../", b"/", b"\\", b"\xff" * 4, b"\0" * 4, b"\1\0", b"\x7f\xff\xff\xff"),
        check_archive,
    ),
)


def try_one(target: Target, content: bytes, folder: Path) -> BaseException | None:
    """What an input breaks, if anything. The folder is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        target.check(content, folder)
    except Exception as error:
        return error
    return None


def without_sync() -> None:
    """Archives are unpacked without waiting for the disk: what is fuzzed is not whether they survive a power cut."""
    os.sync = lambda: None
