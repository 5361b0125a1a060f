"""Planet: Understanding the Amazon from Space (Kaggle 2017): tags of weather and land use for satellite chips."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness import cells, label_forms, labelled, listing
from harness.competition import Competition, Folds, Image, SampleFile, Submission
from harness.config import Model, Stage, TrainConfig, Training, with_epochs
from harness.errors import DataError
from harness.metrics import SAMPLES_F2
from harness.rows import Rows
from harness.tasks import Multilabel

TABLES, SAMPLES = ("train_v2.csv", "train_classes.csv"), ("sample_submission_v2.csv", "sample_submission.csv")
ALL_SEVEN = ("hflip", "vflip", "rot180", "transpose", "rot90", "rot270", "antitranspose")
# fmt: off
LABELS = (
    "agriculture", "artisinal_mine", "bare_ground", "blooming", "blow_down", "clear", "cloudy", "conventional_mine",
    "cultivation", "habitation", "haze", "partly_cloudy", "primary", "road", "selective_logging", "slash_burn", "water",
)
# fmt: on


def train(root: Path) -> Rows:
    """The chips of `train_v2.csv` in its order; the tags of a row are a set, as 73 real rows repeat one."""
    table = listing.find_file(root, TABLES)
    if table is None:
        raise DataError(f"no {TABLES[0]}", file=root, fix="point --data at the unpacked competition data")
    names, texts = listing.read_table(table, ("image_name", "tags")).values()
    tags = [label_forms.parts(text, " ") for text in texts]
    if () in tags:
        raise DataError("no tags", file=table, row=tags.index(()) + 2, fix="write its tags or remove the row")
    chips = labelled.by_stem(root, ("train-jpg",))
    if not chips:
        problem = f"{table.name} names {len(names)} chips, but no folder train-jpg holds any"
        raise DataError(problem, file=root, fix="unpack train-jpg.tar.7z beside the table")
    kept = listing.one_answer_each(names, [set(row) for row in tags], file=table)
    paths = [labelled.find_picture(names[row], chips, file=table, row=row + 2) for row in kept]
    return Rows({"id": [names[row] for row in kept], "image": paths, "tags": [tags[row] for row in kept]})


def test(root: Path) -> Rows | None:
    """The chips of both test folders, in the order of the sample submission where it is present."""
    chips, table = labelled.by_stem(root, ("test-jpg", "test-jpg-additional")), listing.find_file(root, SAMPLES)
    if table is None:
        return Rows({"id": list(chips), "image": list(chips.values())}) if chips else None
    names, tags = listing.read_table(table, ("image_name", "tags")).values()
    kept = listing.one_answer_each(names, tags, file=table)
    paths = [labelled.find_picture(names[row], chips, file=table, row=row + 2) for row in kept]
    return Rows({"id": [names[row] for row in kept], "image": paths})


def adapt(competition: Competition, root: Path) -> Competition:
    """With the tags of this data; it says what sets them apart from Planet's."""
    tags = tuple(sorted({tag for row in train(root)["tags"] for tag in row}))
    check = functools.partial(cells.check_tags, labels=tags)
    submission = replace(competition.submission, cells={"tags": check})
    told = label_forms.compare(tags, LABELS, whose="Planet's")
    return replace(competition, task=Multilabel(tags), submission=submission, told=told)


def sample(rows: int, seed: int) -> Iterator[SampleFile]:
    """Chips with ten tags, one of them said twice in some rows; test chips in two folders."""
    from harness.data import samples_labels

    return samples_labels.chips(rows, seed)


def quick(config: TrainConfig) -> TrainConfig:
    """A small encoder at 64x64: about two minutes on two cores for some four hundred chips."""
    small = Model(encoder="mobilenetv3_small_050")
    return with_epochs(replace(config, model=small, train=replace(config.train, size=(64, 64), rate=4e-3)), 24)


competition = Competition(
    name="planet-understanding-the-amazon-from-space",
    title="Planet: Understanding the Amazon from Space",
    source="https://www.kaggle.com/c/planet-understanding-the-amazon-from-space",
    how_to_get="accept the rules there, then `harness download planet`, which unpacks the .7z archives",
    train=train,
    test=test,
    inputs=(Image("image", size=(128, 128), symmetries=ALL_SEVEN, normalise="imagenet"),),
    target="tags",
    task=Multilabel(),
    metric=SAMPLES_F2,
    folds=Folds(5, no_group="chips carry no place: neighbours cannot be told", stratify="labels"),
    submission=Submission(("image_name", "tags"), cells.tag_rows, cells.read_tags, {"tags": cells.check_tags}),
    sample=sample,
    sample_submission="sample_submission_v2.csv",
    adapt=adapt,
    aliases=("planet", "planets-dataset"),
    defaults=TrainConfig(train=Training(rate=1e-3, batch=32), model=Model("resnet34"), stages=(Stage(epochs=15),)),
    presets={"quick": quick},
)
