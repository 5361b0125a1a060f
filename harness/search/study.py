"""Optuna as the book-keeper: every branch is a trial, to be looked at with Optuna's own tools."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from harness.search.branch import Branch


def opened(name: str, storage: str | Path, *, higher_is_better: bool) -> optuna.Study:
    """A new or known study: in a journal file of its own, or in a database that an address names."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    place = JournalStorage(JournalFileBackend(str(storage))) if isinstance(storage, Path) else storage
    direction = "maximize" if higher_is_better else "minimize"
    return optuna.create_study(study_name=name, storage=place, direction=direction, load_if_exists=True)


def note(
    study: optuna.Study,
    branch: Branch,
    *,
    epochs: float,
    fraction: float,
    earlier: Sequence[tuple[float, float]],
    higher_is_better: bool,
) -> None:
    """Adds a finished branch; one that diverged as pruned.

    Intermediate values stand at per mille of the longest schedule, once each: runs of other lengths are then compared
    where they have got equally far.

    Args:
        epochs: of the branch's rung.
        fraction: of the longest rung.
        earlier: (fraction, metric) of the shorter rungs of the same trunk.
    """
    sign = 1.0 if higher_is_better else -1.0
    diverged = not math.isfinite(branch.outcome.metric)
    values = [*earlier, *([] if diverged else [(fraction, sign * branch.outcome.metric)])]
    distributions: dict[str, optuna.distributions.BaseDistribution] = {
        "rate": optuna.distributions.FloatDistribution(1e-10, 1e3, log=True),
        "epochs": optuna.distributions.FloatDistribution(1e-6, 1e6, log=True),
    }
    trial = create_trial(
        state=TrialState.PRUNED if diverged else TrialState.COMPLETE,
        params={"rate": branch.rate, "epochs": epochs},
        distributions=distributions,
        value=None if diverged else sign * branch.outcome.metric,
        intermediate_values={round(1000 * part): value for part, value in values},
        user_attrs={"steps": branch.rung, "loss": branch.outcome.loss if not diverged else None, "method": "branch"},
    )
    study.add_trial(trial)
