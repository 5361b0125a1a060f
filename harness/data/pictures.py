"""Decoding pictures: one function from a file to a uint8 array, and one error line for whatever is wrong with it.

H height, W width, C channels.
"""

from __future__ import annotations

import contextlib
import struct
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from harness.competition import Size
from harness.errors import DataError

ORIENTATION = 0x0112  # EXIF tag; values from 5 on swap height and width
# Pillow warns of damaged tags before it raises; where warnings are errors the warning comes first
BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, UserWarning, Image.DecompressionBombError)
# What the file holds decides, not its ending. No others are tried: some of Pillow's readers start other programs
# (Ghostscript for EPS) or are seldom looked at.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF")
LARGEST = 80_000_000  # pixels that a header may promise: 240 MB in colour; nothing is allocated for more
warnings.filterwarnings("ignore", module="PIL")


def picture_size(path: str | Path) -> Size:
    """(height, width) from the header, turned as the camera's orientation flag says; nothing is decoded.

    Raises:
        DataError: no picture.
    """
    with _opened(path) as picture:
        width, height = picture.size
        # Pillow turns the size of a TIFF itself
        turned = picture.format != "TIFF" and picture.getexif().get(ORIENTATION, 1) >= 5
        return (width, height) if turned else (height, width)


def known_size(path: str | Path) -> Size:
    """As `picture_size`, of damaged files too; (0, 0) of one that has no readable header."""
    with contextlib.suppress(DataError):
        return picture_size(path)
    with contextlib.suppress(DataError), _opened(path) as picture:  # a PNG may hold its flag behind what is damaged
        return picture.height, picture.width
    return 0, 0


def guessed_sizes(sizes: Sequence[Size]) -> np.ndarray:
    """int64 [N, 2]: the sizes, with the commonest of the others, the first of several, in the place of (0, 0)."""
    known = Counter(tuple(size) for size in sizes if tuple(size) != (0, 0)).most_common(1)
    guess = known[0][0] if known else (1, 1)
    return np.array([guess if tuple(size) == (0, 0) else size for size in sizes], dtype=np.int64).reshape(-1, 2)


def read_picture(path: str | Path, channels: int) -> np.ndarray:
    """uint8 [H, W, C] of a picture file: grey for one channel, else RGB; 16-bit files keep their high byte.

    Raises:
        DataError: truncated, empty, not a picture, 32 bits a pixel.
    """
    with _opened(path) as picture:
        turned = _turned(picture, path)
        if turned.mode.startswith("I;16"):
            high = (np.asarray(turned) >> 8).astype(np.uint8)
            return np.repeat(high[:, :, None], channels, axis=2)
        if turned.mode == "P" and "transparency" in turned.info:
            turned = turned.convert("RGBA")  # straight to RGB, Pillow warns
        pixels = np.asarray(turned.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(*pixels.shape[:2], channels)


def read_mask(path: str | Path) -> np.ndarray:
    """uint8 [H, W] of a mask file, values as stored; 16-bit files with values above 255 keep their high byte.

    Raises:
        DataError: truncated, empty, not a picture, or a colour picture whose channels differ.
    """
    with _opened(path) as picture:
        turned = _turned(picture, path)
        if turned.mode.startswith("I;16"):
            pixels = np.asarray(turned)
            return (pixels >> 8 if pixels.max() > 255 else pixels).astype(np.uint8)
        if turned.mode == "1":
            turned = turned.convert("L")
        # a palette's numbers are classes, but of a GIF, whose writers sort its colours as they like
        stored = turned.mode == "L" or (turned.mode == "P" and picture.format != "GIF")
        pixels = np.asarray(turned if stored else turned.convert("RGB"))
    if pixels.ndim == 3:
        if (pixels != pixels[:, :, :1]).any():
            raise DataError("the mask has colours", file=path, fix="save masks with one channel")
        pixels = pixels[:, :, 0]
    return pixels


def shrink(picture: np.ndarray, size: Size) -> np.ndarray:
    """uint8 [h, w, C] of a [H, W, C] picture: by area when smaller (no moire), linear when larger."""
    if picture.shape[:2] == size:
        return picture
    smaller = size[0] * size[1] < picture.shape[0] * picture.shape[1]
    resized = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return resized.reshape(*size, picture.shape[2])


@contextmanager
def _opened(path: str | Path) -> Iterator[Image.Image]:
    """The picture file, not decoded yet; what goes wrong inside the block becomes one line with the file's name."""
    try:
        # by handle: a grey TIFF opened by name is mapped into memory, and Pillow 13 then misreads a turned one
        with open(path, "rb") as handle, Image.open(handle, formats=FORMATS) as picture:
            if picture.width * picture.height > LARGEST:
                size = f"{picture.height}x{picture.width}, more than {LARGEST:,} pixels"
                raise DataError(f"a picture of {size}", file=path, fix="shrink it, or cut it into parts")
            yield picture
    except BROKEN as error:
        unknown = isinstance(error, UnidentifiedImageError)
        reason = "no known format" if unknown else str(error).replace(str(path), "").strip() or type(error).__name__
        raise DataError(
            f"unreadable or truncated picture ({reason})", file=path, fix="download the file again or remove it"
        ) from error


def _turned(picture: Image.Image, path: str | Path) -> Image.Image:
    """The picture as the camera's orientation flag says, with at most 16 bits a pixel."""
    if picture.mode in ("I", "F"):  # Pillow would cut every value above 255
        raise DataError("a picture of 32 bits a pixel", file=path, fix="save it with 8 or 16 bits")
    return ImageOps.exif_transpose(picture)
