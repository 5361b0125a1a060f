"""From a data folder or zip to cached rows: what every later phase reads.

N rows.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harness import files
from harness.competition import Competition, Size
from harness.config import TrainConfig
from harness.data import folds, locate, materialise, unpack
from harness.data.cache import Cache, Progress, mask_cache, picture_cache, silent
from harness.errors import ConfigError
from harness.hashing import hash_files, hash_value
from harness.rows import Rows


def quiet(text: str) -> None:
    """Says nothing."""


@dataclass(frozen=True)
class World:
    """What the pipeline takes from outside, so that tests need no mocks.

    Attributes:
        cache: root of everything derived from data.
        progress: (label, done, total), for bars.
        say: one line to the user.
        free: bytes free at a path.
    """

    cache: Path
    progress: Progress = silent
    say: Callable[[str], None] = quiet
    free: files.FreeSpace = files.free_space


@dataclass(frozen=True)
class Data:
    """Rows with their decoded pixels.

    Attributes:
        root: the unpacked data folder.
        train, test: rows; test is None for a competition without a test set.
        pictures, masks, test_pictures: caches in row order.
        hash: of ids, groups and the bytes of every file.
        duplicates: training pictures whose bytes another training picture has too.
        decoded: image files decoded by this call: {"train", "test", "masks"}.
    """

    root: Path
    train: Rows
    test: Rows | None
    pictures: Cache
    masks: Cache
    test_pictures: Cache | None
    hash: str
    duplicates: int
    decoded: dict[str, int] = field(default_factory=dict)

    def areas(self) -> np.ndarray:
        """int64 [N]: pixels inside each training mask."""
        return np.array([int(np.count_nonzero(self.masks[row])) for row in range(len(self.masks))], dtype=np.int64)


def data_root(
    competition: Competition, *, data: Path | None, sample: bool, sample_rows: int, seed: int, world: World
) -> Path:
    """The folder with the competition's files: found, unpacked, or drawn.

    Raises:
        DataError: nothing found, or a zip that cannot be trusted.
    """
    if sample:
        return materialise.write_sample(competition, rows=sample_rows, seed=seed, cache=world.cache)
    place = locate.locate(competition, data)
    return place if place.is_dir() else unpack.unpack(place, cache=world.cache, free=world.free)


def largest_size(competition: Competition, config: TrainConfig) -> Size:
    """(height, width) that pictures are cached at: the largest stage's."""
    sizes = [stage_size(competition, config, index) for index in range(len(config.stages))]
    return max(sizes, key=lambda size: size[0] * size[1])


def stage_size(competition: Competition, config: TrainConfig, stage: int) -> Size:
    """(height, width) of a stage: its own, else the training's, else the adapter's."""
    return config.stages[stage].size or config.train.size or competition.picture.size


def prepare(competition: Competition, config: TrainConfig, root: Path, world: World) -> Data:
    """Reads the rows and decodes what no cache holds yet.

    Raises:
        DataError: whatever is wrong with the data, with file and row.
        SpaceError: not enough disk for the cache.
    """
    train, test = competition.train(root), competition.test(root)
    picture = competition.picture
    options = {"root": world.cache, "free": world.free, "progress": world.progress}
    size = largest_size(competition, config)
    hashes = hash_files(train[picture.column])
    mask_hashes = hash_files(train[competition.target])
    pictures = picture_cache(
        train[picture.column], hashes, size=size, channels=picture.channels, label="pictures", **options
    )
    masks = mask_cache(
        train[competition.target],
        mask_hashes,
        sizes=pictures.sizes,
        task=competition.task,
        label="masks",
        **options,
    )
    test_pictures, test_hashes = None, []
    if test is not None:
        test_hashes = hash_files(test[picture.column])
        test_pictures = picture_cache(
            test[picture.column], test_hashes, size=size, channels=picture.channels, label="test pictures", **options
        )
    groups = train[competition.folds.group] if competition.folds.group else []
    return Data(
        root=root,
        train=train,
        test=test,
        pictures=pictures,
        masks=masks,
        test_pictures=test_pictures,
        hash=hash_value([train.ids, groups, hashes, mask_hashes, test.ids if test else [], test_hashes]),
        duplicates=len(hashes) - len(set(hashes)),
        decoded={
            "train": pictures.decoded,
            "test": test_pictures.decoded if test_pictures else 0,
            "masks": masks.decoded,
        },
    )


def plan_folds(competition: Competition, config: TrainConfig, data: Data) -> folds.FoldPlan:
    """The folds of the training rows.

    Raises:
        ConfigError: more folds than groups, or a published split where there is none.
        DataError: fewer than two groups.
    """
    if config.data.split == "published":
        column = competition.published_split
        if column is None:
            fix = "leave --split published out"
            raise ConfigError(f"{competition.name} has no published split", fix=fix)
        return folds.published(data.train[column])
    group = competition.folds.group
    strata = np.zeros(len(data.train), dtype=np.int64)
    if competition.folds.stratify == "mask":
        strata = folds.mask_strata(data.areas(), data.pictures.sizes)
    return folds.plan(
        data.train[group] if group else data.train.ids,
        strata,
        wanted=config.data.folds,
        default=competition.folds.number,
        holdout=config.data.holdout,
        seed=config.seed,
        unit=group or "row",
    )


def write_folds(path: Path, data: Data, plan: folds.FoldPlan) -> None:
    """folds.csv: the fold each row validates in; -1 is held out."""
    with files.replacing(path, "w") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(("id", "fold"))
        writer.writerows(zip(data.train.ids, plan.fold.tolist(), strict=True))
