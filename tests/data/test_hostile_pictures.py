"""Pictures that somebody prepared, or saved oddly: what a viewer shows, or one line; nothing large is allocated."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from harness.data.pictures import LARGEST, known_size, picture_size, read_mask, read_picture
from harness.errors import DataError

GREY = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
INSIDE = (GREY > 100) * np.uint8(255)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, content: bytes, *before: bytes) -> bytes:
    """A grey PNG of 8 bits with that header and that compressed content."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + chunk(b"IDAT", zlib.compress(content)) + chunk(b"IEND", b"")
    )


def saved(kind: str, *pages: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    first, *rest = [Image.fromarray(page) for page in pages]
    first.save(buffer, kind, **({"save_all": True, "append_images": rest} if rest else {}), **options)
    return buffer.getvalue()


def bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHI", 60, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, *[0] * 6)


def gif(width: int, height: int) -> bytes:
    return (
        b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0)
    )


def tiff(width: int, height: int) -> bytes:
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (278, 4, height)]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in [*tags, (279, 4, 10)])
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", 8) + entries + b"\0\0\0\0"


SIDE = 60_000
REFUSED: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "text": lambda: b"not a picture at all\n" * 20,
    "a login page": lambda: b"<!DOCTYPE html><html><form>log in</form></html>",
    "PostScript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 30 20\n%%EndComments\nshowpage\n",
    "a vector drawing": lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    "PNG, huge by its header": lambda: png(SIDE, SIDE, b"\0" * 100),
    "PNG, 2**31 wide": lambda: png(2**31 - 1, 2**31 - 1, b"\0" * 100),
    "PNG, nothing wide": lambda: png(0, 10, b"\0" * 100),
    "PNG, whose text unpacks to 100 MB": lambda: png(
        30, 20, bytes(31 * 20), chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000), 1))
    ),
    "BMP, huge by its header": lambda: bmp(SIDE, SIDE),
    "GIF, huge by its header": lambda: gif(SIDE, SIDE),
    "TIFF, huge by its header": lambda: tiff(SIDE, SIDE),
    "TIFF, 4294967295 wide": lambda: tiff(2**32 - 1, 2**32 - 1),
    "JPEG, cut": lambda: saved("JPEG", COLOUR)[:300],
    "WebP, cut": lambda: saved("WEBP", COLOUR)[:300],
    "animated PNG, cut in its first frame": lambda: saved("PNG", GREY, 255 - GREY)[:200],
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_it_is_refused_in_one_line(name: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(REFUSED[kind]())
    for read in (lambda: read_picture(path, 3), lambda: read_picture(path, 1), lambda: read_mask(path)):
        with pytest.raises(DataError, match=rf"^[^\n]*{name}: [^\n]+$"):
            read()


# what Pillow allocates in C is seen by the kernel alone; a process of its own, so that no earlier peak hides it
PROGRAM = """
import sys
from pathlib import Path
from harness.data.pictures import known_size, read_mask, read_picture
from harness.errors import DataError

def peak():
    words = Path("/proc/self/status").read_text().split()
    return int(words[words.index("VmHWM:") + 1]) / 1000

for path in sys.argv[1:]:
    before = peak()
    for read in (lambda: read_picture(path, 3), lambda: read_picture(path, 1), lambda: read_mask(path)):
        try:
            read()
        except DataError:
            pass
    known_size(path)
    print(peak() - before, path)
"""


def grown(*paths: Path) -> dict[str, float]:
    """Megabytes by which the peak of a fresh process grows as it reads each file, after a right one."""
    if not Path("/proc/self/status").exists():
        pytest.skip("the kernel tells no peak of memory")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", PROGRAM, *map(str, paths)]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    pairs = (line.split(" ", 1) for line in told)
    return {Path(path).name: float(amount) for amount, path in pairs}


def test_no_prepared_picture_takes_memory_and_an_honest_large_one_does(tmp_path: Path) -> None:
    files = {"0 right": saved("PNG", COLOUR), **{name: make() for name, make in REFUSED.items()}}
    files["content beyond the header"] = png(30, 20, bytes(50_000_000))
    files["~ honest"] = saved("PNG", np.zeros((5000, 8000), dtype=np.uint8))
    for name, content in files.items():
        assert len(content) < 500_000
        (tmp_path / name).write_bytes(content)
    found = grown(*(tmp_path / name for name in files))
    assert list(found) == list(files)
    assert found.pop("~ honest") > 40  # the measure sees what is allocated
    del found["0 right"]  # loads what decoding needs
    assert max(found.values()) < 20, found


def test_the_largest_header_is_read_and_one_pixel_more_is_not(tmp_path: Path) -> None:
    (tmp_path / "a.bmp").write_bytes(bmp(10_000, LARGEST // 10_000))
    assert picture_size(tmp_path / "a.bmp") == (8_000, 10_000)
    (tmp_path / "a.bmp").write_bytes(bmp(10_000, LARGEST // 10_000 + 1))
    with pytest.raises(DataError, match="a picture of 8001x10000, more than 80,000,000 pixels"):
        picture_size(tmp_path / "a.bmp")
    assert known_size(tmp_path / "a.bmp") == (0, 0)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_several_frames_the_first_is_read(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(saved(kind, INSIDE, 255 - INSIDE, **({"lossless": True} if kind == "WEBP" else {})))
    with Image.open(path) as picture:
        assert getattr(picture, "n_frames", 1) == 2
    np.testing.assert_array_equal(read_picture(path, 1)[:, :, 0], INSIDE)
    np.testing.assert_array_equal(read_picture(path, 3)[:, :, 2], INSIDE)
    np.testing.assert_array_equal(read_mask(path) != 0, INSIDE != 0)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("name", ["a.jpg", "a.tif", "a.webp", "a.png"])
def test_the_content_decides_and_not_the_ending(kind: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(saved(kind, GREY))
    np.testing.assert_array_equal(read_picture(tmp_path / name, 1)[:, :, 0], GREY)
    np.testing.assert_array_equal(read_mask(tmp_path / name), GREY)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF", "WEBP", "JPEG"])
def test_an_all_black_picture_is_black(kind: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(saved(kind, np.zeros((20, 30, 3), dtype=np.uint8)))
    assert not read_picture(tmp_path / "a.png", 3).any()
    assert not read_mask(tmp_path / "a.png").any()


@pytest.mark.parametrize("colour", [True, False])
def test_a_colour_profile_changes_no_pixel(colour: bool, tmp_path: Path) -> None:
    pixels = COLOUR if colour else GREY
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for content in (profile, b"no profile"):
        (tmp_path / "a.png").write_bytes(saved("PNG", pixels, icc_profile=content))
        np.testing.assert_array_equal(read_picture(tmp_path / "a.png", 3), pixels if colour else np.dstack([GREY] * 3))


def test_one_bit_is_black_and_white(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(saved("PNG", INSIDE != 0))
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png", 1)[:, :, 0], INSIDE)


def test_a_mask_in_print_colours_is_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(INSIDE).convert("RGB").convert("CMYK").save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif"), INSIDE)
