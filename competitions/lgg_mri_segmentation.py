"""Brain MRI segmentation (Kaggle dataset mateuszbuda/lgg-mri-segmentation): lower-grade glioma of 110 TCGA patients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness import formats, listing
from harness.competition import Competition, Folds, Image, SampleFile, Submission
from harness.config import Model, Stage, TrainConfig, Training, with_epochs
from harness.errors import DataError
from harness.metrics import DICE_PER_PICTURE, DICE_PER_VOLUME
from harness.rows import Rows
from harness.tasks import BinaryMask


def train(root: Path) -> Rows:
    """`TCGA_<site>_<patient>_<date>/<same>_<n>.tif` with `_mask.tif` beside.

    The published zip holds the whole tree twice: each patient's folder counts once, the shallowest one.
    """
    folders: dict[str, Path] = {}
    for folder in sorted(root.rglob("TCGA_*"), key=listing.shallowest_first):
        if folder.is_dir():
            folders.setdefault(folder.name, folder)
    if not folders:
        raise DataError("no patient folders TCGA_*", file=root, fix="point --data at the folder that holds kaggle_3m")
    columns: dict[str, list[str]] = {"id": [], "image": [], "mask": [], "volume": [], "patient": []}
    for name in sorted(folders, key=listing.natural):
        for picture, mask in listing.pair_masks(folders[name]):
            form = r"((TCGA_\w+_\d+)_\d+)_\d+"
            volume, patient = listing.match(form, picture, example="TCGA_CS_4941_19960909_7.tif")
            if volume != name:
                raise DataError("a slice of another volume", file=picture, fix=f"expected {name}_<n>.tif")
            for column, cell in zip(columns, (picture.stem, str(picture), str(mask), volume, patient), strict=True):
                columns[column].append(cell)
    return Rows(columns)


def sample(rows: int, seed: int) -> Iterator[SampleFile]:
    """Brains over slices and patients, lesions in the middle slices; one patient stands in a second tree."""
    from harness.data import samples

    return samples.brains(rows, seed)


def quick(config: TrainConfig) -> TrainConfig:
    """A small encoder at 96x96: under three minutes on two cores for some hundred slices."""
    small = Model(encoder="mobilenetv3_small_050", decoder=(48, 32, 24, 16, 8))
    return with_epochs(replace(config, model=small, train=replace(config.train, size=(96, 96), rate=4e-3, batch=8)), 16)


competition = Competition(
    name="lgg-mri-segmentation",
    title="Brain MRI segmentation (lower-grade glioma)",
    source="https://www.kaggle.com/datasets/mateuszbuda/lgg-mri-segmentation",
    how_to_get="`harness download lgg-mri-segmentation`",
    train=train,
    inputs=(Image("image", size=(256, 256), channels=3, symmetries=("hflip",), normalise="half"),),
    target="mask",
    task=BinaryMask(),
    metric=DICE_PER_VOLUME,
    metric_group="volume",
    secondary=(DICE_PER_PICTURE,),
    folds=Folds(5, group="patient", stratify="mask"),
    submission=Submission(
        header=("id", "pixels"),
        write=formats.mask_rows,
        read=formats.read_mask,
        cells={"pixels": formats.check_mask_cell},
    ),
    sample=sample,
    aliases=("kaggle_3m", "lgg-mri"),
    defaults=TrainConfig(train=Training(rate=1e-3, batch=16), model=Model("resnet34"), stages=(Stage(epochs=20),)),
    presets={"quick": quick},
)
