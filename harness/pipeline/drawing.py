"""How training went, from the run's log: learning rate and momentum of every step as they were used, and the losses."""

from __future__ import annotations

import json
from typing import Any

from harness.report.curves import Curve
from harness.runs import Run
from harness.training import schedule


def draw(run: Run, *, title: str) -> None:
    """Writes `training.png` of all folds that the log knows; nothing where it knows none."""
    found = curves(run)
    if found:
        from harness.report import plots  # matplotlib takes half a second, which other commands need not pay

        plots.training(run.path / "training.png", found, title=title)


def draw_search(run: Run, study: Any, *, metric: str) -> None:
    """Writes Optuna's plots of a search into `search/`."""
    from harness.report import searches  # matplotlib and optuna, which other commands need not pay

    searches.draw(run.path / "search", study, metric=metric)


def curves(run: Run) -> dict[int, Curve]:
    """fold -> its curve over the steps of all its stages.

    Schedules are pure functions of the step. What they were slowed down by is told by the rate that each reading of the
    loss logged; where a fall went back to, by what was said then. Of a step that was made again the last counts.
    """
    plans: dict[tuple[int, str], dict[str, Any]] = {}
    readings: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for line in (run.path / "log.jsonl").read_text(encoding="utf-8").splitlines():
        entry = _entry(line)
        if entry.get("event") == "schedule":
            plans[entry["fold"], entry["stage"]] = entry
            readings.setdefault((entry["fold"], entry["stage"]), [])
        elif entry.get("event") in ("train", "said") and (entry["fold"], entry["stage"]) in plans:
            readings[entry["fold"], entry["stage"]].append(entry)
    found: dict[int, Curve] = {}
    for (fold, name), entries in readings.items():
        _add(found.setdefault(fold, Curve()), plans[fold, name], entries)
    return found


def _add(curve: Curve, plan: dict[str, Any], readings: list[dict[str, Any]]) -> None:
    """A stage put behind those there are."""
    names = ("total", "peak", "warmup", "cooldown")
    rate = schedule.planned(plan["schedule"], **{name: plan[name] for name in names})
    first, done = len(curve.rates), 0
    used: dict[int, schedule.Rate] = {}
    for reading in readings:
        if reading["event"] == "said":
            done = reading["step"]
            continue
        planned = rate(reading["step"] - 1).learning_rate
        pace = reading["rate"] / planned if planned else 1.0
        for step in range(done, reading["step"]):
            now = rate(step)
            used[step] = schedule.Rate(now.learning_rate * pace, now.momentum)
        done = reading["step"]
    for step in sorted(used):
        curve.rates.append(used[step].learning_rate)
        curve.momenta.append(used[step].momentum)
    if used:
        curve.begins.append((first, plan["stage"]))
    curve.losses += [(first + reading["step"], reading["loss"]) for reading in readings if "loss" in reading]


def _entry(line: str) -> dict[str, Any]:
    try:
        return json.loads(line)
    except ValueError:
        return {}  # torn by a kill
