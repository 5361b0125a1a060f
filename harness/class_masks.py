"""A competition whose classes the data names: its task, metrics and submission for any list of classes."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

from harness import cells, formats
from harness.competition import Competition, Submission
from harness.metrics import global_accuracy, mean_iou
from harness.tasks import ClassMask

HEADER = ("frame_class", "pixels")


def submission(classes: tuple[str, ...]) -> Submission:
    """`frame_class,pixels`: for each frame a row of run lengths for each class, `<frame>_<class>`."""
    return Submission(
        header=HEADER,
        write=functools.partial(cells.class_mask_rows, classes=classes),
        read=cells.read_class_mask,
        cells={"pixels": formats.check_mask_cell},
        ids=functools.partial(cells.class_mask_ids, classes=classes),
        together=cells.check_together,
    )


def with_classes(competition: Competition, classes: tuple[str, ...]) -> Competition:
    """The competition with other classes: task, mean IoU and global accuracy, submission. A class "Void" is void."""
    return replace(
        competition,
        task=ClassMask(classes, void=classes.index("Void") if "Void" in classes else None),
        metric=mean_iou(len(classes)),
        secondary=(global_accuracy(len(classes)),),
        submission=submission(classes),
    )


def mirror(competition: Competition, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Competition:
    """The competition with the classes that a file's first frame has ids for, `<video>_<number>_<class>`.

    As it is where ids have another form, or the classes are its own.
    """
    names = [row[0].split("_", 2) for row in rows]
    own = [name for name in names if name[:2] == names[0][:2]]
    classes = tuple(name[-1] for name in own)
    known = isinstance(competition.task, ClassMask) and competition.task.classes == classes
    return competition if known or not own or any(len(name) < 3 for name in own) else with_classes(competition, classes)
