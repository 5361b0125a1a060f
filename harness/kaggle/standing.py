"""Where one stands: the leaderboard, the ledger's submissions on it, and the runs that were never sent."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

from harness import files, runs
from harness.competition import Competition
from harness.errors import RunError
from harness.kaggle import medals, questions
from harness.kaggle.service import Service
from harness.kaggle.trust import trust
from harness.submission.ledger import Entry

BOARD = "leaderboard.json"


def fetch(service: Service, competition: Competition, slug: str) -> dict[str, Any]:
    """The leaderboard as JSON, kept in `submissions/<competition>/leaderboard.json` for `harness ledger`.

    `{time, slug, higher_is_better, teams, medals: {gold: {rank, score}, ...}, rows: [{rank, team, score, own}]}`.
    Medals are what the ranks would be in a competition that awards them.
    """
    own = {row.team_name for row in questions.own_rows(service, slug) if row.team_name}
    listed = questions.board(service, slug)
    teams = max(len(listed), questions.competition(service, slug).team_count or 0)  # a long board is listed in part
    rows = [
        {"rank": rank, "team": row.team_name, "score": questions.number(row.score), "own": row.team_name in own}
        for rank, row in enumerate(listed, start=1)
    ]
    marks = {
        medal: {"rank": last, "score": rows[last - 1]["score"]}
        for medal, last in medals.cutoffs(teams).items()
        if 0 < last <= len(rows)
    }
    board = {"schema": 1, "time": round(time.time()), "slug": slug, "teams": teams, "medals": marks, "rows": rows}
    board["higher_is_better"] = competition.metric.higher_is_better
    files.write_json(runs.BASE / competition.name / BOARD, board)
    return board


def kept(name: str) -> dict[str, Any] | None:
    """The leaderboard as it was last fetched."""
    path = runs.BASE / name / BOARD
    return files.read_json(path, fix=f"remove it, and run: harness leaderboard {name}") if path.exists() else None


def standing(name: str, entries: list[Entry]) -> dict[str, Any]:
    """What is known of a competition without asking anyone.

    `{competition, submissions: [entry, with rank and medal where a board is known], unsent: [{run, metric, cv,
    higher_is_better}], trust: {trusted, line, pairs, correlation, chance, shift}}`.
    """
    board, own = kept(name), [entry for entry in entries if entry.competition == name]
    sent = {Path(entry.run).name for entry in own if entry.run and entry.state != "unsent"}
    rest = [found for found in _finished(name) if Path(found["run"]).name not in sent]
    rows = [{**dataclasses.asdict(entry), **_placed(entry, board)} for entry in own]
    facts = {"competition": name, "submissions": rows, "unsent": rest}
    return {**facts, "board": board and {key: board[key] for key in ("time", "teams")}, "trust": vars(trust(own))}


def _placed(entry: Entry, board: dict[str, Any] | None) -> dict[str, Any]:
    """The rank and the medal that a submission's public score would have."""
    if board is None or entry.public is None:
        return {"rank": None, "medal": None}
    scores = [row["score"] for row in board["rows"] if row["score"] is not None and not row["own"]]
    rank = medals.rank_of(entry.public, scores, higher_is_better=bool(board["higher_is_better"]))
    return {"rank": rank, "medal": medals.band(rank, max(board["teams"], rank))}


def _finished(name: str) -> list[dict[str, Any]]:
    """The finished runs of a competition under `submissions/`, but for sample ones."""
    found = []
    for path in sorted((runs.BASE / name).glob("*/scores.json")):
        try:
            scores = runs.Run(path.parent).scores() or {}
            if not scores["sample"]:
                score = scores["score"]
                facts = {"run": str(path.parent), "metric": score["metric"], "cv": score["value"]}
                found.append({**facts, "higher_is_better": score["higher_is_better"]})
        except (RunError, KeyError, TypeError):
            continue  # a folder that cannot be read is told by the command that uses it
    return found
