"""Cells that are wrong, by what the column holds: (row, column, text) of changes to a valid submission's table."""

from __future__ import annotations

import functools

from harness.formats import decode_run_lengths, run_lengths
from tests.mutations import Valid

Cell = tuple[int, int, str]

NO_NUMBERS = {
    "nan": "nan",
    "inf": "inf",
    "minus infinity": "-Infinity",
    "larger than any float": "1e999",
    "decimal comma": "1,5",
    "thousands commas": "1,234.50",
    "thousands spaces": "1 234",
    "underscore": "1_000",
    "dollar": "$5",
    "euro": "5 €",
    "per cent": "5%",
    "hexadecimal": "0x1F",
    "fraction": "1/2",
    "two points": "1.2.3",
    "two signs": "+-3",
    "half an exponent": "1.5e",
    "a point": ".",
    "full-width digits": "\uff11\uff12",
    "a word": "five",
    "a truth": "True",
    "in quotes": "'5'",
    "in brackets": "[5.0]",
    "space before": " 5",
    "space after": "5 ",
    "a space": " ",
    "empty": "",
    "null": "null",
}
NO_COUNTS = NO_NUMBERS | {"0": "0", "-5": "-5", "float": "1000.0", "exponent": "1e3", "plus": "+5", "long": "9" * 13}
NO_RUNS = {
    "odd count": "1 2 3",
    "one number": "1",
    "minus one": "-1",
    "start at 0": "0 3",
    "length 0": "3 0",
    "negative length": "5 -2",
    "unsorted": "9 2 3 2",
    "overlap": "3 4 5 2",
    "run twice": "3 4 3 4",
    "floats": "1.0 2.0",
    "exponent": "1e1 2",
    "plus": "+1 2",
    "underscore": "1_0 2",
    "hexadecimal": "0x1 2",
    "full-width digits": "\uff11 \uff12",
    "comma": "1,2",
    "colon": "1:2",
    "brackets": "[1 2]",
    "quotes": "'1 2'",
    "two spaces": "1  2",
    "tab": "1\t2",
    "no-break space": "1\xa02",
    "space before": " 1 2",
    "space after": "1 2 ",
    "a space": " ",
    "twenty digits": "1 18446744073709551617",
    "a file": "mask.png",
    "pixel values": "0 0 255 255",
    "a word": "empty",
    "nan": "nan",
    "none": "None",
}
NO_BITS = {
    "two": "2",
    "minus one": "-1",
    "float": "1.0",
    "probability": "0.5",
    "a truth": "True",
    "yes": "yes",
    "two digits": "01",
    "plus": "+1",
    "full-width digit": "\uff11",
    "space after": "1 ",
    "empty": "",
    "nan": "nan",
}


def wrong_cells(valid: Valid) -> dict[str, Cell]:
    """Name -> (row, column, text); the header is row 0."""
    table = valid.table
    # the longest cell: a mask that is not empty, several tags
    row = max(range(1, len(table)), key=lambda number: len(table[number][1]))
    if valid.kind in ("mask", "classes"):
        return _of_runs(valid, row)
    if valid.kind == "label":
        texts = _no_labels(table[row][1], table[1][1])
    elif valid.kind == "tags":
        check = valid.expected.submission.cells[table[0][1]]
        assert isinstance(check, functools.partial), "tags are checked against a vocabulary"
        texts = _no_tags(table[row][1].split(mark := check.keywords.get("separator", " ")), mark)
    elif valid.kind == "columns":
        texts = NO_BITS
    elif valid.kind == "tokens":
        counts = {f"tokens: {name}": (row, 2, text) for name, text in NO_COUNTS.items()}
        texts = NO_NUMBERS | {"below 0": "-0.5", "minus one": "-1"}
        return counts | {f"nats: {name}": (row, 1, text) for name, text in texts.items()}
    else:
        texts = NO_NUMBERS | _out_of_range(valid)
    wrong = {name: (row, 1, text) for name, text in texts.items()}
    if valid.kind == "columns" and valid.expected.submission.together:  # one label a row
        wrong["no label"] = (row, table[row].index("1", 1), "0")
        wrong["two labels"] = (row, table[row].index("0", 1), "1")
    return wrong


def _out_of_range(valid: Valid) -> dict[str, str]:
    """Finite numbers that the column may not hold."""
    if valid.kind == "perplexity":
        return {"below 1": "0.999", "0": "0", "minus one": "-1"}
    if valid.kind == "log_probability":
        return {"above 0": "0.5", "a probability": "1"}
    check = valid.expected.submission.cells[valid.table[0][1]]
    # the table's prices may be any number: a model may well say less than nothing
    return {"minus one": "-1", "0": "0", "0.0": "0.0"} if check("0", (1, 1)) else {}


def _no_labels(label: str, other: str) -> dict[str, str]:
    return {
        "unknown": "Kryptonite",
        "other case": label.swapcase(),
        "a letter short": label[:-1],
        "a letter more": f"{label}s",
        "two labels": f"{label},{other}",
        "two words": f"{label} {other}",
        "with a probability": f"{label}:0.9",
        "a folder": f"{label}/",
        "a list": f"['{label}']",
        "in quotes": f"'{label}'",
        "underscores": label.replace(" ", "_") + "_",
        "its number": "0",
        "a probability": "0.93",
        "space before": f" {label}",
        "space after": f"{label} ",
        "a space": " ",
        "empty": "",
        "nan": "nan",
    }


def _no_tags(tags: list[str], mark: str) -> dict[str, str]:
    joined, wrong = mark.join(tags), [other for other in (" ", ",", ";", "|", "\t", ", ") if other != mark]
    return {f"joined by {other!r}": other.join(tags) for other in wrong} | {
        "unknown": f"{joined}{mark}kryptonite",
        "unknown alone": "kryptonite",
        "twice": f"{joined}{mark}{tags[0]}",
        "capitals": joined.upper(),
        "one in capitals": f"{tags[0].capitalize()}{mark}{tags[1]}",
        "a letter short": joined[:-1],
        "a letter more": f"{joined}s",
        "joined by nothing": "".join(tags),
        "mark before": f"{mark}{joined}",
        "mark after": f"{joined}{mark}",
        "mark doubled": (mark * 2).join(tags),
        "marks alone": mark * 3,
        "space after a mark": f"{mark} ".join(tags),
        "a list": str(tags),
        "with probabilities": mark.join(f"{tag}:0.9" for tag in tags),
        "indicators": mark.join("01"),
        "a number": "3",
        "a probability": "0.93",
        "a space": " ",
        "a dash": "-",
        "nan": "nan",
        "none": "None",
    }


def _of_runs(valid: Valid, row: int) -> dict[str, Cell]:
    (height, width), table = valid.expected.sizes[row - 1], valid.table
    last, cell = height * width, table[row][1]
    texts = NO_RUNS | {
        "one pixel past the end": f"{last} 2",
        "behind the end": f"{last + 1} 1",
        "one number short": cell.rpartition(" ")[0],
        "cut off": f"{cell[: len(cell) // 2].rstrip()} ",
        "twice": f"{cell} {cell}",
        "commas": cell.replace(" ", ","),
    }
    if height != width and valid.kind == "mask":
        texts["numbered row by row"] = run_lengths(decode_run_lengths(cell, (height, width)).T)
    wrong = {name: (row, 1, text) for name, text in texts.items()}
    if valid.kind == "classes":  # of the same picture
        span = valid.expected.span
        first = row - (row - 1) % span
        other = next(number for number in range(first, first + span) if number != row)
        start = cell.split(" ")[0]
        wrong |= {
            "a class has all": (other, 1, f"1 {last}"),
            "another class has the same": (other, 1, cell),
            "a pixel in two classes": (other, 1, f"{start} 1"),
        }
    return wrong
