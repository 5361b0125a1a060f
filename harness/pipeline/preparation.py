"""From a data folder or zip to cached rows: what every later phase reads.

N rows.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness import files, listing
from harness.competition import Competition, Size
from harness.config import TrainConfig
from harness.data import folds, locate, materialise, unpack
from harness.data.cache import Cache, Progress, mask_cache, picture_cache, silent
from harness.errors import CompetitionError, ConfigError, DataError
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
    """Training rows with their decoded pixels.

    Attributes:
        root: the unpacked data folder.
        train: rows.
        pictures, masks: caches in row order.
        hash: of ids, groups and the bytes of every file.
        duplicates: training pictures whose bytes another training picture has too.
    """

    root: Path
    train: Rows
    pictures: Cache
    masks: Cache
    hash: str
    duplicates: int

    def areas(self) -> np.ndarray:
        """int64 [N]: pixels inside each training mask."""
        return np.array([int(np.count_nonzero(self.masks[row])) for row in range(len(self.masks))], dtype=np.int64)

    def size(self, row: int) -> Size:
        """Native (height, width) of a training row."""
        height, width = self.pictures.sizes[row].tolist()
        return height, width

    def truth(self, row: int) -> np.ndarray:
        """bool [H, W]: the true mask of a training row."""
        return self.masks[row][:, :, 0].view(np.bool_)


@dataclass(frozen=True)
class TestData:
    """Test rows with their decoded pixels, as Data."""

    rows: Rows
    pictures: Cache
    hash: str


def data_root(
    competition: Competition, *, data: Path | None, sample: bool, sample_rows: int, seed: int, world: World
) -> Path:
    """The folder with the competition's files: found, unpacked, or drawn.

    Raises:
        ConfigError: both data and the sample asked for.
        DataError: nothing found, or a zip that cannot be trusted.
    """
    if sample and data is not None:
        raise ConfigError("--data and --sample", fix="choose one of the two")
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
    """Reads the training rows and decodes what no cache holds yet.

    Raises:
        DataError: whatever is wrong with the data, with file and row.
        SpaceError: not enough disk for the cache.
    """
    rows, picture = competition.train(root), competition.picture
    if len(rows) == 0:
        raise DataError("no training rows", file=root, fix="point --data at the unpacked competition data")
    hashes, mask_hashes = hash_files(rows[picture.column]), hash_files(rows[competition.target])
    pictures = _pictures(competition, config, rows, hashes, label="pictures", world=world)
    masks = mask_cache(
        rows[competition.target],
        mask_hashes,
        sizes=pictures.sizes,
        task=competition.task,
        label="masks",
        **_cache_options(world),
    )
    groups = rows[competition.folds.group] if competition.folds.group else []
    return Data(
        root=root,
        train=rows,
        pictures=pictures,
        masks=masks,
        hash=hash_value([rows.ids, groups, hashes, mask_hashes]),
        duplicates=len(hashes) - len(set(hashes)),
    )


def prepare_test(competition: Competition, config: TrainConfig, root: Path, world: World) -> TestData | None:
    """Reads the test rows and decodes what no cache holds yet; None for a competition without a test set.

    Raises:
        DataError, SpaceError: as `prepare`.
    """
    rows = competition.test(root)
    if rows is None:
        return None
    _check_sample_header(competition, root)
    hashes = hash_files(rows[competition.picture.column])
    pictures = _pictures(competition, config, rows, hashes, label="test pictures", world=world)
    return TestData(rows, pictures, hash_value([rows.ids, hashes]))


def _pictures(
    competition: Competition, config: TrainConfig, rows: Rows, hashes: list[str], *, label: str, world: World
) -> Cache:
    picture = competition.picture
    return picture_cache(
        rows[picture.column],
        hashes,
        size=largest_size(competition, config),
        channels=picture.channels,
        label=label,
        **_cache_options(world),
    )


def _cache_options(world: World) -> dict[str, Any]:
    return {"root": world.cache, "free": world.free, "progress": world.progress}


def _check_sample_header(competition: Competition, root: Path) -> None:
    """The submission mirrors the sample file: its header must be the adapter's."""
    found = sorted(root.rglob(competition.sample_submission)) if competition.sample_submission else []
    if found:
        listing.read_table(min(found, key=listing.shallowest_first), competition.submission.header)


def plan_folds(competition: Competition, config: TrainConfig, data: Data) -> folds.FoldPlan:
    """The folds of the training rows.

    Raises:
        CompetitionError: a part of the contract that is not built yet.
        ConfigError: more folds than groups, or a published split where there is none.
        DataError: fewer than two groups.
    """
    if competition.folds.contiguous or competition.test_truth:
        field = "Folds.contiguous" if competition.folds.contiguous else "test_truth"
        raise CompetitionError(f"{competition.name} asks for {field}, which is not built yet", fix=f"leave {field} out")
    if config.data.split == "published":
        if config.data.holdout:
            raise ConfigError("--holdout with --split published", fix="choose one of the two")
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
