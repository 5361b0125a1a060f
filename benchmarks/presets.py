"""How many minutes each preset takes on each competition's whole data, from a few real steps on this machine.

Steps are measured (loading, augmentation, forward, backward, optimizer) on the adapter's drawn sample, at the preset's
picture size, batch and net, and multiplied by the steps of all folds on as many rows as the competition ships; so are
predictions. On a GPU the same command measures the GPU. On a CPU the last column estimates a T4-class card: counted
operations at T4_OPERATIONS a second, loading in T4_WORKERS processes of this machine's speed, or launching a step's
kernels, whichever is slowest. That column is an estimate, and nothing else in this project is.

    python -m benchmarks.presets [preset ...]
"""

from __future__ import annotations

import functools
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from harness import registry
from harness.config import TrainConfig
from harness.data import order
from harness.data.materialise import write_sample
from harness.data.text import Vocabulary
from harness.pipeline import fold, hardware, network, stages
from harness.pipeline.nets import Fitted, fit_fold
from harness.pipeline.parts import Data
from harness.pipeline.planning import plan_folds
from harness.pipeline.preparation import World, prepare
from harness.presets import configure
from harness.training import loop, schedule

# training and test rows (of text: tokens) as the competitions ship them; 1,000 where the size is not known
ROWS = {
    "camvid": (468, 233),
    "design-image-style-categorization": (1000, 1000),
    "gemstone-price": (1000, 1000),
    "gemstones-images": (2856, 363),
    "lgg-mri-segmentation": (3929, 0),
    "planet-understanding-the-amazon-from-space": (40479, 61191),
    "playground-series-s3e8": (193573, 129050),
    "text-language-model": (2306274, 245569),  # WikiText-2's words, validation pooled
    "ultrasound-nerve-segmentation": (5635, 5508),
}
WORDS = 30_000  # of the vocabulary of such a text
STEPS = 3
T4_OPERATIONS = 16e12  # a quarter of the 65e12 that its data sheet promises in fp16
T4_WORKERS = 3
T4_LAUNCH = 0.02  # seconds: some hundred kernels forward, backward and in the optimizer


@dataclass(frozen=True)
class Cost:
    """Seconds and operations.

    Attributes:
        step: seconds of an optimizer step, loading included.
        loading: seconds of loading its batch alone.
        operations: of a step, forward and backward.
        predicted: seconds of predicting a row (of text: a token), as it is and with views.
    """

    step: float
    loading: float
    operations: float
    predicted: float


def seconds(work: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    begin = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def cost(name: str, config: TrainConfig, cache: Path, device: str) -> Cost:
    """What a step and a prediction cost."""
    competition = registry.load(name)
    data = prepare(competition, config, write_sample(competition, rows=20, seed=0, cache=cache), World(cache))
    competition = data.competition
    plan = plan_folds(competition, config, data)
    fitted = _fitted(fit_fold(competition, config, data=data, plan=plan, fold=0))
    machine = hardware.Hardware(device, "fp16" if device == "cuda" else "fp32", None)
    training = fold.fresh(competition, config, machine, fitted, fold=0)
    examples = fold.stream(competition, config, data=data, plan=plan, fold=0, stage=0, fitted=fitted)
    recipe = stages.stage_recipe(
        competition, config, machine, examples, fitted, fold=0, stage=0, report=lambda step, loss, rate: None
    )
    rate = schedule.planned("constant", total=10**6, peak=1e-5, warmup=1e-6, cooldown=0.0)
    with FlopCounterMode(display=False) as counter:
        loop.advance(training, 1, rate, recipe)  # the first step pays for memory and kernel choice too
    step = seconds(lambda: loop.advance(training, 1 + STEPS, rate, recipe)) / STEPS
    loading = seconds(lambda: list(recipe.batches(training.cursor, STEPS))) / STEPS
    predicted = _predicted(training.net, fitted, data, config, machine)
    return Cost(step, loading, counter.get_total_flops(), predicted)


def _fitted(fitted: Fitted) -> Fitted:
    """With a vocabulary of the size that a real text has."""
    if fitted.vocabulary is None:
        return fitted
    words = [*fitted.vocabulary.tokens, *(f"word{number}" for number in range(WORDS))]
    return replace(fitted, vocabulary=Vocabulary.build([words, words], "word"))


def _predicted(
    net: torch.nn.Module, fitted: Fitted, data: Data, config: TrainConfig, machine: hardware.Hardware
) -> float:
    competition, rows = data.competition, list(range(min(len(data), config.train.batch)))
    if data.tokens is not None:
        tokens = sum(len(data.tokens[row]) for row in rows)
        return seconds(lambda: list(network.nats(net, fitted, config, machine, data, rows))) / tokens
    views = competition.picture.symmetries if competition.picture else ()

    decode = functools.partial(network.decoded, competition=competition, config=config, hardware=machine, views=views)
    return seconds(lambda: list(decode([net], fitted, data, rows))) / len(rows)


def minutes(name: str, config: TrainConfig, cost: Cost) -> tuple[float, float]:
    """(minutes of a run as measured, as estimated for a T4)."""
    competition = registry.load(name)
    folds, (train, test) = config.data.folds or competition.folds.number, ROWS[name]
    ratio = (folds - 1) / folds
    examples = train * ratio / (config.model.context if competition.tokens else 1)
    steps = sum(
        order.steps(int(examples), stages.batch_of(config, number), stage.epochs)
        for number, stage in enumerate(config.stages)
    )
    # out of fold plain and with views, the test rows by every fold
    predictions = (2 * train if competition.picture else train) + folds * test
    measured = folds * steps * cost.step + predictions * cost.predicted
    each = max(cost.operations / T4_OPERATIONS, cost.loading / T4_WORKERS, T4_LAUNCH)
    share = each / cost.step
    return measured / 60, (folds * steps * each + predictions * cost.predicted * share) / 60


def main() -> None:
    """Prints one line for each competition and preset."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    where = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} CPU threads"
    print(f"{'competition':<44}{'preset':<10}{'step, s':>9}{'minutes, ' + where:>26}{'T4, estimated':>15}")
    with tempfile.TemporaryDirectory() as folder:
        for name in registry.names():
            for preset in sys.argv[1:] or ["quick", "standard"]:
                config = configure(registry.load(name), preset=preset, precision="fp32", weights="scratch")
                found = cost(name, config, Path(folder), device)
                here, there = minutes(name, config, found)
                guess = "" if device == "cuda" else f"{there:>15.1f}"
                print(f"{name:<44}{preset:<10}{found.step:>9.2f}{here:>26.0f}{guess}", flush=True)


if __name__ == "__main__":
    main()
