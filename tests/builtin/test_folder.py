"""Pictures of one's own run without an adapter, in each layout and of each kind that people have."""

from __future__ import annotations

import csv
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness import pipeline, registry, runs
from harness.cli import main
from harness.competition import Competition
from harness.data import samples_labels
from harness.data.materialise import write_file, write_sample
from harness.errors import CompetitionError, DataError
from harness.pipeline.preparation import World, prepare
from harness.submission import grader
from harness.tasks import Multilabel, SingleLabel
from tests.kit import request, small

BLACK = np.zeros((8, 8, 3), np.uint8)


def adapted(root: Path) -> Competition:
    competition = registry.load("folder")
    return competition.adapt(competition, root)


def pictures(root: Path, *names: str, **texts: str) -> Path:
    """Black pictures of these names, and tables called by keyword."""
    for name in names:
        write_file(root, name, BLACK)
    for name, text in texts.items():
        write_file(root, f"{name}.csv", text)
    return root


def refusal(root: Path) -> str:
    with pytest.raises(DataError) as caught:
        adapted(root)
    return str(caught.value)


def test_it_is_no_shipped_competition_but_is_found_and_listed_apart(capsys: pytest.CaptureFixture[str]) -> None:
    assert "folder" not in registry.names()
    competition = registry.load("Folder")
    assert repr(pickle.loads(pickle.dumps(competition))) == repr(competition)
    main(["list", "--json"])
    rows = json.loads(capsys.readouterr().out)["competitions"]
    assert [row["name"] for row in rows if row["built_in"]] == ["folder"]
    main(["list"])
    table, own = capsys.readouterr().out.split("\n\nbuilt in:\n")
    assert "folder" not in table.split()
    assert own.startswith("folder: ")
    with pytest.raises(CompetitionError, match="did you mean 'folder'"):
        registry.load("foldr")


def test_a_sample_run_ends_with_a_score_and_a_labelled_answer_for_each_test_picture(tmp_path: Path) -> None:
    competition, out = registry.load("folder"), tmp_path / "run"
    result = pipeline.run(
        competition, small(competition, "data.folds=2"), request(only_folds=(0,)), out=out, world=World(tmp_path)
    )
    assert 0 <= result["score"]["value"] <= 1
    assert set(result["secondary"]) == {"macro F1", "log loss"}
    assert result["test_score"] is not None
    lines = list(csv.reader((out / "submission.csv").read_text().splitlines()))
    assert lines[0] == ["id", "label"]
    assert {label for _, label in lines[1:]} <= set(samples_labels.STONES)
    root = write_sample(competition, rows=20, seed=0, cache=tmp_path)
    tests = competition.test(root)
    assert tests is not None
    assert len(lines) == 1 + len(tests)
    # new pictures that nobody has labelled
    new = tmp_path / "new"
    new.mkdir()
    for index, path in enumerate(tests["image"][:2]):
        shutil.copy(path, new / f"{index}.png")
    written = pipeline.predict(runs.find(str(out)), data=str(new), world=World(tmp_path))
    answers = dict(csv.reader(written.read_text().splitlines()[1:]))
    assert list(answers) == ["0.png", "1.png"]
    assert list(answers.values()) == [dict(lines)[identity] for identity in tests.ids[:2]]


@pytest.mark.parametrize("above", ["", "archive/pets/", "train/", "pets/train/", "Training/"])
def test_class_folders_are_found_below_what_an_archive_puts_around_them(above: str, tmp_path: Path) -> None:
    names = ["cat/2.jpg", "cat/10.jpg", "dog/old/1.png"]
    root = pictures(tmp_path, *(above + name for name in names))
    (tmp_path / "README.md").write_text("mine")
    competition = adapted(root)
    rows = competition.train(root)
    assert rows.ids == names
    assert rows["label"] == ["cat", "cat", "dog"]
    assert competition.task == SingleLabel(("cat", "dog"))
    assert competition.test(root) is None
    assert competition.told[0].startswith("labels: the 2 folders in ")
    assert "3 pictures, 1 to 2 a class" in competition.told


@pytest.mark.parametrize("valid", ["valid", "val", "Validation"])
def test_the_folder_s_own_split_is_offered_and_equal_names_in_both_parts_stay_apart(valid: str, tmp_path: Path) -> None:
    root = pictures(tmp_path, "train/a/1.jpg", "train/b/1.jpg", f"{valid}/a/1.jpg", f"{valid}/b/2.jpg")
    competition = adapted(root)
    assert competition.published_split == "split"
    rows = competition.train(root)
    assert rows["split"] == ["train", "train", "valid", "valid"]
    assert rows.ids == ["train/a/1.jpg", "train/b/1.jpg", f"{valid}/a/1.jpg", f"{valid}/b/2.jpg"]
    assert any("--split published" in sentence for sentence in competition.told)


def test_test_pictures_in_class_folders_are_scored_and_others_are_only_answered(tmp_path: Path) -> None:
    root = pictures(tmp_path, "a/1.jpg", "b/1.jpg", "test/b/7.jpg")
    competition = adapted(root)
    rows = competition.test(root)
    assert rows is not None
    assert competition.test_truth
    assert (rows.ids, rows["label"]) == (["b/7.jpg"], ["b"])
    pictures(root, "test/new/9.jpg", "test/8.jpg")
    competition = adapted(root)
    rows = competition.test(root)
    assert rows is not None
    assert not competition.test_truth
    assert rows.ids == ["8.jpg", "b/7.jpg", "new/9.jpg"]
    assert competition.task == SingleLabel(("a", "b"))


@pytest.mark.parametrize("folder", ["", "images/", "pics/"])
def test_a_table_beside_pictures_gives_one_label_or_several(folder: str, tmp_path: Path) -> None:
    names = [f"{folder}{number}.jpg" for number in (1, 2, 3)]
    one = pictures(tmp_path / "one", *names, names="file,label\n1.jpg,cat\n2.jpg,dog\n3.jpg,cat\n")
    competition = adapted(one)
    assert competition.train(one)["label"] == ["cat", "dog", "cat"]
    assert competition.metric.name == "accuracy"
    several = pictures(tmp_path / "several", *names, names="file,tags\n1,red;big\n2,big\n3,red\n")
    competition = adapted(several)
    assert competition.train(several)["label"] == [("red", "big"), ("big",), ("red",)]
    assert competition.task == Multilabel(("big", "red"))
    assert (competition.metric.name, [metric.name for metric in competition.secondary]) == ("macro F1", ["micro F1"])
    assert competition.submission.write("1", ("big", "red")) == [("1", "big;red")]


def test_a_table_that_names_no_pictures_does_not_stand_in_the_way_of_class_folders(tmp_path: Path) -> None:
    root = pictures(tmp_path, "a/1.jpg", "b/x.jpg", notes="day,place\n1,here\n2,there\n3,far\n")
    assert adapted(root).train(root)["label"] == ["a", "b"]


def test_a_table_and_folders_that_say_different_things_are_refused(tmp_path: Path) -> None:
    root = pictures(tmp_path, "a/1.jpg", "b/2.jpg", labels="file,label\n1.jpg,a\n2.jpg,a\n")
    assert "'a' in the table, but the picture lies in b/" not in refusal(root)  # b is no label of this table
    (root / "labels.csv").write_text("file,label\n1.jpg,b\n2.jpg,a\n")
    assert "'b' in the table, but the picture lies in a/" in refusal(root)
    (root / "labels.csv").write_text("file,label\n1.jpg,a\n2.jpg,b\n")
    assert adapted(root).train(root)["label"] == ["a", "b"]


def test_what_fits_no_layout_says_what_was_found_and_expected(tmp_path: Path) -> None:
    assert "a single class, 'cat'" in refusal(pictures(tmp_path / "one", "train/cat/1.jpg"))
    assert "found 1.jpg, 2.jpg" in refusal(pictures(tmp_path / "flat", "1.jpg", "2.jpg"))
    assert "expected <class>/<picture>" in refusal(tmp_path / "flat")
    (tmp_path / "flat" / "a").mkdir()
    assert "a class without pictures" in refusal(tmp_path / "flat")
    assert "no such folder" in refusal(tmp_path / "nowhere")


def test_files_that_are_left_out_are_told(tmp_path: Path) -> None:
    root = pictures(tmp_path, "a/1.jpg", "b/1.jpg", "loose.jpg")
    for name in ("2.heic", ".3.jpg", "notes.txt"):
        (root / "a" / name).write_bytes(b"?")
    told = adapted(root).told
    assert "left out, no kind of picture that is read: 1 .heic; save them as .jpg or .png to use them" in told
    assert "1 pictures lie in no class folder and are left out" in told
    assert len(adapted(root).train(root)) == 2


def test_grey_cmyk_deep_see_through_and_turned_pictures_simply_work(tmp_path: Path) -> None:
    colour = np.zeros((20, 30, 3), np.uint8)
    colour[:, :15] = (200, 40, 40)
    kinds = tmp_path / "kinds"
    (kinds / "a").mkdir(parents=True)
    (kinds / "b").mkdir()
    Image.fromarray(colour).convert("L").save(kinds / "a" / "grey.jpg")
    Image.fromarray(colour).convert("CMYK").save(kinds / "a" / "ink.jpg")
    Image.fromarray(colour).convert("P").save(kinds / "a" / "palette.png")
    Image.fromarray(colour).convert("1").save(kinds / "a" / "bits.png")
    Image.fromarray(colour[:, :, 0].astype(np.uint16) * 257).save(kinds / "b" / "deep.png")
    Image.fromarray(np.dstack([colour, colour[:, :, 0]])).save(kinds / "b" / "clear.webp", lossless=True)
    Image.fromarray(np.dstack([colour[:, :, 0]] * 2), "LA").save(kinds / "b" / "grey and clear.PNG")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(colour).save(kinds / "b" / "turned.jpg", exif=exif)
    competition = registry.load("folder")
    data = prepare(competition, small(competition), kinds, World(tmp_path / "cache"))
    assert data.pictures is not None
    sizes = {Path(name).stem: size for name, size in zip(data.rows.ids, data.pictures.sizes.tolist(), strict=True)}
    assert sizes.pop("turned") == [30, 20]
    assert len(sizes) == 7
    assert all(size == [20, 30] for size in sizes.values())
    for row, name in enumerate(data.rows.ids):
        shown = data.pictures[row].astype(int)
        assert shown.shape == (64, 64, 3)
        left, right = (shown[:8], shown[-8:]) if "turned" in name else (shown[:, :8], shown[:, -8:])
        assert left.mean() > right.mean() + 30, name


def test_answers_of_several_labels_are_graded_without_the_data(tmp_path: Path) -> None:
    (tmp_path / "answers.csv").write_text("id,label,group,height,width\n1,a|b,1,1,1\n2,a,2,1,1\n3,b,3,1,1\n")
    competition = grader.mirrored(registry.load("folder"), tmp_path / "answers.csv")
    assert isinstance(competition.task, Multilabel)
    assert competition.metric.name == "macro F1"
