"""The learning-rate range test of a competition: fold 0's net and rows, one sweep, nothing kept."""

from __future__ import annotations

from dataclasses import dataclass

from harness.competition import Competition
from harness.config import TrainConfig
from harness.errors import ConfigError
from harness.pipeline import fold, hardware, regularising, stages
from harness.pipeline.job import Request, request_root
from harness.pipeline.nets import fit_fold
from harness.pipeline.planning import plan_folds
from harness.pipeline.preparation import World, prepare
from harness.pipeline.probes import Work
from harness.training.range_test import Sweep, range_test


@dataclass(frozen=True)
class Span:
    """From which rate to which, in how many optimizer steps."""

    low: float
    high: float
    steps: int

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise ConfigError(f"--low {self.low} --high {self.high}", fix="the sweep goes up, from above 0")


def find_rate(
    competition: Competition, config: TrainConfig, request: Request, *, stage: int, span: Span, world: World
) -> Sweep:
    """The range test of a stage, on the rows that train when fold 0 validates; a later stage begins untrained too.

    Raises:
        ConfigError: a stage that there is not, or settings that the task cannot take.
        DataError: as a run.
    """
    if stage >= len(config.stages):
        raise ConfigError(f"--stage {stage}, but the stages are 0 to {len(config.stages) - 1}", fix="name one of them")
    machine = hardware.settle(competition, config, device=request.device, offline=request.sample, world=world)
    data = prepare(competition, config, request_root(competition, request, world), world)
    regularising.check(data.competition, config)
    plan = plan_folds(data.competition, config, data)
    ahead = Work(span.steps, 1)
    machine = fold.probed(data.competition, config, machine, data=data, plan=plan, ahead=lambda: ahead, world=world)
    fitted = fit_fold(data.competition, config, data=data, plan=plan, fold=0)
    training = fold.fresh(data.competition, config, machine, fitted, fold=0)
    training.stage = stage
    stages.paced(training, config)
    examples = fold.stream(data.competition, config, data=data, plan=plan, fold=0, stage=stage, fitted=fitted)
    recipe = stages.stage_recipe(
        data.competition, config, machine, examples, fitted, fold=0, stage=stage, report=_silent
    )
    return range_test(training, recipe, low=span.low, high=span.high, steps=span.steps)


def _silent(step: int, loss: float, rate: float) -> None:
    """Says nothing."""
