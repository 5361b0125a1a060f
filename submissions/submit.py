#!/usr/bin/env python3
"""Sends the best run that was not sent yet, if its cross-validation beats what was: for cron or CI. Safe to repeat.

    python submissions/submit.py NAME [--any] [--dry-run] [--json] [further options of harness submit]

What became of earlier ones is asked first, by `harness leaderboard`; while one is not known, nothing is sent. Besides
it only calls `harness ledger` and `harness submit`. Exit codes are theirs: 0 scored, or nothing to send; 2 refused; 3
not now, call it again later.
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
        return told(known, code or 1, as_json=asked.json)
    if unfinished(known) and not asked.dry_run:
        code, board = harness("leaderboard", asked.name)
        if code:
            return told(board, code, as_json=asked.json)
        code, known = harness("ledger", asked.name)
        if code or known is None:
            return told(known, code or 1, as_json=asked.json)
    if waiting := unfinished(known):
        why = f"submission {waiting[0]['ref'] or 'of ' + waiting[0]['file']} is {waiting[0]['state']}"
        return told({"run": None, "sent": False, "why": why}, 0 if asked.dry_run else 3, as_json=asked.json)
    chosen, why = choice(known["competitions"][0], beating=not asked.any)
    if chosen is None or asked.dry_run:
        return told({"run": chosen and chosen["run"], "sent": False, "why": why}, 0, as_json=asked.json)
    message = f"CV {chosen['cv']:.6g} ({chosen['metric']}), {Path(chosen['run']).name}"
    code, entry = harness("submit", chosen["run"], "--message", message, "--wait", *further)
    return told(entry, code, as_json=asked.json)


def told(answer: dict[str, Any] | None, code: int, *, as_json: bool) -> int:
    """Prints what a command answered, or what was decided; returns the exit code."""
    answer = {"schema": 1, "exit_code": code, **(answer or {"error": "no answer", "fix": "see above"})}
    if as_json:
        print(json.dumps(answer))
    elif "error" in answer:
        print(f"{answer['error']}; {answer['fix']}")
    elif "why" in answer:
        print(answer["why"])
    else:
        print(f"submission {answer['ref']}: {answer['state']}, public {answer['public']}")
    return code


def unfinished(known: dict[str, Any]) -> list[dict[str, Any]]:
    """The submissions whose end is not known."""
    return [entry for entry in known["competitions"][0]["submissions"] if entry["state"] in OPEN]


def choice(known: dict[str, Any], *, beating: bool) -> tuple[dict[str, Any] | None, str]:
    """(the run to send, why)."""
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
