"""What would flatter a score, looked for before anything is trained: groups, names, columns, labels of other models.

Each check ends the run with a sentence that names the rows. What is looked for once folds are trained is in `seals`.

N rows.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np

from harness.data import crossing, table, telling
from harness.data.folds import PSEUDO, FoldPlan
from harness.errors import LeakError
from harness.naming import named, several
from harness.pipeline.parts import Data

CELL = re.compile(r"([0-9a-f]+):(\d+)")


def with_pseudo(data: Data, plan: FoldPlan) -> FoldPlan:
    """The plan of all rows, from that of the rows with true labels (`data.own`).

    Raises:
        LeakError: a label made by a model of other folds, or of all.
    """
    column, own = data.competition.folds.pseudo, data.own
    assert column is not None, "such rows are told by a column"
    fold, made_by = np.full(len(data), PSEUDO), np.full(len(data), -1)
    fold[own] = plan.fold
    digest = plan.digest([data.rows.ids[row] for row in own.tolist()])
    fix = f"label each row by one fold's model of a run with these folds, and write {digest}:<fold> into '{column}'"
    for row in np.flatnonzero(fold == PSEUDO).tolist():
        cell = str(data.rows[column][row])
        found = CELL.fullmatch(cell)
        if not found or found[1] != digest or int(found[2]) >= plan.number:
            wrong = [name for name, other in zip(data.rows.ids, data.rows[column], strict=True) if other == cell]
            problem = f"labels were made by {cell!r}, a model that may have seen what they would be validated on"
            raise LeakError(f"{problem} (rows {named(wrong)}), the folds being {digest}", fix=fix)
        made_by[row] = int(found[2])
    told = several(len(data) - len(own), "row has a label", "rows have labels") + " that fold models made: each trains"
    return FoldPlan(fold, plan.number, (*plan.told, f"{told} in that fold alone, and is never scored"), made_by)


def check_plan(data: Data, plan: FoldPlan, *, published: bool, ignore: str = "") -> list[str]:
    """Holds folds against groups and alike pictures, and names and columns against the target; sentences for the user.

    Args:
        published: whether the data's authors dealt the folds, who may have cut groups.
        ignore: why names and columns may tell the target; "" looks at them.

    Raises:
        LeakError: a group in two folds, a group written twice, or something that tells the target.
    """
    group, told = data.competition.folds.group, list[str]()
    if group is not None:
        crossing.check_spelling(data.groups, data.rows.ids, what=group)
    if published:
        if group is not None and (cut := len(crossing.split(data.groups, plan.fold))):
            told.append(
                f"the published split cuts {cut} of {len(set(data.groups))} {group}s: rows it validates are easier"
            )
    elif not data.competition.folds.contiguous:
        if group is not None:
            crossing.check(data.groups, plan.fold, data.rows.ids, what=group)
        if data.pictures is not None and not data.ignore:
            crossing.check(
                data.looks.tolist(), plan.fold, data.picture_names(data.root), what="a set of alike pictures"
            )
    if ignore:
        return [*told, f"names and columns are not asked whether they tell the target: {ignore}"]
    _check_names(data, plan)
    _check_columns(data, plan)
    values = _values(data)
    if values is not None and telling.of_ranks(
        np.arange(len(data), dtype=np.float64), values, plan.fold, telling.NEARLY, by="order"
    ):
        told.append(
            "the rows are sorted by the target: no model sees that, but whoever knows the test rows' order does"
        )
    return told


def _check_names(data: Data, plan: FoldPlan) -> None:
    names = {"id": data.rows.ids}
    if data.competition.picture is not None:
        names["file name"] = [Path(path).stem for path in data.rows[data.competition.picture.column]]
        names["id"] = [Path(name).name for name in names["id"]]  # of an id that is a path, folders are the layout
    values, labels = _values(data), _labels(data)
    folders = _folders(data) if labels else None
    for what, cells in names.items():
        if values is not None:
            _stop(data, what, telling.of_numbers(cells, values, plan.fold))
        keys = telling.keys_of(cells) if labels else {}
        for one in labels:
            found = telling.of_names(keys, one, plan.fold)
            if found is not None and not _folders_tell(folders, one, plan):
                _stop(data, what, found)


def _folders(data: Data) -> list[str] | None:
    if data.competition.picture is None:
        return None
    return [str(Path(path).parent) for path in data.rows[data.competition.picture.column]]


def _folders_tell(folders: list[str] | None, labels: np.ndarray, plan: FoldPlan) -> bool:
    """Whether class folders are the layout: their names are where the labels were read."""
    if folders is None:
        return False
    counts = Counter(folders)
    fold = np.where([counts[folder] > 1 for folder in folders], plan.fold, PSEUDO)  # one of its own says nothing
    return telling.of_codes(telling.codes_of(folders), labels, fold, by="the folder") is not None


def _check_columns(data: Data, plan: FoldPlan) -> None:
    if data.competition.table is None:
        return
    values, numbers = _values(data), data.competition.table.numbers
    for column in (*numbers, *data.competition.table.categories):
        codes = telling.codes_of(data.rows[column])
        if values is not None and column in numbers:
            parsed = table.read_numbers(data.rows.columns, column)
            _stop(data, f"column '{column}'", telling.of_ranks(parsed, values, plan.fold, telling.EXACT, by="its rank"))
        labels = _labels(data) if values is None else [np.unique(values, return_inverse=True)[1]]
        for one in labels:
            _stop(
                data, f"column '{column}'", telling.of_codes(codes, one, plan.fold, by="the cell", least=telling.EXACT)
            )


def _values(data: Data) -> np.ndarray | None:
    if data.targets is None or data.competition.task.kind != "value":
        return None
    return data.targets[:, 0].astype(np.float64)


def _labels(data: Data) -> list[np.ndarray]:
    """int64 [N] each: the class, each tag, or whether a mask is empty; none of class maps, numbers and texts."""
    kind = data.competition.task.kind
    if kind == "mask":
        return [(data.areas > 0).astype(np.int64)]
    if data.targets is None or kind not in ("label", "tags"):
        return []
    if kind == "label":
        return [data.targets.argmax(axis=1)]
    return [column.astype(np.int64) for column in (data.targets > 0.5).T]


def _stop(data: Data, what: str, found: telling.Told | None) -> None:
    if found is None:
        return
    rows = named([data.rows.ids[row] for row in found.rows.tolist()])
    problem = f"the {what} tells the target by {found.by}: read from other folds it is right in {len(found.rows)} of"
    fix = "give the rows other names" if "column" not in what else "leave the column out of the inputs"
    fix += ', or say why it may: -o data.leaks="ignore: why"'
    raise LeakError(f"{problem} {found.of} rows ({rows})", fix=fix)
