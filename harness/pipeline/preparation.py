"""From a data folder or zip to cached rows: what every later phase reads.

N rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from harness import files, listing
from harness.competition import Competition, Size
from harness.config import TrainConfig
from harness.data import addresses, blocks, download, locate, materialise, unpack
from harness.data.cache import Cache, mask_cache, picture_cache, silent
from harness.data.filling import Progress
from harness.errors import ConfigError, DataError
from harness.hashing import hash_files, hash_value
from harness.pipeline import quarantine
from harness.pipeline.parts import Data, Part
from harness.rows import Rows


def quiet(text: str) -> None:
    """Says nothing."""


def untimed() -> None:
    """Nobody looks at a clock."""


@dataclass(frozen=True)
class World:
    """What the pipeline takes from outside, so that tests need no mocks.

    Attributes:
        cache: root of everything derived from data.
        progress: (label, done, total), for bars.
        say: one line to the user.
        free: bytes free at a path.
        clock: seconds since whenever, for a run that must end in time.
        began: the clock when the process began; None means when the run begins.
        tick: called between two batches that are predicted; ends a run whose time is over or that is asked to end.
        halt: called before each optimizer step and between files that are decoded; ends a run that is asked to end.
    """

    cache: Path
    progress: Progress = silent
    say: Callable[[str], None] = quiet
    free: files.FreeSpace = files.free_space
    clock: files.Clock = time.monotonic
    began: float | None = None
    tick: Callable[[], None] = untimed
    halt: Callable[[], None] = untimed


def data_root(
    competition: Competition, *, data: Path | None, sample: bool, sample_rows: int, seed: int, world: World
) -> Path:
    """The folder with the competition's files: found, unpacked, downloaded from a list of addresses, or drawn.

    Raises:
        ConfigError: both data and the sample asked for.
        DataError: nothing found, a zip that cannot be trusted, or a list without pictures.
    """
    if sample and data is not None:
        raise ConfigError("--data and --sample", fix="choose one of the two")
    if sample:
        return materialise.write_sample(competition, rows=sample_rows, seed=seed, cache=world.cache)
    place = locate.locate(competition, data)
    listed = competition.picture is not None and competition.task.kind in ("label", "tags")
    if listed and addresses.is_list(place):
        return download.fetch(place, cache=world.cache, say=world.say, progress=world.progress)
    return place if place.is_dir() else unpack.unpack(place, cache=world.cache, free=world.free)


def adapted(competition: Competition, root: Path, world: World) -> Competition:
    """The competition as this data has it; what was decided is said.

    Raises:
        DataError: files that fit no reading, or two.
    """
    found = competition.adapt(competition, root)
    for sentence in found.told:
        world.say(sentence)
    return found


def largest_size(competition: Competition, config: TrainConfig) -> Size:
    """(height, width) that pictures are cached at: the largest stage's."""
    sizes = [stage_size(competition, config, index) for index in range(len(config.stages))]
    return max(sizes, key=lambda size: size[0] * size[1])


def stage_size(competition: Competition, config: TrainConfig, stage: int) -> Size:
    """(height, width) of a stage: its own, else the training's, else the adapter's; (0, 0) without pictures."""
    picture = competition.picture
    return (config.stages[stage].size or config.train.size or picture.size) if picture else (0, 0)


def prepare(competition: Competition, config: TrainConfig, root: Path, world: World) -> Data:
    """Reads the training rows and decodes what no cache holds yet. The competition is taken as `adapt` gives it.

    Raises:
        DataError: whatever is wrong with the data, with file and row.
        SpaceError: not enough disk for the cache.
    """
    competition = adapted(competition, root, world)
    rows = competition.train(root)
    if len(rows) == 0:
        raise DataError("no training rows", file=root, fix="point --data at the unpacked competition data")
    competition = replace(competition, task=competition.task.learn(rows[competition.target]))
    part = _read(competition, config, rows, world, label="", whole=_whole(competition, "train"), truth=True)
    values = {field.name: getattr(part, field.name) for field in fields(part)}
    return Data(**values, root=root, ignore=config.data.ignored("duplicates"))


def prepare_test(competition: Competition, config: TrainConfig, root: Path, world: World) -> Part | None:
    """Reads the test rows and decodes what no cache holds yet; None for a competition without a test set.

    Args:
        competition: as the training data has it (`Data.competition`).

    Raises:
        DataError, SpaceError: as `prepare`.
    """
    rows = competition.test(root)
    if rows is None:
        return None
    _check_sample_header(competition, root)
    whole = _whole(competition, "test")
    return _read(competition, config, rows, world, label="test ", whole=whole, truth=competition.test_truth)


def _whole(competition: Competition, side: Literal["train", "test"]) -> bool:
    tokens = competition.tokens
    return tokens is not None and (tokens.whole_train if side == "train" else tokens.whole_test)


def _read(
    competition: Competition, config: TrainConfig, rows: Rows, world: World, *, label: str, whole: bool, truth: bool
) -> Part:
    """The rows with all that is read of them; `truth` says whether they carry targets.

    The hash is of all rows, also of those that are left out.
    """
    picture, task, tokens = competition.picture, competition.task, None
    group = competition.folds.group
    groups = rows[group] if group and group in rows else []
    hashed: list[Any] = [rows.ids, groups]
    if (pseudo := competition.folds.pseudo) and pseudo in rows:
        hashed.append(rows[pseudo])
    if competition.tokens is not None:
        rows, tokens = blocks.blocks_of(rows, competition.tokens, config.data.unit, whole=whole)
        hashed = [rows.ids, hash_value(tokens)]
    pictures = masks = targets = None
    spoilt: dict[int, DataError] = {}
    wrong: dict[int, DataError] = {}  # masks and other targets
    hashes: list[str] = []
    if picture is not None:
        hashes = hash_files(rows[picture.column])
        hashed.append(hashes)
        pictures = _pictures(competition, config, rows, hashes, label=f"{label}pictures", world=world)
        spoilt = quarantine.problems(pictures, rows[picture.column])
    if truth and task.kind in ("mask", "classes"):
        assert pictures is not None, "masks belong to pictures"
        mask_hashes = hash_files(rows[competition.target])
        hashed.append(mask_hashes)
        masks = mask_cache(
            rows[competition.target],
            mask_hashes,
            sizes=pictures.sizes,
            task=task,
            label=f"{label}masks",
            **_cache_options(world),
        )
        wrong = quarantine.problems(masks, rows[competition.target])
    elif truth and tokens is None:
        # a picture's path says where to look; a row of a table is known by its id
        named = rows[picture.column] if picture else [f"{label}row {identity}" for identity in rows.ids]
        targets, wrong = quarantine.encoded(task, rows[competition.target], named)
        cells = enumerate(zip(targets.tolist(), rows[competition.target], strict=True))
        hashed.append(hash_value([repr(cell) if row in wrong else target for row, (target, cell) in cells]))
    if competition.table is not None:
        named = (*competition.table.numbers, *competition.table.categories)
        hashed.append(hash_value([rows[column] for column in named]))
    same = len(hashes) - len(set(hashes))
    part = Part(competition, rows, pictures, masks, targets, tokens, hash_value(hashed), same)
    found = quarantine.judged(part, spoilt, wrong, side="test" if label else "train", share=config.data.quarantine)
    for sentence in found.told:
        world.say(sentence)
    return found


def _pictures(
    competition: Competition, config: TrainConfig, rows: Rows, hashes: list[str], *, label: str, world: World
) -> Cache:
    picture = competition.picture
    assert picture is not None, "no pictures to cache"
    return picture_cache(
        rows[picture.column],
        hashes,
        size=largest_size(competition, config),
        channels=picture.channels,
        label=label,
        **_cache_options(world),
    )


def _cache_options(world: World) -> dict[str, Any]:
    def progress(label: str, done: int, total: int) -> None:
        world.progress(label, done, total)
        world.halt()

    return {"root": world.cache, "free": world.free, "progress": progress}


def _check_sample_header(competition: Competition, root: Path) -> None:
    """The submission mirrors the sample file: its header must be the adapter's."""
    found = sorted(root.rglob(competition.sample_submission)) if competition.sample_submission else []
    if found:
        listing.read_table(min(found, key=listing.shallowest_first), competition.submission.header)
