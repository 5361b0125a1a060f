"""A data folder becomes an adapter that passes its own check; what fits nothing is refused with what was found."""

from __future__ import annotations

import ast
import csv
import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness import drafting, registry
from harness.cli import main
from harness.competition import Competition, SampleFile
from harness.data import samples, samples_labels, samples_prices
from harness.data.materialise import write_file, write_sample
from harness.errors import ConfigError, DataError
from harness.tasks import BinaryMask, Multilabel, Regression, SingleLabel

BLACK = np.zeros((8, 8, 3), np.uint8)
PROGRAM = """
import sys, pytest
from harness.cli import main
for name in sys.argv[1:]:
    main(["new", f"My_{name}", "--from", f"own {name}"])
    main(["check", f"my-{name}", "--data", f"own {name}"])
files = [f"tests/test_my_{name}.py" for name in sys.argv[1:]]
sys.exit(pytest.main([*files, "-q", "-p", "no:cacheprovider", "--rootdir=."]))
"""


def test_nothing_in_the_names_of_files_columns_and_labels_becomes_code(tmp_path: Path) -> None:
    code = '"""+__import__("os").mkdir("ran")+"""'
    root, table = tmp_path / "data", tmp_path / "data" / f"train {code}.csv"
    (root / "images").mkdir(parents=True)
    rows = [("image", f"label{code}"), *((f"{row}.png", ("a\\", f"b{code}")[row % 2]) for row in range(8))]
    with open(table, "w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows(rows)
    for row in range(8):
        Image.fromarray(BLACK).save(root / "images" / f"{row}.png")
    drafted = drafting.draft("hostile", root, into=tmp_path / "into")
    tree = ast.parse(drafted.adapter.read_text(encoding="utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "__import__"]
    assert any(code in str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant))  # it is text


def label_table(rows: int, seed: int) -> Iterator[SampleFile]:
    return samples_labels.designs(rows, seed, form="label")


def tag_table(rows: int, seed: int) -> Iterator[SampleFile]:
    return samples_labels.designs(rows, seed, form="tags")


def indicator_table(rows: int, seed: int) -> Iterator[SampleFile]:
    return samples_labels.designs(rows, seed, form="columns")


KITS = {"table": samples_prices.stone_table, "folders": samples_labels.stones, "list": label_table}


def put(folder: Path, files: Iterator[SampleFile]) -> Path:
    for name, content in files:
        write_file(folder, name, content)
    return folder


def drafted(folder: Path, name: str = "my-data") -> tuple[Competition, str, tuple[str, ...]]:
    """The competition of a draft written here, its source, and what was told."""
    found = drafting.draft(name, folder, into=Path())
    return registry.load(name), found.adapter.read_text(), found.told


def tables(folder: Path, header: str, train: Callable[[int], str], test: Callable[[int], str], rows: int = 40) -> Path:
    write_file(folder, "train.csv", "\n".join([header, *map(train, range(rows))]) + "\n")
    write_file(folder, "test.csv", "\n".join([header.rpartition(",")[0], *map(test, range(4))]) + "\n")
    return folder


@pytest.mark.parametrize("names", [("table",), pytest.param(("folders", "list"), marks=pytest.mark.slow)])
def test_drafts_pass_their_own_checks_and_tests_from_another_working_directory(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    for name in names:
        put(tmp_path / f"own {name}", KITS[name](40, 0))
    # one process for all of them: starting one costs more than what it does
    program = [sys.executable, "-c", PROGRAM, *names]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in names:
        assert (
            f"harness check my-{name} --data 'own {name}'\nharness run my-{name} --data 'own {name}'\n" in done.stdout
        )
        assert f"competition: my-{name}" in done.stdout
    assert f"{3 * len(names)} passed" in done.stdout


@pytest.mark.parametrize(
    ("kit", "task"),
    [
        (samples_prices.stone_table, Regression),
        (samples_labels.stones, SingleLabel),
        (label_table, SingleLabel),
        (tag_table, Multilabel),
        (indicator_table, Multilabel),
        (samples.brains, BinaryMask),
    ],
)
def test_the_stand_in_of_a_draft_is_read_as_the_data_is(kit: Callable, task: type, tmp_path: Path) -> None:
    competition, source, _ = drafted(put(tmp_path / "data", kit(40, 0)))
    assert len(source.splitlines()) <= 100
    assert "lambda" not in source
    assert isinstance(competition.task, task)
    root = write_sample(competition, rows=40, seed=0, cache=tmp_path)
    for place in (tmp_path / "data", root):
        rows, test = competition.train(place), competition.test(place)
        assert len(rows) >= 40
        assert competition.target in rows
        targets = {cell if isinstance(cell, str) else " ".join(cell) for cell in rows[competition.target]}
        assert len(targets) > 1
        first = rows[competition.target][0]
        if task in (SingleLabel, Multilabel):
            written = competition.submission.write(rows.ids[0], first)
            assert set(competition.submission.read([written[0][1:]], (8, 8))) == set(first)
            header = zip(competition.submission.header[1:], written[0][1:], strict=True)
            assert all(competition.submission.cells[name](cell, (8, 8)) is None for name, cell in header)
        if task is not BinaryMask:
            assert test is not None
            assert test.ids
    if competition.sample_submission:
        header = next(csv.reader(io.StringIO((root / competition.sample_submission).read_text())))
        assert tuple(header) == competition.submission.header


def test_few_whole_numbers_or_texts_are_labels_and_other_numbers_are_amounts(tmp_path: Path) -> None:
    def told(name: str, train: Callable[[int], str]) -> tuple[Competition, tuple[str, ...]]:
        root = tables(tmp_path / name, "Id,size,colour,note,y", train, test)
        competition, _, sentences = drafted(root, name)
        return competition, sentences

    def test(row: int) -> str:
        return f"{row + 100},1.5,red,words {row}"

    whole, sentences = told("whole", lambda row: f"{row},{row / 3},{'red' if row % 2 else ''},text {row},{row % 3}")
    assert whole.task == SingleLabel(("0", "1", "2"))
    assert whole.table is not None
    assert (whole.table.numbers, dict(whole.table.categories)) == (("size",), {"colour": ()})
    assert "left out, free text or the same in every row: note" in sentences
    assert whole.submission.header == ("Id", "y")
    amounts, sentences = told("amounts", lambda row: f"{row},{row},red,text {row},{10 + row}")
    assert amounts.task == Regression()
    assert "40 different numbers: Regression, RMSE" in sentences
    texts, _ = told("texts", lambda row: f"{row},{row},red,text {row},{'yes' if row % 4 else 'no'}")
    assert texts.task == SingleLabel(("no", "yes"))


def test_masks_are_grouped_by_subject_and_answered_in_the_order_of_the_sample(tmp_path: Path) -> None:
    names = [f"{subject}_{number}" for subject in (1, 2, 3) for number in (1, 2)]
    for name in names:
        write_file(tmp_path / "data", f"train/{name}.tif", BLACK)
        write_file(tmp_path / "data", f"train/{name}_mask.tif", BLACK[:, :, 0])
    for name in ("7", "8"):
        write_file(tmp_path / "data", f"test/{name}.tif", BLACK)
    write_file(tmp_path / "data", "sample_submission.csv", "img,pixels\n8,1 1\n7,1 1\n")
    competition, _, _ = drafted(tmp_path / "data")
    rows, test = competition.train(tmp_path / "data"), competition.test(tmp_path / "data")
    assert competition.folds.group == "subject"
    assert rows["subject"] == ["1", "1", "2", "2", "3", "3"]
    assert test is not None
    assert test.ids == ["8", "7"]
    assert competition.submission.header == ("img", "pixels")
    root = write_sample(competition, rows=20, seed=0, cache=tmp_path)
    assert len(competition.train(root)) == 20
    assert len(competition.test(root) or ()) == 6


def test_no_value_of_the_data_is_in_the_draft(tmp_path: Path) -> None:
    root = tables(
        tmp_path / "data", "id,size,city,y", lambda row: f"{row},{row}.25,City{row % 3},{row * 7.5}", "{},1,a".format
    )
    _, source, _ = drafted(root)
    assert not [word for word in ("City", ".25", "7.5") if word in source]


def test_nothing_is_overwritten_and_taken_or_odd_names_are_refused(tmp_path: Path) -> None:
    root = put(tmp_path / "data", samples_labels.stones(20, 0))
    drafting.draft("mine", root, into=tmp_path)
    before = (tmp_path / "competitions" / "mine.py").read_bytes()
    for name, problem in [("mine", "already"), ("folder", "already"), ("camvid", "already"), ("../x", "is no name")]:
        with pytest.raises(ConfigError, match=problem):
            drafting.draft(name, root, into=tmp_path)
    assert (tmp_path / "competitions" / "mine.py").read_bytes() == before
    (tmp_path / "tests" / "test_other.py").write_text("mine")
    with pytest.raises(ConfigError, match="exists"):
        drafting.draft("other", root, into=tmp_path)
    assert not (tmp_path / "competitions" / "other.py").exists()


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"notes.txt": "hello"}, "fits no draft: found notes.txt"),
        ({"train.csv": "id,a\n1,2\n", "test.csv": "id,a\n3,4\n"}, "no target; columns that only train.csv has: none"),
        ({"train.csv": "id,a,y,z\n1,2,3,4\n", "test.csv": "id,a\n3,4\n"}, "only train.csv has: y, z"),
        ({"train.csv": "a,y\n1,2\n1,3\n", "test.csv": "a\n4\n"}, "no column identifies the rows"),
        ({"train.csv": "id,a,y\n1,2,u\n2,2,v\n3,5,w\n", "test.csv": "id,a\n3,4\n"}, "3 different texts in 3 rows"),
        ({"train.csv": "id,a,y\n1,2,\n2,2,v\n", "test.csv": "id,a\n3,4\n"}, "train.csv, row 2: no y"),
        ({"1.png": BLACK, "2.png": BLACK}, "neither class folders nor a table of labels"),
    ],
)
def test_what_fits_no_draft_is_refused_and_leaves_nothing(files: dict, problem: str, tmp_path: Path) -> None:
    put(tmp_path / "data", iter(files.items()))
    with pytest.raises(DataError) as caught:
        drafting.draft("mine", tmp_path / "data", into=tmp_path)
    assert problem in str(caught.value)
    assert not (tmp_path / "competitions").exists()


def test_a_folder_that_is_none_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["new", "mine", "--from", str(tmp_path / "nowhere")])
    assert stop.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
