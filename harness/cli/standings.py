"""What people see of submissions, the leaderboard and the ledger."""

from __future__ import annotations

import time
from typing import Any

from harness.display import aligned


def submission(entry: dict[str, Any]) -> str:
    """One submission in a line."""
    told = [f"submission {entry['ref']}: {entry['state'] if entry['state'] != 'sent' else 'sent, not scored yet'}"]
    told += [f"{kind} {entry[kind]:.5g}" for kind in ("public", "private") if entry[kind] is not None]
    told += [f"CV {entry['cv']:.5g} ({entry['metric']})"] if entry["cv"] is not None else []
    return ", ".join(told)


def board(found: dict[str, Any], *, top: int) -> str:
    """The best rows, own ones, and where medals begin."""
    rows = [row for row in found["rows"] if row["rank"] <= top or row["own"]]
    cells = [("rank", "score", "team", "")]
    cells += [(str(row["rank"]), _score(row["score"]), row["team"], "you" if row["own"] else "") for row in rows]
    marks = [f"{medal} to rank {at['rank']} ({_score(at['score'])})" for medal, at in found["medals"].items()]
    head = f"{found['slug']}: {found['teams']} teams"
    return "\n".join([head, *aligned(cells), f"medals, where they are given: {', '.join(marks) or 'too few teams'}"])


def standing(found: dict[str, Any]) -> str:
    """A competition's submissions, the runs that were never sent, and the verdict on cross-validation."""
    cells: list[tuple[str, ...]] = [("when", "run", "CV", "public", "private", "rank", "state")]
    for entry in found["submissions"]:
        when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(entry["began"]))
        rank = "-" if entry["rank"] is None else f"{entry['rank']} ({entry['medal']})"
        scores = [_score(entry[name]) for name in ("cv", "public", "private")]
        reason = f"{entry['state']}: {entry['reason']}" if entry["reason"] else entry["state"]
        cells.append((when, _name(entry["run"] or entry["kernel"] or entry["file"]), *scores, rank, reason))
    for run in found["unsent"]:
        cells.append(("", _name(run["run"]), _score(run["cv"]), "-", "-", "-", "never sent"))
    known = found["board"]
    ranks = f"ranks on the board of {time.strftime('%Y-%m-%d', time.gmtime(known['time']))}" if known else ""
    none = ranks or f"ranks and medals: harness leaderboard {found['competition']}"
    return "\n".join([found["competition"], *aligned(cells), none, found["trust"]["line"]])


def _name(path: str) -> str:
    return "/".join(path.rstrip("/").split("/")[-2:])


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.5g}"
