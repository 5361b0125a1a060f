"""A few spoilt rows are listed and left out; more of them end the run; a spoilt test picture is answered as black."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness import pipeline, registry
from harness.competition import Competition
from harness.errors import DataError
from harness.pipeline import inspect
from harness.pipeline.check import check
from harness.pipeline.preparation import World, prepare, prepare_test
from tests.kit import request, sample_root, small

NERVE, TABLE = "ultrasound-nerve-segmentation", "playground-series-s3e8"


def cut(path: Path, size: int) -> str:
    """Only the first bytes of a file are left; its path."""
    path.write_bytes(path.read_bytes()[:size])
    return str(path)


@pytest.fixture
def nerve(tmp_path: Path, shared_cache: Path) -> tuple[Competition, Path]:
    root = tmp_path / "data"
    shutil.copytree(sample_root(NERVE, shared_cache), root)
    return registry.load(NERVE), root


def spoil(root: Path) -> tuple[list[str], list[str]]:
    """Three training rows and a test row; (paths of the training files, of the test file)."""
    masks = sorted(root.glob("train/*_mask.tif"))
    Image.fromarray(np.arange(100, dtype=np.uint8).reshape(10, 10)).save(masks[1])
    grey = np.zeros((420, 580), dtype=np.uint8)
    grey[0, :100] = np.arange(100)
    Image.fromarray(grey).save(masks[2])
    picture = masks[0].with_name(masks[0].name.replace("_mask", ""))
    train = [cut(picture, 2000), str(masks[1]), str(masks[2])]
    return train, [cut(min(root.glob("test/*.tif")), 0)]


def test_a_run_leaves_spoilt_rows_out_of_everything_and_answers_every_test_row(
    nerve: tuple[Competition, Path], tmp_path: Path
) -> None:
    competition, root = nerve
    train, test = spoil(root)
    told: list[str] = []
    config, world = (
        small(competition, "data.quarantine=0.2", "data.folds=2"),
        World(tmp_path / "cache", say=told.append),
    )
    asked = request(sample=False, data=str(root), only_folds=(0,))
    result = pipeline.run(competition, config, asked, out=tmp_path / "run", world=world)
    with open(tmp_path / "run" / "quarantine.csv", newline="", encoding="utf-8") as handle:
        listed = list(csv.DictReader(handle))
    assert sorted(row["file"] for row in listed) == sorted([*train, *test])
    problems = {Path(row["file"]).name: row["problem"] for row in listed}
    assert problems[Path(train[0]).name].startswith("unreadable or truncated picture")
    assert problems[Path(train[1]).name] == "the mask is 10x10, its picture 420x580"
    assert problems[Path(train[2]).name].startswith("the mask has")
    out = {row["id"] for row in listed if row["rows"] == "train"}
    asked_ids = [row["id"] for row in listed if row["rows"] == "test"]
    for name in ("folds.csv", "oof/rows.csv", "oof_submission.csv", "answers.csv"):
        with open(tmp_path / "run" / name, newline="", encoding="utf-8") as handle:
            ids = {next(iter(row.values())) for row in csv.DictReader(handle)}
        assert ids, name
        assert not ids & out, name
    assert (result["quarantined"], result["rows"]["train"]) == ({"train": 3, "test": 1}, 17)
    rows = inspect.validate(competition, tmp_path / "run" / "submission.csv", data=root, sample=False, world=world)
    assert rows.errors == ()
    assert set(asked_ids) <= set(competition.test(root).ids)  # type: ignore[union-attr]
    sentences = [line for line in told if "cannot be used" in line]
    assert sentences == [line for line in result["told"] if "cannot be used" in line]
    assert sentences[0].startswith("3 of 20 training rows are left out, as they cannot be used (first ")
    assert sentences[1].startswith(f"1 of {result['rows']['test']} test rows are answered as black pictures")
    assert pipeline.predict(pipeline.runs.Run(tmp_path / "run"), data=None, world=world).exists()


def test_one_row_more_than_the_share_ends_the_run_with_count_files_and_fix(nerve: tuple[Competition, Path]) -> None:
    competition, root = nerve
    train, _ = spoil(root)
    world = World(root.parent / "cache")
    with pytest.raises(DataError) as refusal:
        prepare(competition, small(competition, "data.quarantine=0.14"), root, world)
    line = str(refusal.value)
    assert "3 of 20 training rows cannot be used, 2 may be" in line
    assert line.endswith(", or bear them with -o data.quarantine=0.15")
    assert all(path in line for path in train)
    assert len(prepare(competition, small(competition, "data.quarantine=0.15"), root, world)) == 17


def test_a_spoilt_test_picture_is_black_and_has_the_size_of_the_others(nerve: tuple[Competition, Path]) -> None:
    competition, root = nerve
    _, (path,) = spoil(root)
    with pytest.raises(DataError, match=rf"{Path(path).name}: unreadable"):
        prepare_test(competition, small(competition), root, World(root.parent / "cache"))
    part = prepare_test(competition, small(competition, "data.quarantine=0.2"), root, World(root.parent / "cache"))
    assert part is not None
    assert part.pictures is not None
    row = part.rows["image"].index(path)
    assert part.size(row) == (420, 580)
    assert not part.pictures[row].any()


def test_the_hash_of_the_data_is_the_same_however_many_rows_are_left_out_and_whatever_ails_them(
    nerve: tuple[Competition, Path],
) -> None:
    competition, root = nerve
    whole = prepare(competition, small(competition), root, World(root.parent / "cache"))
    spoil(root)
    config = small(competition, "data.quarantine=0.2")
    cold = prepare(competition, config, root, World(root.parent / "cache"))
    warm = prepare(competition, config, root, World(root.parent / "cache"))
    assert (len(cold), cold.hash, cold.rows) == (len(warm), warm.hash, warm.rows)
    assert cold.hash != whole.hash
    for row in range(len(cold)):  # what is left is what it was, in the same places
        before = whole.rows.ids.index(cold.rows.ids[row])
        assert cold.pictures is not None
        assert whole.pictures is not None
        np.testing.assert_array_equal(cold.pictures[row], whole.pictures[before])
        np.testing.assert_array_equal(cold.truth(row), whole.truth(before))


def test_check_lists_what_a_run_would_leave_out(nerve: tuple[Competition, Path]) -> None:
    competition, root = nerve
    train, test = spoil(root)
    told: list[str] = []
    world = World(root.parent / "cache", say=told.append)
    counts = check(competition, small(competition, "data.quarantine=0.2"), root, world)
    assert (counts["quarantined"], counts["rows"]) == (4, 17)
    listed = [line for line in told if line.startswith("cannot be used: ")]
    assert [next(path for path in (*train, *test) if path in line) for line in listed] == [*train, *test]


def test_a_target_that_is_none_is_a_spoilt_row_too(tmp_path: Path, shared_cache: Path) -> None:
    competition, root = registry.load(TABLE), sample_root(TABLE, shared_cache)
    rows = competition.train(root)
    cells = [float("nan") if row == 4 else cell for row, cell in enumerate(rows[competition.target])]
    spoilt = replace(competition, train=lambda root: replace(rows, columns={**rows.columns, competition.target: cells}))
    with pytest.raises(DataError, match=rf"row {rows.ids[4]}: the target nan is not "):
        prepare(spoilt, small(competition), root, World(tmp_path))
    data = prepare(spoilt, small(competition, "data.quarantine=0.05"), root, World(tmp_path))
    assert data.rows.ids == [identity for identity in rows.ids if identity != rows.ids[4]]
    assert data.targets is not None
    assert (len(data.targets), data.spoilt[0].id) == (19, rows.ids[4])
