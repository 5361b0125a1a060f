"""How long one choice of label thresholds takes: the single one and the per-label ones, without the nested estimate.

40,000 rows of 17 labels, about as many as the Amazon competition has, with probabilities that are mostly distinct.
Medians over the repeats, in processor time: what one core needs, whatever else the machine does meanwhile.

    python -m benchmarks.thresholds [repeats]
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np

from harness.evaluation.labels import Average, LabelEvidence, choose_per_label, choose_single

ROWS, LABELS = 40_000, 17
GOAL = 1.0  # processor seconds for both kinds
AVERAGES: tuple[Average, ...] = ("samples", "macro", "micro")


def evidence(seed: int) -> LabelEvidence:
    """Labels in 0.2 % to 90 % of the rows; every label's probabilities are shifted by an amount of its own."""
    generator = np.random.default_rng(seed)
    truth = generator.random((ROWS, LABELS)) < np.geomspace(0.9, 0.002, LABELS)
    logits = 2.5 * truth - 2 + generator.normal(0, 1.2, truth.shape) + generator.normal(0, 0.7, LABELS)
    probability = (1 / (1 + np.exp(-logits))).astype(np.float32)
    return LabelEvidence(probability, truth, np.arange(ROWS) % 5)


def seconds(held: LabelEvidence, average: Average) -> tuple[float, float]:
    """Processor seconds of (the single threshold, the per-label ones)."""
    start = time.process_time()
    single = choose_single(held, beta=2.0, average=average)
    between = time.process_time()
    choose_per_label(held, single, beta=2.0, average=average)
    return between - start, time.process_time() - between


def main() -> int:
    """Prints one line per average; returns 1 if one of them misses the goal."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    held = evidence(seed=0)
    reached = True
    print(f"{'average':<12}{'single, ms':>12}{'per label, ms':>15}{'both, ms':>10}")
    for average in AVERAGES:
        pairs = [seconds(held, average) for _ in range(repeats)]
        single, many, both = (statistics.median(times) for times in (*zip(*pairs, strict=True), map(sum, pairs)))
        print(f"{average:<12}{single * 1e3:>12.0f}{many * 1e3:>15.0f}{both * 1e3:>10.0f}")
        reached &= both < GOAL
    return 0 if reached else 1


if __name__ == "__main__":
    raise SystemExit(main())
