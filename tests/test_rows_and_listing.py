"""Rows, natural order, folders, pairs and tables: what adapters read a data folder with."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest

from harness import listing
from harness.errors import DataError
from harness.rows import Rows
from tests.folders import table, touch


def test_rows_are_columns_that_give_cells_rows_and_parts() -> None:
    rows = Rows({"id": ["a", "b", "c"], "price": [1, 2, 3]})
    assert len(rows) == 3
    assert rows.ids == ["a", "b", "c"]
    assert rows["price"] == [1, 2, 3]
    assert "price" in rows
    assert "mask" not in rows
    assert rows.row(1) == {"id": "b", "price": 2}
    assert [row["id"] for row in rows] == ["a", "b", "c"]
    assert rows.take([2, 0]) == Rows({"id": ["c", "a"], "price": [3, 1]})


def test_an_id_that_stands_twice_is_refused() -> None:
    with pytest.raises(DataError, match="the id 'b' stands twice"):
        Rows({"id": ["a", "b", "c", "b"]})


def test_columns_of_different_length_are_a_mistake_of_the_adapter() -> None:
    with pytest.raises(AssertionError, match="differ in length"):
        Rows({"id": ["a", "b"], "price": [1]})
    with pytest.raises(AssertionError, match="column 'id'"):
        Rows({"price": [1]})


def test_numbers_in_names_are_ordered_as_numbers() -> None:
    ordered = ["1.tif", "1_mask.tif", "2.tif", "02_1.tif", "2_10.tif", "10.tif", "a", "a1", "a10b", "b"]
    shuffled = ordered[:]
    random.Random(0).shuffle(shuffled)
    assert sorted(shuffled, key=listing.natural) == ordered


def test_names_with_the_same_numbers_have_one_order_whatever_the_disk_says() -> None:
    names = ["1.tif", "01.tif", "001.tif"]
    turned = names[::-1]
    assert sorted(names, key=listing.natural) == sorted(turned, key=listing.natural)


def test_a_raised_two_is_a_letter() -> None:
    assert sorted(["1²", "1²3", "1"], key=listing.natural) == ["1", "1²", "1²3"]


def test_the_shallowest_folder_of_the_name_is_found(tmp_path: Path) -> None:
    touch(tmp_path, "a/deep/train/x.tif", "z/train/x.tif", "train.csv", "y/train")
    assert listing.find_folder(tmp_path, "train") == tmp_path / "z" / "train"
    assert listing.find_folder(tmp_path / "z" / "train", "train") == tmp_path / "z" / "train"
    with pytest.raises(DataError, match="no folder 'test'"):
        listing.find_folder(tmp_path, "test")


def test_pictures_are_found_in_natural_order_whatever_their_case(tmp_path: Path) -> None:
    touch(tmp_path, "10.tif", "2.TIF", "1.png", "notes.txt", "3.jpeg")
    assert [path.name for path in listing.pictures(tmp_path)] == ["1.png", "2.TIF", "3.jpeg", "10.tif"]


def test_each_picture_is_paired_with_its_mask(tmp_path: Path) -> None:
    touch(tmp_path, "1_10.tif", "1_10_mask.tif", "1_2_mask.tif", "1_2.tif", "readme.md")
    found = [(picture.name, mask.name) for picture, mask in listing.pair_masks(tmp_path)]
    assert found == [("1_2.tif", "1_2_mask.tif"), ("1_10.tif", "1_10_mask.tif")]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["1.tif", "1_mask.tif", "2_mask.tif"], r"2_mask\.tif: a mask without its picture"),
        (["1.tif", "2.tif", "2_mask.tif"], r"1\.tif: the picture has no mask 1_mask\.tif"),
        (["1.tif", "1_mask.png"], r"1\.tif: the picture has no mask 1_mask\.tif"),
        (["readme.txt"], "a folder without pictures"),
    ],
)
def test_a_pair_that_is_not_whole_is_refused_with_the_file(tmp_path: Path, names, told) -> None:
    with pytest.raises(DataError, match=told):
        listing.pair_masks(touch(tmp_path, *names))


def test_the_parts_of_a_name_are_given_or_refused() -> None:
    assert listing.match(r"(\d+)_(\d+)", Path("7_12.tif"), example="7_12.tif") == ("7", "12")
    with pytest.raises(DataError, match=r"x_12\.tif: a file name of another form; expected names such as 7_12\.tif"):
        listing.match(r"(\d+)_(\d+)", Path("x_12.tif"), example="7_12.tif")


@pytest.mark.parametrize(
    "content",
    [
        b"img,pixels\n1,2 3\n2,\n",
        b"\xef\xbb\xbfimg,pixels\r\n1,2 3\r\n2,\r\n",
        b'other,pixels,img\n"a\nb",2 3,1\n"c,d",,2',
    ],
)
def test_a_table_is_read_with_its_mark_its_line_ends_and_its_quotes(tmp_path: Path, content: bytes) -> None:
    found = listing.read_table(table(tmp_path, content), ("img", "pixels"))
    assert found == {"img": ["1", "2"], "pixels": ["2 3", ""]}


def test_a_line_separator_inside_a_cell_does_not_cut_the_row(tmp_path: Path) -> None:
    path = table(tmp_path, "id,text\n1,a\u2028b\x0cc\x85d\n".encode())
    assert listing.read_table(path, ("id", "text")) == {"id": ["1"], "text": ["a\u2028b\x0cc\x85d"]}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"img,mask\n1,2\n", r"table\.csv, row 1: no column 'pixels'"),
        (b"img,pixels\n1,2\n2\n3,4\n", r"table\.csv, row 3: 1 cells under 2 columns"),
        (b"img,pixels\n1,2\n2,3,4\n", r"table\.csv, row 3: 3 cells under 2 columns"),
        (b"img,pixels\n1,\xff\n", r"table\.csv: not UTF-8 text \(byte 13\)"),
        (b'img,pixels\n1,"2\n', r"table\.csv: unreadable as CSV"),
        (b"", r"table\.csv: an empty table"),
    ],
)
def test_a_table_that_is_not_whole_is_refused_with_file_and_row(tmp_path: Path, content, told) -> None:
    with pytest.raises(DataError, match=told):
        listing.read_table(table(tmp_path, content), ("img", "pixels"))


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lost\.csv: unreadable"):
        listing.read_table(tmp_path / "lost.csv", ("img",))


def test_a_cell_may_be_longer_than_the_csv_module_allows_by_itself(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    path = table(tmp_path, b"img,pixels\n1," + b"1 2 " * 50_000 + b"\n")
    assert len(listing.read_table(path, ("pixels",))["pixels"][0]) == 200_000
    assert csv.field_size_limit() == limit
