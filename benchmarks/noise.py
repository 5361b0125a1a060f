"""Data sets whose labels have nothing to do with their inputs, one for each type of task.

Pictures and tables are an adapter's own drawn sample; its labels give way to ones that a seed draws. They are skewed,
so that the best constant answer is the best there is: under macro F1, or mean IoU of even classes, guesses spread over
the classes beat any constant one without knowing anything. Rows are their own groups: their labels are independent.

N rows, H height, W width.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator, default_rng

from harness import registry
from harness.competition import Competition, Tokens
from harness.config import TrainConfig, override
from harness.data.materialise import build_once, write_file
from harness.pipeline import Request
from harness.rows import Rows

SMALL = (
    "model.encoder=test_resnet",
    "model.decoder=16x16x8x8x8",
    "model.width=16",
    "model.layers=1",
    "model.heads=2",
    "model.members=4",
    "model.context=32",
    "train.size=32x32",
    "train.batch=8",
    "stages.0.epochs=2",
    "data.folds=3",
    "precision=fp32",
    "weights=scratch",
    "report.resamples=50",
)
TAGS = {"primary": 0.9, "clear": 0.6, "water": 0.25, "road": 0.1}
LABELS = (0.5, 0.2, 0.12, 0.08, 0.06, 0.04)  # shares of six kinds
WORDS, BLOCK = 20, 60
GROUND, VOID = 3, 11  # CamVid's road, and what is not scored
Draw = Callable[[Rows, Generator], list[Any]]


@dataclass(frozen=True)
class Type:
    """A type of task, by an adapter that has it.

    Attributes:
        adapter: its name.
        rows: of the drawn sample, about.
        draw: the labels of its rows; None where a text is its own label.
        group: the adapter's column of groups, "" where it has none.
        shrink: the sample's pictures are so many times smaller than drawn.
        tune: rate and epochs are searched on fold 0.
        settings: besides `SMALL`.
    """

    adapter: str
    rows: int
    draw: Draw | None
    group: str = ""
    shrink: int = 1
    tune: bool = False
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Noise:
    """What `pipeline.run` takes."""

    competition: Competition
    config: TrainConfig
    request: Request


def noise(kind: Type, seed: int, folder: Path, *settings: str) -> Noise:
    """The data set of a seed; its inputs are drawn once into `folder`, its labels beside them.

    Args:
        folder: of this type alone.
        settings: after the type's own.
    """
    competition, random = registry.load(kind.adapter), default_rng([seed, 7])
    if kind.draw is None:
        data = folder / f"text{seed}"
        data.mkdir(parents=True, exist_ok=True)
        (data / "train.txt").write_text(" ".join(_words(kind.rows * BLOCK, random)), encoding="utf-8")
        competition = replace(competition, inputs=(Tokens("text", block=BLOCK),))
    else:
        data = build_once(folder / "inputs", functools.partial(_write, competition, kind))
        masks = folder / f"masks{seed}"
        labelled = functools.partial(_train, competition.train, kind, seed, masks)
        competition = replace(competition, train=labelled, test=_none, test_truth=False)
    config = override(competition.defaults, [*SMALL, f"seed={seed}", *kind.settings, *settings])
    request = Request(data=str(data), device="cpu", tune="first" if kind.tune else "")
    if kind.tune:
        request = replace(request, search=replace(request.search, method="grid"))
    return Noise(competition, replace(config, views="none"), request)


def _write(competition: Competition, kind: Type, folder: Path) -> None:
    for name, content in competition.sample(kind.rows, 0):
        if isinstance(content, np.ndarray) and kind.shrink > 1:
            height, width = content.shape[:2]
            size = (width // kind.shrink, height // kind.shrink)
            content = cv2.resize(content, size, interpolation=cv2.INTER_NEAREST)
        write_file(folder, name, content)


def _none(root: Path) -> None:
    return None


def _train(train: Callable[[Path], Rows], kind: Type, seed: int, masks: Path, root: Path) -> Rows:
    rows, random = train(root), default_rng([seed, 8])
    assert kind.draw is not None, "a text has no labels"
    (target,) = {"mask", "label", "tags", "price"} & set(rows.columns)
    drawn = kind.draw(rows, random)
    if target == "mask":
        drawn = [_kept(masks, row, mask) for row, mask in enumerate(drawn)]
    groups = {kind.group: rows.ids} if kind.group else {}
    return Rows({**rows.columns, **groups, target: drawn})


def _kept(folder: Path, row: int, mask: np.ndarray) -> str:
    path = folder / f"{row}.png"
    if not path.exists():
        write_file(folder, path.name, mask)
    return str(path)


def moved_masks(rows: Rows, random: Generator) -> list[np.ndarray]:
    """uint8 [H, W] each: the sample's masks, dealt to other pictures and moved to anywhere."""
    found = [cv2.imread(path, cv2.IMREAD_GRAYSCALE) for path in rows["mask"]]
    masks = [found[index] for index in random.permutation(len(found))]
    return [np.roll(mask, [int(random.integers(side)) for side in mask.shape], (0, 1)) for mask in masks]


def scattered_maps(rows: Rows, random: Generator) -> list[np.ndarray]:
    """uint8 [H, W] each: road, with three boxes of other classes anywhere."""
    maps = []
    for path in rows["mask"]:
        drawn = np.full_like(cv2.imread(path, cv2.IMREAD_GRAYSCALE), GROUND)
        for _ in range(3):
            height, width = (int(side) // 5 for side in drawn.shape)
            top, left = int(random.integers(drawn.shape[0] - height)), int(random.integers(drawn.shape[1] - width))
            drawn[top : top + height, left : left + width] = random.integers(VOID)
        maps.append(drawn)
    return maps


def dealt_labels(rows: Rows, random: Generator) -> list[str]:
    """One kind each, the first half of the time."""
    names = sorted(set(rows["label"]))
    shares = np.array(LABELS[: len(names)])
    return [names[index] for index in random.choice(len(names), len(rows), p=shares / shares.sum())]


def dealt_tags(rows: Rows, random: Generator) -> list[tuple[str, ...]]:
    """Each tag as often as its share says, whatever the others."""
    drawn = [tuple(tag for tag, share in TAGS.items() if random.random() < share) for _ in rows.ids]
    return [tags or ("primary",) for tags in drawn]


def drawn_prices(rows: Rows, random: Generator) -> list[float]:
    """Around 3000, with a spread of a quarter of it."""
    return np.maximum(random.normal(3000, 750, len(rows)), 100.0).round(2).tolist()


def _words(number: int, random: Generator) -> Sequence[str]:
    shares = 1 / np.arange(1, WORDS + 1)
    return [f"w{index}" for index in random.choice(WORDS, number, p=shares / shares.sum())]


TYPES: dict[str, Type] = {
    "one mask": Type("ultrasound-nerve-segmentation", 24, moved_masks, "subject", shrink=8),
    "class maps": Type("camvid", 24, scattered_maps, "video", shrink=3),
    "one label": Type("gemstones-images", 30, dealt_labels),
    "tags": Type("planet-understanding-the-amazon-from-space", 30, dealt_tags),
    "value": Type("playground-series-s3e8", 60, drawn_prices),
    "tokens": Type("text-language-model", 60, None),
    "value, searched": Type(
        "playground-series-s3e8", 60, drawn_prices, tune=True, settings=("space.epochs=0.5x2", "space.rate=1e-3x1e-1")
    ),
}
