"""Scores from two files: Dice worked out by hand, and the files that are no submission or no answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from competitions.lgg_mri_segmentation import competition as brains
from competitions.ultrasound_nerve_segmentation import competition as nerves
from harness.errors import SubmissionError
from harness.formats import decode_run_lengths, run_lengths
from harness.metrics import DICE_PER_PICTURE, DICE_PER_VOLUME, Metric
from harness.submission.grader import grade

# Pictures 4 high and 5 wide. Truth: 6 pixels, none, none, 4 pixels.
ANSWERS = "img,pixels,group,height,width\n1,1 6,a,4,5\n2,,a,4,5\n3,,b,4,5\n4,9 4,b,4,5\n"
PERFECT = "img,pixels\n1,1 6\n2,\n3,\n4,9 4\n"
# 1: pixels 4 to 9, of which 4 to 6 are right; 2: empty, right; 3: 2 pixels too many; 4: nothing found
FLAWED = "img,pixels\n1,4 6\n2,\n3,7 2\n4,\n"


def score(
    folder: Path,
    prediction: str,
    answers: str = ANSWERS,
    *,
    metric: Metric = DICE_PER_PICTURE,
    secondary: tuple[Metric, ...] = (),
    submission: Any = nerves.submission,
) -> dict[str, Any]:
    (folder / "submission.csv").write_text(prediction, encoding="utf-8")
    (folder / "answers.csv").write_text(answers, encoding="utf-8")
    return grade(
        folder / "submission.csv",
        folder / "answers.csv",
        submission=submission,
        metric=metric,
        secondary=secondary,
    )


def test_dice_per_picture_is_the_mean_worked_out_by_hand(tmp_path: Path) -> None:
    # 2 x 3 / (6 + 6) = 1/2; both empty = 1; truth empty = 0; prediction empty = 0
    graded = score(tmp_path, FLAWED)
    assert graded == {
        "metric": "mean Dice",
        "value": pytest.approx((0.5 + 1 + 0 + 0) / 4),
        "higher_is_better": True,
        "rows": 4,
    }


@pytest.mark.parametrize(
    ("cell", "truth", "dice"),
    [
        ("", "", 1.0),
        ("3 2", "", 0.0),
        ("", "3 2", 0.0),
        ("3 2", "5 2", 0.0),
        ("1 20", "1 5", 2 * 5 / 25),
        ("3 2", "3 2", 1.0),
    ],
    ids=["both empty", "truth empty", "prediction empty", "disjoint", "all against five", "equal"],
)
def test_the_dice_of_one_picture(tmp_path: Path, cell: str, truth: str, dice: float) -> None:
    graded = score(tmp_path, f"img,pixels\n1,{cell}\n", f"img,pixels,group,height,width\n1,{truth},,4,5\n")
    assert graded["value"] == pytest.approx(dice)


def test_dice_per_volume_pools_the_pixels_of_a_group_before_the_mean(tmp_path: Path) -> None:
    # group a: 2 x 3 / (6 + 6) = 1/2; group b: 2 x 0 / (2 + 4) = 0
    assert score(tmp_path, FLAWED, metric=DICE_PER_VOLUME)["value"] == pytest.approx(0.25)


def test_the_rows_of_a_group_need_not_be_neighbours(tmp_path: Path) -> None:
    answers = "img,pixels,group,height,width\n1,1 6,a,4,5\n2,,b,4,5\n3,,a,4,5\n4,9 4,b,4,5\n"
    # group a: 2 x 3 / (6 + 2 + 6) = 3/7; group b: 0 of 4 found
    assert score(tmp_path, FLAWED, answers, metric=DICE_PER_VOLUME)["value"] == pytest.approx(3 / 14)


@pytest.mark.parametrize("metric", [DICE_PER_PICTURE, DICE_PER_VOLUME], ids=["per picture", "per volume"])
def test_the_truth_as_prediction_reaches_the_best_value(tmp_path: Path, metric: Metric) -> None:
    assert score(tmp_path, PERFECT, metric=metric)["value"] == metric.best


def test_secondary_metrics_stand_beside_the_score_by_name(tmp_path: Path) -> None:
    graded = score(tmp_path, FLAWED, metric=DICE_PER_VOLUME, secondary=(DICE_PER_PICTURE,))
    assert graded["value"] == pytest.approx(0.25)
    assert graded["secondary"] == {"mean Dice": pytest.approx(0.375)}


def test_each_row_is_read_at_the_size_that_the_answers_give_it(tmp_path: Path) -> None:
    prediction = "id,pixels\nx_1,7 1\nx_2,48 1\n"
    answers = "id,pixels,group,height,width\nx_1,7 1,x,4,5\nx_2,41 1,x,8,6\n"
    # 2 x 1 / (2 + 2), though the second picture's pixels lie past the end of the first
    graded = score(tmp_path, prediction, answers, submission=brains.submission, metric=DICE_PER_VOLUME)
    assert graded["value"] == pytest.approx(0.5)
    with pytest.raises(SubmissionError, match="4 high and 5 wide"):
        score(tmp_path, "id,pixels\nx_1,48 1\nx_2,\n", answers, submission=brains.submission)


def test_the_score_of_random_masks_is_that_of_the_arrays(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    masks = generator.random((2, 30, 42, 58)) < generator.random((2, 30, 1, 1))
    dice = [2 * (p & t).sum() / (p.sum() + t.sum()) for p, t in zip(*masks, strict=True)]
    prediction = "".join(f"{index},{run_lengths(mask)}\n" for index, mask in enumerate(masks[0]))
    truth = "".join(f"{index},{run_lengths(mask)},,42,58\n" for index, mask in enumerate(masks[1]))
    graded = score(tmp_path, "img,pixels\n" + prediction, "img,pixels,group,height,width\n" + truth)
    assert graded["value"] == pytest.approx(np.mean(dice), abs=1e-12)


def test_a_prediction_may_span_several_csv_rows(tmp_path: Path) -> None:
    """Two classes per picture; a decision is the stack of both masks."""

    def read(cells: list[tuple[str, ...]], size: tuple[int, int]) -> np.ndarray:
        return np.stack([decode_run_lengths(pixels, size) for (pixels,) in cells])

    classes = replace(nerves.submission, read=read, ids=lambda identity: [f"{identity}_0", f"{identity}_1"])
    answers = "img,pixels,group,height,width\na_0,1 6,,4,5\na_1,7 4,,4,5\nb_0,,,4,5\nb_1,,,4,5\n"
    graded = score(tmp_path, "img,pixels\na_0,4 6\na_1,7 4\nb_0,\nb_1,\n", answers, submission=classes)
    # picture a: 3 + 4 pixels right of 10 and 10; picture b: all empty
    assert graded["rows"] == 2
    assert graded["value"] == pytest.approx((2 * 7 / 20 + 1) / 2)


@pytest.mark.parametrize(
    ("prediction", "row", "message"),
    [
        ("img,pixels\n1,1 6\n2,\n4,9 4\n", 4, "missing: '3'"),
        ("img,pixels\n1,1 6\n", 3, "3 of 4 ids are missing"),
        (PERFECT + "5,\n", 6, "'5' is extra"),
        (PERFECT + "4,\n", 6, "duplicate"),
        (PERFECT.replace("1 6", "0 6"), 2, "starts at 0"),
        (PERFECT.replace("9 4", "19 4"), 5, "4 high and 5 wide"),
        (PERFECT.replace("img,pixels", "id,pixels"), 1, "write exactly img,pixels"),
        ("", 1, "empty"),
    ],
    ids=["one missing", "many missing", "extra", "duplicate", "from 0", "past the end", "header", "empty"],
)
def test_a_submission_that_is_not_valid_is_refused_with_file_and_row(
    tmp_path: Path, prediction: str, row: int, message: str
) -> None:
    with pytest.raises(SubmissionError) as caught:
        score(tmp_path, prediction)
    assert message in str(caught.value)
    assert caught.value.file == str(tmp_path / "submission.csv")
    assert caught.value.row == row
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("answers", "row", "message"),
    [
        (PERFECT, 1, "starts with img,pixels,group,height,width"),
        ("img,pixels,group,height,width\n", None, "no rows"),
        (ANSWERS.replace("1,1 6,a,4,5", "1,1 6,a,4"), 2, "4 cells under 5 columns"),
        (ANSWERS.replace("3,,b,4,5", "3,,b,4,wide"), 4, "'wide' is no size"),
        (ANSWERS.replace("3,,b,4,5", "3,,b,0,5"), 4, "'0' is no size"),
        (ANSWERS.replace("3,,b,4,5", "2,,b,4,5"), 4, "'2' stands on row 3"),
        (ANSWERS.replace("9 4", "9 0"), 5, "length 0"),
        ("\x1f\x8b", 1, "gzip"),
        ("", 1, "empty"),
    ],
    ids=["a submission", "no rows", "cells", "size", "size 0", "duplicate", "cell", "packed", "empty"],
)
def test_answers_that_are_not_valid_are_refused_with_file_and_row(
    tmp_path: Path, answers: str, row: int | None, message: str
) -> None:
    (tmp_path / "submission.csv").write_text(PERFECT, encoding="utf-8")
    (tmp_path / "answers.csv").write_text(answers, encoding="latin-1")
    with pytest.raises(SubmissionError) as caught:
        grade(
            tmp_path / "submission.csv",
            tmp_path / "answers.csv",
            submission=nerves.submission,
            metric=DICE_PER_PICTURE,
        )
    assert message in str(caught.value)
    assert caught.value.file == str(tmp_path / "answers.csv")
    assert caught.value.row == row


def test_rows_of_one_prediction_with_two_groups_are_refused(tmp_path: Path) -> None:
    classes = replace(nerves.submission, ids=lambda identity: [f"{identity}_0", f"{identity}_1"])
    answers = "img,pixels,group,height,width\na_0,,p,4,5\na_1,,q,4,5\n"
    with pytest.raises(SubmissionError, match=r"'a_1' has another group or size than 'a_0'"):
        score(tmp_path, "img,pixels\na_0,\na_1,\n", answers, submission=classes)


def test_an_absent_file_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(SubmissionError, match=r"absent\.csv: unreadable"):
        grade(
            tmp_path / "submission.csv",
            tmp_path / "absent.csv",
            submission=nerves.submission,
            metric=DICE_PER_PICTURE,
        )


def test_files_of_the_writer_are_graded(tmp_path: Path) -> None:
    from harness.submission import writer

    mask, nothing = np.zeros((2, 42, 58), np.bool_)
    mask[10:20, 10:30] = True
    rows = [("7_1", mask), ("7_2", nothing)]
    writer.write_submission(tmp_path / "submission.csv", nerves.submission, rows)
    truths = [(identity, truth, "7", (42, 58)) for identity, truth in rows]
    writer.write_answers(tmp_path / "answers.csv", nerves.submission, truths)
    graded = grade(
        tmp_path / "submission.csv",
        tmp_path / "answers.csv",
        submission=nerves.submission,
        metric=DICE_PER_PICTURE,
    )
    assert (graded["value"], graded["rows"]) == (1.0, 2)
