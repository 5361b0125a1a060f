"""Which medal a rank would be, of how many teams. Source: https://www.kaggle.com/progression, competition medals."""

from __future__ import annotations

from collections.abc import Sequence


def cutoffs(teams: int) -> dict[str, int]:
    """The last rank of each medal: gold, silver, bronze. Kaggle's table goes by the number of teams."""
    if teams < 250:
        gold = teams * 10 // 100 if teams < 100 else 10
        return {"gold": gold, "silver": teams * 20 // 100, "bronze": teams * 40 // 100}
    gold = 10 + teams // 500  # ten and one for every 500 teams: "top 10 + 0.2 %"
    if teams < 1000:
        return {"gold": gold, "silver": 50, "bronze": 100}
    return {"gold": gold, "silver": teams * 5 // 100, "bronze": teams * 10 // 100}


def band(rank: int, teams: int) -> str:
    """The medal of a rank from 1; "none" below bronze."""
    return next((medal for medal, last in cutoffs(teams).items() if rank <= last), "none")


def rank_of(score: float, board: Sequence[float], *, higher_is_better: bool) -> int:
    """The rank that a score would have among the board's: ties share the best one."""
    return 1 + sum(other > score if higher_is_better else other < score for other in board)
