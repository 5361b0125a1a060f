"""The contract: what an adapter says about its competition, as frozen data and functions.

An adapter declares rows, inputs, a task, a metric, folds and submission rows. It never touches torch, a device, a
loader, or a file that it writes. `docs/contract.md` shows how nine competitions fill every field.

N rows, C channels, H height, W width; sizes are (height, width) everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from harness.config import SearchSpace, Size, TrainConfig
from harness.metrics import Metric
from harness.rows import Rows
from harness.tasks import Task

Symmetry = Literal["hflip", "vflip", "rot180", "transpose", "rot90", "rot270", "antitranspose"]
Normalise = Literal["imagenet", "half", "picture"]
Preset = Callable[[TrainConfig], TrainConfig]
SampleFile = tuple[str, Any]


@dataclass(frozen=True)
class Image:
    """A picture input.

    Attributes:
        column: the rows' column of paths.
        size: default (height, width) of training.
        channels: 1 (grey) or 3 (colour); masks models take 1 to 4.
        symmetries: flips and turns under which the target stays true or moves along; used in augmentation and in
            test-time views, beside the identity.
        normalise: "imagenet" statistics, "half" for (x - 0.5) / 0.25, "picture" for each picture's own mean and spread.
    """

    column: str
    size: Size
    channels: int = 3
    symmetries: tuple[Symmetry, ...] = ()
    normalise: Normalise = "half"


@dataclass(frozen=True)
class Table:
    """Side features, or a whole table: columns of numbers and of categories.

    Attributes:
        numbers: columns of numbers; cells may be text, an empty cell is a missing value.
        categories: column -> its values in their natural order, or () for those that occur in the training rows.
    """

    numbers: tuple[str, ...] = ()
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Tokens:
    """A text input, which is its own target.

    Attributes:
        column: the rows' column of texts.
        block: tokens of the blocks that long texts are cut into; a block is a row of folds, scores and submission, with
            the id `<row id>:<first token>`.
        whole_test: test rows are texts of their own and are not cut (a table of texts, one answer each).
        whole_train: the same for training rows.
    """

    column: str
    block: int = 1000
    whole_test: bool = False
    whole_train: bool = False


@dataclass(frozen=True)
class Folds:
    """How rows are dealt out.

    Attributes:
        number: folds, unless told otherwise.
        group: column whose equal values stay in one fold.
        no_group: a sentence why there is no group; required when `group` is None.
        stratify: "mask" deals by whether and how much mask there is, "labels" by the label or labels, rarest first,
            "quantiles" by the size of a number; None deals by group size alone.
        contiguous: folds are runs of neighbouring rows (video, text).
        pseudo: column that says who labelled a row: empty for a true label, "<folds hash>:<fold>" for the model of that
            fold of a run with these folds. Such a row trains in that fold alone and is never scored.
    """

    number: int = 5
    group: str | None = None
    no_group: str = ""
    stratify: Literal["mask", "labels", "quantiles"] | None = None
    contiguous: bool = False
    pseudo: str | None = None

    def __post_init__(self) -> None:
        assert self.group or self.no_group, "folds need a group column, or a sentence why there is none"


def one_id(identity: str) -> list[str]:
    """A row's id is its only CSV row's id."""
    return [identity]


@dataclass(frozen=True)
class Submission:
    """The competition's CSV.

    Attributes:
        header: column names; the first is the id.
        write: (row id, decision) -> CSV rows, ids first.
        read: (cells of these rows without ids, (height, width)) -> decision; the inverse of `write`, for grading.
        cells: column -> check of one cell's text: (text, (height, width)) -> (problem, fix) or None.
        ids: row id -> the ids of its CSV rows, in order.
        together: check of all CSV rows of one prediction, cells without ids; as `cells`.
    """

    header: tuple[str, ...]
    write: Callable[[str, Any], list[tuple[str, ...]]]
    read: Callable[[list[tuple[str, ...]], Size], Any]
    cells: Mapping[str, Callable[[str, Size], tuple[str, str] | None]]
    ids: Callable[[str], list[str]] = one_id
    together: Callable[[list[tuple[str, ...]], Size], tuple[str, str] | None] | None = None


def nothing(root: Path) -> Rows | None:
    """No such rows: the competition has no test set."""
    return None


def as_declared(competition: Competition, root: Path) -> Competition:
    """The competition as its adapter declares it: nothing depends on the data folder."""
    return competition


def one_form(competition: Competition, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Competition:
    """The competition as it is: its submission has one form only."""
    return competition


@dataclass(frozen=True)
class Competition:
    """One competition.

    Attributes:
        name: equals the file name of the adapter, with dashes for underscores; the slug on Kaggle.
        title: one line for people.
        source: the page the rules, data and metric were read from.
        how_to_get: one sentence: how to get the data.
        train: data folder -> one row per training example.
        test: data folder -> one row per test example in submission order, or None when there is no test set.
        inputs: what the model sees.
        target: the rows' column of targets (paths of masks, labels, prices).
        task: what outputs mean.
        metric: as the competition's own page defines it.
        metric_group: column over whose values the metric pools rows (a patient's volume).
        secondary: further metrics, printed beside.
        folds: how rows are dealt out.
        submission: the CSV.
        sample: (rows, seed) -> (relative path, array | text | bytes) of a small learnable stand-in in the real layout.
        defaults, space, presets: training configuration; presets override the general ones of that name.
        sample_submission: file whose header and order the submission mirrors, when the data has one.
        published_split: column of the training rows that says "train" or "valid" where the authors drew a split.
        test_truth: whether `test` rows carry the target too (a labelled test set, scored once at the end).
        aliases: other names its data folder is known by.
        adapt: (competition, data folder) -> the competition as this data has it: what had to be looked up in the files
            (columns, one label or several, the submission's form) filled in, and `told` saying what was decided and
            why. Two readings that both fit are a DataError.
        mirror: (competition, header, some rows) -> the competition with the submission that a file of that form has;
            `adapt` hands it the sample submission, grading the answers.
        told: sentences for the user about what `adapt` decided.
    """

    name: str
    title: str
    source: str
    how_to_get: str
    train: Callable[[Path], Rows]
    inputs: tuple[Image | Table | Tokens, ...]
    target: str
    task: Task
    metric: Metric
    folds: Folds
    submission: Submission
    sample: Callable[[int, int], Iterator[SampleFile]]
    test: Callable[[Path], Rows | None] = nothing
    metric_group: str | None = None
    secondary: tuple[Metric, ...] = ()
    defaults: TrainConfig = field(default_factory=TrainConfig)
    space: SearchSpace = field(default_factory=SearchSpace)
    presets: Mapping[str, Preset] = field(default_factory=dict)
    sample_submission: str | None = None
    published_split: str | None = None
    test_truth: bool = False
    aliases: tuple[str, ...] = ()
    adapt: Callable[[Competition, Path], Competition] = as_declared
    mirror: Callable[[Competition, Sequence[str], Sequence[Sequence[str]]], Competition] = one_form
    told: tuple[str, ...] = ()

    @property
    def picture(self) -> Image | None:
        """The picture input, if there is one."""
        return next((part for part in self.inputs if isinstance(part, Image)), None)

    @property
    def table(self) -> Table | None:
        """The table input, if there is one."""
        return next((part for part in self.inputs if isinstance(part, Table)), None)

    @property
    def tokens(self) -> Tokens | None:
        """The text input, if there is one."""
        return next((part for part in self.inputs if isinstance(part, Tokens)), None)
