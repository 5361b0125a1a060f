"""Regression: centre and spread of a fold's targets, prices there and back, and what cannot be learnt."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from harness.errors import DataError
from harness.tasks import Regression


@pytest.mark.parametrize("log", [True, False])
def test_the_centre_and_spread_are_those_of_the_targets(log: bool) -> None:
    targets = np.random.default_rng(0).lognormal(8, 1, (200, 1))
    task = Regression(log=log).fit(targets)
    values = np.log(targets) if log else targets
    assert (task.centre, task.spread) == pytest.approx((values.mean(), values.std()))
    # the answer 0 of a net is the centre, and costs the variance in units of the spread
    centre = math.exp(task.centre) if log else task.centre
    assert task.decode(torch.zeros(1, 1)).item() == pytest.approx(centre, rel=1e-5)
    assert task.loss(torch.zeros(200, 1), torch.from_numpy(targets)).item() == pytest.approx(1, rel=1e-5)


def test_targets_that_are_all_equal_leave_a_spread_above_zero() -> None:
    task = Regression().fit(np.full((5, 1), 7.0))
    assert task.spread > 0
    assert torch.isfinite(task.loss(torch.zeros(5, 1), torch.full((5, 1), 7.0)))


@pytest.mark.parametrize("cell", [950, 950.0, "950", " 950.0 ", np.float32(950)])
def test_a_price_comes_back_from_its_target(cell: Any) -> None:
    target = Regression(log=True).encode(cell, "train.csv")
    assert target.dtype == np.float64
    assert target.shape == (1,)
    assert Regression(log=True).present(target) == 950.0


@pytest.mark.parametrize(
    ("log", "cell", "told"),
    [
        (True, "$950", r"train\.csv: '\$950' is no number"),
        (True, "", r"train\.csv: '' is no number"),
        (True, "0", r"the target '0' is not above 0"),
        (True, -5, r"the target -5 is not above 0"),
        (True, "inf", "the target 'inf' is not above 0"),
        (False, "nan", "the target 'nan' is not finite"),
        (False, math.inf, "the target inf is not finite"),
    ],
)
def test_a_price_that_cannot_be_learnt_is_refused(log: bool, cell: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        Regression(log=log).encode(cell, "train.csv")


def test_a_number_that_need_not_be_a_price_may_be_zero_or_below() -> None:
    assert [float(Regression().encode(cell, "train.csv")[0]) for cell in (0, "-5")] == [0, -5]
