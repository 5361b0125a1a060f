"""The text around the names of a draft; braces that stay are doubled."""

from __future__ import annotations

HEAD = '''"""{title}: a draft by `harness new`, from what its data folder looks like. Mend what a folder cannot say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness import {modules}
from harness.competition import Competition, Folds, {inputs}, SampleFile{submission}
from harness.config import Model, Stage, TrainConfig, Training
{errors}from harness.metrics import {metrics}
from harness.rows import Rows
from harness.tasks import {task}

'''
PICTURES = '''

def train(root: Path) -> Rows:
    """The labelled pictures: {layout}."""
    return own_pictures.read(root).rows


def test(root: Path) -> Rows | None:
    """The pictures to predict, in the order of the sample submission where there is one; None without any."""
    return own_pictures.test(root)


def sample(rows: int, seed: int) -> Iterator[SampleFile]:
    """Discs whose colour and place say the label, in the layout of the data."""
    from harness.data import samples_drafts

    return {sample}
'''
MASKS = '''

def train(root: Path) -> Rows:
    """`<picture>_mask` beside each picture, in any folder; the id is the picture's path."""
    columns: dict[str, list[str]] = {{"id": [], "image": [], "mask": []{column}}}
    for folder in sorted({{path.parent for path in root.rglob("*_mask.*")}}, key=listing.natural):
        for picture, mask in listing.pair_masks(folder):
            columns["id"].append(picture.relative_to(root).with_suffix("").as_posix())
            columns["image"].append(str(picture))
            columns["mask"].append(str(mask))
{group}    return Rows(columns)

{test}
def sample(rows: int, seed: int) -> Iterator[SampleFile]:
    """Pale spots on a dark ground, in the layout of the data."""
    from harness.data import samples_drafts

    return {sample}
'''
MASKS_TEST = '''
def test(root: Path) -> Rows | None:
    """The pictures in `{test}/`, in the order of the sample submission where there is one."""
    found = {{path.stem: str(path) for path in listing.pictures(listing.find_folder(root, "{test}"))}}
    file = listing.find_file(root, ({answers},))
    ids = list(found) if file is None else listing.read_table(file, HEADER)[HEADER[0]]
    for row, name in enumerate(ids, start=2):
        if Path(name).stem not in found:
            raise DataError(f"the picture {{name}} is missing", file=file, row=row, fix="download the data again")
    return Rows({{"id": ids, "image": [found[Path(name).stem] for name in ids]}})

'''
TABLE = '''

def train(root: Path) -> Rows:
    """The rows of `train.csv`, in its order."""
    return read(root, "train.csv", ({target},))


def test(root: Path) -> Rows:
    """The rows of `test.csv`, in the order of the sample submission where there is one."""
    rows, file = read(root, "test.csv", ()), listing.find_file(root, ({answers},))
    if file is None:
        return rows
    places = {{name: place for place, name in enumerate(rows.ids)}}
    ids = listing.read_table(file, HEADER)[HEADER[0]]
    for row, name in enumerate(ids, start=2):
        if name not in places:
            raise DataError(f"test.csv has no row {{name}}", file=file, row=row, fix="download the data again")
    return rows.take([places[name] for name in ids])


def read(root: Path, name: str, target: tuple[str, ...]) -> Rows:
    """The columns of the table `name`; a cell may be empty but for ids and targets."""
    file = listing.find_file(root, (name,))
    if file is None:
        raise DataError(f"no {{name}}", file=root, fix="point --data at the unpacked data")
    columns = listing.read_table(file, ({identity}, *NUMBERS, *CATEGORIES, *target))
    return Rows({{"id": columns[{identity}]}} | columns)


def sample(rows: int, seed: int) -> Iterator[SampleFile]:
    """A table of the same columns whose target follows the others."""
    from harness.data import samples_drafts

    return {sample}
'''
END = """

competition = Competition(
    name={name},
    title={title},
    source="not known: write down the page that the rules and the metric are read from",
    how_to_get="not known: write down how to get the data",
    train=train,
{test}    inputs=({inputs},),
    target={target},
    task={task},
    metric={metric},
{secondary}    folds={folds},
    submission={submission},
    sample=sample,
{further}    defaults={defaults},
)
"""
TESTS = '''"""{title}: its stand-in is read, dealt out, and walked through."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import registry
from harness.cli import main
from harness.data.materialise import write_sample
from harness.pipeline.planning import plan_folds
from harness.pipeline.preparation import World, prepare
from harness.presets import configure

NAME = {name}


@pytest.fixture(autouse=True)
def _beside_competitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[1])


def test_rows_are_read_in_the_same_order_twice(tmp_path: Path) -> None:
    competition = registry.load(NAME)
    root = write_sample(competition, rows=40, seed=0, cache=tmp_path)
    rows = competition.train(root)
    assert rows == competition.train(root)
    assert len(rows) >= 40
    assert competition.target in rows


def test_every_row_validates_in_one_fold_and_no_fold_is_empty(tmp_path: Path) -> None:
    competition = registry.load(NAME)
    root = write_sample(competition, rows=40, seed=0, cache=tmp_path)
    config = configure(competition, sample=True)
    data = prepare(competition, config, root, World(tmp_path))
    plan = plan_folds(competition, config, data)
    assert len(plan.fold) == len(data)
    assert set(plan.fold.tolist()) == set(range(plan.number))


def test_check_walks_through_it(tmp_path: Path) -> None:
    main(["check", NAME, "--sample", "--cache", str(tmp_path)])
'''
