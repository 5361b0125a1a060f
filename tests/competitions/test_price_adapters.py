"""The two adapters of prices read their samples, real rows, and damaged files."""

from __future__ import annotations

import functools
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import registry
from harness.competition import Competition, Table
from harness.data import samples_prices
from harness.data.materialise import write_file, write_sample
from harness.data.unpack import unpack
from harness.errors import DataError

Drawn = Callable[[str], tuple[Competition, Path]]
STONES, TABLE = "gemstone-price", "playground-series-s3e8"


@pytest.fixture
def drawn(tmp_path: Path, shared_cache: Path) -> Drawn:
    """Gives an adapter and its sample of twenty rows, in a folder that the test may change."""
    return functools.partial(_drawn, tmp_path / "data", shared_cache)


def _drawn(folder: Path, cache: Path, name: str) -> tuple[Competition, Path]:
    competition = registry.load(name)
    return competition, Path(shutil.copytree(write_sample(competition, rows=20, seed=0, cache=cache), folder))


def shop(folder: Path, rows: int = 30) -> Path:
    """The layout of one table a shape."""
    for name, content in samples_prices.diamonds(rows, 0):
        write_file(folder, name, content)
    return folder


def edit(file: Path, change: Callable[[bytes], bytes]) -> None:
    file.write_bytes(change(file.read_bytes()))


def replaced(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def seen(competition: Competition, root: Path) -> tuple[Competition, Table]:
    """The competition as this data has it, and its side features."""
    found = competition.adapt(competition, root)
    assert found.table is not None
    return found, found.table


# a table of stones


def test_the_table_s_sample_is_read_whole_and_in_order(drawn: Drawn) -> None:
    competition, root = drawn(TABLE)
    train, test = competition.train(root), competition.test(root)
    assert train.ids == [str(number) for number in range(20)]
    assert test is not None
    assert test.ids == [str(number) for number in range(20, 26)]
    assert competition.table is not None
    assert {*competition.table.numbers, *competition.table.categories, "price"} < set(train.columns)
    assert all(isinstance(price, float) and price > 0 for price in train["price"])
    assert pickle.loads(pickle.dumps(competition)) == competition


def test_real_rows_of_the_table_keep_ids_prices_and_grades(real_data: Path, shared_cache: Path) -> None:
    competition, root = registry.load(TABLE), unpack(real_data / f"{TABLE}.zip", cache=shared_cache)
    train, test = competition.train(root), competition.test(root)
    assert test is not None
    assert (len(train), len(test)) == (20_000, 5_000)
    assert (train.ids[:2], test.ids[:2]) == (["14868", "165613"], ["186941", "78758"])
    assert train.row(0)["price"] == 1355.0
    assert (min(train["price"]), max(train["price"])) == (326, 18_818)
    assert sum(z == 0 for z in train["z"]) == 3
    assert competition.table is not None
    for column, grades in competition.table.categories.items():
        assert set(train[column]) == set(test[column]) == set(grades)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.replace(b",", b"\t"),
        lambda data: data.replace(b",", b";"),
        lambda data: data + b"\n\n",
        lambda data: data.rstrip(b"\n") + b"\n" + data.rstrip(b"\n").split(b"\n")[-1] + b"\n",
    ],
    ids=["byte order mark", "CRLF", "tabs", "semicolons", "blank lines at the end", "a row twice"],
)
def test_a_table_in_another_dress_gives_the_same_rows(drawn: Drawn, change: Callable[[bytes], bytes]) -> None:
    competition, root = drawn(TABLE)
    expected = competition.train(root), competition.test(root)
    for name in ("train.csv", "test.csv"):
        edit(root / name, change)
    assert (competition.train(root), competition.test(root)) == expected


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (",7294\n", ",7.29.4\n", r"train\.csv, row 2: column 'price' holds '7\.29\.4', which is not a number"),
        (",7294\n", ",72O4\n", r"train\.csv, row 2: column 'price' holds '72O4'"),
        (",7294\n", ",0\n", r"train\.csv, row 2: a price of 0; price is above 0"),
        (",7294\n", ",\n", r"train\.csv, row 2: column 'price' is empty"),
        ("1,0.54,Premium", "1,-0.54,Premium", r"train\.csv, row 3: a carat of -0\.54"),
        ("1,0.54,Premium", "1,540,Premium", r"train\.csv, row 3: a carat of 540; carat is above 0 and at most 100"),
        ("1,0.54,Premium", "1,0.54,premium", r"train\.csv, row 3: unknown cut 'premium'; known: Fair, Good"),
        ("1,0.54,Premium", "0,0.54,Premium", r"train\.csv, row 3: the id '0' has .* on row 2"),
        ("1,0.54,Premium", "1,0.54", r"train\.csv, row 3: 10 cells under 11 columns"),
        (",cut,", ",Schliff,", r"train\.csv, row 1: no column 'cut'"),
        ("id,carat,cut,color,clarity,depth,table,x,y,z,price\n", "", r"train\.csv, row 1: the header is missing"),
    ],
)
def test_a_damaged_table_is_refused_with_its_file_and_row(drawn: Drawn, old: str, new: str, told: str) -> None:
    competition, root = drawn(TABLE)
    replaced(root / "train.csv", old, new)
    with pytest.raises(DataError, match=told):
        competition.train(root)


def test_an_unknown_grade_of_a_test_stone_is_no_error(drawn: Drawn) -> None:
    competition, root = drawn(TABLE)
    replaced(root / "test.csv", "20,0.64,Good", "20,0.64,Astor")
    test = competition.test(root)
    assert test is not None
    assert test["cut"][0] == "Astor"


def test_test_rows_stand_in_the_order_of_the_sample_submission(drawn: Drawn) -> None:
    competition, root = drawn(TABLE)
    order = root / "sample_submission.csv"
    order.write_text("id,price\n25,1\n" + "".join(f"{number},1\n" for number in range(20, 25)))
    test = competition.test(root)
    assert test is not None
    assert test.ids == ["25", "20", "21", "22", "23", "24"]
    order.write_text("id,price\n26,1\n" + "".join(f"{number},1\n" for number in range(20, 26)))
    with pytest.raises(DataError, match=r"the id 26 stands in sample_submission\.csv only"):
        competition.test(root)


def test_a_folder_without_the_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no train\.csv"):
        registry.load(TABLE).train(tmp_path)


# stones with pictures


def test_the_sample_of_stones_has_a_picture_a_row_and_side_features(drawn: Drawn) -> None:
    competition, root = drawn(STONES)
    train, test = competition.train(root), competition.test(root)
    assert test is not None
    assert train.ids == [f"s{number}" for number in range(20)]
    assert test.ids == [f"s{number}" for number in range(20, 26)]
    assert [Path(path).parent.name for path in train["image"] + test["image"]] == ["train"] * 20 + ["test"] * 6
    pictures = [Path(path).read_bytes() for path in train["image"]]
    assert pictures[0] == Path(test["image"][0]).read_bytes()  # the shop used some pictures twice
    assert pictures[18] == pictures[19]
    found, table = seen(competition, root)
    assert table == Table(("weight", "depth"), {"cut": ("Fair", "Good", "Very Good", "Premium", "Ideal")})
    assert found.told[0] == "1 table(s) with 20 rows; column 'image' names the pictures"
    assert found.submission.header == ("id", "price")
    assert pickle.loads(pickle.dumps(found)) == found


def test_tables_of_shapes_are_one_data_set_without_test_rows(tmp_path: Path) -> None:
    competition, root = registry.load(STONES), shop(tmp_path)
    train = competition.train(root)
    assert competition.test(root) is None
    assert len(train) == 28  # two of thirty have no picture
    assert len(set(train.ids)) == 28
    row = train.row(train.ids.index("1600000"))
    assert (row["price"], row["length"], row["width"], row["height"]) == (1616.44, 6.09, 6.12, 3.73)
    assert (row["shape"], row["cut"], Path(row["image"]).parent.name) == ("Round", "GD", "Round")
    found, table = seen(competition, root)
    assert table.numbers == ("weight", "length", "width", "height")
    assert table.categories["colour"] == ("J", "I", "H", "G", "F", "E", "D")
    assert table.categories["cut"] == ("F", "GD", "VG", "EX")
    assert table.categories["shape"] == ()
    assert found.told[1] == "2 rows without a picture are left out, such as 1600014"


def test_ids_that_every_shape_counts_from_one_get_the_shape_in_front(tmp_path: Path) -> None:
    root = shop(tmp_path, 6)
    for number, file in enumerate(("round.csv", "cushion.csv", "pear.csv")):
        picture = root / "Images" / file.removesuffix(".csv").title() / f"{1_600_000 + number}.jpg"
        picture.rename(picture.with_name("7.jpg"))
        edit(root / file, lambda data, number=number: data.replace(str(1_600_000 + number).encode(), b"7"))
    train = registry.load(STONES).train(root)
    assert sorted(train.ids)[:2] == ["Cushion/1600004", "Cushion/7"]
    assert [Path(path).parent.name for path in train["image"]] == train["shape"]


def test_a_tree_that_stands_twice_counts_once(tmp_path: Path) -> None:
    once = registry.load(STONES).train(shop(tmp_path, 12))
    shop(tmp_path / "again", 12)
    assert registry.load(STONES).train(tmp_path).ids == once.ids


@pytest.mark.parametrize("text", ["$7,294.50", "7294.5", " 7294.50 ", "$ 7294.5", "€7,294.5"])
def test_a_price_is_read_with_its_currency_and_thousands(drawn: Drawn, text: str) -> None:
    competition, root = drawn(STONES)
    replaced(root / "train.csv", ",688.2\n", f',"{text}"\n')
    assert competition.train(root)["price"][0] == 7294.5


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (",688.2\n", ',"$1,2OO"\n', r"train\.csv, row 2: column 'price' holds '\$1,2OO', which is not a number"),
        (",688.2\n", ",\n", r"train\.csv, row 2: column 'price' is empty"),
        (",688.2\n", ",-3\n", r"train\.csv, row 2: a price of -3; prices are above 0"),
        (",price\n", ",cost\n", r"train\.csv, row 1: no column 'price'"),
        ("id,image,weight,cut,depth,price\n", "", r"train\.csv, row 1: .*(header|column)"),
        ("\ns1,", "\ns0,", r"train\.csv, row 3: the id 's0' has"),
    ],
)
def test_a_damaged_table_of_stones_is_refused_with_its_file_and_row(
    drawn: Drawn, old: str, new: str, told: str
) -> None:
    competition, root = drawn(STONES)
    replaced(root / "train.csv", old, new)
    with pytest.raises(DataError, match=told):
        competition.train(root)


def test_a_table_that_is_not_utf8_is_refused_with_its_file(drawn: Drawn) -> None:
    competition, root = drawn(STONES)
    edit(root / "train.csv", lambda data: data.replace(b"Ideal", "Idéal".encode("latin-1")))
    with pytest.raises(DataError, match=r"train\.csv: not UTF-8 text"):
        competition.train(root)


def test_two_layouts_at_once_are_refused(drawn: Drawn) -> None:
    competition, root = drawn(STONES)
    shop(root, 3)
    with pytest.raises(DataError, match=r"two layouts at once, .*train\.csv and .*cushion\.csv"):
        competition.adapt(competition, root)


def test_a_folder_of_neither_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither train\.csv nor tables of shapes"):
        registry.load(STONES).train(tmp_path)


def test_a_missing_picture_leaves_its_train_row_out_and_stops_a_test_row(drawn: Drawn) -> None:
    competition, root = drawn(STONES)
    os.remove(root / "train" / "stone_3.jpg")
    # one of that name in the other folder is another stone's
    os.link(root / "train" / "stone_4.jpg", root / "test" / "stone_3.jpg")
    assert "s3" not in competition.train(root).ids
    assert "1 rows without a picture are left out, such as s3" in seen(competition, root)[0].told
    os.remove(root / "test" / "stone_22.jpg")
    with pytest.raises(DataError, match=r"test\.csv: s22 has no picture"):
        competition.test(root)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    for name, content in samples_prices.stones(8, 0):
        if name.endswith(".csv"):
            write_file(tmp_path, name, content)
    with pytest.raises(DataError, match=r"train\.csv: no row of the table has a picture"):
        registry.load(STONES).train(tmp_path)


@pytest.mark.parametrize("form", ["train/{}.jpg", "{}", "{}.jpg", "C:\\stones\\{}.jpg", "images/{}.png"])
def test_pictures_are_found_however_the_table_names_them(tmp_path: Path, form: str) -> None:
    write_file(tmp_path, "train.csv", "Id,file,Price\n" + "".join(f"{n},{form.format(f'p{n}')},5\n" for n in range(3)))
    for number in range(3):
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / f"p{number}.png").touch()
    assert [Path(path).name for path in registry.load(STONES).train(tmp_path)["image"]] == [
        "p0.png",
        "p1.png",
        "p2.png",
    ]


def test_columns_are_numbers_categories_or_left_out_by_what_their_cells_are(tmp_path: Path) -> None:
    lines = ["id,carat,seller,address,notes,sold,price"]
    for number in range(40):
        carat = "unknown" if number == 5 else "" if number == 6 else f"{1 + number / 10:.1f}"
        lines.append(f"{number},{carat},{'ab'[number % 2]},street {number},,{number},{number + 1}")
        write_file(tmp_path, f"images/{number}.png", b"")
    write_file(tmp_path, "train.csv", "\n".join(lines))
    write_file(tmp_path, "test.csv", "id,carat,seller,address,notes\n" + "0,2,c,street,\n")
    competition = registry.load(STONES)
    found, table = seen(competition, tmp_path)
    assert table == Table(("carat",), {"seller": ()})
    assert found.told == (
        "1 table(s) with 40 rows; column 'id' names the pictures",
        "left out, for test.csv has no such columns: sold",
        "carat: 1 cells such as 'unknown' are no numbers: missing",
        "address: left out, more than half of its texts differ",
        "notes: left out, all cells are empty",
        "numbers: carat",
        "categories: seller",
    )
    assert competition.train(tmp_path)["carat"][4:8] == [1.4, "", "", 1.7]
    test = competition.test(tmp_path)
    assert test is not None
    assert test.row(0) == {"id": "0", "image": str(tmp_path / "images" / "0.png"), "carat": 2.0, "seller": "c"}


def test_the_submission_is_called_as_the_sample_submission_calls_it(drawn: Drawn) -> None:
    competition, root = drawn(STONES)
    replaced(root / "sample_submission.csv", "id,price", "StoneId,Price")
    submission = seen(competition, root)[0].submission
    assert submission.header == ("StoneId", "Price")
    assert submission.write("s20", 12.5) == [("s20", "12.5")]
    assert submission.read([("12.5",)], (1, 1)) == 12.5
    assert submission.cells["Price"]("-1", (1, 1)) is not None
    replaced(root / "sample_submission.csv", "StoneId,Price", "StoneId,Price,Note")
    with pytest.raises(DataError, match="a sample submission with 3 columns"):
        competition.adapt(competition, root)
