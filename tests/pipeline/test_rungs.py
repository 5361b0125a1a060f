"""The rungs below the network: fitted on a fold's training rows alone, mixed by weights that mean what they say."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from harness.pipeline import rungs
from harness.pipeline.evidence import Scored, decided_value, mixed, untold
from harness.pipeline.job import Job
from harness.pipeline.nets import CPU, fit_fold, read_fitted
from harness.pipeline.parts import Data
from harness.pipeline.planning import plan_folds
from harness.pipeline.preparation import World
from harness.runs import Run
from tests.kit import SHIPPED, sample_data


def prepared(name: str, cache: Path, folder: Path) -> tuple[Job, Data]:
    competition, config, data = sample_data(name, cache)
    return Job(competition, config, Run(folder), CPU, World(cache)), data


@pytest.mark.parametrize("name", SHIPPED)
def test_rungs_predict_in_the_form_that_is_kept(name: str, shared_cache: Path, tmp_path: Path) -> None:
    job, data = prepared(name, shared_cache, tmp_path)
    plan = plan_folds(job.competition, job.config, data)
    rows = plan.validation(0).tolist()[:3]
    for fit in (rungs.fit_constant, rungs.fit_cheap):
        found = list(fit(job, data, plan, 0)(data, rows))
        assert [row for row, _ in found] == rows
        assert all(prediction.shape == data.shape(row) for row, prediction in found)
        again = list(fit(job, data, plan, 0)(data, rows))
        for (_, one), (_, other) in zip(found, again, strict=True):
            np.testing.assert_array_equal(one, other)  # refitted to the same bits


@pytest.mark.parametrize(
    "name", ["gemstones-images", "playground-series-s3e8", "planet-understanding-the-amazon-from-space"]
)
def test_a_rung_of_a_fold_does_not_see_that_fold_s_targets(name: str, shared_cache: Path, tmp_path: Path) -> None:
    job, data = prepared(name, shared_cache, tmp_path)
    plan = plan_folds(job.competition, job.config, data)
    assert data.targets is not None
    rows = plan.validation(0).tolist()
    targets = data.targets.copy()
    targets[rows] = targets[rows][::-1] if targets.dtype == bool else targets[rows] * 9 + 1
    changed = dataclasses.replace(data, targets=targets)
    for fit in (rungs.fit_constant, rungs.fit_cheap):
        before = [prediction for _, prediction in fit(job, data, plan, 0)(data, rows)]
        after = [prediction for _, prediction in fit(job, changed, plan, 0)(data, rows)]
        np.testing.assert_array_equal(np.stack(before), np.stack(after))
    assert fit_fold(job.competition, job.config, data=changed, plan=plan, fold=0) == fit_fold(
        job.competition, job.config, data=data, plan=plan, fold=0
    )


@pytest.mark.parametrize("name", ["gemstone-price", "playground-series-s3e8", "text-language-model"])
def test_what_a_fold_is_fitted_with_comes_back_from_its_file(name: str, shared_cache: Path, tmp_path: Path) -> None:
    job, data = prepared(name, shared_cache, tmp_path)
    plan = plan_folds(job.competition, job.config, data)
    fitted = fit_fold(job.competition, job.config, data=data, plan=plan, fold=1)
    fitted.write(tmp_path / "fold1.json")
    assert read_fitted(job.competition, tmp_path / "fold1.json") == fitted


def test_probabilities_are_averaged_and_nats_are_averaged_as_probabilities() -> None:
    one, other = np.array([0.2, 0.8], np.float32), np.array([0.6, 0.4], np.float32)
    np.testing.assert_allclose(mixed("label", [one, other], (0.5, 0.5)), [0.4, 0.6], rtol=1e-6)
    nats = mixed("tokens", [-np.log(one), -np.log(other)], (0.25, 0.75))
    np.testing.assert_allclose(np.exp(-nats), [0.5, 0.5], rtol=1e-6)
    pixels = mixed("mask", [np.array([[10, 255]], np.uint8), np.array([[20, 0]], np.uint8)], (0.5, 0.5))
    assert pixels.dtype == np.uint8
    assert pixels.tolist() == [[15, 128]]


def test_a_member_without_weight_is_not_looked_at() -> None:
    kept = np.array([1.0, 2.0], np.float32)
    assert mixed("value", [kept, np.array([np.nan, np.nan], np.float32)], (1.0, 0.0)) is kept


def test_decisions_fixed_in_advance() -> None:
    probability = np.array([0.2, 0.5, 0.3], np.float32)
    assert decided_value("label", untold("label"), probability).tolist() == [False, True, False]
    assert decided_value("tags", untold("tags"), np.array([0.2, 0.3])).tolist() == [False, True]  # the likeliest
    assert decided_value("value", untold("value"), np.array([7.5], np.float32)) == 7.5
    assert decided_value("tokens", untold("tokens"), np.array([1.0, 2.0], np.float32)) == (3.0, 2, 0)
    classes = np.zeros((3, 1, 2), np.uint8)
    classes[2, 0, 1] = 9
    assert decided_value("classes", untold("classes"), classes).tolist() == [[0, 2]]


def test_bits_per_byte_of_unknown_words_include_their_spelling(shared_cache: Path, tmp_path: Path) -> None:
    job, data = prepared("text-language-model", shared_cache, tmp_path)
    metrics = (job.competition.metric, *job.competition.secondary)
    values = []
    for spelling in (0.0, 100.0):
        scored = Scored(
            "tokens", [0], np.zeros(1, dtype=int), np.zeros(1, dtype=int), data.truth, np.array([spelling]), metrics
        )
        held = scored.evidence(lambda row: np.ones(data.shape(row), np.float32))
        values.append([float(each.reduce(held.statistics(None, each), held.groups)) for each in metrics])
    assert values[0][0] == values[1][0] == pytest.approx(np.e)
    assert values[1][1] - values[0][1] == pytest.approx(100 / np.log(2) / data.rows["bytes"][0])
