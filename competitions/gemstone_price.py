"""Gemstone prices from a photograph and the table beside it: train.csv with pictures, or Kaggle's shop diamonds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness import cells, listing, pictured
from harness.competition import Competition, Folds, Image, SampleFile, Submission, Table
from harness.config import Model, Size, Stage, TrainConfig, Training
from harness.errors import DataError
from harness.metrics import MAE, RMSE, RMSLE
from harness.rows import Rows
from harness.tasks import Regression


def check_price(text: str, size: Size) -> tuple[str, str] | None:
    """(problem, fix) of a cell, or None: a number above 0."""
    return cells.check_number(text, size, positive=True)


def train(root: Path) -> Rows:
    """The stones that have a picture, with their price and what the table knows beside."""
    return pictured.training(root).rows


def test(root: Path) -> Rows | None:
    """The stones of `test.csv`, in the order of the sample submission; None where there is no such file."""
    return pictured.testing(root)


def adapt(competition: Competition, root: Path) -> Competition:
    """With the side features of this data, and the header of its sample submission."""
    found = pictured.training(root)
    sample = listing.find_file(root, (pictured.SAMPLE,))
    if sample is not None:
        competition = competition.mirror(competition, listing.header(sample), ())
    table = (Table(found.numbers, found.categories),) if found.numbers or found.categories else ()
    pictures = tuple(part for part in competition.inputs if isinstance(part, Image))
    return replace(competition, inputs=(*pictures, *table), told=found.told)


def mirror(competition: Competition, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Competition:
    """With a submission whose two columns are called as in `header`."""
    if len(header) != 2:
        raise DataError(f"a sample submission with {len(header)} columns", fix="expected an id and a price", row=1)
    submission = replace(competition.submission, header=tuple(header), cells={header[1]: check_price})
    return replace(competition, submission=submission)


def sample(rows: int, seed: int) -> Iterator[SampleFile]:
    """Drawn stones: the weight in the table and the colour in the picture set the price."""
    from harness.data import samples_prices

    return samples_prices.stones(rows, seed)


competition = Competition(
    name="gemstone-price",
    title="Gemstone price from a picture",
    source="https://www.kaggle.com/datasets/harshitlakhani/natural-diamonds-prices-images",
    how_to_get="a folder with train.csv and pictures, or `harness download gemstone-price`",
    train=train,
    test=test,
    inputs=(Image("image", size=(128, 128), symmetries=("hflip", "vflip"), normalise="imagenet"),),
    target="price",
    task=Regression(log=True),
    metric=RMSE,
    secondary=(RMSLE, MAE),
    folds=Folds(5, no_group="no shop or stone is named: alike pictures stay together", stratify="quantiles"),
    submission=Submission(("id", "price"), cells.number_rows, cells.read_number, {"price": check_price}),
    sample=sample,
    sample_submission=pictured.SAMPLE,
    aliases=("natural-diamonds-prices-images",),
    defaults=TrainConfig(train=Training(rate=1e-3, batch=32), model=Model("resnet34"), stages=(Stage(epochs=20),)),
    adapt=adapt,
    mirror=mirror,
)
