"""Design styles: each form that such data may have is read and answered in kind; two readings that fit are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import registry
from harness.competition import Competition
from harness.data import samples_labels
from harness.data.materialise import write_file
from harness.data.unpack import unpack
from harness.errors import DataError
from harness.rows import Rows
from harness.tasks import Multilabel, SingleLabel

DESIGN = "design-image-style-categorization"
SIZE = (8, 8)


def adapted(root: Path) -> Competition:
    competition = registry.load(DESIGN)
    return competition.adapt(competition, root)


def rows_to_test(competition: Competition, root: Path) -> Rows:
    rows = competition.test(root)
    assert rows is not None
    return rows


def design(folder: Path, **files: str) -> Path:
    """Three pictures in train/ and one in test/, and the files given, `_csv` for `.csv` in their names."""
    picture = np.zeros((8, 8, 3), np.uint8)
    for name in ("train/1.jpg", "train/2.jpg", "train/3.jpg", "test/9.jpg"):
        write_file(folder, name, picture)
    for name, text in files.items():
        write_file(folder, name.replace("_csv", ".csv"), text)
    return folder


@pytest.mark.parametrize("form", ["tags", "label", "columns", "folders"])
def test_each_form_of_the_same_kind_of_data_is_read(form: samples_labels.Form, tmp_path: Path) -> None:
    for name, content in samples_labels.designs(20, 0, form=form):
        write_file(tmp_path, name, content)
    competition = adapted(tmp_path)
    rows, single = competition.train(tmp_path), form in ("label", "folders")
    assert len(rows) == 20
    assert isinstance(competition.task, SingleLabel if single else Multilabel)
    assert competition.task.labels == samples_labels.STYLES
    assert [metric.name for metric in competition.secondary] == (["accuracy"] if single else [])
    first = {"tags": ("gradient", "typographic", "geometric", "grunge"), "columns": samples_labels.STYLES[1:5]}
    assert rows["label"][0] == first.get(form, "flat")
    assert rows.ids[0] == ("flat/0000.jpg" if form == "folders" else "0000.jpg")
    assert rows_to_test(competition, tmp_path).ids == [f"{2 * number:04}.jpg" for number in range(6)]
    header = (tmp_path / "sample_submission.csv").read_text().splitlines()[0]
    assert ",".join(competition.submission.header) == header
    written = competition.submission.write("0000.jpg", rows["label"][0])
    assert written[0][1:] == {
        "tags": ("gradient|typographic|geometric|grunge",),
        "columns": ("0", "1", "1", "1", "1", "0"),
    }.get(form, ("flat",))


@pytest.mark.parametrize("separator", [" ", ",", ";", "|", ", "])
def test_separators_are_found_and_written_again(separator: str, tmp_path: Path) -> None:
    for name, content in samples_labels.designs(20, 0, separator=separator):
        write_file(tmp_path, name, content)
    competition = adapted(tmp_path)
    assert competition.train(tmp_path)["label"][1] == ("gradient", "vintage")
    assert competition.submission.write("a", ("flat", "grunge")) == [("a", f"flat{separator}grunge")]
    assert any("several labels a picture" in line for line in competition.told)


@pytest.mark.parametrize(
    ("labels", "decision"),
    [
        # no word of a longer label stands elsewhere
        (("art deco", "modern", "modern"), "art deco"),
        (("art deco", "art nouveau", "pop art"), "art deco"),  # four words, three cells
        (("modern", "rustic", "modern rustic"), ("modern",)),  # two words, three cells
    ],
)
def test_spaces_are_part_of_a_label_or_between_labels_whichever_needs_fewer(
    labels: tuple[str, ...], decision: object, tmp_path: Path
) -> None:
    table = "file,style\n" + "".join(f"{number}.jpg,{label}\n" for number, label in enumerate(labels, start=1))
    competition = adapted(design(tmp_path, train_csv=table))
    rows = competition.train(tmp_path)
    assert rows["label"][0] == decision
    assert rows_to_test(competition, tmp_path).ids == ["9.jpg"]


def test_folders_that_agree_with_the_table_are_told_and_those_that_do_not_are_refused(tmp_path: Path) -> None:
    for name, content in samples_labels.designs(12, 0, form="folders"):
        write_file(tmp_path, name, content)
    folders = registry.load(DESIGN).train(tmp_path)
    lines = [f"{identity},{label}" for identity, label in zip(folders.ids, folders["label"], strict=True)]
    (tmp_path / "train.csv").write_text("\n".join(["path,style", *lines]))
    competition = adapted(tmp_path)
    assert sorted(competition.train(tmp_path).ids) == sorted(folders.ids)
    assert any("agree with train.csv, which was used" in line for line in competition.told)
    (tmp_path / "train.csv").write_text("\n".join(["path,style", lines[0].replace(",flat", ",vintage"), *lines[1:]]))
    with pytest.raises(DataError, match="'vintage' in the table, but the picture lies in"):
        competition.train(tmp_path)


@pytest.mark.parametrize(
    ("table", "sample_file", "problem"),
    [
        ("file,style\n1.jpg,a b\n2.jpg,a c\n3.jpg,b\n", "", "'a b' may be one label or several"),
        ('file,style\n1.jpg,a|b\n2.jpg,"a,c"\n', "", "row 3: '|' and ',' both stand between labels"),
        ("file,style,mood\n1.jpg,a,b\n", "file,style\n9.jpg,a\n", ""),
        ("file,look,mood\n1.jpg,a,b\n", "", "row 1: the columns look, mood could each be the label"),
        ("file,style\n1.jpg,a\n7.jpg,b\n", "", "row 3: the picture '7.jpg' is missing"),
        ("file,style\n1.jpg,a\n2.jpg,\n", "", "row 3: no style"),
        ("file,style\n1.jpg,a\n1.jpg,b\n", "", "row 3: the id '1.jpg' has"),
        ("style\nmodern\n", "", "row 1: no column names pictures"),
        ("file\n1.jpg\n", "", "row 1: no column beside the pictures"),
        ("file,style\n1.jpg,a\n2.jpg,b\n", "file,a,c\n9.jpg,1,0\n", "row 1: the columns a, c are not the 2 labels"),
        ("file,style\n1.jpg,a\n2.jpg,b\n", "file,style\n9.jpg,a|b\n", "row 2: the answer 'a|b' holds several labels"),
        ("file,style\n1.jpg,a c|b\n", "file,style\n9.jpg,a b\n", "' ' joins labels, but stands in the label 'a c'"),
        ("file,style\n1.jpg,a\n2.jpg,b\n", "file\n9.jpg\n", "row 1: one column"),
        ("file,style\n1.jpg,a\n2.jpg,b\n", "file,style\n8.jpg,a\n", "row 2: the picture '8.jpg' is missing"),
    ],
)
def test_what_fits_two_readings_or_none_is_told(table: str, sample_file: str, problem: str, tmp_path: Path) -> None:
    files = {"train_csv": table} | ({"sample_submission_csv": sample_file} if sample_file else {})
    root = design(tmp_path, **files)
    if not problem:
        assert adapted(root).train(root)["label"] == ["a"]
        return
    with pytest.raises(DataError) as caught:
        adapted(root).test(root)
    assert problem in str(caught.value)
    assert str(root / ("sample_submission.csv" if sample_file else "train.csv")) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_hot_columns_are_one_label_and_are_answered_in_columns(tmp_path: Path) -> None:
    root = design(tmp_path, train_csv="file,boho,rustic\n1,1,0\n2,0,1\n3,0,1\n")
    write_file(root, "sample_submission.csv", "file,rustic,boho\n9,0.5,0.5\n")
    competition = adapted(root)
    assert competition.task == SingleLabel(("boho", "rustic"))
    assert competition.train(root).ids == ["1", "2", "3"]
    assert competition.submission.write("9", "boho") == [("9", "0", "1")]
    assert rows_to_test(competition, root).ids == ["9"]


def test_a_table_or_folders_must_be_there_and_one_of_several_tables_be_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither class folders nor a table"):
        adapted(design(tmp_path))
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text("file,style\n1.jpg,a\n")
    with pytest.raises(DataError, match=r"one\.csv, two\.csv could each hold the labels"):
        adapted(tmp_path)


@pytest.mark.parametrize(
    ("header", "texts", "kind", "decision"),
    [
        (("file", "style"), ("a", "b c"), SingleLabel, "b c"),
        (("id", "tags"), ("a|b", "b"), Multilabel, ("a", "b")),
        (("id", "tags"), ("a b", "b", "a", "b a"), Multilabel, ("a", "b")),
    ],
)
def test_without_data_a_file_of_answers_says_its_form(
    header: tuple[str, str], texts: tuple[str, ...], kind: type, decision: object
) -> None:
    competition = registry.load(DESIGN)
    rows = [(str(number), text) for number, text in enumerate(texts)]
    mirrored = competition.mirror(competition, header, rows)
    assert isinstance(mirrored.task, kind)
    assert mirrored.submission.header == header
    assert decision in [mirrored.submission.read([row[1:]], SIZE) for row in rows]


def test_the_real_interiors_have_one_style_each_under_the_sample_s_header(real_data: Path, shared_cache: Path) -> None:
    root = unpack(real_data / f"{DESIGN}.zip", cache=shared_cache)
    competition = adapted(root)
    rows, test = competition.train(root), rows_to_test(competition, root)
    assert (len(rows), len(test)) == (275, 55)
    assert competition.task == SingleLabel(("boho", "industrial", "minimalist", "modern", "scandinavian"))
    assert {label: rows["label"].count(label) for label in ("boho", "industrial")} == {"boho": 52, "industrial": 63}
    assert competition.submission.header == ("file", "style")
    assert test.ids[:2] == ["0000.jpg", "0002.jpg"]
    assert Path(test["image"][0]).parent.name == "test"
    assert competition.told == (
        "pictures: column 'file' of train.csv, in train/",
        "labels: column 'style'; one label a picture: no cell holds a separator",
        "submission: one label under 'style'",
    )


def test_a_row_of_indicators_for_one_label_holds_a_single_one(tmp_path: Path) -> None:
    root = design(tmp_path, train_csv="file,boho,rustic\n1,1,0\n2,0,1\n3,0,1\n")
    write_file(root, "sample_submission.csv", "file,rustic,boho\n9,0,0\n")
    together = adapted(root).submission.together
    assert together is not None
    assert together([("0", "1")], SIZE) is None
    assert together([("1", "1")], SIZE) == ("2 labels in a row of 0 and 1", "write a single 1 in each row")


def test_a_table_without_a_header_is_refused_also_where_its_names_have_no_ending(tmp_path: Path) -> None:
    root = design(tmp_path, train_csv="1,modern\n2,rustic\n3,modern\n")
    with pytest.raises(DataError, match="the header is missing: the first line names the picture '1'") as caught:
        adapted(root)
    assert caught.value.row == 1
