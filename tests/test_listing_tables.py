"""Tables as they are met, folders that are classes, files found by name, answers that contradict each other, prices."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from harness import listing
from harness.errors import DataError
from tests.folders import table, touch

COLUMNS = ("img", "price")
EXPECTED = {"img": ["a b", "c"], "price": ["1,5", ""]}


@pytest.mark.parametrize(
    "content",
    [
        b'img,price\na b,"1,5"\nc,\n',
        b"img;price\na b;1,5\nc;\n",
        b"img\tprice\na b\t1,5\nc\t\n",
        b"\xef\xbb\xbfprice;img\r\n1,5;a b\r\n;c\r\n\r\n",
        b"img\tprice\tnote;more\na b\t1,5\tx\nc\t\ty\n",
    ],
)
def test_commas_tabs_and_semicolons_separate_the_same_cells(tmp_path: Path, content: bytes) -> None:
    path = table(tmp_path, content)
    assert listing.read_table(path, COLUMNS) == EXPECTED
    found = listing.read_all(path)
    assert {name: found[name] for name in COLUMNS} == EXPECTED
    assert tuple(found) == listing.header(path)


def test_a_comma_in_the_header_decides_whatever_the_rows_hold(tmp_path: Path) -> None:
    path = table(tmp_path, b"img,tags\n1,a;b\n2,c\td\n")
    assert listing.read_table(path, ("tags",)) == {"tags": ["a;b", "c\td"]}


def test_a_table_of_one_column_is_read(tmp_path: Path) -> None:
    path = table(tmp_path, b"id\n1\n2\n")
    assert listing.header(path) == ("id",)
    assert listing.read_all(path) == {"id": ["1", "2"]}


def test_the_header_alone_is_read_of_a_table_that_is_damaged_below(tmp_path: Path) -> None:
    path = table(tmp_path, b"\xef\xbb\xbfid,price\r\n1\r\n" + b"x" * 20_000 + b"\xff\n")
    assert listing.header(path) == ("id", "price")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_table_has_no_header(tmp_path: Path, content: bytes) -> None:
    path = table(tmp_path, content)
    for read in (listing.header, listing.read_all):
        with pytest.raises(DataError, match=r"table\.csv: an empty table"):
            read(path)


@pytest.mark.parametrize(
    "content",
    [b"1,9.5\n2,8\n", b"a.jpg,x\nb.jpg,y\n", b"train_0,haze primary\ntrain_1,clear\n", b"$950;x\n"],
)
def test_a_table_that_starts_with_data_misses_its_header(tmp_path: Path, content: bytes) -> None:
    told = r"table\.csv, row 1: the header is missing: .*; the first line names the columns: img,price"
    with pytest.raises(DataError, match=told):
        listing.read_table(table(tmp_path, content), COLUMNS)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"img,prize\na,1\n", r"row 1: no column 'price' among \['img', 'prize'\]"),
        (b"img,price,price\na,1,2\n", r"row 1: two columns 'price'"),
        (b"img;price\na;1\nb;1;2\n", r"row 3: 3 cells under 2 columns"),
        (b"img\tprice\na\t1\n\nb\t2\n", r"row 3: 0 cells under 2 columns"),
    ],
)
def test_other_damage_is_told_with_file_and_row(tmp_path: Path, content: bytes, told: str) -> None:
    with pytest.raises(DataError, match=r"table\.csv, " + told):
        listing.read_table(table(tmp_path, content), COLUMNS)


def test_folders_with_pictures_are_classes_with_their_spaces(tmp_path: Path) -> None:
    touch(
        tmp_path, "Sapphire Blue/1.jpg", "Class 10/1.jpg", "Class 2/1.JPG", ".git/x.png", "__MACOSX/1.jpg", "list.csv"
    )
    found = listing.class_folders(tmp_path)
    assert found == [(name, tmp_path / name) for name in ("Class 2", "Class 10", "Sapphire Blue")]


def test_a_class_without_pictures_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "Ruby/1.jpg", "Opal/notes.txt", "Jade/._1.jpg")
    with pytest.raises(DataError, match=r"Jade: a class without pictures; add its pictures or remove the folder"):
        listing.class_folders(tmp_path)


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no class folders"):
        listing.class_folders(touch(tmp_path, "1.jpg"))


def test_shadows_of_pictures_are_no_pictures(tmp_path: Path) -> None:
    assert [path.name for path in listing.pictures(touch(tmp_path, "1.jpg", "._1.jpg"))] == ["1.jpg"]


def test_the_shallowest_file_is_found_and_of_equals_the_first_name(tmp_path: Path) -> None:
    touch(tmp_path, "a/b/train_v2.csv", "a/train_classes.csv", "c/train_v2.csv", "c/test.csv/x", "__MACOSX/x.csv")
    names = ("train_v2.csv", "train_classes.csv")
    assert listing.find_file(tmp_path, names) == tmp_path / "c" / "train_v2.csv"
    assert listing.find_file(tmp_path, names[::-1]) == tmp_path / "a" / "train_classes.csv"
    assert listing.find_file(tmp_path, ["*_v2.csv", "*.csv"]) == tmp_path / "c" / "train_v2.csv"
    assert listing.find_file(tmp_path, ["b/train_*.csv"]) == tmp_path / "a" / "b" / "train_v2.csv"
    assert listing.find_file(tmp_path, ["test.csv", "x.csv"]) is None
    with pytest.raises(DataError, match="lost: unreadable"):
        listing.find_file(tmp_path / "lost", names)


def test_several_files_of_one_pattern_have_one_order_whatever_the_disk_says(tmp_path: Path) -> None:
    touch(tmp_path, "part10.csv", "part2.csv", "part3.csv")
    assert listing.find_file(tmp_path, ["part*.csv"]) == tmp_path / "part2.csv"


def test_repeated_rows_are_dropped_and_the_first_of_each_kept() -> None:
    kept = listing.one_answer_each(["b", "a", "b", "c", "a"], [1, 2, 1, 1, 2], file=Path("train.csv"))
    assert kept == [0, 1, 3]
    assert listing.one_answer_each([], [], file=Path("train.csv")) == []


def test_two_answers_for_one_id_are_told_with_both_rows() -> None:
    told = r"train\.csv, row 5: the id 'a' has '3' here and '2' on row 3; remove the row that is wrong"
    with pytest.raises(DataError, match=told):
        listing.one_answer_each(["b", "a", "b", "a"], ["1", "2", "1", "3"], file=Path("train.csv"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$1,200.50", 1200.5),
        ("€ 950", 950),
        (" 1 200 ", 1200),
        ("1\u202f234\u202f567", 1234567),
        ("\u00a0£12,345,678", 12345678),
        ("950 €", 950),
        ("-$5", -5),
        ("+.5", 0.5),
        ("1.2e-05", 1.2e-05),
        ("5.", 5),
        ("0", 0),
        ("1200", 1200),
        ("1.200", 1.2),
        ("0.0", 0),
    ],
)
def test_numbers_and_prices_are_read(text: str, value: float) -> None:
    assert listing.number(text, file=Path("train.csv"), row=2, column="price") == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("$1,2OO", "holds '$1,2OO', which is not a number; write thousands in groups of three and a decimal point"),
        ("1.2.3", "holds '1.2.3', which is not a number; write digits"),
        ("", "is empty; fill in the number or remove the row"),
        ("  ", "is empty; fill in the number"),
        ("950,5", "holds '950,5', which is not a number; write thousands in groups of three"),
        ("0,950", "write thousands in groups of three"),
        ("1,20", "write thousands in groups of three"),
        ("1,200,50", "write thousands in groups of three"),
        ("1.200,50", "write thousands in groups of three"),
        ("1,200 300", "write thousands in groups of three"),
        ("12 34", "write digits"),
        ("$5$", "write digits"),
        ("$", "write digits"),
        ("1_000", "write digits"),
        ("nan", "write digits"),
        ("inf", "write digits"),
        ("1e999", "write digits"),
        ("٣", "write digits"),
        ("--5", "write digits"),
        ("ask", "write digits"),
    ],
)
def test_what_is_no_number_is_told_with_file_row_column_and_fix(text: str, told: str) -> None:
    with pytest.raises(DataError) as caught:
        listing.number(text, file=Path("train.csv"), row=7, column="price")
    assert str(caught.value).startswith("train.csv, row 7: column 'price' ")
    assert told in str(caught.value)


def test_no_number_that_is_read_is_infinite() -> None:
    assert math.isfinite(listing.number("9" * 300, file=Path("train.csv"), row=2, column="price"))


@pytest.mark.parametrize(
    "text", ['"price, in euro"\tname\n5\tx\n', '"a\n,b"\tname\n5\tx\n', '"a ""quoted"", word"\tname\n5\tx\n']
)
def test_separators_and_line_ends_inside_quoted_names_do_not_count(text: str, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(text)
    assert listing.read_all(tmp_path / "table.csv")["name"] == ["x"]
