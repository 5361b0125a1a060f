"""What a search of rate and length costs, and how good its answer is: a grid, TPE, TPE with Hyperband, branch, lite.

Each method searches three small tasks five times, each time with other rows and another net. Optimizer steps are
counted (the range test's too), and what it chose is trained anew with three fresh seeds and scored on test rows that
no search saw. The grid and TPE train a one-cycle schedule, as a run does by default; branch and lite what they answer.

Every cell is a row of `results/search.csv`, appended as it ends and skipped when there; the table goes to
`results/search.md`. Remove the first to measure again.

    python -m benchmarks.search [processes]
"""

from __future__ import annotations

import csv
import functools
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.search_tasks import BATCH, LENGTHS, LONGEST, RATES, SPACE, Bench, tasks
from harness.config import Dimension
from harness.search import branch, sampled, study, worker
from harness.search.book import Book
from harness.search.branch import Look

RESULTS = Path(__file__).parent / "results"
ROWS, TABLE = RESULTS / "search.csv", RESULTS / "search.md"
METHODS = ("grid", "tpe", "tpe+hyperband", "branch", "lite")
TASKS, SEEDS, TRIALS, FRESH = 3, 5, 20, 3
SHORTEST = LONGEST // 2 ** (LENGTHS - 1)
FIELDS: tuple[str, ...] = (
    "task",
    "seed",
    "method",
    "rate",
    "steps",
    "seen",
    "search_steps",
    "trials",
    "test",
    "seconds",
)
# of a grid's steps, of those of TPE with Hyperband
TARGETS = (0.15, 0.7)


def cell(number: int, seed: int, method: str) -> dict[str, Any]:
    """One row: a method's search of a task, and its choice trained anew."""
    torch.set_num_threads(1)
    began = time.perf_counter()
    task = tasks(seed)[number]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(task, Path(folder) / "states", seed)
        how = {"sampler": sampled.sampler(seed), "pruner": sampled.Pruner()} if "tpe" in method else sampled.idle()
        if method == "tpe":
            how.pop("pruner")
        book = Book(study.opened("bench", Path(folder) / "study.log", higher_is_better=task.higher_is_better, **how))
        best = _sampled(book, bench) if "tpe" in method else _planned(book, bench, method)
        searched, seen, trials = bench.trained, _seen(book, best), len(book.trials())
        tests = [bench.retrained(best, 1000 + index, cooled=method in ("branch", "lite")) for index in range(FRESH)]
    return {
        "task": task.name,
        "seed": seed,
        "method": method,
        "rate": best.rate,
        "steps": best.steps,
        "seen": round(seen, 5),
        "search_steps": searched,
        "trials": trials,
        "test": " ".join(f"{abs(test):.5f}" for test in tests),
        "seconds": round(time.perf_counter() - began, 1),
    }


def _planned(book: Book, bench: Bench, method: str) -> Look:
    if method == "grid":
        lengths = [SHORTEST * 2**power for power in range(LENGTHS)]
        planner: branch.Planner = functools.partial(branch.grid, rates=branch.spaced(*SPACE, RATES), lengths=lengths)
    else:
        climb = branch.bracketed if method == "branch" else branch.lite
        planner = functools.partial(climb, edge=bench.edge(), longest=LONGEST, rates=SPACE)
    train: Callable[[Look], branch.Outcome] = bench.whole if method == "grid" else bench.branch
    return worker.planned(book, planner, train, bench=bench, longest=LONGEST, method=method)


def _sampled(book: Book, bench: Bench) -> Look:
    epochs = (bench.epochs(SHORTEST), bench.epochs(LONGEST))
    space = {"rate": Dimension("rate", *SPACE, log=True), "epochs": Dimension("epochs", *epochs, log=True)}
    found = worker.sampled(book, space, bench, trials=TRIALS, steps=bench.steps)
    return Look(found.params["rate"], found.user_attrs["steps"])


def _seen(book: Book, best: Look) -> float:
    """The validation score that the choice rests on."""
    done = book.done()
    return abs(done[best].metric)


def known() -> list[dict[str, str]]:
    """The rows there are."""
    if not ROWS.exists():
        return []
    with open(ROWS, newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def measure(processes: int) -> None:
    """Appends the rows that are missing."""
    there = {(row["task"], int(row["seed"]), row["method"]) for row in known()}
    names = [task.name for task in tasks(0)]
    wanted = [
        (number, seed, method)
        for seed in range(SEEDS)
        for number in range(TASKS)
        for method in METHODS
        if (names[number], seed, method) not in there
    ]
    RESULTS.mkdir(exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for done, row in enumerate(pool.imap_unordered(_cell, wanted), start=1):
            fresh = not ROWS.exists()
            with open(ROWS, "a", newline="", encoding="utf-8") as handle:
                writer = csv.DictWriter(handle, FIELDS, lineterminator="\n")
                if fresh:
                    writer.writeheader()
                writer.writerow(row)
            print(f"{done}/{len(wanted)}: {row}", flush=True)


def _cell(wanted: tuple[int, int, str]) -> dict[str, Any]:
    return cell(*wanted)


def table(rows: Sequence[dict[str, str]]) -> str:
    """Markdown: a block for each task, and the means over tasks."""
    lines = [
        "# Searches of learning rate and length",
        "",
        f"`make bench-search`: {SEEDS} searches a task and method, lengths of {SHORTEST} to {LONGEST} steps of {BATCH}",
        f"rows, rates {SPACE[0]:g} to {SPACE[1]:g}; the grid has {RATES} rates and {LENGTHS} lengths, TPE {TRIALS}",
        "trials. Steps are all optimizer steps of a search, its range test included. Test scores are of the choice",
        f"trained anew with {FRESH} fresh seeds: mean over searches and seeds, and standard deviation over searches",
        "(whose rows differ, and with them how hard the task is).",
        "Against the grid: the difference search by search, its mean and two standard errors.",
        "",
    ]
    shares: dict[str, list[float]] = {method: [] for method in METHODS}
    pruned: dict[str, list[float]] = {method: [] for method in METHODS}
    for task in dict.fromkeys(row["task"] for row in rows):
        own = {(row["method"], row["seed"]): row for row in rows if row["task"] == task}
        metric = "nats, lower is better" if task == "characters" else "accuracy, higher is better"
        lines += [f"## {task} ({metric})", ""]
        lines += [
            "| method | steps | of the grid's | test | against the grid | rates | lengths |",
            "|---|---|---|---|---|---|---|",
        ]
        for method in METHODS:
            found = [row for (name, _), row in own.items() if name == method]
            if not found:
                continue
            steps = statistics.fmean(int(row["search_steps"]) for row in found)
            means = [_mean(row) for row in found]
            pairs = [(row, own.get(("grid", row["seed"]))) for row in found]
            gains = [_mean(row) - _mean(grid) for row, grid in pairs if grid is not None]
            for row, grid in pairs:
                if grid is not None:
                    shares[method].append(int(row["search_steps"]) / int(grid["search_steps"]))
                if (other := own.get(("tpe+hyperband", row["seed"]))) is not None:
                    pruned[method].append(int(row["search_steps"]) / int(other["search_steps"]))
            part = f"{100 * statistics.fmean(shares[method][-len(found) :]):.1f} %"
            against = "" if method == "grid" else f"{statistics.fmean(gains):+.4f} ± {2 * _error(gains):.4f}"
            rates = sorted(float(row["rate"]) for row in found)
            lengths = sorted(int(row["steps"]) for row in found)
            lines.append(
                f"| {method} | {steps:.0f} | {part} | {statistics.fmean(means):.4f} ± {_spread(means):.4f} | {against} "
                f"| {rates[0]:.2g} to {rates[-1]:.2g} | {lengths[0]} to {lengths[-1]} |"
            )
        lines.append("")
    lines += ["## All tasks", "", "| method | of the grid's steps | of TPE with Hyperband's |", "|---|---|---|"]
    lines += [
        f"| {method} | {100 * statistics.fmean(shares[method]):.1f} % (at most {100 * max(shares[method]):.1f} %) "
        f"| {statistics.fmean(pruned[method]):.2f} |"
        for method in METHODS
        if shares[method] and pruned[method]
    ]
    seconds = sum(float(row["seconds"]) for row in rows)
    said = f"Targets for branch: {100 * TARGETS[0]:.0f} % and {TARGETS[1]}."
    lines += ["", f"{said} {len(rows)} cells, {seconds / 60:.0f} minutes of work in all."]
    return "\n".join(lines) + "\n"


def _mean(row: dict[str, str]) -> float:
    return statistics.fmean(float(word) for word in row["test"].split())


def _spread(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def _error(values: Sequence[float]) -> float:
    return _spread(values) / max(1, len(values)) ** 0.5


def main() -> None:
    """Measures what is missing, prints the table and writes it."""
    measure(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    text = table(known())
    TABLE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
