"""Drawing kits: small learnable stand-ins for competition data, in the competitions' own layouts on disk.

Pure functions of (rows, seed): the same bytes on the same processor type and versions of numpy and OpenCV. Nothing is
copied from real data; shapes, grey levels and shares were set by eye. H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator, default_rng

from harness.competition import SampleFile
from harness.formats import run_lengths

Size = tuple[int, int]
FRAME, SLICE = (420, 580), (256, 256)
# numbers that keep the streams of random numbers of one seed apart
PLAN, SUBJECT, DRAWING, SPECKLE, PATIENT, NOISE = range(6)


def _smooth(rng: Generator, cells: Size, size: Size) -> np.ndarray:
    """Float32 [H, W] noise of spread about 1 whose bumps are as wide as one of `cells`."""
    return cv2.resize(rng.standard_normal(cells, np.float32), size[::-1], interpolation=cv2.INTER_CUBIC)


def _axes(size: Size) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(size[0], dtype=np.float32)[:, None], np.arange(size[1], dtype=np.float32)[None]


def _radius(size: Size, centre: tuple[float, float], radii: tuple[float, float], angle: float = 0.0) -> np.ndarray:
    """Float32 [H, W]: distance from `centre` (x, y) in units of an ellipse's `radii`; 1 is its outline."""
    y, x = (axis - np.float32(middle) for axis, middle in zip(_axes(size), centre[::-1], strict=True))
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along, across = (x * cosine + y * sine) / np.float32(radii[0]), (y * cosine - x * sine) / np.float32(radii[1])
    return np.sqrt(along * along + across * across)


def _inside(radius: np.ndarray, softness: float) -> np.ndarray:
    """1 within radius 1, 0 outside, a ramp of `softness` (in radii) between."""
    return np.clip((1 - radius) / np.float32(softness) + 0.5, 0, 1)


def _grey(picture: np.ndarray) -> np.ndarray:
    return np.clip(picture * 255, 0, 255).astype(np.uint8)


def _mask(inside: np.ndarray) -> np.ndarray:
    return np.where(inside, np.uint8(255), np.uint8(0))


@dataclass(frozen=True)
class _Frame:
    """One ultrasound frame. A `copy` shows its subject's `drawing` a moment later, and nobody marked the nerve."""

    subject: int
    img: int
    drawing: int
    nerve: bool
    copy: bool = False


def _frames(rows: int, seed: int) -> tuple[list[_Frame], list[_Frame]]:
    """Train frames in the order of the table, and test frames of other subjects, numbered from 1."""
    rng = default_rng([seed, PLAN])
    subjects, copies, tests = max(5, rows // 6), rows // 15, max(4, rows // 3)
    others = max(2, subjects // 3)
    numbers = (rng.permutation(max(47, 2 * (subjects + others))) + 1).tolist()
    numbers[:subjects] = sorted(numbers[:subjects])
    originals = max(rows - copies, subjects)
    empty = rng.permutation(originals) < round(originals / 3)
    sources = rng.permutation(np.flatnonzero(~empty))[:copies].tolist()
    kinds = [(index, not empty[index], False) for index in range(originals)] + [
        (index, True, True) for index in sources
    ]
    train: list[_Frame] = []
    for place in range(subjects):
        own = [kinds[index] for index in rng.permutation(len(kinds)) if kinds[index][0] % subjects == place]
        train += [_Frame(numbers[place], img, *kind) for img, kind in enumerate(own, start=1)]
    test = [_Frame(numbers[subjects + img % others], img, img, nerve=img % 3 != 0) for img in range(1, tests + 1)]
    return train, test


def ultrasound(rows: int, seed: int) -> Iterator[SampleFile]:
    """The nerve competition's files: about `rows` train frames of max(5, rows // 6) subjects, a third as many to test.

    Pictures and masks are uint8 [420, 580]. A third of the train frames hold no nerve. One in fifteen repeats another
    frame of its subject, nerve and all, under an empty mask: the contradictions the real labels are known for.
    """
    train, test = _frames(rows, seed)
    table = ["subject,img,pixels"]
    for frame in train:
        picture, mask = _ultrasound(frame, seed)
        yield f"train/{frame.subject}_{frame.img}.tif", picture
        yield f"train/{frame.subject}_{frame.img}_mask.tif", mask
        table.append(f"{frame.subject},{frame.img},{run_lengths(mask)}")
    for frame in test:
        yield f"test/{frame.img}.tif", _ultrasound(frame, seed)[0]
    yield "train_masks.csv", "\n".join(table) + "\n"
    yield "sample_submission.csv", "img,pixels\n" + "".join(f"{frame.img},1 1\n" for frame in test)


def _ultrasound(frame: _Frame, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(picture, mask): echoes of tissue, vessels, nerve and shadow, seen through speckle and log compression."""
    subject = default_rng([seed, SUBJECT, frame.subject])
    gain, fade, grain = subject.uniform(0.36, 0.6), subject.uniform(0.5, 1.5), subject.uniform(0.8, 1.5)
    rng = default_rng([seed, DRAWING, frame.subject, frame.drawing])
    echo = _tissue(subject, rng)
    for _ in range(rng.integers(0, 3)):
        radius = rng.uniform(12, 34)
        vessel = _radius(FRAME, (rng.uniform(30, 550), rng.uniform(50, 380)), (radius * rng.uniform(1, 1.4), radius))
        echo *= 1 - 0.92 * _inside(vessel, 0.15)
    echo, inside = _nerve(echo, rng) if frame.nerve else (echo, np.zeros(FRAME, dtype=np.bool_))
    depth, x = _axes(FRAME)
    if rng.random() < 0.3:
        band = np.exp(-(((x - rng.uniform(0, 580)) / rng.uniform(20, 55)) ** 2))
        echo *= 1 - 0.75 * band.astype(np.float32) * np.clip((depth - rng.uniform(60, 250)) / 30, 0, 1)
    echo *= np.exp(-np.float32(fade) * depth / FRAME[0])
    picture = np.float32(gain) * (echo * _speckle(frame, seed, grain)) ** np.float32(0.5)
    return _grey(picture), _mask(inside & (not frame.copy))


def _tissue(subject: Generator, rng: Generator) -> np.ndarray:
    """Float32 [H, W] layers: the subject's depth profile with bright fascia lines, streaked and warped per frame."""
    margin, slab = 70, (FRAME[0] + 140, FRAME[1])
    profile = np.exp(0.55 * _smooth(subject, (16, 1), (slab[0], 1)))
    layers = profile * np.exp(0.4 * _smooth(rng, (70, 8), slab) + 0.35 * _smooth(rng, (40, 24), slab))
    for _ in range(subject.integers(2, 5)):
        depth = int(subject.uniform(margin, slab[0] - margin))
        layers[depth : depth + 4] += subject.uniform(1.5, 3.5) * np.clip(1 + _smooth(rng, (1, 7), (1, FRAME[1])), 0, 2)
    warp = 16 * _smooth(rng, (3, 4), FRAME) + 4 * _smooth(rng, (6, 12), FRAME) + margin
    y, x = _axes(FRAME)
    columns = np.ascontiguousarray(np.broadcast_to(x, FRAME))
    return cv2.remap(layers, columns, warp + y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def _nerve(echo: np.ndarray, rng: Generator) -> tuple[np.ndarray, np.ndarray]:
    """(echo with a bright-rimmed honeycomb of about 2,500 to 9,000 pixels somewhere, bool [H, W] of its pixels)."""
    area, aspect = np.exp(rng.uniform(np.log(2900), np.log(8200))), rng.uniform(1.2, 2.0)
    long, angle = float(np.sqrt(area * aspect / np.pi)), rng.uniform(-1, 1)
    radius = _radius(FRAME, (rng.uniform(88, 492), rng.uniform(85, 335)), (long, long / aspect), angle)
    radius, (y, x) = radius * (1 + 0.04 * _smooth(rng, (9, 12), FRAME)), _axes(FRAME)
    # three plane waves 120 degrees apart make a honeycomb: dark bundles between brighter walls
    period, phases = rng.uniform(13, 18), rng.uniform(0, 2 * np.pi, 3)
    waves = [
        np.cos(np.float32(2 * np.pi / period) * (x * np.float32(np.cos(turn)) + y * np.float32(np.sin(turn))) + phase)
        for turn, phase in zip(angle + np.arange(3) * np.pi * 2 / 3, phases.astype(np.float32), strict=True)
    ]
    honeycomb = np.clip(0.42 - 0.16 * (waves[0] + waves[1] + waves[2]), 0.12, 0.9)
    cover, rim = _inside(radius, 0.12), np.exp(-(((radius - 0.95) * np.sqrt(area / np.pi) / 4.5) ** 2))
    return echo * (1 - cover) + honeycomb * np.sqrt(echo) * cover + np.float32(rng.uniform(1.6, 2.6)) * rim, radius < 1


def _speckle(frame: _Frame, seed: int, grain: float) -> np.ndarray:
    """Float32 [H, W], mean about 1: the Rayleigh length of two smoothed normal fields (Burckhardt 1978).

    A copy shares most of its speckle with its source, as neighbours in a video do.
    """
    rng = default_rng([seed, SPECKLE, frame.subject, frame.drawing])
    fields = rng.standard_normal((2, *FRAME), np.float32)
    if frame.copy:
        fields = np.float32(0.9) * fields + np.float32(0.44) * rng.standard_normal((2, *FRAME), np.float32)
    for field in fields:
        cv2.GaussianBlur(field, (0, 0), sigmaX=1.6 * grain, sigmaY=0.9 * grain, dst=field)
    return (length := cv2.magnitude(fields[0], fields[1])) / length.mean()


def brains(rows: int, seed: int) -> Iterator[SampleFile]:
    """The brain MRI set's files: about `rows` slices of at least 5 patients with 12 to 20 slices each.

    Pictures are uint8 [256, 256, 3] (pre-contrast, FLAIR, post-contrast), masks uint8 [256, 256]. As in the published
    zip, a second tree repeats what the first holds: here one patient.
    """
    rng = default_rng([seed, PLAN])
    patients = max(5, round(rows / 16))
    # real patients have numbers from 4000: a drawn one cannot be taken for one of them
    numbers = (rng.permutation(3000)[:patients] + 1000).tolist()
    table = ["Patient"]
    for index, number in enumerate(numbers):
        count = min(20, max(12, round(rows * (index + 1) / patients) - round(rows * index / patients)))
        patient = f"TCGA_{rng.choice(['CS', 'DU', 'EZ', 'FG', 'HT'])}_{number}"
        name = f"{patient}_{rng.integers(1995, 2003)}{rng.integers(1, 13):02}{rng.integers(1, 29):02}"
        table.append(patient)
        trees = ["kaggle_3m", "lgg-mri-segmentation/kaggle_3m"] if index == 0 else ["kaggle_3m"]
        for n, (picture, mask) in enumerate(_volume(number, count, seed), start=1):
            for tree in trees:
                yield f"{tree}/{name}/{name}_{n}.tif", picture
                yield f"{tree}/{name}/{name}_{n}_mask.tif", mask
    yield "kaggle_3m/data.csv", "\n".join(table) + "\n"
    yield "kaggle_3m/README.md", "Drawn by a program to try software on: no patient, no scanner, no medical use.\n"


def _at(grids: np.ndarray, height: float) -> np.ndarray:
    """Float32 [256, 256] noise at `height`, 0 (neck) to 1 (crown), blended of the two nearest of `grids` [K, C, C]."""
    low, share = divmod(height * (len(grids) - 1), 1)
    between = (1 - np.float32(share)) * grids[int(low)] + np.float32(share) * grids[int(low) + 1]
    return cv2.resize(between, SLICE, interpolation=cv2.INTER_CUBIC)


def _volume(number: int, count: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(picture, mask) of one patient's slices from the neck up; a lesion that is bright in FLAIR is in the middle."""
    rng = default_rng([seed, PATIENT, number])
    centre, radii = rng.uniform(122, 134, 2), (rng.uniform(74, 84), rng.uniform(92, 104))
    across, along, middle = rng.choice([-1, 1]) * rng.uniform(24, 42), rng.uniform(-38, 38), rng.uniform(0.4, 0.6)
    extent, half = (rng.uniform(14, 30), rng.uniform(16, 34)), rng.uniform(0.17, 0.21)
    glow, enhancing = rng.uniform(0.55, 0.9), rng.uniform(-0.2, 0.2)
    gains = rng.uniform([0.24, 0.22, 0.22], [0.34, 0.30, 0.32]).astype(np.float32)
    # the receive coils' field: a lesion on the dim side is no brighter than tissue on the other
    bias = np.exp(0.16 * np.stack([_smooth(rng, (3, 3), SLICE) for _ in gains], axis=-1)) * gains
    folds, blob = rng.standard_normal((9, 26, 26), np.float32), rng.standard_normal((6, 14, 14), np.float32)
    for index in range(count):
        height = (index + 0.5) / count
        grow = np.sqrt(1 - ((height - 0.42) / 0.7) ** 2)
        head = _radius(SLICE, (centre[0], centre[1]), (radii[0] * grow, radii[1] * grow))
        head *= 1 + 0.012 * _at(blob[:, :9, :9], 1 - height)
        tissue, ventricle = _anatomy(centre, head, height, folds)
        reach = _radius(SLICE, (centre[0] + across, centre[1] + along), extent)
        bumps = np.exp(0.17 * _at(blob, height) + 0.13 * _at(blob[:, :7, :7], height))
        reach = np.hypot(reach, np.float32((height - middle) / half)) * bumps
        room = (head < 0.84) & (ventricle > 1)
        lesion = _inside(reach, 0.14) * room * (1 + 0.1 * _at(folds, 1 - height))
        lining = np.exp(-(((ventricle - 1.14) / 0.1) ** 2)) * (head < 0.84)
        flair = 1 + glow * lesion + 0.7 * lining * (1 - lesion)
        picture = tissue[..., None] * np.stack([1 - 0.28 * lesion, flair, 1 + enhancing * lesion], axis=-1)
        noise = default_rng([seed, NOISE, number, index]).standard_normal((*SLICE, 3), np.float32)
        inside = (reach < 1) & room
        # a tip of a few pixels is nothing that a reader would outline
        yield _grey(picture * bias + np.float32(0.014) * noise), _mask(inside & (inside.sum() >= 30))


def _anatomy(centre: np.ndarray, head: np.ndarray, height: float, folds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(float32 [256, 256] tissue brightness, radius from the ventricles) of a slice whose skin is where `head` is 1."""
    pattern, coarse = _at(folds, height), _at(folds[:, :8, :8], height)
    rim = np.clip((head - 0.45) / 0.35, 0, 1)
    sulci = np.exp(-((pattern / 0.2) ** 2)) * rim
    aside = _axes(SLICE)[1] - np.float32(centre[0])
    cleft = np.exp(-((aside / 1.6) ** 2)) * (np.abs(height - 0.55) < 0.35) * np.clip(rim + 0.25, 0, 1)
    brain = (1 + 0.1 * coarse + 0.08 * rim) * (1 - 0.5 * sulci) * (1 - 0.5 * cleft)
    # below the brain: bone, muscle and fat, bright and dark in every channel alike
    brain = brain + np.float32(max(0.0, 1 - height / 0.3)) * (0.7 * np.abs(pattern + coarse) - 0.5)
    brain *= _inside(head / 0.86, 0.03)
    scalp = (_inside(head, 0.03) - _inside(head / 0.93, 0.03)) * (2.1 + 0.5 * coarse)
    size = max(0.01, 1 - abs((height - 0.5) / 0.24) ** 2)
    radii = (6.5 * size, 27 * size)
    horns = [_radius(SLICE, (centre[0] + side * 9, centre[1] - 4), radii, side * 0.16) for side in (-1, 1)]
    ventricle = np.minimum(horns[0], horns[1])
    return np.clip(brain * (1 - 0.7 * _inside(ventricle, 0.15)) + scalp, 0, None), ventricle
