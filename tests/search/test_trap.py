"""A known trap: what compares runs of other lengths at one step picks short ones, whose rate has already fallen."""

from __future__ import annotations

import math

import optuna
import pytest
from optuna.trial import TrialState

from harness.search import sampled
from harness.search.branch import Look, Outcome, bracketed

LENGTHS = [4, 8, 4, 8, 4, 64, 8, 64, 4, 64]  # epochs, in the order in which they are tried


def loss(length: float, at: float) -> float:
    """Of a cosine schedule of `length` epochs after `at`: what was learnt, and what a rate still high hides of it."""
    return 1 / math.sqrt(at) + 0.5 * (1 + math.cos(math.pi * at / length)) / 2


def tried(pruner: optuna.pruners.BasePruner, reports) -> dict[int, list[TrialState]]:  # type: ignore[no-untyped-def]
    """length -> how its trials ended; `reports(length)` yields (step, epochs done)."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="minimize", pruner=pruner)
    ends: dict[int, list[TrialState]] = {}
    for length in LENGTHS:
        trial, state = study.ask(), TrialState.COMPLETE
        for step, at in reports(length):
            trial.report(loss(length, at), step)
            if trial.should_prune():
                state = TrialState.PRUNED
                break
        study.tell(trial, loss(length, length) if state == TrialState.COMPLETE else None, state=state)
        ends.setdefault(length, []).append(state)
    return ends


def test_a_median_pruner_by_epoch_gives_up_every_long_run_though_it_would_end_best() -> None:
    assert loss(64, 64) < loss(8, 8) < loss(4, 4)
    ends = tried(
        optuna.pruners.MedianPruner(n_startup_trials=3),
        lambda length: ((epoch, epoch) for epoch in range(1, length + 1)),
    )
    assert set(ends[64]) == {TrialState.PRUNED}
    assert TrialState.COMPLETE in ends[4]


def test_by_fractions_of_the_schedule_long_runs_are_kept() -> None:
    ends = tried(sampled.Pruner(), lambda length: ((mark, length * mark / 1000) for mark in sampled.FRACTIONS))
    assert set(ends[64]) == {TrialState.COMPLETE}


@pytest.mark.parametrize("best", [4e-3, 3e-2])
def test_trunks_of_constant_rate_find_the_long_run(best: float) -> None:
    done: dict[Look, Outcome] = {}
    while (plan := bracketed(done, edge=3e-2, longest=6400, rates=(1e-6, 1.0))).best is None:
        for look in plan.wanted:
            away = 0.1 * math.log10(look.rate / best) ** 2
            done[look] = Outcome(-1 / math.sqrt(look.steps) - away, 1 / math.sqrt(look.steps) + away)
    assert plan.best.steps == 6400
