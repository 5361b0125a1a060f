"""How large a bundle of a resnet34-class run is, and how long it takes to make.

The run is the nerve sample's with a resnet34 U-Net, five folds, of which none is trained: random weights, written as a
fold writes them (float16), are as many bytes as good ones. Exits with 1 above 300 MB or 120 s.

    python -m benchmarks.bundle
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from harness import files, registry, runs
from harness.config import TrainConfig, as_json
from harness.kaggle import bundle
from harness.pipeline import Request, nets
from harness.pipeline.nets import CPU
from harness.training import loop

NAME = "ultrasound-nerve-segmentation"
FOLDS = 5
LARGEST, LONGEST = 300e6, 120.0


def stand_in(folder: Path, config: TrainConfig) -> runs.Run:
    """A run folder with everything that is read of a finished run, and untrained weights."""
    competition, run = registry.load(NAME), runs.Run(folder)
    machine = asdict(CPU)
    settings = {"schema": 1, "competition": NAME, "request": asdict(Request()), "config": as_json(config)}
    files.write_json(folder / "config.json", {**settings, "hardware": machine, "data_hash": "none"})
    files.write_json(folder / "scores.json", {"schema": 1, "folds_trained": list(range(FOLDS))})
    for fold in range(FOLDS):
        loop.seed_everything(0, fold)
        net = nets.build_net(competition, config, CPU)
        loop.write_weights(net.state_dict(), folder / "weights" / f"fold{fold}.safetensors")
        files.write_json(folder / "weights" / f"fold{fold}.json", {})
    return run


def main() -> int:
    """Prints bytes and seconds; returns 1 where either is over its limit."""
    config = registry.load(NAME).defaults
    with tempfile.TemporaryDirectory() as scratch:
        run = stand_in(Path(scratch) / "run", config)
        begin = time.perf_counter()
        facts = bundle.make(run, bundle.Wanted("somebody"))
        seconds = time.perf_counter() - begin
    size = sum(facts["bytes"].values())
    print(f"{config.model.encoder}, {FOLDS} folds: {size / 1e6:.1f} MB in {seconds:.1f} s on {os.cpu_count()} cores")
    return 0 if size < LARGEST and seconds < LONGEST else 1


if __name__ == "__main__":
    raise SystemExit(main())
