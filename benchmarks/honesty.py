"""Whether scores are honest: on labels that are pure noise no run may score better than the best constant answer.

A hundred runs of each type of task, small but whole (`pipeline.run`), each on labels of another seed. Chance is the
best constant answer (no input looked at) chosen and scored with the same nested choice on the same rows: of masks and
maps both the fixed one and the mean of all are constant. A run is within chance if its score is no further from it than
two standard errors of the score: a bootstrap over the score's own groups. The standard error of the paired difference
is recorded beside. Over the seeds the mean difference must not be better than chance by more than two of its own
standard errors.

Every run is a row of `results/honesty.csv`, appended as it ends and skipped when there; the table goes to
`results/honesty.md`. Remove the first to measure again.

    python -m benchmarks.honesty [seeds] [type ...]
"""

from __future__ import annotations

import csv
import functools
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.noise import TYPES, Noise, noise
from harness import pipeline
from harness.competition import Competition
from harness.config import from_json
from harness.evaluation import scores
from harness.evaluation.choice import Evidence, Weights
from harness.evaluation.intervals import bootstrap, standard_error
from harness.metrics import Metric
from harness.pipeline import World, rungs, score
from harness.pipeline.job import Job
from harness.pipeline.nets import CPU
from harness.pipeline.planning import plan_folds
from harness.pipeline.preparation import prepare
from harness.pipeline.tuning import chose
from harness.runs import Run

RESULTS = Path(__file__).parent / "results"
ROWS, TABLE = RESULTS / "honesty.csv", RESULTS / "honesty.md"
SEEDS, WITHIN, ERRORS, RESAMPLES = 100, 0.9, 2.0, 200


@dataclass(frozen=True)
class Trial:
    """A run on noise.

    Attributes:
        type, seed: which labels.
        score: as the run reports it.
        chance: of the best constant answer.
        gain: the score minus chance, positive where it is better than chance.
        error: standard error of the score, over its groups.
        paired: standard error of the difference.
        constant: weight of the constant answer in the submission.
        optimism: as the run reports it.
        seconds: of the run and of this judgement.
    """

    type: str
    seed: int
    score: float
    chance: float
    gain: float
    error: float
    paired: float
    constant: float = 0.0
    optimism: float = 0.0
    seconds: float = 0.0

    @property
    def within(self) -> bool:
        """Whether the score is within two standard errors of chance."""
        return abs(self.gain) <= ERRORS * self.error + 1e-9 * abs(self.chance)


def judged(name: str, seed: int, pair: tuple[np.ndarray, np.ndarray], groups: np.ndarray, metric: Metric) -> Trial:
    """A score beside chance.

    Args:
        pair: [N, S] statistics of what is scored, and of the best constant answer, of the same rows.
        groups: int64 [N], what the metric pools over; rows of a group are drawn together.
    """
    value, chance = (float(metric.reduce(one, groups)) for one in pair)
    drawn = bootstrap(pair[0], groups, groups, metric, resamples=RESAMPLES, seed=seed)
    units = len(np.unique(groups))
    error = float(np.std(drawn) * (units / (units - 1)) ** 0.5)
    paired = standard_error(*pair, groups, groups, metric, resamples=RESAMPLES, seed=seed)
    gain = value - chance if metric.higher_is_better else chance - value
    return Trial(name, seed, value, chance, gain, error, paired)


def trial(name: str, seed: int, folder: Path, *settings: str) -> Trial:
    """One run on noise, and what its score is worth.

    Args:
        folder: of this type; inputs and caches are kept there from seed to seed.
        settings: after the type's own.
    """
    began = time.perf_counter()
    made, world = noise(TYPES[name], seed, folder, *settings), World(folder / "cache")
    with tempfile.TemporaryDirectory() as runs:
        run = Run(Path(runs) / "run")
        result = pipeline.run(made.competition, made.config, made.request, out=run.path, world=world)
        pair, groups, metric = against_constant(made, run, world)
    own = judged(name, seed, pair, groups, metric)
    reported = result["score"]["value"]
    assert abs(own.score - reported) <= 1e-9 * max(1.0, abs(reported)), "what is judged is what was reported"
    *_, constant = (member["weight"] for member in result["members"].values())
    facts = {"constant": constant, "optimism": result["optimism"], "seconds": round(time.perf_counter() - began, 2)}
    return Trial(**{**asdict(own), **facts})


def against_constant(made: Noise, run: Run, world: World) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray, Metric]:
    """((statistics of the reported score, the best constant answer's), each [N, S]; groups [N]; the metric)."""
    settings, root = run.settings(), Path(str(made.request.data))
    config = from_json(settings["config"])
    data = prepare(made.competition, config, root, world)
    plan = plan_folds(data.competition, config, data)
    job = Job(data.competition, config, run, CPU, world, chose=chose(settings))
    found = score.out_of_fold(job, run.folds_trained(), data=data, plan=plan)
    every = functools.cache(found.blend)
    together = score.weighed(job, found, every)
    metric, rows = data.competition.metric, found.counted
    places = [list(found.members).index(name) for name in constants(data.competition)]

    def blend(weights: Weights) -> Evidence:
        shares = dict(zip(places, weights, strict=True))
        return every(tuple(shares.get(place, 0.0) for place in range(len(found.members))))

    units = np.unique(found.units, return_inverse=True)[1] if len(places) > 1 else None
    chance = scores.nested(blend, found.parts, metric, kinds=range(len(places)), units=units, counted=rows)
    return (together.statistics[rows], chance.statistics[rows]), found.scored.groups[rows], metric


def constants(competition: Competition) -> Sequence[str]:
    """Members that look at no input: the constant rung, and the mean of all masks or maps before it."""
    names = rungs.names(competition)
    return names if competition.task.kind in ("mask", "classes") else names[1:]


@dataclass(frozen=True)
class Summary:
    """What the trials of a type say.

    Attributes:
        number: of trials.
        within: how many are within two standard errors of chance.
        mean, error: of the gains, and its standard error over the seeds.
    """

    number: int
    within: int
    mean: float
    error: float

    @property
    def honest(self) -> bool:
        """Whether nine of ten are within chance and the mean is not above it."""
        return self.within >= WITHIN * self.number and self.mean <= ERRORS * self.error + 1e-12


def summary(trials: Sequence[Trial]) -> Summary:
    """Counts, mean and standard error of the trials of one type."""
    gains = [one.gain for one in trials]
    error = statistics.stdev(gains) / len(gains) ** 0.5 if len(gains) > 1 else 0.0
    return Summary(len(trials), sum(one.within for one in trials), statistics.fmean(gains), error)


def known() -> list[Trial]:
    """The trials in the file."""
    if not ROWS.exists():
        return []
    with open(ROWS, newline="", encoding="utf-8") as handle:
        return [_read(row) for row in csv.DictReader(handle)]


def _read(row: Mapping[str, str]) -> Trial:
    return Trial(
        **{field.name: {"str": str, "int": int}.get(str(field.type), float)(row[field.name]) for field in fields(Trial)}
    )


def table(trials: Sequence[Trial]) -> str:
    """The table for people."""
    lines = [
        "# Scores on pure noise",
        "",
        "`make honesty`: whole small runs on labels drawn without a look at the inputs, against the best constant",
        "answer scored with the same nested choice. Within: scores no further from chance than two of their own",
        "standard errors (bootstrap over groups), of which there must be 90 of 100. Gain: score minus chance, positive",
        "where better than chance; its mean over the seeds must not exceed two of its standard errors.",
        "",
        "| type | seeds | within | mean gain | its standard error | in standard errors | constant's weight | honest |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(one.type for one in trials):
        own = [one for one in trials if one.type == name]
        said, weight = summary(own), statistics.fmean(one.constant for one in own)
        ratio = said.mean / said.error if said.error else 0.0
        lines.append(
            f"| {name} | {said.number} | {said.within} | {said.mean:+.5g} | {said.error:.5g} | {ratio:+.2f} "
            f"| {weight:.2f} | {'yes' if said.honest else 'NO'} |"
        )
    lines += ["", f"{len(trials)} runs, {sum(one.seconds for one in trials) / 60:.1f} minutes on one thread."]
    return "\n".join(lines) + "\n"


def measure(seeds: int, names: Sequence[str], folder: Path) -> None:
    """Runs what is missing, seed by seed, and appends each as it ends."""
    done = {(one.type, one.seed) for one in known()}
    for seed in range(seeds):
        for name in names:
            if (name, seed) in done:
                continue
            row: dict[str, Any] = asdict(trial(name, seed, folder / name))
            fresh = not ROWS.exists()
            with open(ROWS, "a", newline="", encoding="utf-8") as handle:
                writer = csv.DictWriter(handle, list(row), lineterminator="\n")
                if fresh:
                    writer.writeheader()
                writer.writerow(row)
            print(name, seed, f"{row['score']:.4f} against {row['chance']:.4f}, {row['seconds']:.1f} s", flush=True)


def main() -> None:
    """Measures what is missing, prints the table and writes it; fails where a type is not honest."""
    torch.set_num_threads(1)
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    with tempfile.TemporaryDirectory() as folder:
        measure(seeds, sys.argv[2:] or list(TYPES), Path(folder))
    trials = known()
    text = table(trials)
    TABLE.write_text(text, encoding="utf-8")
    print(text)
    if not all(summary([one for one in trials if one.type == name]).honest for name in {one.type for one in trials}):
        sys.exit("a score is above chance, or too far from it")


if __name__ == "__main__":
    main()
