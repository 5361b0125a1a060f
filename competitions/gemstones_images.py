"""Gemstones Images (Kaggle dataset lsind18): photographs of 87 kinds of gemstones, one folder for each."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness import cells, listing
from harness.competition import Competition, Folds, Image, SampleFile, Submission
from harness.config import Model, Stage, TrainConfig, Training, with_epochs
from harness.metrics import ACCURACY, LOG_LOSS, MACRO_F1
from harness.rows import Rows
from harness.tasks import SingleLabel


def train(root: Path) -> Rows:
    """`train/<Class Name>/<class name>_<n>.jpg`; the id is the path below `train/`, the label the folder's name."""
    return photographs(listing.find_folder(root, "train"))


def test(root: Path) -> Rows | None:
    """`test/<Class Name>/<class name>_<n>.jpg`, labelled as well."""
    return photographs(listing.find_folder(root, "test")) if any(root.rglob("test")) else None


def photographs(folder: Path) -> Rows:
    """The photographs in class folders, in natural order of classes and numbers."""
    pairs = [(label, path) for label, inside in listing.class_folders(folder) for path in listing.pictures(inside)]
    ids = [path.relative_to(folder).as_posix() for _, path in pairs]
    return Rows({"id": ids, "image": [str(path) for _, path in pairs], "label": [label for label, _ in pairs]})


def adapt(competition: Competition, root: Path) -> Competition:
    """With the classes of this data: copies with fewer than 87 are about."""
    classes = listing.class_folders(listing.find_folder(root, "train"))
    labels = tuple(sorted(label for label, _ in classes))
    check = functools.partial(cells.check_label, labels=labels)
    submission = replace(competition.submission, cells={"label": check})
    told = () if len(labels) == 87 else (f"{len(labels)} classes, of 87 in the whole set",)
    return replace(competition, task=SingleLabel(labels), submission=submission, told=told)


def sample(rows: int, seed: int) -> Iterator[SampleFile]:
    """Stones of six kinds that colour tells apart; three pictures stand twice, two of them under two names."""
    from harness.data import samples_labels

    return samples_labels.stones(rows, seed)


def quick(config: TrainConfig) -> TrainConfig:
    """A small encoder at 64x112: about a minute on two cores for some two hundred photographs."""
    small = Model(encoder="mobilenetv3_small_050")
    return with_epochs(replace(config, model=small, train=replace(config.train, size=(64, 112), rate=4e-3)), 30)


competition = Competition(
    name="gemstones-images",
    title="Gemstone kinds from photographs",
    source="https://www.kaggle.com/datasets/lsind18/gemstones-images",
    how_to_get="`harness download gemstones-images`",
    train=train,
    test=test,
    # the whole set has pictures of many shapes
    inputs=(Image("image", size=(128, 128), symmetries=("hflip", "vflip"), normalise="imagenet"),),
    target="label",
    task=SingleLabel(),
    metric=ACCURACY,
    secondary=(MACRO_F1, LOG_LOSS),
    folds=Folds(5, no_group="photographs name no stone or seller", stratify="labels"),
    submission=Submission(("id", "label"), cells.label_rows, cells.read_label, {"label": cells.check_label}),
    sample=sample,
    test_truth=True,
    adapt=adapt,
    aliases=("gemstones", "lsind18-gemstones-images"),
    defaults=TrainConfig(train=Training(rate=1e-3, batch=32), model=Model("resnet34"), stages=(Stage(epochs=30),)),
    presets={"quick": quick},
)
