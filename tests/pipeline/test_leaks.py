"""Twelve kinds of leak, planted into every adapter's sample, are stopped or joined; what is clean is left alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from benchmarks.planted import KINDS, NEW, Bed, bed, plant, pseudo
from harness import pipeline, registry
from harness.data.folds import PSEUDO
from harness.data.unpack import unpack
from harness.errors import LeakError
from harness.pipeline import nets, planning, preparation, warning
from harness.pipeline.preparation import World
from tests.kit import SHIPPED, request, small

GROUPED = {"camvid", "lgg-mri-segmentation", "ultrasound-nerve-segmentation"}
TABLES = {"playground-series-s3e8", "gemstone-price"}
NO_PICTURES = {"playground-series-s3e8", "text-language-model"}
UNSAID = {"camvid", "text-language-model"}  # class maps and texts are said in no name
MEANT = {
    "group in two folds": GROUPED,
    "group written twice": GROUPED,
    "id tells the target": {*SHIPPED} - UNSAID,
    "file name tells the target": {*SHIPPED} - UNSAID - NO_PICTURES,
    "column is the target": TABLES,
    "vocabulary fitted outside": {"text-language-model"},
    "scaler fitted outside": TABLES,
    "pseudo-label of the own fold": {*SHIPPED} - {"text-language-model"},
    "members of other folds": {*SHIPPED},
    "byte copy": {*SHIPPED} - NO_PICTURES,
    "recompressed and resized copy": {*SHIPPED} - NO_PICTURES,
    "flipped copy": {*SHIPPED} - NO_PICTURES,
}


@pytest.fixture(scope="module")
def beds(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> dict[str, Bed]:
    """Every adapter's clean sample: making one raises where a check raises an alarm on it."""
    return {name: bed(name, shared_cache, tmp_path_factory.mktemp(name)) for name in SHIPPED}


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_leak_is_stopped_or_joined_with_the_rows_named(kind: str, beds: dict[str, Bed]) -> None:
    found = {name: told for name in SHIPPED if (told := plant(kind, beds[name])) is not None}
    assert set(found) == MEANT[kind]
    for name, told in found.items():
        assert told.startswith("joined: " if "copy" in kind else "stopped: ")
        rows = [NEW] if "copy" in kind else _named(beds[name])
        assert any(row in told for row in rows), told


def _named(on: Bed) -> list[str]:
    """How a sentence may name a row: its id, or the first that a planted one has."""
    return [*on.data.rows.ids, "row 0", "x0"]


@pytest.mark.parametrize("name", sorted({*SHIPPED} - {"text-language-model"}))
def test_a_label_of_another_fold_s_model_trains_there_alone_and_leaves_the_folds_as_they_were(
    name: str, beds: dict[str, Bed]
) -> None:
    on = beds[name]
    data = pseudo(on, "{hash}:1")
    plan = planning.checked_folds(data.competition, on.config, data)
    made = np.arange(len(data) - 3, len(data))
    assert (plan.fold[made] == PSEUDO).all()
    for fold in range(plan.number):
        assert not np.intersect1d(plan.validation(fold), made).size
        assert np.intersect1d(plan.training(fold), made).size == (3 if fold == 1 else 0)
    clean = data.take(data.own)
    assert planning.checked_folds(clean.competition, on.config, clean).digest(clean.rows.ids) == plan.digest(
        data.rows.ids
    )
    assert any("3 rows have labels that fold models made" in sentence for sentence in plan.told)


@pytest.mark.parametrize("cell", ["0123456789abcdef:1", "{hash}:9", "{hash}", "yes"])
def test_a_label_of_other_folds_or_of_nobody_stops(cell: str, beds: dict[str, Bed]) -> None:
    data = pseudo(beds["planet-understanding-the-amazon-from-space"], cell)
    with pytest.raises(LeakError, match="rows train_17, train_18 and train_19"):
        planning.checked_folds(data.competition, beds["camvid"].config, data)


@pytest.mark.parametrize("name", SHIPPED)
def test_validation_rows_destroyed_change_nothing_that_is_fitted(name: str, beds: dict[str, Bed]) -> None:
    on = beds[name]
    data, train = on.data, on.config.train
    weighed = on.competition.task.kind in ("label", "tags", "classes")
    config = dataclasses.replace(on.config, train=dataclasses.replace(train, class_weights=weighed))
    plan = planning.checked_folds(on.competition, config, data)
    lost = plan.validation(0).tolist()
    columns = {column: list(cells) for column, cells in data.rows.columns.items()}
    table = on.competition.table
    for row in lost:
        for column in table.numbers if table else ():
            columns[column][row] = 1e6
        for column in table.categories if table else ():
            columns[column][row] = "destroyed"
    targets = None if data.targets is None else data.targets.copy()
    if targets is not None:
        targets[lost] = 1 if weighed else 1e6
    tokens = data.tokens and [["destroyed"] * 9 if row in lost else one for row, one in enumerate(data.tokens)]
    rows = dataclasses.replace(data.rows, columns=columns)
    changed = dataclasses.replace(data, rows=rows, targets=targets, tokens=tokens)
    before, after = (nets.fit_fold(on.competition, config, data=one, plan=plan, fold=0) for one in (data, changed))
    assert before == after
    whole = nets.fit_rows(on.competition, config, data=changed, rows=np.arange(len(changed)))
    assert whole != before


def test_twins_that_contradict_and_test_copies_are_told_and_listed(beds: dict[str, Bed], tmp_path: Path) -> None:
    on = beds["gemstones-images"]
    test = preparation.prepare_test(on.competition, on.config, on.data.root, on.world)
    plan = planning.checked_folds(on.competition, on.config, on.data)
    plan, found = warning.warned(plan, on.data, test)
    assert any("looks like another that says something else: train/Rose Quartz/" in line for line in plan.told)
    assert any("test rows look like a training row: test/" in line for line in plan.told)
    warning.write(tmp_path / "duplicates.csv", found)
    lines = (tmp_path / "duplicates.csv").read_text().splitlines()
    assert lines[0] == "kind,row,other,detail"
    assert [line.split(",")[0] for line in lines[1:]] == ["contradiction", "train and test", "train and test"]
    assert lines[1].endswith("Rose Quartz and Amethyst")


def test_a_run_tells_what_it_found_and_stops_where_a_fold_was_fitted_on_other_rows(
    tmp_path: Path, shared_cache: Path
) -> None:
    competition, out = registry.load("gemstone-price"), tmp_path / "run"
    config, world = small(competition, "data.folds=2"), World(shared_cache)
    result = pipeline.run(competition, config, request(), out=out, world=world)
    assert any("alike pictures stay in one fold" in line for line in result["told"])
    assert (out / "duplicates.csv").exists()
    fitted = out / "weights" / "fold0.json"
    fitted.write_bytes((out / "weights" / "fold1.json").read_bytes())
    (out / "scores.json").unlink()
    with pytest.raises(LeakError, match=r"fold0\.json: the scale of column 'weight' of fold 0 .* knows rows outside"):
        pipeline.resume(pipeline.runs.find(str(out)), data=None, world=world)


@pytest.mark.parametrize(
    ("name", "zipped", "joined"),
    [
        ("camvid", "camvid", 0),
        ("design-image-style-categorization", "design-image-style-categorization", 7),
        ("gemstones-images", "gemstones-images", 0),
        ("lgg-mri-segmentation", "lgg-mri-segmentation", 0),
        ("planet-understanding-the-amazon-from-space", "planet-layout-street-tags", 0),
        ("playground-series-s3e8", "playground-series-s3e8", 0),
        ("text-language-model", "wikitext-2", 0),
        ("ultrasound-nerve-segmentation", "ultrasound-nerve-segmentation", 0),
    ],
)
def test_real_data_is_stopped_nowhere_and_joined_where_it_holds_copies(
    name: str, zipped: str, joined: int, real_data: Path, shared_cache: Path
) -> None:
    competition = registry.load(name)
    config, root = small(competition), unpack(real_data / f"{zipped}.zip", cache=shared_cache)
    data = preparation.prepare(competition, config, root, World(shared_cache))
    planning.checked_folds(data.competition, config, data)
    assert len(set(data.groups)) - len(set(data.units)) == joined
