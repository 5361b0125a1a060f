"""Ultrasound Nerve Segmentation (Kaggle 2016): the brachial plexus in 580x420 ultrasound frames of 47 subjects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness import formats, listing
from harness.competition import Competition, Folds, Image, SampleFile, Submission
from harness.config import Model, Stage, TrainConfig, Training, with_epochs
from harness.errors import DataError
from harness.metrics import DICE_PER_PICTURE
from harness.rows import Rows
from harness.tasks import BinaryMask


def train(root: Path) -> Rows:
    """`train/<subject>_<img>.tif` with `_mask.tif` beside; checked against `train_masks.csv` where it is present."""
    folder = listing.find_folder(root, "train")
    pairs = listing.pair_masks(folder)
    subjects = [listing.match(r"(\d+)_(\d+)", picture, example="7_12.tif")[0] for picture, _ in pairs]
    ids = [picture.stem for picture, _ in pairs]
    table = folder.parent / "train_masks.csv"
    if table.exists():
        cells = listing.read_table(table, ("subject", "img", "pixels"))
        named = {f"{subject}_{img}" for subject, img in zip(cells["subject"], cells["img"], strict=True)}
        if named != set(ids):
            odd = min(named ^ set(ids), key=listing.natural)
            place = "the table" if odd in named else "the folder"
            raise DataError(f"{odd} stands in {place} only", file=table, fix="download the competition data again")
    pictures, masks = [str(picture) for picture, _ in pairs], [str(mask) for _, mask in pairs]
    return Rows({"id": ids, "image": pictures, "mask": masks, "subject": subjects})


def test(root: Path) -> Rows:
    """`test/<img>.tif`, in the order of `sample_submission.csv` where it is present."""
    folder = listing.find_folder(root, "test")
    files = {picture.stem: str(picture) for picture in listing.pictures(folder)}
    order, sample = list(files), folder.parent / "sample_submission.csv"
    if sample.exists():
        order = listing.read_table(sample, ("img", "pixels"))["img"]
        for row, identity in enumerate(order, start=2):
            if identity not in files:
                fix = "download the competition data again"
                raise DataError(f"test picture {identity}.tif is missing", file=sample, row=row, fix=fix)
    return Rows({"id": order, "image": [files[identity] for identity in order]})


def sample(rows: int, seed: int) -> Iterator[SampleFile]:
    """Speckled frames with a bright-rimmed nerve; a third of the masks are empty, some against what is seen."""
    from harness.data import samples

    return samples.ultrasound(rows, seed)


def quick(config: TrainConfig) -> TrainConfig:
    """A small encoder at 96x128: under three minutes on two cores for some fifty frames."""
    small = Model(encoder="mobilenetv3_small_050", decoder=(48, 32, 24, 16, 8))
    return with_epochs(
        replace(config, model=small, train=replace(config.train, size=(96, 128), rate=4e-3, batch=8)), 28
    )


competition = Competition(
    name="ultrasound-nerve-segmentation",
    title="Ultrasound Nerve Segmentation",
    source="https://www.kaggle.com/c/ultrasound-nerve-segmentation",
    how_to_get="accept the rules there, then `harness download ultrasound-nerve-segmentation`",
    train=train,
    test=test,
    inputs=(Image("image", size=(256, 352), channels=1, symmetries=("hflip",), normalise="picture"),),
    target="mask",
    task=BinaryMask(),
    metric=DICE_PER_PICTURE,
    folds=Folds(5, group="subject", stratify="mask"),
    submission=Submission(
        header=("img", "pixels"),
        write=formats.mask_rows,
        read=formats.read_mask,
        cells={"pixels": formats.check_mask_cell},
    ),
    sample=sample,
    sample_submission="sample_submission.csv",
    defaults=TrainConfig(train=Training(rate=1e-3, batch=16), model=Model("resnet34"), stages=(Stage(epochs=20),)),
    presets={"quick": quick},
)
