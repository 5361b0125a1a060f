"""Design Image Style Classification (Kaggle InClass 2020). Nobody has described its data: the adapter looks at it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness import label_forms, labelled
from harness.competition import Competition, Folds, Image, SampleFile
from harness.config import Model, Stage, TrainConfig, Training, with_epochs
from harness.metrics import ACCURACY, MACRO_F1
from harness.rows import Rows
from harness.tasks import Multilabel, SingleLabel


def train(root: Path) -> Rows:
    """Class folders, or a table with one column of labels or a 0/1 column for each; `labelled` says which and why."""
    found = labelled.read(root)
    return Rows({"id": found.ids, "image": found.images, "label": found.targets})


def test(root: Path) -> Rows | None:
    """The test pictures, in the order of the sample submission where it is present."""
    found = labelled.test_pictures(root)
    return None if found is None else Rows({"id": found[0], "image": found[1]})


def adapt(competition: Competition, root: Path) -> Competition:
    """With one label or several as the training data has them, and the form of the sample submission."""
    found, (header, rows), file = labelled.read(root), labelled.sample_form(root), labelled.sample_file(root)
    competition = with_labels(competition, found.labels, single=found.single)
    submission, form = label_forms.submission(
        header, rows, single=found.single, labels=found.labels, separator=found.separator, file=file
    )
    return replace(competition, submission=submission, told=(*found.told, form))


def with_labels(competition: Competition, labels: tuple[str, ...], *, single: bool) -> Competition:
    """With the task and secondary metrics of one label a picture, or of several."""
    if single:
        return replace(competition, task=SingleLabel(labels), secondary=(ACCURACY,))
    return replace(competition, task=Multilabel(labels), secondary=())


def sample(rows: int, seed: int) -> Iterator[SampleFile]:
    """Posters with one to five of six styles in one cell of the table, which a spreadsheet has saved."""
    from harness.data import samples_labels

    return samples_labels.designs(rows, seed)


def quick(config: TrainConfig) -> TrainConfig:
    """A small encoder at 80x80: about a minute on two cores for some three hundred pictures."""
    small = Model(encoder="mobilenetv3_small_050")
    return with_epochs(replace(config, model=small, train=replace(config.train, size=(80, 80), rate=4e-3)), 24)


competition = Competition(
    name="design-image-style-categorization",
    title="Design Image Style Classification",
    source="https://www.kaggle.com/c/design-image-style-categorization",
    how_to_get="accept the rules there, then `harness download design-image-style-categorization`",
    train=train,
    test=test,
    inputs=(Image("image", size=(160, 160), symmetries=("hflip",), normalise="imagenet"),),
    target="label",
    task=Multilabel(),
    metric=MACRO_F1,
    folds=Folds(5, no_group="no designer or series is named", stratify="labels"),
    submission=label_forms.submission(("id", "label"), (), single=False, labels=(), separator="")[0],
    sample=sample,
    sample_submission="sample_submission.csv",
    aliases=("design-image-style-classification", "design-styles"),
    defaults=TrainConfig(train=Training(rate=1e-3, batch=32), model=Model("resnet34"), stages=(Stage(epochs=20),)),
    presets={"quick": quick},
    adapt=adapt,
    mirror=functools.partial(label_forms.mirrored, with_labels=with_labels),
)
