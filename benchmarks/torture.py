"""Runs that are killed, and runs whose disk fails, at random moments of every phase: `python -m benchmarks.torture`.

A killed run that goes on must end in the bytes of one that nothing stopped: weights, out-of-fold predictions, answers
and score. A run whose write fails must say so in one line, leave only whole files, and end in the same bytes once the
disk is mended. Half of the kills come at a moment in time, half at a write: between a temporary file and its name,
between two renames, in the middle of a save. A third of the runs are killed a second time while they go on.
"""

from __future__ import annotations

import argparse
import errno
import multiprocessing
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import torture

RESULTS = Path(__file__).parent / "results" / "torture.md"
CODES = {errno.ENOSPC: "disk full", errno.EROFS: "read-only", errno.EACCES: "permission denied"}


@dataclass(frozen=True)
class Reference:
    """What a case ends in when nothing stops it.

    Attributes:
        case: of `torture.CASES`.
        data: its zip.
        files: of the finished run.
        seconds: it took.
        writes: it made.
    """

    case: str
    data: Path
    files: dict[str, bytes]
    seconds: float
    writes: int


@dataclass(frozen=True)
class Ordeal:
    """What became of one run.

    Attributes:
        phases: in which it was killed, or met the fault; empty where it had ended before.
        wrong: what is not as it must be; empty is good.
    """

    phases: tuple[str, ...]
    wrong: tuple[str, ...]


def reference(forks: Any, case: str, folder: Path, *, repeats: int = 2) -> Reference:
    """Runs a case so many times, which must give the same bytes; the last is timed."""
    data, found = torture.packed(case, folder / "data"), list[dict[str, bytes]]()
    seconds, own = 0.0, folder / f"{case}-reference"
    for _ in range(repeats):
        torture.cleared(own)
        began = time.monotonic()
        process = torture.attempt(forks, case, own, data, torture.Counting(own / "writes"))
        process.join()
        seconds = time.monotonic() - began
        assert process.exitcode == 0, f"the undisturbed run of {case} ended with {process.exitcode}"
        found.append(torture.results(own / "run"))
    assert all(one == found[0] for one in found), f"undisturbed runs of {case} differ"
    return Reference(case, data, found[0], seconds, int((own / "writes").read_text()))


def killed(forks: Any, known: Reference, folder: Path, *, chance: random.Random, at_write: bool) -> Ordeal:
    """Kills a run once or twice, lets it go on to its end, and compares."""
    own, phases, wrong = torture.cleared(folder), list[str](), list[str]()
    for _ in range(1 + (chance.random() < 1 / 3)):
        act = torture.Killing(chance.randint(1, known.writes)) if at_write else None
        process = torture.attempt(forks, known.case, own, known.data, act)
        if not at_write:
            process.join(chance.uniform(0, known.seconds))
            process.kill()
        process.join()
        if process.exitcode == 0:
            break
        phases.append(phase(own / "run"))
        if process.exitcode != -9:
            wrong.append(f"ended with {process.exitcode} before it was killed")
        wrong += torture.unreadable(own / "run")
    return Ordeal(tuple(phases), (*wrong, *_finished(forks, known, own)))


def failed(
    forks: Any, known: Reference, folder: Path, *, code: int, number: int, lasting: bool
) -> tuple[Ordeal, list[str]]:
    """(what became of a run whose writes fail from a number on, or one does; the lines it ended with)."""
    own, wrong = torture.cleared(folder), list[str]()
    process = torture.attempt(forks, known.case, own, known.data, torture.Failing(code, number, lasting, own / "said"))
    process.join()
    said = (own / "said").read_text().splitlines() if (own / "said").exists() else []
    if process.exitcode != 0:
        if process.exitcode != 2 or len(said) != 1:
            wrong.append(f"ended with {process.exitcode} and {said}")
        wrong += torture.unreadable(own / "run")
    at = phase(own / "run")
    return Ordeal((at,), (*wrong, *_finished(forks, known, own))), said


def _finished(forks: Any, known: Reference, own: Path) -> list[str]:
    """Lets a run go on to its end; what differs from one that nothing stopped."""
    process = torture.attempt(forks, known.case, own, known.data)
    process.join()
    if process.exitcode != 0:
        return [f"does not go on: ended with {process.exitcode}"]
    found = torture.results(own / "run")
    left = [path.name for path in (own / "run").rglob(".*.tmp")]
    return [
        f"{name} differs" for name in known.files.keys() | found.keys() if found.get(name) != known.files.get(name)
    ] + [f"{name} is left" for name in left]


def phase(run: Path) -> str:
    """The phase that a stopped run was in."""
    done = {path.stem for path in (run / "phases").glob("*.json")} if run.exists() else set()
    if not (run / "config.json").exists():
        return "begin"
    if "folds" not in done:
        return "unpack and cache"
    if "tune" not in done and (run / "state" / "search").exists():
        return "search"
    for fold in range(2):
        if f"fold{fold}" not in done:
            return f"fold {fold}" if (run / "state").exists() else f"begin of fold {fold}"
        if f"cheap{fold}" not in done:
            return f"cheap model {fold}"
    return "choose" if "choose" not in done else "predict" if "predict" not in done else "write"


def main() -> None:
    """Kills so many runs, lets so many meet a fault, and writes the result file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--faults", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    context, chance = forks(), random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        known = [reference(context, case, Path(folder)) for case in torture.CASES]
        print(
            "undisturbed:",
            ", ".join(f"{one.case} {one.seconds:.1f} s, {one.writes} writes" for one in known),
            flush=True,
        )
        kills, faults, bad = Counter[tuple[str, str]](), Counter[tuple[str, str]](), list[str]()
        runs = 0
        while kills.total() < asked.kills:
            one = known[runs % len(known)]
            ordeal = killed(context, one, Path(folder) / "own", chance=chance, at_write=runs // len(known) % 2 == 0)
            runs += 1
            kills.update((one.case, at) for at in ordeal.phases)
            bad += [f"{one.case}, killed in {', '.join(ordeal.phases)}: {what}" for what in ordeal.wrong]
            print(kills.total(), one.case, *ordeal.phases, *ordeal.wrong, flush=True)
        for index in range(asked.faults):
            one, code = known[index % len(known)], list(CODES)[index // len(known) % len(CODES)]
            number, lasting = chance.randint(1, one.writes), chance.random() < 0.5
            ordeal, said = failed(context, one, Path(folder) / "own", code=code, number=number, lasting=lasting)
            faults[one.case, CODES[code]] += 1
            bad += [f"{one.case}, {CODES[code]} at write {number}: {what}" for what in ordeal.wrong]
            print(index, one.case, CODES[code], number, *ordeal.phases, *said, *ordeal.wrong, flush=True)
    RESULTS.write_text(report(kills, faults, runs, bad, known, asked.seed))
    print(RESULTS.read_text())


def report(
    kills: Counter[tuple[str, str]],
    faults: Counter[tuple[str, str]],
    runs: int,
    bad: list[str],
    known: list[Reference],
    seed: int,
) -> str:
    """The result file."""
    lines = ["# Killed and failed runs", "", f"`python -m benchmarks.torture --seed {seed}`", ""]
    lines += [
        f"{kills.total()} kills in {runs} runs, {faults.total()} with a failing disk: {len(bad)} not as they must be.",
        "",
    ]
    for title, counted in (("killed in", kills), ("failed with", faults)):
        names = sorted({name for _, name in counted})
        lines += [f"| {title} | " + " | ".join(one.case for one in known) + " |", "|---" * (1 + len(known)) + "|"]
        lines += [f"| {name} | " + " | ".join(str(counted[one.case, name]) for one in known) + " |" for name in names]
        lines.append("")
    lines += [f"- {what}" for what in bad]
    return "\n".join(lines).rstrip() + "\n"


def forks() -> Any:
    """Starts processes as forks of one that has imported everything, and has no thread."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.torture", *torture.LATE])
    return context


if __name__ == "__main__":
    main()
