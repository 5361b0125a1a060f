"""Any picture file becomes the expected array, or one line that names the file."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.data.pictures import picture_size, read_mask, read_picture, shrink
from harness.errors import DataError

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (20, 30), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (20, 30, 3), dtype=np.uint8)
ORIENTATION = 0x0112
# EXIF 2.3, tag Orientation: what has to be done to the stored pixels
TURNS = {
    1: COLOUR,
    2: COLOUR[:, ::-1],
    3: COLOUR[::-1, ::-1],
    4: COLOUR[::-1],
    5: COLOUR.swapaxes(0, 1),
    6: np.rot90(COLOUR, -1),
    7: COLOUR[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90(COLOUR),
}
# Pillow says what is odd about a broken TIFF before it raises
broken_tiff = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def saved(path: Path, pixels: np.ndarray, **options) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def assert_refused(path: Path) -> None:
    for read in (lambda: read_picture(path, 3), lambda: read_picture(path, 1), lambda: read_mask(path)):
        with pytest.raises(DataError, match=rf"{path.name}: unreadable or truncated picture"):
            read()


@broken_tiff
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(
    ("name", "options"),
    [("a.tif", {}), ("a.tif", {"compression": "tiff_lzw"}), ("a.png", {}), ("a.jpg", {}), ("a.bmp", {})],
)
def test_a_truncated_picture_is_refused_with_its_name(tmp_path: Path, name, options, kept) -> None:
    path = saved(tmp_path / name, COLOUR, **options)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    assert_refused(path)


@pytest.mark.parametrize("content", [b"", b"login required\n", b"II*\0", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
@broken_tiff
def test_a_file_that_is_no_picture_is_refused_with_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "1_1.tif"
    path.write_bytes(content)
    assert_refused(path)
    with pytest.raises(DataError, match=r"1_1\.tif: unreadable or truncated picture"):
        picture_size(path)


def test_a_file_that_is_not_there_is_refused_with_its_name(tmp_path: Path) -> None:
    assert_refused(tmp_path / "lost.png")


@broken_tiff
@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.jpg"])
def test_changed_bytes_give_a_picture_or_a_refusal_and_nothing_else(tmp_path: Path, name: str) -> None:
    whole = saved(tmp_path / name, COLOUR).read_bytes()
    random = np.random.default_rng(1)
    for _ in range(40):
        damaged = bytearray(whole)
        for place in random.integers(0, random.choice([60, len(whole)]), 3):
            damaged[place] = int(random.integers(256))
        (tmp_path / name).write_bytes(bytes(damaged))
        with contextlib.suppress(DataError):
            assert read_picture(tmp_path / name, 3).dtype == np.uint8


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_keep_their_high_byte(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / name, GREY.astype(np.uint16) << 8 | 77)
    np.testing.assert_array_equal(read_picture(path, 1), GREY[:, :, None], strict=True)
    np.testing.assert_array_equal(read_picture(path, 3), np.repeat(GREY[:, :, None], 3, axis=2), strict=True)


@pytest.mark.parametrize("kind", [np.int32, np.float32])
def test_thirty_two_bits_are_refused_rather_than_cut(tmp_path: Path, kind) -> None:
    path = saved(tmp_path / "a.tif", GREY.astype(kind) * 7)
    for read in (lambda: read_picture(path, 1), lambda: read_mask(path)):
        with pytest.raises(DataError, match=r"a\.tif: a picture of 32 bits a pixel"):
            read()


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", GREY)
    np.testing.assert_array_equal(read_picture(path, 1), GREY[:, :, None], strict=True)
    np.testing.assert_array_equal(read_picture(path, 3), np.repeat(GREY[:, :, None], 3, axis=2), strict=True)


def test_colour_becomes_grey_by_luma(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", COLOUR)
    luma = COLOUR @ [0.299, 0.587, 0.114]  # ITU-R BT.601
    assert np.abs(read_picture(path, 1)[:, :, 0] - luma).max() <= 1


def test_transparency_is_dropped(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", np.dstack([COLOUR, GREY]))
    np.testing.assert_array_equal(read_picture(path, 3), COLOUR, strict=True)


@pytest.mark.parametrize("options", [{}, {"transparency": bytes([0, 128] + [255] * 14)}, {"transparency": 3}])
def test_a_palette_becomes_its_colours(tmp_path: Path, options) -> None:
    indexed = Image.fromarray(COLOUR).quantize(16)
    indexed.save(tmp_path / "a.png", **options)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png", 3), np.asarray(indexed.convert("RGB")), strict=True)


def test_print_colours_become_screen_colours(tmp_path: Path) -> None:
    smooth = np.full((16, 16, 3), (200, 60, 30), dtype=np.uint8)
    Image.fromarray(smooth).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    assert np.abs(read_picture(tmp_path / "a.jpg", 3).astype(int) - smooth).max() < 6


@pytest.mark.parametrize("flag", TURNS)
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_turned_picture_its_mask_and_its_size_follow_the_flag(tmp_path: Path, name: str, flag: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = flag
    path = saved(tmp_path / name, COLOUR, exif=exif)
    mask = saved(tmp_path / f"mask_{name}", COLOUR[:, :, 0], exif=exif)
    np.testing.assert_array_equal(read_picture(path, 3), TURNS[flag], strict=True)
    np.testing.assert_array_equal(read_mask(mask), TURNS[flag][:, :, 0], strict=True)
    assert picture_size(path) == picture_size(mask) == TURNS[flag].shape[:2]


def test_masks_are_read_as_stored(tmp_path: Path) -> None:
    inside = GREY > 100
    white = inside * np.uint8(255)
    for name, stored in {"grey.png": white, "one_bit.png": inside, "grey.tif": white, "ones.tif": inside * 1}.items():
        pixels = stored.astype(np.uint8) if stored.dtype == np.int64 else stored
        expected = pixels * np.uint8(255) if pixels.dtype == bool else pixels
        np.testing.assert_array_equal(read_mask(saved(tmp_path / name, pixels)), expected, strict=True)
    np.testing.assert_array_equal(read_mask(saved(tmp_path / "rgb.png", np.dstack([white] * 3))), white, strict=True)
    indexed = Image.fromarray(inside.astype(np.uint8))
    indexed.putpalette([0, 0, 0, 255, 255, 255])
    indexed.save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "palette.png"), inside.astype(np.uint8), strict=True)


@pytest.mark.parametrize("top", [1, 255, 65535])
def test_a_mask_of_sixteen_bits_keeps_its_inside(tmp_path: Path, top: int) -> None:
    path = saved(tmp_path / "a.png", (GREY > 100).astype(np.uint16) * top)
    assert np.unique(read_mask(path)).tolist() == [0, min(top, 255)]


def test_a_grey_mask_of_sixteen_bits_stays_grey(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", GREY.astype(np.uint16) << 8)
    np.testing.assert_array_equal(read_mask(path), GREY, strict=True)


def test_a_mask_with_colours_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png: the mask has colours"):
        read_mask(saved(tmp_path / "a.png", COLOUR))


@pytest.mark.parametrize("size", [(10, 15), (40, 60), (20, 10), (7, 45), (1, 1), (20, 30)])
@pytest.mark.parametrize("channels", [1, 3])
def test_shrinking_gives_the_size_asked_for(size, channels) -> None:
    picture = COLOUR[:, :, :channels]
    shrunk = shrink(picture, size)
    assert shrunk.shape == (*size, channels)
    assert shrunk.dtype == np.uint8


def test_shrinking_averages_over_areas() -> None:
    squares = np.kron(RANDOM.integers(0, 256, (5, 5), dtype=np.uint8), np.ones((4, 4), dtype=np.uint8))[:, :, None]
    np.testing.assert_array_equal(shrink(squares, (5, 5)), squares[::4, ::4])
    stripes = np.tile(np.array([[0], [200]], dtype=np.uint8), (10, 20))[:, :, None]
    assert (shrink(stripes, (10, 10)) == 100).all()
