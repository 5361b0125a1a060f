"""The text of a draft: an adapter and its tests, from names alone."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from harness.drafting.sniffing import Found
from harness.drafting.templates import END, HEAD, MASKS, MASKS_TEST, PICTURES, TABLE, TESTS
from harness.errors import DataError

WIDTH, LONGEST = 120, 20


def adapter(name: str, found: Found) -> str:
    """The adapter's source, at most 100 lines.

    Raises:
        DataError: more columns than fit.
    """
    write = {"pictures": _pictures, "table": _table, "masks": _masks}[found.kind]
    text = write(name, found)
    if len(text.splitlines()) > 100:
        raise DataError("too many columns for a draft", fix="keep those that matter, or write the adapter by hand")
    return text


def tests(name: str) -> str:
    """The source of its tests."""
    return TESTS.format(title=_title(name), name=_text(name))


def _pictures(name: str, found: Found) -> str:
    single, labels = found.separator == "", _constant("LABELS", found.labels)
    if labels.count("\n") > LONGEST:  # as many as a table or folders may hold: read there, not written down
        labels = ""
    known, drawn = ("LABELS", "LABELS") if labels else ("()", '("one", "two", "three")')
    table, answers = found.name("table"), found.name("answers")
    settings = [f"labels={drawn}"]
    if table:
        settings += [
            f"separator={_text(found.separator)}",
            f"table={_text(table)}",
            f"header={_tuple(found.name('columns'))}",
        ]
        settings += [f"train={_text(found.name('train'))}", f"test={_text(found.name('test'))}"]
        settings += [f"answers={_tuple(found.header)}"] if answers else []
    else:
        parts = [(part, found.name(part)) for part in ("train", "valid", "test")]
        settings += [f"{part}={_text(folder)}" for part, folder in parts if folder or part == "train"]
        settings += ['known="labels"'] if found.name("truth") else []
    sample = f"samples_drafts.{'labelled_table' if table else 'class_folders'}"
    head = HEAD.format(
        title=_title(name),
        modules="label_forms, own_pictures",
        inputs="Image",
        submission="",
        errors="",
        metrics="ACCURACY, LOG_LOSS, MACRO_F1" if single else "MACRO_F1, MICRO_F1",
        task="SingleLabel" if single else "Multilabel",
    )
    # inside a docstring, which a file's name might end
    shown = re.sub(r"[^\w .-]", "?", table)
    layout = f"the table {shown} and the pictures it names" if table else "a folder for each label"
    further = [f"sample_submission={_text(answers)}"] if answers else []
    further += ['published_split="split"'] if found.name("valid") and not table else []
    further += ["test_truth=True"] if found.name("truth") else []
    form = [_tuple(found.header), "()", f"single={single}", f"labels={known}", f"separator={_text(found.separator)}"]
    return (
        head
        + (labels or "# more labels than fit here: read from the data\n")
        + PICTURES.format(layout=layout, sample=_call(sample, ["rows", "seed", *settings], len("    return ")))
        + _end(
            name,
            inputs='Image("image", size=(160, 160), symmetries=("hflip",), normalise="imagenet")',
            target='"label"',
            task=f"{'SingleLabel' if single else 'Multilabel'}({known if labels else ''})",
            metric="ACCURACY" if single else "MACRO_F1",
            secondary="MACRO_F1, LOG_LOSS" if single else "MICRO_F1,",
            folds='Folds(5, no_group="nothing says which pictures belong together", stratify="labels")',
            submission=_call("label_forms.submission", form, len("    submission=")) + "[0]",
            further=further,
        )
    )


def _masks(name: str, found: Found) -> str:
    test, group, answers = found.name("test"), found.name("group"), found.name("answers")
    settings = [f"train={_text(found.name('train'))}", f"test={_text(test)}"] + (["answers=HEADER"] if answers else [])
    head = HEAD.format(
        title=_title(name),
        modules="formats, listing",
        inputs="Image",
        submission=", Submission",
        errors="from harness.errors import DataError\n" if test else "",
        metrics="DICE_PER_PICTURE",
        task="BinaryMask",
    )
    body = MASKS.format(
        column=', "subject": []' if group else "",
        group='            columns["subject"].append(picture.stem.rpartition("_" if "_" in picture.stem else "-")[0])\n'
        if group
        else "",
        test=MASKS_TEST.format(test=test, answers=_text(answers or "sample_submission.csv")) if test else "",
        sample=_call("samples_drafts.masked", ["rows", "seed", *settings], len("    return ")),
    )
    grouped = 'Folds(5, group="subject", stratify="mask")'
    alone = 'Folds(5, no_group="nothing says which pictures belong together", stratify="mask")'
    checks = "{HEADER[1]: formats.check_mask_cell}"
    return (
        head
        + _constant("HEADER", found.header)
        + body
        + _end(
            name,
            inputs='Image("image", size=(256, 256), symmetries=("hflip",))',
            target='"mask"',
            task="BinaryMask()",
            metric="DICE_PER_PICTURE",
            folds=grouped if group else alone,
            submission=f"Submission(HEADER, formats.mask_rows, formats.read_mask, {checks})",
            further=[f"sample_submission={_text(answers)}"] if answers else [],
            test=bool(test),
        )
    )


def _table(name: str, found: Found) -> str:
    single, target, answers = bool(found.labels), found.name("target"), found.name("answers")
    head = HEAD.format(
        title=_title(name),
        modules="cells, listing",
        inputs="SampleFile",
        submission=", Submission, Table",
        errors="from harness.errors import DataError\n",
        metrics="ACCURACY, LOG_LOSS, MACRO_F1" if single else "MAE, RMSE",
        task="SingleLabel" if single else "Regression",
    ).replace("SampleFile, SampleFile", "SampleFile")
    names = [_constant("HEADER", found.header)]
    names += [_constant("LABELS", found.labels)] if single else []
    names += [_constant("NUMBERS", found.name("numbers")), _constant("CATEGORIES", found.name("categories"))]
    settings = [f"identity={_text(found.name('id'))}", "numbers=NUMBERS", "categories=CATEGORIES"]
    settings += [f"target={_text(target)}", f"labels={'LABELS' if single else '()'}"]
    settings += ["answers=HEADER"] if answers else []
    body = TABLE.format(
        target=_text(target),
        identity=_text(found.name("id")),
        answers=_text(answers or "sample_submission.csv"),
        sample=_call("samples_drafts.table", ["rows", "seed", *settings], len("    return ")),
    )
    kind = "label" if single else "number"
    form = ["HEADER", f"cells.{kind}_rows", f"cells.read_{kind}", f"{{HEADER[1]: cells.check_{kind}}}"]
    return (
        head
        + "".join(names)
        + body
        + _end(
            name,
            inputs="Table(numbers=NUMBERS, categories=dict.fromkeys(CATEGORIES, ()))",
            target=_text(target),
            task="SingleLabel(LABELS)" if single else f"Regression({'log=True' if found.name('log') else ''})",
            metric="ACCURACY" if single else "RMSE",
            secondary="MACRO_F1, LOG_LOSS" if single else "MAE,",
            folds=f'Folds(5, no_group="nothing says which rows belong together", stratify="{kind}s")'.replace(
                '"numbers"', '"quantiles"'
            ),
            submission=_call("Submission", form, len("    submission=")),
            further=[f"sample_submission={_text(answers)}"] if answers else [],
            training="rate=4e-3, batch=256",
            model="Model(width=128, layers=3, members=8)",
        )
    )


def _end(
    name: str,
    *,
    further: Sequence[str],
    secondary: str = "",
    test: bool = True,
    training: str = "rate=1e-3, batch=32",
    model: str = 'Model("resnet34")',
    **given: Any,
) -> str:
    parts = [f"train=Training({training})", f"model={model}", "stages=(Stage(epochs=20),)"]
    return END.format(
        name=_text(name),
        title=_text(_title(name)),
        test="    test=test,\n" if test else "",
        secondary=f"    secondary=({secondary}),\n" if secondary else "",
        further="".join(f"    {line},\n" for line in further),
        defaults=_call("TrainConfig", parts, len("    defaults=")),
        **given,
    )


def _title(name: str) -> str:
    return name.replace("-", " ").capitalize()


def _text(value: str) -> str:
    """A Python literal with double quotes."""
    return json.dumps(value, ensure_ascii=False)


def _tuple(values: Sequence[str]) -> str:
    return f"({', '.join(map(_text, values))}{',' if len(values) == 1 else ''})"


def _constant(name: str, values: Sequence[str]) -> str:
    """`name = (...)` on one line, or on several that are full, so that many names take few lines."""
    line = f"{name} = {_tuple(values)}\n"
    if len(line) <= WIDTH:
        return line
    lines: list[list[str]] = [[]]
    for value in values:
        if len(_tuple([*lines[-1], value])) + 8 > WIDTH and lines[-1]:
            lines.append([])
        lines[-1].append(value)
    return f"{name} = (\n" + "".join(f"    *{_tuple(part)},\n" for part in lines) + ")\n"


def _call(function: str, arguments: Sequence[str], before: int) -> str:
    """A call as the formatter breaks it: on one line, or with its arguments on the next, or each on its own.

    Args:
        before: characters in front of it on its line, which is indented by four.
    """
    joined = ", ".join(arguments)
    # a comma or an index may follow
    if before + len(function) + len(joined) + 5 <= WIDTH:
        return f"{function}({joined})"
    if 8 + len(joined) <= WIDTH:
        return f"{function}(\n        {joined}\n    )"
    return f"{function}(\n" + "".join(f"        {part},\n" for part in arguments) + "    )"
