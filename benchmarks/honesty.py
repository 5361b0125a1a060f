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
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.judging import Trial, judged, summary
from benchmarks.noise import TYPES, Noise, noise
from harness import pipeline
from harness.competition import Competition
from harness.config import from_json
from harness.evaluation import scores
from harness.evaluation.choice import Evidence, Weights
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
SEEDS = 100


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

    finer = scores.finer_parts(found.parts, found.units, contiguous=data.competition.folds.contiguous)
    chance = scores.nested(
        blend, found.parts, metric, kinds=range(len(places)), constant=len(places) > 1, finer=finer, counted=rows
    )
    return (together.statistics[rows], chance.statistics[rows]), found.scored.groups[rows], metric


def constants(competition: Competition) -> Sequence[str]:
    """Members that look at no input: the constant rung, and the mean of all masks or maps before it."""
    names = rungs.names(competition)
    return names if competition.task.kind in ("mask", "classes") else names[1:]


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
