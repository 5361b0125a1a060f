"""Drawing kits for drafted adapters: stand-ins of any labels and columns, in the layout that was found.

Pure functions of (rows, seed) and names. Nothing is copied from real data. H height, W width.
"""

from __future__ import annotations

import colorsys
import csv
import io
from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
from numpy.random import Generator, default_rng

from harness.competition import SampleFile

SIDE = 64
WORDS = ("low", "middle", "high")
# numbers that keep the streams of random numbers of one seed apart
FOLDERS, TABLE, CELLS, BLOBS = range(100, 104)


def class_folders(
    rows: int, seed: int, *, labels: Sequence[str], train: str, valid: str = "", test: str = "", known: str = ""
) -> Iterator[SampleFile]:
    """`<train>/<label>/<n>.png`, and a third as many in `<valid>/` and in `<test>/`; "" leaves a folder out.

    Test pictures lie in class folders too where `known` is "labels".
    """
    rng, number = default_rng([seed, FOLDERS]), max(rows, 2 * len(labels))
    counts = [(train, number), (valid, number // 3 if valid else 0), (test, max(4, rows // 3) if test else 0)]
    places = [(part, index % len(labels)) for part, count in counts for index in range(count)]
    for index, (part, place) in enumerate(places):
        inside = "" if part == test and test and not known else f"{labels[place]}/"
        yield f"{part}/{inside}{index:04}.png".removeprefix("/"), _shades(rng, [place], len(labels))


def labelled_table(
    rows: int,
    seed: int,
    *,
    labels: Sequence[str],
    separator: str,
    table: str,
    header: tuple[str, str],
    train: str,
    test: str,
    answers: tuple[str, ...] = (),
) -> Iterator[SampleFile]:
    """A table of pictures in `<train>/` with a label each, or with several where `separator` joins them.

    Args:
        table: its path.
        header: its columns of pictures and of labels.
        answers: header of the sample submission of the pictures in `<test>/`; () for none.
    """
    rng = default_rng([seed, TABLE])
    lines: list[tuple[str, ...]] = []
    names: list[str] = []
    for index in range(max(rows, 2 * len(labels)) + (max(4, rows // 3) if test else 0)):
        places = [index % len(labels)]
        if separator:
            places += [place for place in range(len(labels)) if place != places[0] and rng.random() < 0.3]
        known = index < max(rows, 2 * len(labels))
        name, folder = f"{'a' if known else 'b'}{index:04}.png", train if known else test
        yield (f"{folder}/{name}" if folder else name), _shades(rng, places, len(labels))
        if known:
            lines.append((name, separator.join(labels[place] for place in places)))
        else:
            names.append(name)
    yield table, _csv(header, lines)
    if answers:
        width = len(answers) - 1
        first = (labels[0],) if width == 1 else ("1", *["0"] * (width - 1))
        yield "sample_submission.csv", _csv(answers, [(name, *first) for name in names])


def table(
    rows: int,
    seed: int,
    *,
    identity: str,
    numbers: Sequence[str],
    categories: Sequence[str],
    target: str,
    labels: Sequence[str],
    answers: tuple[str, ...] = (),
) -> Iterator[SampleFile]:
    """`train.csv`, `test.csv` and the sample submission: the target follows the columns, with some noise.

    A target above 0, or one of `labels` where there are any. One cell in forty of the first number is empty.
    """
    rng, tests = default_rng([seed, CELLS]), max(4, rows // 3)
    drawn = rng.standard_normal((rows + tests, len(numbers)))
    codes = rng.integers(0, len(WORDS), (rows + tests, len(categories)))
    score = drawn.sum(axis=1) + codes.sum(axis=1) + 0.1 * rng.standard_normal(rows + tests)
    ranks = score.argsort().argsort()
    lines: list[tuple[object, ...]] = []
    for row in range(rows + tests):
        values: list[object] = [f"{value:.4f}" for value in drawn[row]]
        if values and rng.random() < 1 / 40:
            values[0] = ""
        answer = labels[ranks[row] * len(labels) // (rows + tests)] if labels else f"{np.exp(score[row] / 3):.4f}"
        lines.append((row, *values, *(WORDS[code] for code in codes[row]), answer))
    header = (identity, *numbers, *categories, target)
    yield "train.csv", _csv(header, lines[:rows])
    yield "test.csv", _csv(header[:-1], [line[:-1] for line in lines[rows:]])
    if answers:
        yield "sample_submission.csv", _csv(answers, [(line[0], labels[0] if labels else 1) for line in lines[rows:]])


def masked(rows: int, seed: int, *, train: str, test: str, answers: tuple[str, ...] = ()) -> Iterator[SampleFile]:
    """`<train>/<subject>_<n>.png` of a pale spot on a dark ground, with `_mask.png` beside; some without a spot."""
    rng, inside = default_rng([seed, BLOBS]), f"{train}/" if train else ""
    for index in range(rows):
        picture, mask = _spot(rng, "none" if index % 5 == 4 else "one")
        yield f"{inside}{index // 4 + 1}_{index % 4 + 1}.png", picture
        yield f"{inside}{index // 4 + 1}_{index % 4 + 1}_mask.png", mask
    names = [f"{index + 1}" for index in range(max(4, rows // 3) if test else 0)]
    for name in names:
        yield f"{test}/{name}.png", _spot(rng, "one")[0]
    if answers:
        yield "sample_submission.csv", _csv(answers, [(name, "1 1") for name in names])


def _shades(rng: Generator, places: Sequence[int], number: int) -> np.ndarray:
    """uint8 [64, 64, 3] with a disc for each label: its hue and its place on the ground say which."""
    drawn = np.full((SIDE, SIDE, 3), rng.uniform(90, 140), np.float32)
    for place in places:
        colour = tuple(255 * part for part in colorsys.hsv_to_rgb(place / number, 0.9, 0.9))
        angle = 2 * np.pi * place / number
        centre = (int(32 + 18 * np.cos(angle) + rng.normal(0, 2)), int(32 + 18 * np.sin(angle) + rng.normal(0, 2)))
        cv2.circle(drawn, centre, int(rng.integers(9, 14)), colour, cv2.FILLED, cv2.LINE_AA)
    return np.clip(drawn + 8 * rng.standard_normal((SIDE, SIDE, 1)), 0, 255).astype(np.uint8)


def _spot(rng: Generator, spots: str) -> tuple[np.ndarray, np.ndarray]:
    """(uint8 [64, 64, 3] picture, uint8 [64, 64] mask)."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    if spots == "one":
        centre, radii = rng.integers(20, SIDE - 20, 2).tolist(), rng.integers(7, 16, 2).tolist()
        cv2.ellipse(mask, centre, radii, float(rng.uniform(0, 180)), 0, 360, 255, cv2.FILLED)
    drawn = 70 + 90.0 * (mask > 0)[..., None] + 14 * rng.standard_normal((SIDE, SIDE, 3))
    return np.clip(drawn, 0, 255).astype(np.uint8), mask


def _csv(header: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *lines])
    return text.getvalue()
