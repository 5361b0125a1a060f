"""The search of rate and length on fold 0: what a trunk is here, and what becomes of the answer.

The winning branch is fold 0's model: the state it ended in is put where the fold looks for one, and the other folds
train like it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness import files
from harness.config import TrainConfig, as_json, from_json
from harness.data.folds import FoldPlan
from harness.errors import ConfigError
from harness.pipeline import beginnings
from harness.pipeline.job import Job
from harness.pipeline.parts import Data
from harness.pipeline.trunks import Bench
from harness.search import branch
from harness.search.branch import COOLED, Branch


def check(config: TrainConfig) -> None:
    """Refuses what cannot be searched.

    Raises:
        ConfigError: several stages or layer-wise rates (no one length, no one rate), a fold that begins elsewhere, or
            mixing, whose end depends on the length.
    """
    stage = config.stages[0]
    if len(config.stages) > 1 or config.begin or stage.rates or config.train.mixup or config.train.cutmix:
        fix = "search on one stage without them, and set them by hand after it"
        raise ConfigError("a search with several stages, stages.0.rates, begin, train.mixup or train.cutmix", fix=fix)


def phase(
    job: Job, settings: dict[str, Any], *, data: Data, plan: FoldPlan, inputs: list[Any]
) -> tuple[Job, dict[str, Any]]:
    """(the job as the search's answer has it, the run's settings with the answer); searched once a run."""
    if job.run.done("tune", inputs) is None:
        check(job.config)
        answer = tune(job, data=data, plan=plan)
        settings = {**settings, "config": as_json(tuned(job.config, answer)), "tuned": answer}
        files.write_json(job.run.path / "config.json", settings)
        job.run.finish("tune", inputs, rate=answer["rate"], epochs=answer["epochs"])
    return replace(job, config=from_json(settings["config"])), settings


def apart(answer: dict[str, Any], fold_scores: Sequence[float], folds: Sequence[int]) -> dict[str, Any]:
    """The answer with fold 0's score beside the mean of the others: rate and length were chosen on fold 0."""
    others = [value for number, value in zip(folds, fold_scores, strict=True) if number]
    own = [value for number, value in zip(folds, fold_scores, strict=True) if not number]
    facts = {"fold0": own[0] if own else None, "others": float(np.mean(others)) if others else None}
    return {**answer, **facts}


def tune(job: Job, *, data: Data, plan: FoldPlan) -> dict[str, Any]:
    """Searches on fold 0, leaves its state for the fold, and returns the answer: rate, epochs, steps, all branches."""
    from harness.search import study  # optuna takes a second, which other runs need not pay

    bench = Bench(job, data, plan)
    higher = job.competition.metric.higher_is_better
    book = study.opened(job.competition.name, job.run.path / "study.log", higher_is_better=higher)
    scored: dict[float, list[tuple[float, float]]] = {}

    def seen(found: Branch) -> None:
        fraction = found.rung / bench.longest
        earlier = scored.setdefault(found.rate, [])
        epochs = bench.epochs(found.rung)
        study.note(book, found, epochs=epochs, fraction=fraction, earlier=earlier, higher_is_better=higher)
        value = found.outcome.metric if higher else -found.outcome.metric
        earlier.append((fraction, value))
        job.run.log("branch", rate=found.rate, steps=found.rung, metric=value, loss=found.outcome.loss)
        job.world.say(f"rate {found.rate:.2g}, {epochs:.3g} epochs: {job.competition.metric.name} {value:.4f}")

    space = job.config.space
    edge = bench.edge()
    found = branch.search(bench.trunk, edge=edge, longest=bench.longest, rates=space.rate, seen=seen, leads=bench.keep)
    assert bench.winner is not None, "a search has a winner"
    bench.training.restore(bench.winner)
    bench.training.save(beginnings.state_file(job.run, 0))
    return {
        "rate": found.best.rate,
        "epochs": bench.epochs(found.best.rung),
        "steps": found.best.rung,
        "warmup": bench.warmup / found.best.rung,
        "edge": edge,
        "trained_steps": bench.trained,
        "branches": [[one.rate, one.rung, one.outcome.metric, one.outcome.loss] for one in found.branches],
    }


def tuned(config: TrainConfig, answer: dict[str, Any]) -> TrainConfig:
    """The configuration that trains like the answer."""
    train = replace(
        config.train,
        rate=answer["rate"],
        schedule="warmup-stable-decay",
        warmup=answer["warmup"],
        cooldown=COOLED,
    )
    stage = replace(config.stages[0], epochs=answer["epochs"], schedule=None, find=False)
    return replace(config, train=train, stages=(stage,))
