"""Medals and the verdict on cross-validation, against numbers made by hand and scipy."""

from __future__ import annotations

import pytest
from scipy import stats

from harness.kaggle.medals import band, cutoffs, rank_of
from harness.kaggle.trust import trust
from harness.submission.ledger import Entry


def entries(
    cv: list[float], public: list[float], *, higher: bool = True, folds: str = "f", interval: float = 1.0
) -> list[Entry]:
    """Scored submissions."""
    return [
        Entry(
            *(f"{number}", "toy", "toy", "complete", "tag", 0.0, 0.0, "s.csv", "", ""),
            metric="AUC",
            higher_is_better=higher,
            cv=one,
            interval=[one - interval / 2, one + interval / 2],
            public=other,
            folds_hash=folds,
        )
        for number, (one, other) in enumerate(zip(cv, public, strict=True))
    ]


SMALL_BOARDS = [(50, 5, 10, 20), (99, 9, 19, 39), (100, 10, 20, 40), (249, 10, 49, 99), (0, 0, 0, 0)]
LARGE_BOARDS = [(250, 10, 50, 100), (999, 11, 50, 100), (1000, 12, 50, 100), (2000, 14, 100, 200), (5000, 20, 250, 500)]


@pytest.mark.parametrize(("teams", "gold", "silver", "bronze"), [*SMALL_BOARDS, *LARGE_BOARDS])
def test_medals_go_by_kaggle_s_table(teams: int, gold: int, silver: int, bronze: int) -> None:
    assert cutoffs(teams) == {"gold": gold, "silver": silver, "bronze": bronze}


def test_a_score_has_the_best_rank_of_its_equals() -> None:
    assert rank_of(0.8, [0.9, 0.8, 0.8, 0.7], higher_is_better=True) == 2
    assert rank_of(0.8, [0.7, 0.8, 0.8, 0.9], higher_is_better=False) == 2
    assert [band(rank, 1000) for rank in (12, 13, 50, 51, 100, 101)] == [
        "gold", "silver", "silver", "bronze", "bronze", "none",
    ]  # fmt: skip


def test_few_submissions_are_no_evidence() -> None:
    found = trust(entries([1, 2, 3, 4], [1, 2, 3, 4]))
    assert (found.trusted, found.correlation) == (False, 1)
    assert found.line == (
        "do not trust CV yet, because only 4 submissions have a CV and a leaderboard score, of 5 needed"
    )


def test_the_same_order_is_trusted_in_both_directions() -> None:
    for higher in (True, False):
        found = trust(entries([0.1, 0.2, 0.3, 0.4, 0.5], [0.11, 0.22, 0.31, 0.42, 0.5], higher=higher))
        assert found.trusted
        assert found.correlation == 1
        assert found.chance == pytest.approx(1 / 120)


def test_another_order_is_not_trusted_and_the_reason_is_said() -> None:
    found = trust(entries([1, 2, 3, 4, 5, 6], [3, 1, 6, 2, 5, 4]))
    assert not found.trusted
    tau, chance = stats.kendalltau([1, 2, 3, 4, 5, 6], [3, 1, 6, 2, 5, 4], alternative="greater", method="exact")
    assert found.correlation == pytest.approx(tau)
    assert found.chance == pytest.approx(chance)
    assert "because of its rank correlation +0.20 over 6 submissions" in found.line


def test_many_submissions_are_tested_by_drawn_orders() -> None:
    cv = [float(number) for number in range(12)]
    public = [0.0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10]
    found = trust(entries(cv, public))
    assert found.correlation == pytest.approx(stats.kendalltau(cv, public)[0])
    assert found.trusted
    assert trust(entries(cv, [5.0] * 12)).chance == 1, "a constant leaderboard ranks nothing"


def test_ties_are_no_disagreement() -> None:
    cv, public = [1.0, 1, 1, 1, 2, 2], [5.0, 5, 5, 5, 9, 9]
    assert trust(entries(cv, public)).correlation == pytest.approx(1)
    public[0] = 7.0
    assert trust(entries(cv, public)).correlation == pytest.approx(stats.kendalltau(cv, public)[0])


def test_chance_below_a_twentieth_is_needed() -> None:
    found = trust(entries([1, 2, 3, 4, 5], [1, 2, 3, 5, 4]))  # 4.2 %
    assert found.trusted
    found = trust(entries([1, 2, 3, 4, 5], [2, 1, 3, 5, 4]))  # 11.7 %
    assert not found.trusted
    assert found.chance == pytest.approx(14 / 120)


def test_a_shift_beyond_the_interval_is_told_with_its_direction() -> None:
    cv = [0.80, 0.82, 0.84, 0.86, 0.88]
    found = trust(entries(cv, [value - 0.1 for value in cv], interval=0.05))
    assert found.trusted
    assert found.line.endswith("its values are not the leaderboard's, which is worse by 0.1")
    assert found.shift == pytest.approx(-0.1)
    errors = trust(entries(cv, [value - 0.1 for value in cv], interval=0.05, higher=False))
    assert errors.line.endswith("which is better by 0.1")
    assert errors.shift == pytest.approx(-0.1)
    assert "its values" not in trust(entries(cv, [value - 0.1 for value in cv], interval=0.5)).line


def test_only_submissions_on_the_same_folds_are_compared() -> None:
    mixed = entries([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]) + entries([9, 8], [1, 2], folds="other")
    found = trust(mixed)
    assert found.pairs == 5
    assert "(2 on other folds left out)" in found.line
