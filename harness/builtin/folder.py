"""Pictures of one's own: a folder for each class, or a table of file names and labels. No adapter has to be written."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness import label_forms, own_pictures
from harness.competition import Competition, Folds, Image, SampleFile
from harness.config import Model, Stage, TrainConfig, Training, with_epochs
from harness.metrics import ACCURACY, LOG_LOSS, MACRO_F1, MICRO_F1
from harness.rows import Rows
from harness.tasks import Multilabel, SingleLabel


def train(root: Path) -> Rows:
    """The labelled pictures; `own_pictures` says which layouts are read."""
    return own_pictures.read(root).rows


def test(root: Path) -> Rows | None:
    """The pictures in `test/`, with labels where they lie in class folders."""
    return own_pictures.test(root)


def adapt(competition: Competition, root: Path) -> Competition:
    """With this folder's labels, one a picture or several, its own split, and whether test pictures are labelled."""
    found, (header, rows), file = own_pictures.read(root), *own_pictures.form(root)
    submission, form = label_forms.submission(
        header, rows, single=found.single, labels=found.labels, separator=found.separator, file=file
    )
    return replace(
        with_labels(competition, found.labels, single=found.single),
        submission=submission,
        published_split="split" if "split" in found.rows else None,
        test_truth=own_pictures.has_truth(root),
        told=(*found.told, form),
    )


def with_labels(competition: Competition, labels: tuple[str, ...], *, single: bool) -> Competition:
    """With the task and metrics of one label a picture, or of several."""
    if single:
        return replace(competition, task=SingleLabel(labels), metric=ACCURACY, secondary=(MACRO_F1, LOG_LOSS))
    return replace(competition, task=Multilabel(labels), metric=MACRO_F1, secondary=(MICRO_F1,))


def sample(rows: int, seed: int) -> Iterator[SampleFile]:
    """Stones of six kinds, a folder for each, and some more in class folders to test."""
    from harness.data import samples_labels

    return samples_labels.stones(rows, seed)


def quick(config: TrainConfig) -> TrainConfig:
    """A small encoder at 80x80: about a minute on two cores for some three hundred pictures."""
    small = Model(encoder="mobilenetv3_small_050")
    return with_epochs(replace(config, model=small, train=replace(config.train, size=(80, 80), rate=4e-3)), 24)


competition = Competition(
    name="folder",
    title="Your own pictures: class folders, or a table of labels",
    source="your own",
    how_to_get="put pictures into one folder a class and name the folder above with --data",
    train=train,
    test=test,
    inputs=(Image("image", size=(160, 160), symmetries=("hflip",), normalise="imagenet"),),
    target="label",
    task=SingleLabel(),
    metric=ACCURACY,
    secondary=(MACRO_F1, LOG_LOSS),
    folds=Folds(5, no_group="nothing says which pictures belong together", stratify="labels"),
    submission=label_forms.submission(("id", "label"), (), single=True, labels=(), separator="")[0],
    sample=sample,
    sample_submission="sample_submission.csv",
    defaults=TrainConfig(train=Training(rate=1e-3, batch=32), model=Model("resnet34"), stages=(Stage(epochs=20),)),
    presets={"quick": quick},
    adapt=adapt,
    mirror=functools.partial(label_forms.mirrored, with_labels=with_labels),
)
