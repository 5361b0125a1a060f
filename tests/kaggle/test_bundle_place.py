"""A bundle takes the place of an earlier bundle, and of nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import BundleError
from harness.kaggle.place import replacing

FACTS = {"schema": 1, "dataset": "bob/box", "kernel": "bob/box-predict"}


def made(out: Path, text: str = "new") -> None:
    """A bundle of one file."""
    with replacing(out) as folder:
        (folder / "dataset").mkdir()
        (folder / "dataset" / "text").write_text(text)
        (folder / "bundle.json").write_text(json.dumps(FACTS))


def test_an_earlier_bundle_is_replaced_whole(tmp_path: Path) -> None:
    made(tmp_path / "out", "first")
    (tmp_path / "out" / "dataset" / "left.over").write_text("of an earlier version")
    made(tmp_path / "out", "second")
    assert (tmp_path / "out" / "dataset" / "text").read_text() == "second"
    assert not (tmp_path / "out" / "dataset" / "left.over").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_was_pushed_and_fetched_is_carried_over(tmp_path: Path) -> None:
    made(tmp_path / "out")
    (tmp_path / "out" / "pushed.json").write_text('{"version": 3}')
    (tmp_path / "out" / "output").mkdir()
    (tmp_path / "out" / "output" / "submission.csv").write_text("id\n")
    made(tmp_path / "out")
    assert (tmp_path / "out" / "pushed.json").read_text() == '{"version": 3}'
    assert (tmp_path / "out" / "output" / "submission.csv").read_text() == "id\n"


@pytest.mark.parametrize("name", ["NOTES.txt", ".git", "page/index.html"])
def test_things_of_the_user_s_in_a_bundle_are_left_and_named(name: str, tmp_path: Path) -> None:
    made(tmp_path / "out", "first")
    (tmp_path / "out" / name).parent.mkdir(exist_ok=True)
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(BundleError, match=f"no part of a bundle: {name.split('/')[0]}"):
        made(tmp_path / "out")
    assert (tmp_path / "out" / name).read_text() == "mine"
    assert (tmp_path / "out" / "dataset" / "text").read_text() == "first"


@pytest.mark.parametrize(
    "text", ['{"webpack": 1}', '{"schema": 1}', "[", "[]", json.dumps({**FACTS, "schema": 2}), None]
)
def test_a_folder_that_is_no_bundle_is_left(text: str | None, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ("thesis.txt" if text is None else "bundle.json")).write_text(text or "years of work")
    with pytest.raises(BundleError, match="exists and is no bundle"):
        made(out)
    assert len(list(out.iterdir())) == 1


def test_a_new_or_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for out in (tmp_path / "empty", tmp_path / "deep" / "new"):
        made(out)
        assert (out / "bundle.json").exists()


def test_a_link_a_file_and_the_folder_one_is_in_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "file").write_text("")
    inside = tmp_path / "here" / "below"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    refused = [(tmp_path / "link", "is a link"), (tmp_path / "file", "is no bundle"), (Path("."), "folder you are in")]
    for out, words in [*refused, (tmp_path / "here", "folder you are in"), (tmp_path / "file" / "x", "cannot be made")]:
        with pytest.raises(BundleError, match=words):
            made(out)
    assert inside.exists()
    assert (tmp_path / "link").is_symlink()


def test_a_bundle_that_is_not_finished_changes_nothing(tmp_path: Path) -> None:
    made(tmp_path / "out", "first")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "out"):
        raise ZeroDivisionError
    assert (tmp_path / "out" / "dataset" / "text").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
