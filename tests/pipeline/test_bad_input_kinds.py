"""Bad input of labels, prices, class masks and texts: one line with file and fix; odd but right input is read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness import registry
from harness.pipeline.preparation import World, adapted, prepare
from tests.kit import sample_root, small
from tests.pipeline.test_bad_input import complaint

CAMVID, DESIGN, PLANET = "camvid", "design-image-style-categorization", "planet-understanding-the-amazon-from-space"
PRICE, STONES, TABLE, TEXT = "gemstone-price", "gemstones-images", "playground-series-s3e8", "text-language-model"
NERVE = "ultrasound-nerve-segmentation"
Damage = Callable[[Path], tuple[str, ...]]


def edit(file: Path, change: Callable[[list[str]], list[str]]) -> None:
    """Other lines in a table."""
    text = file.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    file.write_text("\n".join(change(text.splitlines())) + "\n")


def an_unknown_label_to_test(root: Path) -> tuple[str, ...]:
    (root / "test" / "Amethyst").rename(root / "test" / "Kryptonite")
    return "Kryptonite/amethyst", "unknown label 'Kryptonite'", "known labels: Amethyst, Black Onyx"


def a_class_without_pictures(root: Path) -> tuple[str, ...]:
    (root / "train" / "Kryptonite").mkdir()
    return "train/Kryptonite: a class without pictures", "add its pictures or remove the folder"


def a_class_without_pictures_to_test(root: Path) -> tuple[str, ...]:
    for picture in (root / "test" / "Amethyst").iterdir():
        picture.unlink()
    return "test/Amethyst: a class without pictures", "add its pictures or remove the folder"


def tags_that_contradict(root: Path) -> tuple[str, ...]:
    edit(root / "train_v2.csv", lambda lines: [*lines, "train_1,road water"])
    return "train_v2.csv, row 22", "the id 'train_1' has", "on row 3", "remove the row that is wrong"


def styles_that_contradict(root: Path) -> tuple[str, ...]:
    edit(root / "train.csv", lambda lines: [*lines, lines[1].split(",")[0] + ",vintage"])
    return "train.csv, row 22", "has ('vintage',) here", "on row 2", "remove the row that is wrong"


def prices_that_contradict(root: Path) -> tuple[str, ...]:
    edit(root / "train.csv", lambda lines: [*lines, lines[1].rpartition(",")[0] + ",1"])
    return "train.csv, row 22", "the id 's0' has", "on row 2", "remove the row that is wrong"


def rows_of_the_table_that_contradict(root: Path) -> tuple[str, ...]:
    edit(root / "train.csv", lambda lines: [*lines, lines[4].rpartition(",")[0] + ",1"])
    return "train.csv, row 22", "the id '3' has", "on row 5", "remove the row that is wrong"


def a_price_with_letters(root: Path) -> tuple[str, ...]:
    edit(root / "train.csv", lambda lines: [*lines[:5], lines[5].rpartition(",")[0] + ',"$1,2OO"', *lines[6:]])
    return "train.csv, row 6", "column 'price' holds '$1,2OO', which is not a number", "groups of three"


def no_header(root: Path) -> tuple[str, ...]:
    (file,) = (path for path in (root / "train.csv", root / "train_v2.csv") if path.exists())
    edit(file, lambda lines: lines[1:])
    return f"{file.name}, row 1", "the header is missing", "the first line names the columns"


def a_text_in_latin_1(root: Path) -> tuple[str, ...]:
    with open(root / "train.txt", "r+b") as handle:
        handle.seek(len(handle.readline()))
        handle.write(b"\xe9")
    return "train.txt, row 2", "not UTF-8 text", "save the text as UTF-8"


def a_class_out_of_range(root: Path) -> tuple[str, ...]:
    mask = sorted(root.rglob("trainannot/*.png"))[3]
    classes = np.array(Image.open(mask))
    classes[5:8, 5:8] = 12
    Image.fromarray(classes).save(mask)
    return mask.name, "9 pixels of value 12", "11 for void"


def a_class_out_of_range_to_test(root: Path) -> tuple[str, ...]:
    mask = sorted(root.rglob("testannot/*.png"))[0]
    Image.fromarray(np.full(np.array(Image.open(mask)).shape, 255, dtype=np.uint8)).save(mask)
    return f"testannot/{mask.name}", "pixels of value 255", "11 for void"


def a_mask_of_colours(root: Path) -> tuple[str, ...]:
    mask = sorted(root.rglob("trainannot/*.png"))[0]
    Image.fromarray(np.random.default_rng(0).integers(0, 11, (90, 120, 3), dtype=np.uint8)).save(mask)
    return mask.name, "the mask has colours", "save masks with one channel"


DAMAGES: tuple[tuple[str, Damage], ...] = (
    (STONES, an_unknown_label_to_test),
    (STONES, a_class_without_pictures),
    (STONES, a_class_without_pictures_to_test),
    (PLANET, tags_that_contradict),
    (PLANET, no_header),
    (DESIGN, styles_that_contradict),
    (DESIGN, no_header),
    (PRICE, prices_that_contradict),
    (PRICE, a_price_with_letters),
    (PRICE, no_header),
    (TABLE, rows_of_the_table_that_contradict),
    (TABLE, no_header),
    (TEXT, a_text_in_latin_1),
    (CAMVID, a_class_out_of_range),
    (CAMVID, a_class_out_of_range_to_test),
    (CAMVID, a_mask_of_colours),
)


@pytest.mark.parametrize(("name", "damage"), DAMAGES, ids=lambda part: getattr(part, "__name__", part))
def test_damaged_data_is_one_line_and_leaves_no_run(
    name: str, damage: Damage, tmp_path: Path, shared_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "data", tmp_path / "run"
    shutil.copytree(sample_root(name, shared_cache), data)
    words = damage(data)
    before = sorted(data.rglob("*"))
    settings = ("-o", "model.encoder=mobilenetv3_small_050", "-o", "train.size=64x64", "--weights", "scratch")
    cache = ("--cache", str(shared_cache), "--device", "cpu", "--json")
    code, line, told = complaint(capsys, "run", name, "--data", str(data), "--out", str(out), *settings, *cache)
    assert code == 2
    assert line.startswith("error: ")
    assert [word for word in words if word not in line] == [], line
    said = json.loads(told.splitlines()[-1])
    assert set(said) == {"schema", "error", "fix", "exit_code"}
    assert said["fix"] in line
    assert not out.exists()
    assert sorted(data.rglob("*")) == before  # nothing is written beside the input


def with_mark(content: bytes) -> bytes:
    return b"\xef\xbb\xbf" + content


def with_crlf(content: bytes) -> bytes:
    return content.replace(b"\n", b"\r\n")


def with_tabs(content: bytes) -> bytes:
    return content.replace(b",", b"\t")


def with_all(content: bytes) -> bytes:
    return with_mark(with_crlf(with_tabs(content))) + b"\r\n"


# in a list or a text a tab is a space, and a blank line more is a line of the text
@pytest.mark.parametrize(
    ("name", "dress"),
    [(name, dress) for name in (DESIGN, PLANET, PRICE, TABLE, NERVE) for dress in (with_tabs, with_all)]
    + [(name, dress) for name in (CAMVID, TEXT, DESIGN, PLANET, PRICE, TABLE) for dress in (with_mark, with_crlf)],
)
def test_tables_and_texts_in_another_dress_are_read_alike(
    name: str, dress: Callable[[bytes], bytes], tmp_path: Path, shared_cache: Path
) -> None:
    root, competition, world = tmp_path / "data", registry.load(name), World(tmp_path)
    shutil.copytree(sample_root(name, shared_cache), root)
    texts = [path for path in sorted(root.rglob("*.*")) if path.suffix in (".csv", ".txt")]
    for path in texts:
        path.write_bytes(path.read_bytes().removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n"))
    expected = competition.train(root), competition.test(root), repr(adapted(competition, root, world))
    for path in texts:
        before = path.read_bytes()
        path.write_bytes(dress(before))
        assert path.read_bytes() != before
    assert (competition.train(root), competition.test(root), repr(adapted(competition, root, world))) == expected


def test_pictures_of_every_kind_are_cached_upright_in_colour_and_know_their_own_size(
    tmp_path: Path, shared_cache: Path
) -> None:
    root, competition = tmp_path / "data", registry.load(STONES)
    shutil.copytree(sample_root(STONES, shared_cache), root)
    shutil.rmtree(root / "train" / "Amethyst")
    folder = root / "train" / "Amethyst"
    folder.mkdir()
    grey = np.full((40, 60), 50, dtype=np.uint8)
    grey[:, 30:] = 200  # dark on the left, bright on the right
    upright = Image.fromarray(grey)
    upright.convert("RGB").save(folder / "0.png")
    upright.save(folder / "1.png")
    upright.convert("RGB").convert("CMYK").save(folder / "2.jpg", quality=95)
    Image.fromarray(grey.astype(np.uint16) * 257).save(folder / "3.png")
    upright.convert("RGBA").save(folder / "4.png")
    upright.quantize(2).save(folder / "5.png", transparency=0)
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned a quarter to the right, as a telephone held upright says
    Image.fromarray(np.rot90(grey).copy()).convert("RGB").save(folder / "6.jpg", exif=turned, quality=95)
    upright.convert("RGB").save(folder / "7.webp", lossless=True)
    upright.convert("RGB").save(folder / "8.bmp")
    data = prepare(competition, small(competition), root, World(shared_cache))
    assert data.pictures is not None
    assert data.rows.ids[:9] == [f"Amethyst/{path.name}" for path in sorted(folder.iterdir())]
    expected = data.pictures[0].astype(int)
    assert expected.shape == (64, 64, 3)
    assert (expected[32, 8].tolist(), expected[32, 56].tolist()) == ([50] * 3, [200] * 3)
    for row in range(9):
        assert data.size(row) == (40, 60), data.rows.ids[row]
        assert np.abs(data.pictures[row].astype(int) - expected).max() <= 8, data.rows.ids[row]
