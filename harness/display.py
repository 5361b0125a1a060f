"""What people see: tables and summaries for stdout, progress bars for stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from harness import registry, runs
from harness.errors import HarnessError


def overview(name: str) -> dict[str, Any]:
    """One competition as `harness list` shows it; a broken adapter is a row with its error."""
    from harness.data.locate import places

    try:
        competition = registry.load(name)
    except HarnessError as error:
        return {"name": name, "built_in": name in registry.BUILT_IN, "error": str(error)}
    found = [str(place) for place in places(competition, None) if place.exists()]
    best = runs.best(name, higher_is_better=competition.metric.higher_is_better)
    return {
        "name": name,
        "built_in": name in registry.BUILT_IN,
        "title": competition.title,
        "task": competition.task.name,
        "metric": competition.metric.name,
        "data": found[0] if found else None,
        "best_run": best,
    }


def listing(rows: list[dict[str, Any]]) -> str:
    """The competitions as an aligned table, and below it what is built in for data of one's own."""
    cells = [("competition", "task", "metric", "data", "best run")]
    for row in rows:
        if row["built_in"]:
            continue
        if "error" in row:
            cells.append((row["name"], "broken:", row["error"], "", ""))
            continue
        best = row["best_run"]
        shown = f"{best['value']:.4f} {best['run']}" if best else "-"
        cells.append((row["name"], row["task"], row["metric"], row["data"] or "not found", shown))
    lines = aligned(cells, measured=[line for line in cells if line[1] != "broken:"])
    own = [f"{row['name']}: {row['title']} (harness run {row['name']} --data DIR)" for row in rows if row["built_in"]]
    return "\n".join([*lines, "", "built in:", *own] if own else lines)


def aligned(cells: Sequence[tuple[str, ...]], *, measured: Sequence[tuple[str, ...]] = ()) -> list[str]:
    """Rows as lines, column below column; `measured` are the rows that set the widths, all unless given."""
    widths = [max(map(len, column)) for column in zip(*(measured or cells), strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]


def summary(result: dict[str, Any]) -> str:
    """A finished run for people."""
    score = result["score"]
    lines = [
        f"{result['competition']}, {_folds(result)}, {_rows(result)}"
        + (" (sample data: drawn, a stand-in for trying out)" if result["sample"] else ""),
        f"{score['metric']}: {score['value']:.4f}  {_interval(score['interval'])} out-of-fold, decisions nested",
        "folds: " + "  ".join(_fold_scores(result)),
    ]
    lines += [f"{name}: {_number(value)}" for name, value in result["secondary"].items()]
    lines += ladder(result)
    if result.get("tuned"):
        found = result["tuned"]
        folds = "fold 0" if len(found["chosen_on"]) == 1 else f"folds 0 to {len(found['chosen_on']) - 1}"
        said = f"rate {found['rate']:.2g} and {found['epochs']:.3g} epochs were chosen on {folds}"
        lines.append(f"{said}, which scores {_number(found['chosen'])}; the others' mean is {_number(found['others'])}")
        if found["others"] is not None:
            lines.append(f"the score is of the other folds' rows alone; {folds} helped to choose weights and decision")
    if result.get("unknown_rate"):
        rate = f"{100 * result['unknown_rate']:.2f} %"
        lines.append(
            f"unknown words: {rate} of the tokens; perplexity takes them as one word, bits per byte spells them"
        )
    lines += [optimism(result), verdict(result)]
    if result["test_score"] is not None:
        which = "held-out rows" if result.get("holdout_score") == result["test_score"] else "labelled test set"
        lines.append(f"{which}: {_number(result['test_score'])}")
    if result.get("budget"):
        spent = result["budget"]
        shed = "; shed: " + ", ".join(spent["shed"]) if spent["shed"] else ""
        lines.append(f"budget: {spent['used']:g} of {spent['seconds']:g} s used{shed}")
    lines += [
        f"{result['device']}, {result['precision']}, weights {result['weights']}, {result['seconds']} s",
        f"determinism: {repeats(result)}",
        f"submission: {result['submission']}",
        f"scores: {result['run']}/scores.json, training: {result['run']}/training.png",
    ]
    return "\n".join(lines)


def rates(found: dict[str, Any], picture: object) -> str:
    """What a range test suggests."""
    ended = "the loss ran away" if found["diverged"] else "the sweep ended"
    lines = [f"{found['steps']} steps, then {ended}"]
    lines += [f"{rule}: {rate:.2g}" for rule, rate in found["suggestions"].items()]
    if found["suggested"] is not None:
        lines.append(f"try -o train.rate={found['suggested']:.2g}, and look at the picture: {picture}")
    else:
        lines.append(f"the loss never fell: nothing is suggested; look at the picture: {picture}")
    return "\n".join(lines)


def repeats(result: dict[str, Any]) -> str:
    """The level of determinism, with the operations that break it."""
    kept = result["determinism"]
    return kept["level"] + (f" but for {', '.join(kept['broken_by'])}" if kept["broken_by"] else "")


def tuned(found: dict[str, Any]) -> str:
    """What a search found, and how to go on."""
    others = "".join(f", {name} {value}" for name, value in found["settings"].items())
    shape = ", warmup-stable-decay" if "warmup" in found else ""
    lines = [
        f"rate {found['rate']:.2g}, {found['epochs']:.3g} epochs{shape}{others}",
        f"{len(found['branches'])} trials in {found['trained_steps']} steps; the best took {found['steps']}",
        f"train all folds with: harness resume {found['run']}",
    ]
    return "\n".join(lines)


def ladder(result: dict[str, Any]) -> list[str]:
    """The rungs, one line each: what costs no training, the members with their weights."""
    lines = [
        f"rung {name}: {_number(value)}" for name, value in result["baselines"].items() if name not in result["members"]
    ]
    for name, member in reversed(result["members"].items()):
        lines.append(f"rung {name}: {_number(member['value'])}, weight {member['weight']:.2f}")
    return lines


def optimism(result: dict[str, Any]) -> str:
    """How much better each final choice looks on the rows that made it."""
    parts = ", ".join(f"{name} {_number(value)}" for name, value in result["choices"].items())
    return f"optimism of the final choices on their own rows: {_number(result['optimism'])} ({parts})"


def verdict(result: dict[str, Any]) -> str:
    """Whether the score says more than the cheap rungs, whether the network does, and what flatters it."""
    flattered = result.get("tuned") and result["tuned"]["others"] is None
    warning = "; flattered: rate and epochs were chosen by the rows that are scored" if flattered else ""
    return _compared(result) + warning


def _compared(result: dict[str, Any]) -> str:
    score, sign = result["score"], 1 if result["score"]["higher_is_better"] else -1
    name, best = max(result["baselines"].items(), key=lambda pair: sign * pair[1])
    near = score["interval"][0 if sign > 0 else 1]
    values = [one["value"] for name, one in result["members"].items() if name not in result["baselines"]]
    if not any(value is not None and sign * value > sign * best for value in values):
        tries = "more epochs (--epochs), a larger --preset, for pictures pretrained --weights, or more data"
        return f"the network alone does not beat {name} ({best:.4f}); what may help: {tries}"
    if near is not None and sign * near > sign * best:
        return f"beats every baseline, with the whole interval (best: {name}, {best:.4f})"
    if sign * score["value"] > sign * best:
        return f"above every baseline, but the interval reaches {name} ({best:.4f}): more groups would tell"
    return f"does not beat {name} ({best:.4f}): train longer (--epochs) or look at the data (harness check)"


@contextmanager
def bars() -> Iterator[Callable[[str, int, int], None]]:
    """Yields a progress function that draws on stderr; quiet where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(file=sys.stderr), disable=not sys.stderr.isatty()) as progress:
        tasks: dict[str, Any] = {}

        def report(label: str, done: int, total: int) -> None:
            key = label.split(",")[0]
            if key not in tasks:
                tasks[key] = progress.add_task(label, total=total)
            progress.update(tasks[key], description=label, completed=done, total=total)

        yield report


def _fold_scores(result: dict[str, Any]) -> list[str]:
    chose = result["tuned"]["chosen_on"] if result.get("tuned") else ()
    folds = zip(result["folds_trained"], result["fold_scores"], strict=True)
    return [f"{_number(value)} (chose)" if fold in chose else _number(value) for fold, value in folds]


def _folds(result: dict[str, Any]) -> str:
    trained, number = len(result["folds_trained"]), result["folds"]
    return f"{number} folds" if trained == number else f"{trained} of {number} folds"


def _rows(result: dict[str, Any]) -> str:
    return f"{result['rows']['scored']} of {result['rows']['train']} rows scored"


def _interval(pair: list[float | None]) -> str:
    return f"[{_number(pair[0])}, {_number(pair[1])}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
