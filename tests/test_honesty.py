"""Scores on pure noise are chance: a few seeds of `make honesty`, and that it can fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.honesty import table, trial
from benchmarks.judging import RESAMPLES, Trial, judged, summary
from benchmarks.noise import TYPES, noise
from harness.evaluation.scores import alone, nested
from harness.metrics import ACCURACY
from harness.pipeline import World, rungs, score
from harness.pipeline.evidence import Scored
from harness.pipeline.job import Job
from harness.pipeline.nets import CPU
from harness.pipeline.planning import plan_folds
from harness.pipeline.preparation import prepare
from harness.runs import Run


@pytest.mark.parametrize("name", [name for name in TYPES if name != "value, searched"])
def test_a_run_on_noise_is_within_chance(name: str, tmp_path: Path) -> None:
    seeds = 2 if name in ("value", "tokens") else 1
    found = [trial(name, seed, tmp_path, "data.folds=2", "stages.0.epochs=1") for seed in range(seeds)]
    assert all(one.within for one in found)
    error = np.sqrt(np.sum([one.paired**2 for one in found])) / seeds
    assert np.mean([one.gain for one in found]) <= 2 * error + 1e-12


def dishonest(seed: int, folder: Path) -> Trial:
    """A price's cheap model scored on the rows that it was fitted on."""
    made, world = noise(TYPES["value"], seed, folder, "data.folds=2"), World(folder / "cache")
    data = prepare(made.competition, made.config, Path(str(made.request.data)), world)
    job, metric = Job(data.competition, made.config, Run(folder / "run"), CPU, world), data.competition.metric
    plan = plan_folds(data.competition, made.config, data)
    rows = list(range(len(data)))
    groups = score.metric_groups(data.competition, data, rows)
    scored = Scored("value", rows, plan.fold, groups, data.truth, np.zeros(len(rows)), (metric,))
    # the leak: a fold of no rows, so that all of them train
    seen = dict(rungs.fit_cheap(job, data, plan, plan.number)(data, rows))
    pair = [
        nested(alone(scored.evidence(read)), plan.fold, metric).statistics
        for read in (seen.__getitem__, rungs.read_constant(job, data, plan))
    ]
    return judged("value", seed, (pair[0], pair[1]), groups, metric)


def test_predictions_of_rows_that_were_trained_on_are_caught(tmp_path: Path) -> None:
    found = summary([dishonest(seed, tmp_path) for seed in range(3)])
    assert not found.honest
    assert found.within < 0.9 * found.number
    assert found.mean > 2 * found.error


def test_a_choice_made_on_the_rows_it_is_scored_on_is_caught() -> None:
    """The better of two guesses by the score it gets: each gain alone passes for noise, their mean does not."""
    best, first = list[Trial](), list[Trial]()
    for seed in range(40):
        random = np.random.default_rng(seed)
        hits = (random.random((2, 60, 1)) < 0.5).astype(float)
        for trials, own in ((best, hits[hits.mean(axis=(1, 2)).argmax()]), (first, hits[0])):
            trials.append(judged("tags", seed, (own, np.full((60, 1), 0.5)), np.arange(60), ACCURACY))
    assert summary(best).within >= 0.9 * len(best)
    assert not summary(best).honest
    assert summary(first).honest


def test_the_judgement_of_gains_by_hand() -> None:
    def made(gain: float, error: float) -> Trial:
        return Trial("value", 0, 1.0 + gain, 1.0, gain, error, error)

    assert summary([made(0.0, 0.1)] * 10).honest
    assert made(0.2, 0.1).within
    assert not made(0.21, 0.1).within
    assert not made(-0.21, 0.1).within
    # all within, and all a little above chance: too good to be noise
    above = summary([made(0.05 + 0.001 * index, 0.1) for index in range(10)])
    assert above.within == 10
    assert not above.honest
    # two of ten are too far below
    far = summary([made(-0.3, 0.1)] * 2 + [made(0.0, 0.1)] * 8)
    assert (far.within, far.honest) == (8, False)
    assert "| value | 10 | 8 |" in table([made(-0.3, 0.1)] * 2 + [made(0.0, 0.1)] * 8)


def test_a_trial_s_standard_error_is_that_of_its_mean() -> None:
    hits = np.random.default_rng(0).random((200, 1)) < 0.3
    constant = np.zeros((200, 1))
    constant[:60] = 1
    found = judged("one label", 1, (hits.astype(float), constant), np.arange(200), ACCURACY)
    assert (found.score, found.chance) == (hits.mean(), 0.3)
    paired = np.std(hits - constant, ddof=1) / 200**0.5
    assert found.paired == pytest.approx(paired, rel=4 / RESAMPLES**0.5)
    assert found.error == pytest.approx((0.3 * 0.7 / 200) ** 0.5, rel=4 / RESAMPLES**0.5)
