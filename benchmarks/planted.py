"""Twelve kinds of leak, planted into the drawn samples of every adapter, and what comes of each.

`plant` gives the sentence that stops or joins it; None where the kind has no meaning for the adapter (a table has no
pictures, a text no groups). `benchmarks.leaks` writes the table, `tests/pipeline/test_leaks.py` holds it.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from harness import registry
from harness.competition import Competition
from harness.config import TrainConfig, override
from harness.data.materialise import write_sample
from harness.errors import LeakError
from harness.pipeline import leaks, nets, network, planning, rungs, score, seals
from harness.pipeline.hardware import Hardware
from harness.pipeline.job import Job
from harness.pipeline.parts import Data
from harness.pipeline.preparation import World, prepare
from harness.rows import Rows
from harness.runs import Run

ROWS = 20
NEW = "planted"
SETTINGS = ("train.size=64x64", "model.encoder=mobilenetv3_small_050", "precision=fp32", "weights=scratch")


@dataclasses.dataclass(frozen=True)
class Planted:
    """An adapter's `train` whose rows are changed."""

    train: Callable[[Path], Rows]
    change: Callable[[Rows], Rows]

    def __call__(self, root: Path) -> Rows:
        return self.change(self.train(root))


@dataclasses.dataclass(frozen=True)
class Bed:
    """Where leaks are planted: an adapter with its sample, prepared.

    Attributes:
        folder: for changed pictures and run folders; of this bed alone.
    """

    competition: Competition
    config: TrainConfig
    data: Data
    world: World
    folder: Path

    def changed(self, change: Callable[[Rows], Rows], **parts: object) -> Data:
        """The sample prepared anew with changed rows."""
        adapter = registry.load(self.competition.name)
        adapter = dataclasses.replace(adapter, train=Planted(adapter.train, change), **parts)  # type: ignore[arg-type]
        return prepare(adapter, self.config, self.data.root, self.world)


def bed(name: str, cache: Path, folder: Path) -> Bed:
    """An adapter's sample of some twenty rows."""
    adapter, world = registry.load(name), World(cache)
    config = override(adapter.defaults, SETTINGS)
    root = write_sample(adapter, rows=ROWS, seed=0, cache=cache)
    data = prepare(adapter, config, root, world)
    planning.checked_folds(data.competition, config, data)  # the clean sample raises no alarm
    return Bed(data.competition, config, data, world, folder)


def plant(kind: str, on: Bed) -> str | None:
    """Plants a leak; what is said of it, "joined: ..." or "stopped: ...", or None where the kind has no meaning.

    Raises:
        AssertionError: nothing is said.
    """
    try:
        told = KINDS[kind](on)
    except LeakError as error:
        return f"stopped: {error}"
    assert told is None or told.startswith("joined: "), f"{kind} in {on.competition.name} passed"
    return told


def _group_in_two_folds(on: Bed) -> str | None:
    group = on.competition.folds.group
    if group is None:
        return None
    plan = planning.checked_folds(on.competition, on.config, on.data)
    fold = plan.fold.copy()
    fold[0] = (fold[0] + 1) % plan.number
    assert on.data.groups.count(on.data.groups[0]) > 1, "the first group has several rows"
    leaks.check_plan(on.data, dataclasses.replace(plan, fold=fold), published=False)
    return ""


def _group_written_twice(on: Bed) -> str | None:
    group = on.competition.folds.group
    if group is None:
        return None

    def change(rows: Rows) -> Rows:
        cells = [f"subject {cell}" for cell in rows[group]]
        return Rows({**rows.columns, group: [f"{cells[0].upper()} ", *cells[1:]]})

    return _planned(on, on.changed(change))


def _id_tells(on: Bed) -> str | None:
    words = _words(on)
    if words is None:
        return None

    def change(rows: Rows) -> Rows:
        ids = [f"{word}_{row * 7 % len(rows)}" for row, word in enumerate(words)]
        return Rows({**_moved(on, rows, [f"neutral_{row}" for row in range(len(rows))]), "id": _once(ids)})

    return _planned(on, on.changed(change))


def _file_name_tells(on: Bed) -> str | None:
    words = _words(on)
    if words is None or on.competition.picture is None:
        return None
    names = _once([f"{word}_{row * 7 % len(words)}" for row, word in enumerate(words)])

    def change(rows: Rows) -> Rows:
        return Rows({**_moved(on, rows, names), "id": [f"row {row}" for row in range(len(rows))]})

    return _planned(on, on.changed(change))


def _column_is_target(on: Bed) -> str | None:
    table = on.competition.table
    if table is None or not table.numbers:
        return None

    def change(rows: Rows) -> Rows:
        prices = [1.3 * float(value) + 2 for value in on.data.targets[:, 0]]  # type: ignore[index]
        return Rows({**rows.columns, table.numbers[0]: prices})

    return _planned(on, on.changed(change))


def _fit_on_all(on: Bed, *, words: bool) -> str | None:
    """What a fold's file holds when it was fitted on all rows: its vocabulary alone, or all but it."""
    plan, job = planning.checked_folds(on.competition, on.config, on.data), _job(on)
    everything = np.arange(len(on.data))
    whole = nets.fit_rows(on.competition, on.config, data=on.data, rows=everything)
    own = nets.fit_fold(on.competition, on.config, data=on.data, plan=plan, fold=0)
    if words:
        wrong = dataclasses.replace(own, vocabulary=whole.vocabulary)
        if own.table and whole.table:
            table = dataclasses.replace(own.table, categories=whole.table.categories)
            wrong = dataclasses.replace(wrong, table=table)
    else:
        wrong = dataclasses.replace(own, task=whole.task)
        if own.table and whole.table:
            wrong = dataclasses.replace(wrong, table=dataclasses.replace(own.table, numbers=whole.table.numbers))
    if wrong == own:
        return None
    wrong.write(network.fitted_file(job.run, 0))
    seals.check_fit(job, 0, data=on.data, plan=plan)
    return ""


def _vocabulary(on: Bed) -> str | None:
    return _fit_on_all(on, words=True)


def _scaler(on: Bed) -> str | None:
    return _fit_on_all(on, words=False)


def _pseudo(on: Bed) -> str | None:
    if on.competition.tokens is not None:
        return None
    return _planned(on, pseudo(on, "{hash}:all"))


def pseudo(on: Bed, cell: str) -> Data:
    """The sample whose last three rows are labelled by models: "{hash}" stands for that of the other rows' folds."""
    folds = dataclasses.replace(on.competition.folds, pseudo="made_by")
    own = on.data.take(np.arange(len(on.data) - 3))
    digest = planning.checked_folds(on.competition, on.config, own).digest(own.rows.ids)

    def change(rows: Rows) -> Rows:
        made = [cell.replace("{hash}", digest)] * 3
        return Rows({**rows.columns, "made_by": [*[""] * (len(rows) - 3), *made]})

    return on.changed(change, folds=folds)


def _other_folds(on: Bed) -> str | None:
    plan, job = planning.checked_folds(on.competition, on.config, on.data), _job(on)
    other = override(on.config, [f"data.folds={plan.number - 1}"])
    foreign = planning.checked_folds(on.competition, other, on.data)
    members = [name for name in score.member_names(job) if name != rungs.constant_name(job.competition)]
    for place, member in enumerate(members):
        dealt = foreign if place == len(members) - 1 else plan
        predicted = rungs.fit_constant(job, on.data, dealt, 0)(on.data, dealt.validation(0).tolist())
        network.write_out_of_fold(job, predicted, 0, member, data=on.data, plan=dealt)
    for phase in seals.PHASES:
        job.run.finish(f"{phase}0", [], folds_hash=plan.digest(on.data.rows.ids))
    seals.check_members(job, [0], data=on.data, plan=plan)
    return ""


def _byte_copy(on: Bed) -> str | None:
    return _copied(on, None)


def _recompressed(on: Bed) -> str | None:
    return _copied(on, lambda picture, how: picture.resize((picture.width * 3 // 4, picture.height * 3 // 4), how))


def _flipped(on: Bed) -> str | None:
    return _copied(on, lambda picture, how: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT))


def _copied(on: Bed, change: Callable[[Image.Image, Image.Resampling], Image.Image] | None) -> str | None:
    """A copy of the picture with most contrast as a row more, in another group where there are groups."""
    picture, target = on.competition.picture, on.competition.target
    if picture is None:
        return None
    assert on.data.pictures is not None, "pictures are cached"
    thumbnails = np.asarray(on.data.pictures.thumbnails, dtype=np.float32)
    source, fresh = int(thumbnails.std(axis=(1, 2, 3)).argmax()), on.folder / NEW
    masks = on.data.masks is not None

    def add(rows: Rows) -> Rows:
        groups = on.data.groups
        strange = next(row for row in reversed(range(len(rows))) if groups[row] != groups[source])
        new = rows.row(strange) | {"id": NEW, target: rows[target][source]}
        new[picture.column] = _changed(Path(rows[picture.column][source]), fresh, change, mask=False)
        if masks:
            new[target] = _changed(Path(rows[target][source]), fresh, change, mask=True)
        return Rows({name: [*cells, new[name]] for name, cells in rows.columns.items()})

    data = on.changed(add)
    assert data.units[source] == data.units[-1], "a copy is not joined to its picture"
    plan = planning.checked_folds(data.competition, on.config, data)
    assert plan.fold[source] == plan.fold[-1], "a copy lies in another fold than its picture"
    sentences = [sentence for sentence in plan.told if NEW in sentence]
    assert sentences, f"no sentence names the copy: {plan.told}"
    return f"joined: {sentences[-1]}"


def _changed(
    path: Path, folder: Path, change: Callable[[Image.Image, Image.Resampling], Image.Image] | None, *, mask: bool
) -> str:
    """A changed copy of a picture or mask; masks keep their values."""
    folder = folder / ("masks" if mask else "pictures")
    folder.mkdir(parents=True, exist_ok=True)
    if change is None:
        return str(shutil.copy(path, folder / path.name))
    with Image.open(path) as picture:
        changed = change(picture, Image.Resampling.NEAREST if mask else Image.Resampling.LANCZOS)
        new = folder / f"{path.stem}{'.png' if mask else '.jpg'}"
        changed.save(new) if mask else changed.save(new, quality=80)
    return str(new)


def _planned(on: Bed, data: Data) -> str:
    planning.checked_folds(data.competition, on.config, data)
    return ""


def _words(on: Bed) -> list[str] | None:
    """[N]: a word or number for each row that says its target; None where a target is not said in a word."""
    data, kind = on.data, on.competition.task.kind
    if kind == "mask":
        return ["some" if area else "none" for area in data.areas]
    if data.targets is None or kind in ("classes", "tokens"):
        return None
    if kind == "value":
        return [str(round(100 * float(value))) for value in data.targets[:, 0]]
    return ["_".join("ny"[int(there)] for there in row) for row in data.targets > 0.5]


def _once(names: list[str]) -> list[str]:
    return [f"{name}x{row}" for row, name in enumerate(names)]


def _moved(on: Bed, rows: Rows, names: list[str]) -> dict[str, list]:
    """The columns, pictures copied into one folder under other names."""
    picture = on.competition.picture
    if picture is None:
        return dict(rows.columns)
    folder = on.folder / "moved"
    folder.mkdir(parents=True, exist_ok=True)
    paths = [Path(path) for path in rows[picture.column]]
    moved = [shutil.copy(path, folder / f"{name}{path.suffix}") for path, name in zip(paths, names, strict=True)]
    return {**rows.columns, picture.column: [str(path) for path in moved]}


def _job(on: Bed) -> Job:
    shutil.rmtree(on.folder / "run", ignore_errors=True)
    machine = Hardware("cpu", "fp32", None)
    return Job(on.competition, on.config, Run(on.folder / "run"), machine, on.world)


KINDS: dict[str, Callable[[Bed], str | None]] = {
    "group in two folds": _group_in_two_folds,
    "group written twice": _group_written_twice,
    "id tells the target": _id_tells,
    "file name tells the target": _file_name_tells,
    "column is the target": _column_is_target,
    "vocabulary fitted outside": _vocabulary,
    "scaler fitted outside": _scaler,
    "pseudo-label of the own fold": _pseudo,
    "members of other folds": _other_folds,
    "byte copy": _byte_copy,
    "recompressed and resized copy": _recompressed,
    "flipped copy": _flipped,
}
