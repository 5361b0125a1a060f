"""A drawing kit of street scenes seen from a car, with a class for every pixel, in CamVid's layout (SegNet's copy).

A pure function of (rows, seed): the same bytes on the same processor type and versions of numpy and OpenCV. Nothing is
copied from real data; shapes, colours and shares were set by eye. Colours are (red, green, blue); H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator, default_rng

from harness.competition import SampleFile

Colour = tuple[int, int, int]
FRAME = (90, 120)
HORIZON = 38
# numbers that keep the streams of random numbers of one seed apart
PLAN, VIDEO, DRAWING = range(3)
SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, FENCE, CAR, PEDESTRIAN, BICYCLIST, VOID = range(12)
COLOURS: dict[int, Colour] = {
    SKY: (190, 205, 225),
    BUILDING: (140, 110, 92),
    POLE: (75, 78, 80),
    ROAD: (98, 98, 104),
    PAVEMENT: (165, 155, 150),
    TREE: (58, 98, 48),
    SIGN: (205, 60, 50),
    FENCE: (126, 92, 132),
    CAR: (40, 70, 150),
    PEDESTRIAN: (196, 150, 60),
    BICYCLIST: (40, 160, 160),
    VOID: (25, 25, 28),
}


@dataclass(frozen=True)
class _Part:
    """Some frames of a video, in one of the three lists: `first` is the number of the earliest, `step` between two."""

    name: str
    video: str
    form: str
    first: int
    step: int
    frames: int


def streets(rows: int, seed: int) -> Iterator[SampleFile]:
    """CamVid's files: `rows` frames in train and val together, a third as many to test, every one with its classes.

    Pictures are uint8 [90, 120, 3], class masks uint8 [90, 120] with 11 for void. The training frames come from three
    videos, those of val from a gap in the longest of these, those of test from the shortest and from one of its own.
    The lists name files by the paths they had on their author's disk.
    """
    val, test = max(2, rows // 6), max(4, rows // 3)
    train = max(rows - val, 6)
    short, middle = max(2, train // 6), max(2, train * 3 // 10)
    rest = train - short - middle
    parts = [
        _Part("train", "0001TP", "_{:06}", 6690, 60, short),
        _Part("train", "0006R0", "_f{:05}", 930, 30, middle),
        _Part("train", "0016E5", "_{:05}", 390, 30, rest - rest // 3),
        _Part("val", "0016E5", "_{:05}", 7959, 2, val),
        _Part("train", "0016E5", "_{:05}", 8400, 30, rest // 3),
        _Part("test", "0001TP", "_{:06}", 8550, 60, test // 2),
        _Part("test", "Seq05VD", "_f{:05}", 0, 30, test - test // 2),
    ]
    lists: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for part in parts:
        for number in range(part.first, part.first + part.step * part.frames, part.step):
            name = f"{part.video}{part.form.format(number)}.png"
            picture, mask = _scene(part.video, number, seed)
            yield f"CamVid/{part.name}/{name}", picture
            yield f"CamVid/{part.name}annot/{name}", mask
            lists[part.name].append(f"/SegNet/CamVid/{part.name}/{name} /SegNet/CamVid/{part.name}annot/{name}")
    for name, lines in lists.items():
        yield f"CamVid/{name}.txt", "\n".join(lines) + "\n"


def _scene(video: str, number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(picture, mask): the classes drawn as shapes from far to near, then coloured in the video's light."""
    rng = default_rng([seed, DRAWING, *video.encode(), number])
    mask = np.full(FRAME, SKY, np.uint8)
    _street(mask, rng)
    _things(mask, rng)
    # objects that nobody named, and the car's own bonnet
    cv2.ellipse(mask, (60, 92), (30, 6), 0, 0, 360, VOID, cv2.FILLED)
    cv2.rectangle(mask, *_box(rng, x=(0, 110), foot=(40, 50), wide=(3, 8), high=(3, 8)), VOID, cv2.FILLED)
    light = default_rng([seed, VIDEO, *video.encode()]).uniform(0.88, 1.08, 3).astype(np.float32)
    palette = np.array([COLOURS[index] for index in sorted(COLOURS)], np.float32)
    palette = palette * light + rng.normal(0, 4, palette.shape).astype(np.float32)
    drawn = palette[mask] + _texture(mask, rng)
    return np.clip(drawn, 0, 255).astype(np.uint8), mask


def _street(mask: np.ndarray, rng: Generator) -> None:
    """Houses and trees on both sides of a road that runs to the horizon."""
    height, width = FRAME
    left = -5
    while left < width:
        wide, roof = int(rng.integers(14, 30)), int(rng.integers(8, 24))
        if rng.random() < 0.75:
            cv2.rectangle(mask, (left, roof), (left + wide, HORIZON), BUILDING, cv2.FILLED)
        left += wide
    for _ in range(int(rng.integers(1, 4))):
        crown = (int(rng.integers(0, width)), int(rng.integers(18, 30)))
        cv2.ellipse(mask, crown, (int(rng.integers(7, 13)), int(rng.integers(8, 14))), 0, 0, 360, TREE, cv2.FILLED)
    vanishing, wide = int(rng.integers(45, 75)), int(rng.integers(58, 84))
    mask[HORIZON:] = PAVEMENT
    corners = [
        [vanishing - 6, HORIZON],
        [vanishing + 6, HORIZON],
        [vanishing + wide, height],
        [vanishing - wide, height],
    ]
    cv2.fillPoly(mask, [np.array(corners, np.int32)], ROAD)


def _things(mask: np.ndarray, rng: Generator) -> None:
    """What stands on the street: fences, poles with signs, cars, people and riders."""
    if rng.random() < 0.6:
        side = int(rng.choice([0, 84]))
        cv2.rectangle(mask, (side, HORIZON - 4), (side + 36, HORIZON + 5), FENCE, cv2.FILLED)
    for _ in range(int(rng.integers(1, 4))):
        x, top = int(rng.integers(4, 116)), int(rng.integers(8, 18))
        cv2.rectangle(mask, (x, top), (x + 1, HORIZON + 8), POLE, cv2.FILLED)
        if rng.random() < 0.7:
            cv2.rectangle(mask, (x - 3, top), (x + 4, top + 7), SIGN, cv2.FILLED)
    for _ in range(int(rng.integers(1, 4))):
        cv2.rectangle(mask, *_box(rng, x=(8, 96), foot=(48, 76), wide=(12, 24), high=(8, 14)), CAR, cv2.FILLED)
    for _ in range(int(rng.integers(1, 4))):
        person = _box(rng, x=(2, 112), foot=(46, 66), wide=(3, 5), high=(12, 20))
        cv2.rectangle(mask, *person, PEDESTRIAN, cv2.FILLED)
    if rng.random() < 0.6:
        (left, top), (right, foot) = _box(rng, x=(10, 100), foot=(54, 74), wide=(5, 7), high=(12, 18))
        cv2.rectangle(mask, (left, top), (right, foot), BICYCLIST, cv2.FILLED)
        for x in (left - 3, right + 3):
            cv2.circle(mask, (x, foot), 4, BICYCLIST, cv2.FILLED)


def _box(
    rng: Generator, *, x: tuple[int, int], foot: tuple[int, int], wide: tuple[int, int], high: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Two corners (x, y) of a box that stands on a line `foot`; each range is drawn from."""
    left, bottom, width, height = (int(rng.integers(*limits)) for limits in (x, foot, wide, high))
    return (left, bottom - height), (left + width, bottom)


def _texture(mask: np.ndarray, rng: Generator) -> np.ndarray:
    """Float32 [H, W, 1]: windows on houses, leaves in trees, slats in fences, and grain everywhere."""
    y, x = np.mgrid[: FRAME[0], : FRAME[1]]
    windows = (mask == BUILDING) & (x % 8 < 3) & (y % 8 < 4)
    slats = (mask == FENCE) & (x % 4 < 2)
    leaves = (mask == TREE) * 16 * rng.standard_normal(FRAME, np.float32)
    return (-45.0 * windows - 40.0 * slats + leaves + 6 * rng.standard_normal(FRAME, np.float32))[..., None]
