"""Files that are whole or not there."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from harness import files


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def stop_while_writing(path: Path) -> None:
    with files.replacing(path) as handle:
        handle.write(b"half of the n")
        raise KeyboardInterrupt


def test_a_write_that_stops_leaves_the_old_file_and_no_temporary(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    files.write_bytes(path, b"the old one")
    with pytest.raises(KeyboardInterrupt):
        stop_while_writing(path)
    assert path.read_bytes() == b"the old one"
    assert names(tmp_path) == ["file.bin"]


def test_a_first_write_that_stops_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        stop_while_writing(tmp_path / "file.bin")
    assert names(tmp_path) == []


def test_writing_replaces_and_makes_the_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.txt"
    files.write_text(path, "one")
    files.write_text(path, "zwei, ü\r\n")
    assert path.read_bytes() == "zwei, ü\r\n".encode()
    assert names(path.parent) == ["file.txt"]


def test_text_mode_keeps_newlines_as_given(tmp_path: Path) -> None:
    with files.replacing(tmp_path / "file.csv", "w") as handle:
        handle.write("a\r\nb\n")
    assert (tmp_path / "file.csv").read_bytes() == b"a\r\nb\n"


def test_numbers_that_are_none_become_null_in_json(tmp_path: Path) -> None:
    value = {"a": math.nan, "b": [math.inf, 1.5, (-math.inf, "x")], 3: {"c": np.float64("nan")}, "d": None, "e": True}
    files.write_json(tmp_path / "file.json", value)
    text = (tmp_path / "file.json").read_text()
    assert text.endswith("}\n")
    assert json.loads(text) == {"a": None, "b": [None, 1.5, [None, "x"]], "3": {"c": None}, "d": None, "e": True}


def test_an_array_comes_back_as_written(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    files.write_array(tmp_path / "array.npy", array)
    np.testing.assert_array_equal(np.load(tmp_path / "array.npy"), array, strict=True)


def test_a_memory_map_takes_its_name_when_the_block_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "pixels.npy"
    with files.replacing_array(path, 5) as array:
        array[:] = [1, 2, 3, 4, 5]
        assert not path.exists()
    np.testing.assert_array_equal(np.load(path), np.array([1, 2, 3, 4, 5], dtype=np.uint8), strict=True)
    assert names(tmp_path) == ["pixels.npy"]


def test_a_memory_map_that_stops_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "pixels.npy"
    files.write_array(path, np.array([7], dtype=np.uint8))
    with pytest.raises(RuntimeError, match="stop"), files.replacing_array(path, 5):
        raise RuntimeError("stop")
    assert np.load(path).tolist() == [7]
    assert names(tmp_path) == ["pixels.npy"]


def test_a_growing_array_is_reopened_with_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "pixels.npy"
    files.grow_array(path, 4)[1] = 9
    assert files.grow_array(path, 4).tolist() == [0, 9, 0, 0]


def test_lines_are_added_one_json_value_each(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    files.append_line(path, {"step": 1, "loss": math.nan})
    files.append_line(path, {"step": 2})
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"step": 1, "loss": None}, {"step": 2}]


def test_free_space_is_known_of_a_folder_that_is_yet_to_be_made(tmp_path: Path) -> None:
    assert files.free_space(tmp_path / "not" / "yet") == pytest.approx(files.free_space(tmp_path), rel=0.5)
    assert files.free_space(tmp_path / "not" / "yet") > 0
