"""Drawing kits for prices: a table of stones, photographed stones with side features, and one table a shape of stone.

Pure functions of (rows, seed), as in `samples.py`. The prices follow rules written here; nothing is copied from real
data.
H height, W width.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
from numpy.random import Generator, default_rng

from harness.competition import SampleFile

SIDE = 128
CUTS = ("Fair", "Good", "Very Good", "Premium", "Ideal")
COLOURS = ("J", "I", "H", "G", "F", "E", "D")
CLARITIES = ("I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF")
SHORT_CUTS = ("F", "GD", "VG", "EX")
SHAPES = ("Round", "Cushion", "Pear")
SHOP = (
    *("Id", "Shape", "Weight", "Clarity", "Colour", "Cut", "Polish", "Symmetry", "Fluorescence", "Messurements"),
    "Price",
)
# numbers that keep the streams of random numbers of one seed apart
TABLE, STONES, DIAMONDS, FACETS = range(4)


def stone_table(rows: int, seed: int) -> Iterator[SampleFile]:
    """The files of playground-series-s3e8: `rows` train rows, a third as many to test, whose ids go on from there.

    The logarithm of the price is linear in that of the weight and in the three grades, with a spread of 4 %. One
    stone in thirty was not measured: its z is 0, as in the real table.
    """
    rng, tests = default_rng([seed, TABLE]), max(4, rows // 3)
    lines: list[tuple[object, ...]] = []
    for number in range(rows + tests):
        cut, colour, clarity = (int(rng.integers(len(grades))) for grades in (CUTS, COLOURS, CLARITIES))
        carat = _weight(rng)
        depth, table = round(rng.normal(61.8, 1.2), 1), float(rng.integers(53, 63))
        x = 6.45 * carat ** (1 / 3) * rng.normal(1, 0.005)
        y = x * rng.normal(1, 0.003)
        z = 0.0 if rng.random() < 1 / 30 else depth / 100 * (x + y) / 2
        price = 2600 * carat**1.7 * np.exp(0.04 * cut + 0.09 * colour + 0.11 * clarity + rng.normal(0, 0.04))
        grades = (CUTS[cut], COLOURS[colour], CLARITIES[clarity])
        sizes = (round(x, 2), round(y, 2), round(z, 2))
        lines.append((number, carat, *grades, depth, table, *sizes, round(price)))
    header = ("id", "carat", "cut", "color", "clarity", "depth", "table", "x", "y", "z", "price")
    yield "train.csv", _csv(header, lines[:rows])
    yield "test.csv", _csv(header[:-1], (line[:-1] for line in lines[rows:]))
    yield "sample_submission.csv", _csv(("id", "price"), ((line[0], 1000) for line in lines[rows:]))


def stones(rows: int, seed: int) -> Iterator[SampleFile]:
    """Photographed blue stones with a table beside: `rows` to train, a third as many to test.

    Pictures are uint8 [128, 128, 3]. The weight stands in the table only, the colour is in the picture only, and the
    price needs both. Some cells of `depth` are empty. In one of twenty train rows the shop used the picture of the row
    before, and the first test row has the picture of the first train row.
    """
    rng, tests = default_rng([seed, STONES]), max(4, rows // 3)
    lines: list[tuple[object, ...]] = []
    drawn: list[tuple[float, np.ndarray]] = []
    for number in range(rows + tests):
        again = 0 if number == rows else number - 1 if number % 20 == 19 else None
        if again is None:
            tint = float(rng.uniform())
            drawn.append((tint, _stone(default_rng([seed, FACETS, number]), tint)))
        else:
            drawn.append(drawn[again])
        tint, picture = drawn[number]
        weight, cut = _weight(rng), int(rng.integers(len(CUTS)))
        depth = "" if rng.random() < 0.1 else round(rng.normal(61.8, 1.2), 1)
        price = 400 * weight**1.5 * np.exp(1.8 * tint + 0.06 * cut + rng.normal(0, 0.04))
        split = "train" if number < rows else "test"
        lines.append((f"s{number}", f"stone_{number}.jpg", weight, CUTS[cut], depth, round(price, 2)))
        yield f"{split}/stone_{number}.jpg", picture
    header = ("id", "image", "weight", "cut", "depth", "price")
    yield "train.csv", _csv(header, lines[:rows])
    yield "test.csv", _csv(header[:-1], (line[:-1] for line in lines[rows:]))
    yield "sample_submission.csv", _csv(("id", "price"), ((line[0], 1000) for line in lines[rows:]))


def diamonds(rows: int, seed: int) -> Iterator[SampleFile]:
    """The Kaggle dataset natural-diamonds-prices-images: `rows` stones in one table a shape, no test set.

    Pictures are uint8 [128, 128, 3]. Prices are text as shops write them, measurements `length-widthxdepth` with an x
    or a multiplication sign, one table begins with a byte order mark and has CRLF line ends, only round stones have a
    cut, and every fifteenth stone has no picture.
    """
    rng = default_rng([seed, DIAMONDS])
    lines: dict[str, list[tuple[object, ...]]] = {shape: [] for shape in SHAPES}
    for number in range(rows):
        shape, identity = SHAPES[number % len(SHAPES)], 1_600_000 + number
        colour, clarity, cut = (int(rng.integers(len(grades))) for grades in (COLOURS, CLARITIES, SHORT_CUTS))
        polish, symmetry = (SHORT_CUTS[int(rng.integers(1, 4))] for _ in range(2))
        weight = _weight(rng)
        length = 6.45 * weight ** (1 / 3) * rng.normal(1, 0.005)
        wide = length * (1.005 if shape == "Round" else rng.uniform(0.7, 0.95))
        cross = "x" if rng.random() < 0.5 else "\N{MULTIPLICATION SIGN}"
        measured = f"{length:.2f}-{wide:.2f}{cross}{0.61 * wide:.2f}"
        price = 1100 * weight**1.6 * np.exp(0.12 * colour + 0.1 * clarity + rng.normal(0, 0.04))
        grades = (CLARITIES[clarity], COLOURS[colour], SHORT_CUTS[cut] if shape == "Round" else "", polish, symmetry)
        glow = ("N", "F", "M", "ST")[int(rng.integers(4))]
        lines[shape].append((identity, shape, weight, *grades, glow, measured, f"${price:,.2f}"))
        if number % 15 != 14:
            tint = 1 - colour / (len(COLOURS) - 1)
            picture = _stone(default_rng([seed, FACETS, number]), tint, hue=28, squeeze=wide / length)
            yield f"Images/{shape}/{identity}.jpg", picture
    for shape, cells in lines.items():
        text = _csv(SHOP, cells)
        yield f"{shape.lower()}.csv", "\ufeff" + text.replace("\n", "\r\n") if shape == "Cushion" else text


def _weight(rng: Generator) -> float:
    """Carats, most of them under one."""
    return round(float(np.clip(np.exp(rng.normal(-0.3, 0.5)), 0.2, 3)), 2)


def _stone(rng: Generator, tint: float, *, hue: int = 110, squeeze: float = 1.0) -> np.ndarray:
    """uint8 [128, 128, 3]: a brilliant from above on grey cloth; the more `tint` (0 to 1), the deeper its colour.

    `hue` is in OpenCV's half degrees; `squeeze` is width over length. The size says nothing of the weight.
    """
    facets, turn = 8, rng.uniform(0, np.pi / 4)
    radius, centre = rng.uniform(44, 54), rng.uniform(58, 70, 2)
    cloth = 165 + 12 * cv2.resize(rng.standard_normal((4, 4), np.float32), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    brightness = np.clip(cloth, 0, 255)
    inside = np.zeros((SIDE, SIDE), np.uint8)
    # three rings of kites from the girdle inwards, then the flat table
    for ring, reach in enumerate((1.0, 0.78, 0.55)):
        for facet in range(facets):
            angles = turn + (facet + 0.5 * (ring % 2) + np.array([0, 0.5, 1])) * 2 * np.pi / facets
            rim = np.stack([np.cos(angles) * squeeze, np.sin(angles)], axis=1) * radius * reach + centre
            corners = np.round(np.vstack([rim, centre])).astype(np.int32)
            cv2.fillConvexPoly(brightness, corners, float(rng.uniform(120, 250)))
            cv2.fillConvexPoly(inside, corners, 255)
    cv2.ellipse(brightness, _whole(centre), _whole((radius * 0.4 * squeeze, radius * 0.4)), 0, 0, 360, 215.0, -1)
    saturation = np.where(inside > 0, 20 + 200 * tint, 8)
    brightness = brightness * np.where(inside > 0, 1 - 0.3 * tint, 1)
    brightness += rng.standard_normal((SIDE, SIDE), np.float32) * 3
    planes = np.stack([np.full((SIDE, SIDE), hue, np.float32), saturation, brightness], axis=-1)
    return cv2.cvtColor(np.clip(planes, 0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB)


def _whole(pair: Iterable[float]) -> tuple[int, int]:
    first, second = (round(float(number)) for number in pair)
    return first, second


def _csv(header: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """CSV text with line feeds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines)
    return text.getvalue()
