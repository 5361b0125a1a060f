#!/usr/bin/env python3
"""Sends the best run that was not sent yet, if its cross-validation beats what was: for cron or CI. Safe to repeat.

    python submissions/submit.py NAME [--any] [--dry-run] [--json] [further options of harness submit]

A submission whose end is not known is finished first. It only calls `harness ledger` and `harness submit`. Exit codes
are theirs: 0 scored, or nothing to send; 2 refused; 3 not now, call it again later.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

HARNESS = shlex.split(os.environ.get("HARNESS", f"{shlex.quote(sys.executable)} -m harness"))
HOME = Path(os.environ.get("HARNESS_HOME", Path(__file__).resolve().parents[1]))
OPEN = ("sending", "unclear", "sent")


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("name", help="the competition")
    parser.add_argument("--any", action="store_true", help="send the best run also where it beats no sent one")
    parser.add_argument("--dry-run", action="store_true", help="say what would be sent")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked, further = parser.parse_known_args()
    code, known = harness("ledger", asked.name)
    if code or known is None:
        return code or 1
    chosen, why = choice(known["competitions"][0], beating=not asked.any)
    if chosen is None or asked.dry_run:
        told = {"schema": 1, "run": chosen and chosen["run"], "sent": False, "why": why}
        print(json.dumps(told) if asked.json else why)
        return 0
    message = chosen.get("message") or f"CV {chosen['cv']:.6g} ({chosen['metric']}), {Path(chosen['run']).name}"
    kernel = ["--kernel", chosen["kernel"]] if chosen.get("kernel") else []
    target = chosen["run"] or chosen["file"]
    code, entry = harness("submit", target, "--message", message, "--wait", *kernel, *further)
    if entry is not None:
        scores = f"submission {entry.get('ref')}: {entry.get('state')}, public {entry.get('public')}"
        print(json.dumps(entry) if asked.json else scores if not code else f"{entry['error']}; {entry['fix']}")
    return code


def choice(known: dict[str, Any], *, beating: bool) -> tuple[dict[str, Any] | None, str]:
    """(the run or the unfinished submission to send, why)."""
    unfinished = [entry for entry in known["submissions"] if entry["state"] in OPEN]
    if unfinished:
        return unfinished[0], f"finishes submission {unfinished[0]['ref'] or 'of ' + unfinished[0]['file']}"
    fresh = [run for run in known["unsent"] if run["cv"] is not None]
    if not fresh:
        return None, "nothing to send: every finished run was sent"

    def better(run: dict[str, Any]) -> float:
        return run["cv"] if run["higher_is_better"] else -run["cv"]

    best = max(fresh, key=better)
    sent = [entry for entry in known["submissions"] if entry["cv"] is not None and entry["state"] == "complete"]
    if beating and sent and better(best) <= max(map(better, sent)):
        return None, f"nothing to send: {Path(best['run']).name} (CV {best['cv']:.6g}) beats no sent run"
    return best, f"{Path(best['run']).name} has the best CV of what was not sent: {best['cv']:.6g}"


def harness(*words: str) -> tuple[int, dict[str, Any] | None]:
    """(exit code, the JSON object on the last line) of a command; its words go to stderr."""
    done = subprocess.run([*HARNESS, *words, "--json"], cwd=HOME, stdout=subprocess.PIPE, text=True)
    lines = done.stdout.strip().splitlines()
    return done.returncode, json.loads(lines[-1]) if lines else None


if __name__ == "__main__":
    sys.exit(main())
