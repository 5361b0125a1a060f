"""TPE, with Hyperband across the fractions of a schedule and the Wilcoxon pruner across folds.

A trial reports what it scores at fractions of its own schedule, at per mille of it: trials of other lengths are
compared where they have got equally far. Later folds report at 2000, 3000 and so on.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner, HyperbandPruner, NopPruner, WilcoxonPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, TrialState

from harness.config import Dimension

WHOLE = 1000
FRACTIONS = (37, 111, 333, WHOLE)  # per mille of a schedule at which a trial is scored
REDUCTION = 3  # of Hyperband: between neighbouring fractions; Optuna's default
LIKELY = 0.2  # p of the Wilcoxon test below which a trial is given up: with three folds the least p there is is 1/8


def sampler(seed: int) -> BaseSampler:
    """TPE over all dimensions together (Bergstra et al. 2011; multivariate as in Falkner et al. 2018, BOHB)."""
    with _experimental():
        return TPESampler(seed=seed, multivariate=True, constant_liar=True)


@contextmanager
def _experimental() -> Iterator[None]:
    """Without Optuna's word that what is asked for here may change; the version is pinned."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


def idle() -> dict[str, Any]:
    """Sampler and pruner of a study that is planned elsewhere."""
    return {"sampler": RandomSampler(), "pruner": NopPruner()}


def distribution(dimension: Dimension) -> BaseDistribution:
    """What Optuna draws from."""
    if dimension.choices:
        return CategoricalDistribution(dimension.choices)
    if dimension.whole:
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)


class Pruner(BasePruner):
    """Hyperband while the first fold trains, the Wilcoxon test of fold scores after it.

    Sources: Li et al. 2018, arXiv:1603.06560; Wilcoxon 1945, the signed-rank test.
    """

    def __init__(self) -> None:
        self.across_fractions = HyperbandPruner(
            min_resource=FRACTIONS[0], max_resource=WHOLE, reduction_factor=REDUCTION
        )
        with _experimental():
            self.across_folds = WilcoxonPruner(p_threshold=LIKELY, n_startup_steps=2)

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether to give the trial up."""
        if trial.last_step is None or trial.last_step < WHOLE:
            return self.across_fractions.prune(study, trial)
        finished = [_folds_alone(other) for other in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))]
        if not finished or trial.last_step == WHOLE:
            return False
        higher = study.direction == optuna.study.StudyDirection.MAXIMIZE
        best = max(finished, key=lambda other: (other.value or 0.0) * (1 if higher else -1))
        view: Any = _View(study.direction, best)
        return self.across_folds.prune(view, _folds_alone(trial))


@dataclass(frozen=True)
class _View:
    """As much of a study as the Wilcoxon pruner looks at: fractions are no folds."""

    direction: optuna.study.StudyDirection
    best_trial: FrozenTrial


def _folds_alone(trial: FrozenTrial) -> FrozenTrial:
    folds: Mapping[int, float] = {step: value for step, value in trial.intermediate_values.items() if step % WHOLE == 0}
    return FrozenTrial(
        number=trial.number,
        state=trial.state,
        value=trial.value,
        datetime_start=trial.datetime_start,
        datetime_complete=trial.datetime_complete,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs=trial.user_attrs,
        system_attrs=trial.system_attrs,
        intermediate_values=dict(folds),
        trial_id=trial._trial_id,
    )
