"""Playground Series S3E8 (Kaggle 2023): prices of gemstones from a table whose rows a net trained on diamonds drew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import cells, listing
from harness.competition import Competition, Folds, SampleFile, Submission, Table
from harness.config import Model, Stage, TrainConfig, Training
from harness.errors import DataError
from harness.metrics import MAE, RMSE, RMSLE
from harness.rows import Rows
from harness.tasks import Regression

NUMBERS = ("carat", "depth", "table", "x", "y", "z")
# carats, per cents and millimetres: what is larger is a slip of the decimal point
LARGEST = dict.fromkeys(NUMBERS, 100.0) | {"price": 1e7}
GRADES = {
    "cut": ("Fair", "Good", "Very Good", "Premium", "Ideal"),
    "color": ("J", "I", "H", "G", "F", "E", "D"),
    "clarity": ("I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"),
}


def train(root: Path) -> Rows:
    """The rows of `train.csv`, in its order; numbers are in range and grades are known ones."""
    return _read(_find(root, "train.csv"), (*NUMBERS, "price"), GRADES)


def test(root: Path) -> Rows:
    """The rows of `test.csv`, in the order of `sample_submission.csv` where it is present.

    A grade that training never saw is an unknown category there, not an error: the row still needs an answer.
    """
    file = _find(root, "test.csv")
    rows, order = _read(file, NUMBERS, {}), file.with_name("sample_submission.csv")
    ids = listing.read_table(order, ("id",))["id"] if order.exists() else rows.ids
    places = {identity: place for place, identity in enumerate(rows.ids)}
    if odd := min(set(ids) ^ set(places), key=listing.natural, default=""):
        problem = f"the id {odd} stands in {'test.csv' if odd in places else order.name} only"
        raise DataError(problem, file=order, fix="download the competition data again")
    return rows.take([places[identity] for identity in ids])


def _find(root: Path, name: str) -> Path:
    file = listing.find_file(root, (name,))
    if file is None:
        raise DataError(f"no {name}", file=root, fix="point --data at the unpacked competition data")
    return file


def _read(file: Path, numbers: Sequence[str], grades: Mapping[str, Sequence[str]]) -> Rows:
    """Floats in the columns `numbers`, each in its range; a row that stands twice counts once."""
    columns: dict[str, list[Any]] = dict(listing.read_table(file, ("id", *numbers, *GRADES)))
    kept = listing.one_answer_each(columns["id"], list(map(str, zip(*columns.values(), strict=True))), file=file)
    for column in numbers:
        for row, text in enumerate(columns[column], start=2):
            # 1.3 million cells: the short way for plain digits takes a tenth of the time
            plain = text.isascii() and text.replace(".", "", 1).isdigit()
            number = float(text) if plain else listing.number(text, file=file, row=row, column=column)
            if not (number > 0 or (number == 0 and column in ("x", "y", "z"))) or number > LARGEST[column]:
                fix = f"{column} is above 0 and at most {LARGEST[column]:g}; x, y and z may be 0"
                raise DataError(f"a {column} of {number:g}", file=file, row=row, fix=fix)
            columns[column][row - 2] = number
    for column, known in grades.items():
        for row, grade in enumerate(columns[column], start=2):
            if grade not in known:
                raise DataError(f"unknown {column} {grade!r}", file=file, row=row, fix=f"known: {', '.join(known)}")
    return Rows({name: [column[index] for index in kept] for name, column in columns.items()})


def sample(rows: int, seed: int) -> Iterator[SampleFile]:
    """A table with a known price rule: weight and the three grades set the logarithm of the price."""
    from harness.data import samples_prices

    return samples_prices.stone_table(rows, seed)


competition = Competition(
    name="playground-series-s3e8",
    title="Gemstone price from a table (Playground Series S3E8)",
    source="https://www.kaggle.com/competitions/playground-series-s3e8",
    how_to_get="accept the rules there, then `harness download playground-series-s3e8`",
    train=train,
    test=test,
    inputs=(Table(numbers=NUMBERS, categories=GRADES),),
    target="price",
    task=Regression(huber=0.5),
    metric=RMSE,
    secondary=(RMSLE, MAE),
    folds=Folds(5, stratify="quantiles", no_group="rows are independent stones"),
    submission=Submission(("id", "price"), cells.number_rows, cells.read_number, {"price": cells.check_number}),
    sample=sample,
    sample_submission="sample_submission.csv",
    defaults=TrainConfig(
        train=Training(rate=4e-3, batch=256), model=Model(width=128, layers=3, members=8), stages=(Stage(epochs=12),)
    ),
)
