"""CamVid: SegNet's lists and fastai's codes, from the sample, real files and damaged ones."""

from __future__ import annotations

import pickle
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness import registry
from harness.competition import Competition
from harness.data.materialise import write_sample
from harness.data.unpack import unpack
from harness.errors import DataError
from harness.rows import Rows

CAMVID = registry.load("camvid")
CODES = ("Animal", "Column_Pole", "Sky", "Void", "Wall")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(CAMVID, rows=20, seed=0, cache=tmp_path_factory.mktemp("camvid"))


@pytest.fixture
def copy(drawn: Path, tmp_path: Path) -> Path:
    """A copy of the sample that a test may damage."""
    return Path(shutil.copytree(drawn, tmp_path / "data")) / "CamVid"


@pytest.fixture
def coded(drawn: Path, tmp_path: Path) -> Path:
    """Three training frames of the sample as fastai lays them out, with five codes."""
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for picture in sorted((drawn / "CamVid" / "train").iterdir())[:3]:
        shutil.copy(picture, tmp_path / "images" / picture.name)
        mask = np.minimum(mask_of(drawn / "CamVid" / "trainannot" / picture.name), 4)
        Image.fromarray(mask).save(tmp_path / "labels" / f"{picture.stem}_P.png")
    (tmp_path / "codes.txt").write_text("\n".join(CODES))
    (tmp_path / "valid.txt").write_text("0001TP_006750.png\n")
    return tmp_path


def mask_of(path: str | Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def rows_to_test(competition: Competition, root: Path) -> Rows:
    rows = competition.test(root)
    assert rows is not None
    return rows


def test_train_and_val_are_pooled_and_the_split_is_kept(drawn: Path) -> None:
    rows = CAMVID.train(drawn)
    assert Counter(zip(rows["video"], rows["split"], strict=True)) == {
        ("0001TP", "train"): 2,
        ("0006R0", "train"): 5,
        ("0016E5", "train"): 10,
        ("0016E5", "valid"): 3,
    }
    assert rows.ids[-3:] == ["0016E5_07959", "0016E5_07961", "0016E5_07963"]
    assert CAMVID.adapt(CAMVID, drawn) == CAMVID
    assert CAMVID.folds.group == "video"
    assert CAMVID.published_split == "split"


def test_test_frames_carry_their_masks_and_one_video_of_their_own(drawn: Path) -> None:
    test = rows_to_test(CAMVID, drawn)
    assert Counter(test["video"]) == {"0001TP": 3, "Seq05VD": 3}
    assert CAMVID.test_truth
    assert CAMVID.target in test
    assert not set(test.ids) & set(CAMVID.train(drawn).ids)


def test_the_sample_shows_every_class_and_void_and_is_the_same_twice(drawn: Path) -> None:
    rows = CAMVID.train(drawn)
    assert {int(value) for mask in rows["mask"] for value in np.unique(mask_of(mask))} == set(range(12))
    assert mask_of(rows["image"][0]).shape == (*mask_of(rows["mask"][0]).shape, 3)
    first, again, other = ([bytes(c) for _, c in CAMVID.sample(8, s) if isinstance(c, np.ndarray)] for s in (0, 0, 1))
    assert first == again
    assert first != other


def test_a_frame_is_eleven_rows_and_comes_back_with_its_void(drawn: Path) -> None:
    rows, submission = CAMVID.train(drawn), CAMVID.submission
    truth = CAMVID.task.encode(mask_of(rows["mask"][0]), "file")
    written = submission.write(rows.ids[0], truth)
    assert [row[0] for row in written] == submission.ids(rows.ids[0])
    assert written[0][0] == "0001TP_006690_sky"
    assert len(written) == 11
    size = (truth.shape[0], truth.shape[1])
    assert all(submission.cells["pixels"](text, size) is None for _, text in written)
    assert (submission.read([row[1:] for row in written], size) == truth).all()
    assert 0 < np.count_nonzero(truth == 255) < truth.size / 10
    assert submission.together is not None
    assert submission.together([row[1:] for row in written], size) is None
    assert submission.together([("1 4",), ("3 1",)], size) is not None


def test_lists_may_end_in_crlf_and_blank_lines_and_a_list_of_validation_may_be_absent(copy: Path) -> None:
    whole = CAMVID.train(copy.parent)
    (copy / "train.txt").write_bytes((copy / "train.txt").read_bytes().replace(b"\n", b"\r\n") + b"\r\n")
    assert CAMVID.train(copy.parent) == whole
    (copy / "val.txt").unlink()
    assert len(CAMVID.train(copy.parent)) == 17
    (copy / "test.txt").unlink()
    assert CAMVID.test(copy.parent) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("/SegNet/CamVid/train/a_1.png /SegNet/CamVid/trainannot/a_1.png\n", "row 1: train/a_1.png is missing"),
        ("\n/SegNet/CamVid/train/0001TP_006690.png\n", "row 2: '/SegNet/CamVid/train/0001TP_006690.png' is no picture"),
        ("train/0001TP_006690.png trainannot/0006R0_f00930.png\n", "row 1: 'train/0001TP_006690.png trainannot"),
        ("train/0001TP_006690.png trainannot/0001TP_006690.png\n" * 2, "row 2: 0001TP_006690.png stands twice"),
        ("", "an empty list"),
        ("\xff", "not UTF-8 text (byte 0)"),
    ],
)
def test_a_damaged_list_is_told_with_file_and_row(text: str, problem: str, copy: Path) -> None:
    (copy / "train.txt").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError) as caught:
        CAMVID.train(copy.parent)
    assert problem in str(caught.value)
    assert str(copy / "train.txt") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_mask_another_name_a_frame_in_both_lists_and_no_list_are_told(copy: Path) -> None:
    lines = (copy / "train.txt").read_text().splitlines()
    (copy / "val.txt").write_text(lines[0])
    with pytest.raises(DataError, match=r"train/0001TP_006690\.png: the id '0001TP_006690' stands twice"):
        CAMVID.train(copy.parent)
    (copy / "val.txt").unlink()
    (copy / "trainannot" / "0001TP_006690.png").unlink()
    with pytest.raises(DataError, match=r"row 1: trainannot/0001TP_006690\.png is missing"):
        CAMVID.train(copy.parent)
    for folder in ("train", "trainannot"):
        (copy / folder / "0001TP_006750.png").rename(copy / folder / "frame.png")
    (copy / "train.txt").write_text("train/frame.png trainannot/frame.png")
    with pytest.raises(DataError, match=r"frame\.png: a file name of another form"):
        CAMVID.train(copy.parent)
    (copy / "train.txt").unlink()
    with pytest.raises(DataError, match=r"no list of frames; expected SegNet's train\.txt"):
        CAMVID.train(copy.parent)


def test_fastai_s_copy_brings_its_own_classes_and_has_no_test_set(coded: Path) -> None:
    competition = CAMVID.adapt(CAMVID, coded)
    rows = competition.train(coded)
    assert rows["split"] == ["train", "valid", "train"]
    assert rows["video"] == ["0001TP", "0001TP", "0006R0"]
    assert competition.test(coded) is None
    assert not competition.test_truth
    assert competition.told == ("fastai's copy: 5 codes, no test set; not comparable with SegNet's eleven classes",)
    truth = competition.task.encode(mask_of(rows["mask"][0]), "file")
    assert set(np.unique(truth)) == {0, 1, 2, 4, 255}  # Void by its name: the fourth code
    assert competition.submission.ids("a_1") == [f"a_1_{code}" for code in CODES]
    statistics = np.array([competition.metric.statistics(truth, truth)])
    assert statistics.shape == (1, 15)
    assert competition.metric.reduce(statistics, np.zeros(1)) == 1
    assert repr(pickle.loads(pickle.dumps(competition))) == repr(competition)


def test_a_file_of_answers_says_which_classes_it_has(coded: Path) -> None:
    competition = CAMVID.adapt(CAMVID, coded)
    answers = [(name, "") for frame in ("a_1", "a_2") for name in competition.submission.ids(frame)]
    mirrored = CAMVID.mirror(CAMVID, ("frame_class", "pixels"), answers)
    assert mirrored.task == competition.task
    assert mirrored.submission.ids("b_1") == competition.submission.ids("b_1")
    own = [(name, "") for name in CAMVID.submission.ids("a_1")]
    for rows in (own, [], [("strange", "")]):
        assert CAMVID.mirror(CAMVID, ("frame_class", "pixels"), rows) == CAMVID


def test_damage_in_fastai_s_copy_and_both_copies_at_once_are_told(coded: Path) -> None:
    (coded / "valid.txt").write_text("0001TP_006690.png\n0099_1.png\n")
    with pytest.raises(DataError, match=r"valid\.txt, row 2: images/0099_1\.png is missing"):
        CAMVID.train(coded)
    (coded / "labels" / "0001TP_006690_P.png").unlink()
    with pytest.raises(DataError, match=r"the picture has no mask labels/0001TP_006690_P\.png"):
        CAMVID.train(coded)
    (coded / "train.txt").write_text("a b")
    with pytest.raises(DataError, match=r"both SegNet's train\.txt and fastai's codes\.txt"):
        CAMVID.train(coded)


def test_the_real_frames_are_22_of_three_videos_and_four_to_test(real_data: Path, shared_cache: Path) -> None:
    root = unpack(real_data / "camvid.zip", cache=shared_cache)
    rows, test = CAMVID.train(root), rows_to_test(CAMVID, root)
    assert Counter(zip(rows["video"], rows["split"], strict=True)) == {
        ("0001TP", "train"): 6,
        ("0006R0", "train"): 6,
        ("0016E5", "train"): 6,
        ("0016E5", "valid"): 4,
    }
    assert test.ids == ["0001TP_006750", "0006R0_f02070", "0016E5_01200", "0016E5_05760"]
    masks = np.stack([mask_of(path) for path in rows["mask"]])
    assert masks.shape == (22, 360, 480)
    assert np.count_nonzero(masks == 11) == 166471 + 9200  # void of the two lists
    assert np.count_nonzero(masks == 3) == 944487 + 193728  # road
    assert masks.max() == 11
