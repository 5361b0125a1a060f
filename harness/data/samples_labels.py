"""Drawing kits of labelled pictures: forest chips with tags, designs with styles, gemstones in class folders.

Pure functions of (rows, seed): the same bytes on the same processor type and versions of numpy and OpenCV. Nothing is
copied from real data; shapes, colours and shares were set by eye. Colours are (red, green, blue); H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import cv2
import numpy as np
from numpy.random import Generator, default_rng

from harness.competition import SampleFile

Colour = tuple[int, int, int]
Form = Literal["tags", "label", "columns", "folders"]
CHIP, DESIGN, STONE = (96, 96), (80, 64), (72, 128)
# numbers that keep the streams of random numbers of one seed apart
PLAN, DRAWING = range(2)

WEATHER = {"clear": 0.55, "partly_cloudy": 0.2, "haze": 0.15, "cloudy": 0.1}
GROUND = {"primary": 0.9, "agriculture": 0.4, "road": 0.35, "water": 0.3, "habitation": 0.2, "bare_ground": 0.15}
STYLES = ("flat", "geometric", "gradient", "grunge", "typographic", "vintage")
STONES: dict[str, Colour] = {
    "Amethyst": (128, 60, 170),
    "Black Onyx": (30, 28, 32),
    "Citrine": (225, 165, 40),
    "Lapis Lazuli": (35, 60, 160),
    "Malachite": (25, 125, 85),
    "Rose Quartz": (230, 165, 175),
}


def _noise(rng: Generator, cells: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Float32 [H, W, 1] noise of spread about 1 whose bumps are as wide as one of `cells`."""
    return cv2.resize(rng.standard_normal(cells, np.float32), size[::-1], interpolation=cv2.INTER_CUBIC)[..., None]


def _filled(size: tuple[int, int], colour: Colour) -> np.ndarray:
    """Float32 [H, W, 3] of one colour."""
    return np.full((*size, 3), colour, np.float32)


def _picture(drawn: np.ndarray) -> np.ndarray:
    """uint8 of a drawing whose values are around 0 to 255."""
    return np.clip(drawn, 0, 255).astype(np.uint8)


def _shares(rng: Generator, shares: dict[str, float], rows: int) -> list[str]:
    """`rows` names in mixed order, each as often as its share says and at least twice."""
    counts = {name: max(2, round(share * rows)) for name, share in shares.items()}
    names = [name for name, count in counts.items() for _ in range(count)]
    common = max(shares, key=lambda name: shares[name])
    names = (names + [common] * rows)[: max(rows, 2 * len(shares))]
    return [names[index] for index in rng.permutation(len(names))][:rows]


def chips(rows: int, seed: int) -> Iterator[SampleFile]:
    """Planet's files: `rows` chips with tags, a third as many to test, of those some in a further folder.

    Pictures are uint8 [96, 96, 3]. Each has one of four kinds of weather, and cloudy stands alone. One row in fifteen
    says a tag twice, and one chip has no weather, as in the real table.
    """
    rng = default_rng([seed, PLAN])
    tests = max(4, rows // 3)
    extra = max(1, tests // 3)
    names = [f"train_{number}" for number in range(rows)]
    names += [f"test_{number}" for number in range(tests - extra)] + [f"file_{number}" for number in range(extra)]
    folders = {"train": "train-jpg", "test": "test-jpg", "file": "test-jpg-additional"}
    weather = _shares(rng, WEATHER, rows) + _shares(rng, WEATHER, tests)
    table, sample = ["image_name,tags"], ["image_name,tags"]
    for index, (name, sky) in enumerate(zip(names, weather, strict=True)):
        tags = [tag for tag, share in GROUND.items() if rng.random() < share] or ["primary"]
        tags = [sky] if sky == "cloudy" else [tags[0], sky, *tags[1:]]
        if name == f"train_{rows - 1}":
            tags = ["water"]
        yield f"{folders[name.split('_')[0]]}/{name}.jpg", _chip(tags, default_rng([seed, DRAWING, index]))
        if name.startswith("train"):
            table.append(f"{name},{' '.join([*tags, tags[0]] if index % 15 == 7 else tags)}")
        else:
            sample.append(f"{name},primary clear")
    yield "train_v2.csv", "\n".join(table) + "\n"
    yield "sample_submission_v2.csv", "\n".join(sample) + "\n"


def _chip(tags: list[str], rng: Generator) -> np.ndarray:
    """uint8 [96, 96, 3] seen from above: ground, what people made of it, and the sky between."""
    side = CHIP[0]
    if "cloudy" in tags:
        return _picture(_filled(CHIP, (215, 218, 222)) + 14 * _noise(rng, (6, 6), CHIP))
    forest = "primary" in tags
    drawn = _filled(CHIP, (38, 74, 44) if forest else (112, 118, 96)) + 7 * rng.standard_normal((*CHIP, 1), np.float32)
    if "agriculture" in tags:
        for _ in range(3):
            (left, top), (wide, high) = rng.integers(0, side - 30, 2).tolist(), rng.integers(24, 44, 2).tolist()
            cv2.rectangle(drawn, (left, top), (left + wide, top + high), (150, 168, 88), cv2.FILLED)
    if "bare_ground" in tags:
        centre, radii = rng.integers(24, side - 24, 2).tolist(), rng.integers(14, 24, 2).tolist()
        cv2.ellipse(drawn, centre, radii, 30, 0, 360, (205, 180, 140), cv2.FILLED)
    if "water" in tags:
        cv2.polylines(drawn, [_path(rng, 3)], False, (24, 44, 82), 11, cv2.LINE_AA)
    if "road" in tags:
        cv2.polylines(drawn, [_path(rng, 1)], False, (190, 122, 82), 4, cv2.LINE_AA)
    if "habitation" in tags:
        middle = rng.integers(24, side - 24, 2)
        for dot in (middle + rng.normal(0, 9, (26, 2))).astype(int).tolist():
            cv2.rectangle(drawn, dot, (dot[0] + 2, dot[1] + 2), (235, 230, 226), cv2.FILLED)
    if "haze" in tags:
        drawn = 0.5 * drawn + 0.5 * _filled(CHIP, (198, 202, 208))
    if "partly_cloudy" in tags:
        cover = np.clip(1.4 * _noise(rng, (7, 7), CHIP) - 0.5, 0, 1)
        drawn = drawn * (1 - cover) + _filled(CHIP, (250, 250, 252)) * cover
    return _picture(drawn)


def _path(rng: Generator, bends: int) -> np.ndarray:
    """int32 [bends + 2, 2] points (x, y) from one side of a chip to the other, either way."""
    along = np.linspace(-4, CHIP[1] + 4, bends + 2)
    across = rng.uniform(16, CHIP[0] - 16) + rng.normal(0, 12, bends + 2)
    points = np.stack([along, across], axis=1).astype(np.int32)
    return points[:, ::-1].copy() if rng.random() < 0.5 else points


def designs(rows: int, seed: int, *, form: Form = "tags", separator: str = "|") -> Iterator[SampleFile]:
    """Posters with styles, in any of the forms such data comes in: `rows` to learn from and a third as many to test.

    Pictures are uint8 [80, 64, 3]. Train and test have the same file names; the training table starts with a byte
    order mark and ends its lines with CRLF, as spreadsheets save it.

    Args:
        form: "tags" in one cell, kept apart by `separator`; one "label" in a cell; 0/1 "columns"; one of "folders".
    """
    rng = default_rng([seed, PLAN])
    single, tests = form in ("label", "folders"), max(4, rows // 3)
    header = ("image", *STYLES) if form == "columns" else ("image", "style" if single else "styles")
    first = ["0"] * len(STYLES) if form == "columns" else [STYLES[0]]
    table, sample = [",".join(header)], [",".join(header)]
    for index in range(rows + tests):
        styles = (STYLES[index % len(STYLES)],) if single else _styles(rng)
        name = f"{(index if index < rows else index - rows) * 2:04}.jpg"
        folder = "test" if index >= rows else f"train/{styles[0]}" if form == "folders" else "train"
        yield f"{folder}/{name}", _poster(styles, default_rng([seed, DRAWING, index]))
        cells = [str(int(style in styles)) for style in STYLES] if form == "columns" else [separator.join(styles)]
        cell = ",".join(f'"{cell}"' if "," in cell else cell for cell in cells)
        (table if index < rows else sample).append(f"{name},{cell if index < rows else ','.join(first)}")
    if form != "folders":
        yield "train.csv", ("\ufeff" + "\r\n".join(table) + "\r\n").encode()
    yield "sample_submission.csv", "\n".join(sample) + "\n"


def _styles(rng: Generator) -> tuple[str, ...]:
    """A ground, and of four further styles each with a chance of a third, in any order."""
    styles = ["flat" if rng.random() < 0.5 else "gradient"]
    styles += [style for style in ("geometric", "grunge", "typographic", "vintage") if rng.random() < 0.34]
    return tuple(styles[index] for index in rng.permutation(len(styles)))


def _poster(styles: tuple[str, ...], rng: Generator) -> np.ndarray:
    """uint8 [80, 64, 3] that shows each of its styles."""
    height, width = DESIGN
    ground, ink = rng.uniform(60, 200, 3), rng.uniform(0, 255, 3)
    slope = np.linspace(-1, 1, height, dtype=np.float32)[:, None, None]
    drawn = np.zeros((*DESIGN, 3), np.float32) + ground.astype(np.float32)
    drawn = drawn + 75 * slope * ("gradient" in styles)
    if "geometric" in styles:
        for _ in range(4):
            corners = rng.integers([0, 0], [width, height], (3, 2)).astype(np.int32)
            cv2.fillPoly(drawn, [corners], tuple(rng.uniform(0, 255, 3)))
    if "typographic" in styles:
        for top in range(int(rng.integers(6, 14)), height - 6, 9):
            cv2.rectangle(drawn, (8, top), (8 + int(rng.integers(24, 46)), top + 3), tuple(ink), cv2.FILLED)
    if "grunge" in styles:
        drawn = drawn + 38 * rng.standard_normal((*DESIGN, 1), np.float32)
    if "vintage" in styles:
        drawn = 0.2 * drawn + 0.8 * drawn.mean(axis=2, keepdims=True) * np.array([1.12, 0.95, 0.68], np.float32)
    return _picture(drawn)


def stones(rows: int, seed: int) -> Iterator[SampleFile]:
    """Gemstones in class folders: about `rows` photographs to learn from and a third as many, labelled too, to test.

    Pictures are uint8 [72, 128, 3]; the colour is the signal. Classes differ in size. As in the real set three pictures
    stand twice: one under two classes, one in train and test under one class, and one there under two.
    """
    rng = default_rng([seed, PLAN])
    names = list(STONES)
    # every class at least twice, the rest of the rows to the first ones more than to the last
    order = [*range(len(names)), *range(len(names))]
    order += rng.integers(0, rng.integers(1, len(names) + 1, max(0, rows - 1 - len(order)))).tolist()
    numbers = dict.fromkeys(names, 0)
    drawn: dict[str, np.ndarray] = {}
    for place, index in enumerate(order):
        name = names[index]
        numbers[name] += int(rng.integers(1, 4))
        picture = _stone(STONES[name], default_rng([seed, DRAWING, place]))
        drawn.setdefault(name, picture)
        yield _stone_file("train", name, numbers[name]), picture
    # one photograph under two classes: no answer is right for both
    yield _stone_file("train", "Rose Quartz", numbers["Rose Quartz"] + 1), drawn["Amethyst"]
    for place in range(max(len(names), rows // 3)):
        name = names[place % len(names)]
        twice = {0: "Amethyst", 1: "Lapis Lazuli"}.get(place)
        new = _stone(STONES[name], default_rng([seed, DRAWING, len(order) + place]))
        yield _stone_file("test", name, numbers[name] + 2 + place), drawn[twice] if twice else new


def _stone_file(part: str, name: str, number: int) -> str:
    return f"{part}/{name}/{name.lower()}_{number}.jpg"


def _stone(colour: Colour, rng: Generator) -> np.ndarray:
    """uint8 [72, 128, 3]: a lit, cut stone on a pale cloth."""
    drawn = _filled(STONE, (222, 220, 214)) * np.float32(rng.uniform(0.75, 1.05))
    centre = (int(rng.integers(44, 84)), int(rng.integers(28, 44)))
    radii, angle = (int(rng.integers(22, 36)), int(rng.integers(16, 26))), float(rng.uniform(0, 180))
    inside = np.zeros(STONE, np.float32)
    cv2.ellipse(inside, centre, radii, angle, 0, 360, 1.0, cv2.FILLED, cv2.LINE_AA)
    facets = np.exp(0.16 * _noise(rng, (7, 9), STONE))
    drawn = drawn * (1 - inside[..., None]) + _filled(STONE, colour) * facets * inside[..., None]
    cv2.circle(drawn, (centre[0] - 7, centre[1] - 6), 3, (255, 255, 255), cv2.FILLED, cv2.LINE_AA)
    return _picture(drawn + 4 * rng.standard_normal((*STONE, 1), np.float32))
