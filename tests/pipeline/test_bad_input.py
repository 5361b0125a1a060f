"""Bad input: one clear line with file and fix, exit code 2, nothing half-made left behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness import pipeline, registry
from harness.cli import main
from harness.errors import SpaceError
from harness.pipeline.preparation import World
from tests.kit import request, sample_root, small

NAME = "ultrasound-nerve-segmentation"


def first_mask(data: Path) -> Path:
    return sorted(data.glob("train/*_mask.tif"))[0]


def truncate_a_picture(data: Path) -> str:
    picture = sorted(data.glob("train/*_?.tif"))[0]
    picture.write_bytes(picture.read_bytes()[:2000])
    return picture.name


def shrink_a_mask(data: Path) -> str:
    Image.fromarray(np.zeros((100, 100), dtype=np.uint8)).save(first_mask(data))
    return first_mask(data).name


def remove_a_picture(data: Path) -> str:
    picture = first_mask(data).with_name(first_mask(data).name.replace("_mask", ""))
    picture.unlink()
    return "without its picture"


def remove_a_mask(data: Path) -> str:
    name = first_mask(data).name
    first_mask(data).unlink()
    return name


def empty_a_folder(data: Path) -> str:
    for path in (data / "test").iterdir():
        path.unlink()
    return "without pictures"


def garble_the_table(data: Path) -> str:
    (data / "train_masks.csv").write_bytes(b"\xff\xfe\x00subject")
    return "train_masks.csv"


def leave_a_row_out_of_the_table(data: Path) -> str:
    lines = (data / "train_masks.csv").read_text().splitlines(keepends=True)
    (data / "train_masks.csv").write_text("".join(lines[:-1]))
    return "train_masks.csv"


def name_a_test_picture_that_is_not_there(data: Path) -> str:
    with open(data / "sample_submission.csv", "a") as handle:
        handle.write("9999,1 1\n")
    return "9999.tif"


def smooth_a_mask(data: Path) -> str:
    mask = np.zeros((420, 580), dtype=np.uint8)
    mask[100:200, 100:200] = np.arange(100, dtype=np.uint8)
    Image.fromarray(mask).save(first_mask(data))
    return first_mask(data).name


DAMAGES = (
    truncate_a_picture,
    shrink_a_mask,
    remove_a_picture,
    remove_a_mask,
    empty_a_folder,
    garble_the_table,
    leave_a_row_out_of_the_table,
    name_a_test_picture_that_is_not_there,
    smooth_a_mask,
)


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """(exit code, last line of stderr, stdout) of the command line."""
    capsys.readouterr()
    code = 0
    try:
        main([*arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    out = capsys.readouterr()
    return code, (out.err.strip().splitlines() or [""])[-1], out.out


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damaged_data_is_one_line_and_leaves_no_run(
    damage: Callable[[Path], str], tmp_path: Path, shared_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    shutil.copytree(sample_root(NAME, shared_cache), data)
    words = damage(data)
    before = sorted(data.rglob("*"))
    code, line, out = complaint(
        capsys, "run", NAME, "--data", str(data), "--preset", "quick", "--out", str(tmp_path / "run"), "--json"
    )
    assert code == 2
    assert line.startswith("error: ")
    assert words in line
    assert ";" in line  # the fix
    assert set(json.loads(out.splitlines()[-1])) == {"schema", "error", "fix", "exit_code"}
    assert not (tmp_path / "run").exists()
    assert sorted(data.rglob("*")) == before  # nothing is written beside the input


def test_more_folds_than_groups_are_refused_when_asked_for_and_explained_when_not(
    tmp_path: Path, shared_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(sample_root("lgg-mri-segmentation", shared_cache))
    code, line, _ = complaint(capsys, "run", "lgg", "--data", data, "--folds", "6", "--out", str(tmp_path / "run"))
    assert (code, "--folds 6, but there are 5 patients" in line) == (2, True)
    told: list[str] = []
    competition = registry.load("lgg")
    root = tmp_path / "few"
    shutil.copytree(data, root)
    for patient in sorted((root / "kaggle_3m").glob("TCGA_*"))[:2]:
        shutil.rmtree(patient)
    shutil.rmtree(root / "lgg-mri-segmentation")
    world = World(shared_cache, say=told.append)
    asked = request(sample=False, data=str(root))
    result = pipeline.run(competition, small(competition), asked, out=tmp_path / "few-run", world=world)
    assert result["folds"] == 3
    assert any("3 folds instead of 5" in line for line in told)


def no_space(folder: Path) -> int:
    return 1000


def test_no_space_for_the_cache_is_said_before_anything_is_decoded(tmp_path: Path, shared_cache: Path) -> None:
    competition = registry.load(NAME)
    asked = request(sample=False, data=str(sample_root(NAME, shared_cache)))
    with pytest.raises(SpaceError, match=r"needs .* GB, .* GB are free.*--cache"):
        pipeline.run(
            competition,
            small(competition),
            asked,
            out=tmp_path / "run",
            world=World(tmp_path / "cache", free=no_space),
        )
    assert not (tmp_path / "run").exists()
    assert not list((tmp_path / "cache").rglob("*.npy"))


def test_absent_data_names_every_place_and_how_to_get_it(capsys: pytest.CaptureFixture[str]) -> None:
    code, line, _ = complaint(capsys, "run", NAME)
    assert code == 2
    for place in (f"/kaggle/input/{NAME}", f"/kaggle/input/competitions/{NAME}", f"data/{NAME}.zip", "--sample"):
        assert place in line
    assert "harness download" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "nerv"), "did you mean 'ultrasound-nerve-segmentation'?"),
        (("run", NAME, "--sample", "-o", "train.rte=1"), "did you mean 'train.rate'?"),
        (("run", NAME, "--sample", "--only-folds", "a"), "--only-folds a"),
        (("run", NAME, "--sample", "--epochs", "0"), "epochs must be above 0"),
        (("run", NAME, "--sample", "--precision", "fp16", "--device", "cpu"), "fp16 needs a GPU"),
        (("run", NAME, "--sample", "--weights", "/nowhere/w.safetensors"), "/nowhere/w.safetensors"),
        (("run", NAME, "--sample", "--split", "published"), "has no published split"),
        (("run", NAME, "--sample", "-o", "model.encoder=resnet99"), "resnet99"),
        (("resume", "no-such-run"), "no run 'no-such-run'"),
    ],
)
def test_a_wrong_option_is_one_line(
    arguments: tuple[str, ...], words: str, shared_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = ("--cache", str(shared_cache), "--sample-rows", "20") if arguments[0] == "run" else ()
    code, line, _ = complaint(capsys, *arguments, *extra)
    assert code == 2
    assert words in line
