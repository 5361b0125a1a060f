"""The drawn sample data: the same arguments give the same bytes, in the layout that the adapters read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from competitions.lgg_mri_segmentation import competition as brain_competition
from competitions.ultrasound_nerve_segmentation import competition as nerve_competition
from harness import listing
from harness.competition import SampleFile
from harness.data import samples
from harness.data.materialise import build_once, write_file, write_sample
from harness.formats import decode_run_lengths

ROWS = 30
KITS = [samples.ultrasound, samples.brains]


@pytest.fixture(scope="module")
def nerve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(nerve_competition, rows=ROWS, seed=0, cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(brain_competition, rows=ROWS, seed=0, cache=tmp_path_factory.mktemp("cache"))


def read(path: str | Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def digest(drawn: Iterator[SampleFile]) -> str:
    found = hashlib.sha256()
    for name, content in islice(drawn, 16):
        found.update(name.encode())
        found.update(content.tobytes() if isinstance(content, np.ndarray) else content.encode())
    return found.hexdigest()


@pytest.mark.parametrize("kit", KITS)
def test_the_same_seed_gives_the_same_bytes_and_another_seed_gives_others(kit) -> None:
    assert digest(kit(6, 3)) == digest(kit(6, 3)) != digest(kit(6, 4))


@pytest.mark.parametrize("rows", [1, 7])
def test_a_handful_of_rows_still_has_five_subjects_and_no_path_twice(rows: int) -> None:
    paths = [name for name, _ in samples.ultrasound(rows, 0)]
    assert len(paths) == len(set(paths))
    assert len({name.split("_")[0] for name in paths if name.startswith("train/")}) == 5


def test_the_nerve_adapter_reads_every_drawn_frame(nerve: Path) -> None:
    rows, test_rows = nerve_competition.train(nerve), nerve_competition.test(nerve)
    assert len(rows) == ROWS
    assert len(set(rows["subject"])) == 5
    assert test_rows is not None
    assert len(test_rows) == 10
    assert read(test_rows["image"][0]).shape == read(rows["image"][0]).shape == (420, 580)


def test_the_run_lengths_in_the_table_are_the_masks_in_the_folder(nerve: Path) -> None:
    table = listing.read_table(nerve / "train_masks.csv", ("subject", "img", "pixels"))
    for subject, img, pixels in zip(table["subject"], table["img"], table["pixels"], strict=True):
        mask = read(nerve / "train" / f"{subject}_{img}_mask.tif")
        assert np.array_equal(
            decode_run_lengths(pixels, mask.shape) if pixels else np.zeros(mask.shape, bool), mask > 0
        )


def test_masks_hold_nothing_but_0_and_255(nerve: Path, brain: Path) -> None:
    masks = [*nerve_competition.train(nerve)["mask"], *brain_competition.train(brain)["mask"]]
    values = [set(np.unique(read(mask)).tolist()) for mask in masks]
    assert set().union(*values) == {0, 255}


def test_between_three_and_five_of_ten_nerve_masks_are_empty(nerve: Path) -> None:
    empty = np.mean([not read(mask).any() for mask in nerve_competition.train(nerve)["mask"]])
    assert 0.3 <= empty <= 0.5


def test_nerves_have_the_size_of_nerves_and_no_pixel_is_in_most_of_them(nerve: Path) -> None:
    masks = np.stack([read(mask) > 0 for mask in nerve_competition.train(nerve)["mask"]])
    areas = masks.sum(axis=(1, 2))
    assert ((areas[areas > 0] > 2000) & (areas[areas > 0] < 10500)).all()
    assert masks.mean(axis=0).max() < 0.25


def test_two_nearly_equal_frames_of_one_subject_contradict_each_other(nerve: Path) -> None:
    rows = nerve_competition.train(nerve)
    frames = np.stack([read(path)[::5, ::5].ravel() for path in rows["image"]]).astype(np.float32)
    alike = np.atleast_2d(np.corrcoef(frames))
    empty = [not read(path).any() for path in rows["mask"]]
    pairs = [(i, j) for i in range(ROWS) for j in range(ROWS) if alike[i, j] > 0.8 and not empty[i] and empty[j]]
    assert len(pairs) == 2  # one in fifteen
    assert all(rows["subject"][i] == rows["subject"][j] for i, j in pairs)
    strangers = [(i, j) for i in range(ROWS) for j in range(i) if not {(i, j), (j, i)} & set(pairs)]
    assert max(alike[pair] for pair in strangers) < 0.7


def test_the_brain_adapter_finds_the_doubled_tree_once(brain: Path) -> None:
    rows = brain_competition.train(brain)
    assert len(rows) == 5 * 12
    assert not any("lgg-mri-segmentation/kaggle_3m" in path for path in rows["image"])
    doubled = list((brain / "lgg-mri-segmentation" / "kaggle_3m").rglob("TCGA_*_1.tif"))
    assert len(doubled) == 1
    assert doubled[0].stem in rows.ids


def test_every_patient_has_a_lesion_in_the_middle_slices_and_none_at_the_ends(brain: Path) -> None:
    rows = brain_competition.train(brain)
    for patient in set(rows["patient"]):
        marked = [read(row["mask"]).any() for row in rows if row["patient"] == patient]
        assert 3 <= sum(marked) <= 6
        assert not marked[0]
        assert not marked[-1]


def test_patients_of_the_table_are_the_first_three_parts_of_the_folders(brain: Path) -> None:
    named = listing.read_table(brain / "kaggle_3m" / "data.csv", ("Patient",))["Patient"]
    assert set(named) == set(brain_competition.train(brain)["patient"])


def test_lesions_are_brighter_in_flair_yet_no_threshold_finds_them(brain: Path) -> None:
    rows = brain_competition.train(brain)
    flair = np.stack([read(path)[..., 1] for path in rows["image"]])
    lesion = np.stack([read(path) > 0 for path in rows["mask"]])
    assert flair[lesion].mean() > 1.3 * np.median(flair[(flair > 30) & ~lesion])
    dice = [2 * (flair[lesion] > t).sum() / ((flair > t).sum() + lesion.sum()) for t in range(40, 200, 5)]
    assert max(dice) < 0.5


def one_line(rows: int, seed: int) -> Iterator[SampleFile]:
    yield "notes/line.txt", f"{rows} {seed} ä\n"
    yield "raw.bin", b"\x00\x01"
    yield "grey.png", np.arange(12, dtype=np.uint8).reshape(3, 4)
    yield "colour.jpg", np.full((8, 8, 3), 200, dtype=np.uint8)


def failing(rows: int, seed: int) -> Iterator[SampleFile]:
    yield "line.txt", "half"
    raise RuntimeError("killed")


def test_files_are_written_by_their_kind(tmp_path: Path) -> None:
    folder = write_sample(replace(nerve_competition, sample=one_line), rows=2, seed=1, cache=tmp_path)
    assert folder == tmp_path / "samples" / "ultrasound-nerve-segmentation-2-1"
    assert (folder / "notes" / "line.txt").read_bytes() == "2 1 ä\n".encode()
    assert (folder / "raw.bin").read_bytes() == b"\x00\x01"
    assert np.array_equal(read(folder / "grey.png"), np.arange(12).reshape(3, 4))
    assert abs(read(folder / "colour.jpg").astype(int) - 200).max() <= 2


def test_a_sample_is_drawn_once(tmp_path: Path) -> None:
    first = write_sample(replace(nerve_competition, sample=one_line), rows=2, seed=1, cache=tmp_path)
    again = write_sample(replace(nerve_competition, sample=failing), rows=2, seed=1, cache=tmp_path)
    assert first == again


def test_a_writer_that_fails_leaves_nothing_that_counts(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="killed"):
        write_sample(replace(nerve_competition, sample=failing), rows=2, seed=1, cache=tmp_path)
    assert not [path for path in (tmp_path / "samples").iterdir() if path.is_dir()]
    assert write_sample(replace(nerve_competition, sample=one_line), rows=2, seed=1, cache=tmp_path).is_dir()


def test_what_a_killed_builder_left_is_not_in_the_next_folder(tmp_path: Path) -> None:
    left = tmp_path / ".target.part" / "half.txt"
    left.parent.mkdir()
    left.write_text("half")
    folder = build_once(tmp_path / "target", lambda unfinished: write_file(unfinished, "whole.txt", "whole"))
    assert [path.name for path in folder.iterdir()] == ["whole.txt"]


@pytest.mark.parametrize("name", ["../out.txt", "a/../../out.txt", "/out.txt", "C:out.txt", "..\\out.txt"])
def test_a_sample_path_that_leaves_its_folder_is_a_bug(tmp_path: Path, name: str) -> None:
    with pytest.raises(AssertionError, match="stay below"):
        write_file(tmp_path / "folder", name, "text")
