"""Memory held while 5,508 pictures of 420x580 are predicted by five folds: the whole nerve test set.

Trains five folds for an instant on drawn frames, names the drawn test frames 5,508 times (links: the pictures are
decoded and predicted 5,508 times all the same), and samples RssAnon from /proc while the submission is written.

Run: python -m benchmarks.predict_memory [--rows 5508]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

from harness import pipeline, registry, runs
from harness.config import override
from harness.data.materialise import write_sample
from harness.pipeline.preparation import World

LIMIT = 2e9  # bytes
NAME = "ultrasound-nerve-segmentation"


def anonymous() -> int:
    """Bytes of this process's memory that no file backs."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("RssAnon:"))) * 1024


def large_test_set(folder: Path, rows: int) -> None:
    """Links the drawn test pictures under `rows` names and writes a sample submission that names them all."""
    drawn = sorted((folder / "test").glob("*.tif"))
    for path in drawn:
        path.rename(path.with_suffix(".drawn"))
    for number in range(rows):
        (folder / "test" / f"{number + 1}.tif").symlink_to(drawn[number % len(drawn)].with_suffix(".drawn").name)
    lines = ["img,pixels\n", *(f"{number + 1},1 1\n" for number in range(rows))]
    (folder / "sample_submission.csv").write_text("".join(lines))


def main() -> None:
    """Prints the peak, before and during prediction; exits 1 above two gigabytes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=5508)
    rows = parser.parse_args().rows
    competition = registry.load(NAME)
    quick = competition.presets["quick"](competition.defaults)
    config = override(quick, ["stages.0.epochs=0.1", "precision=fp32", "weights=scratch"])
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        world = World(root / "cache")
        data = root / "data"
        shutil.copytree(write_sample(competition, rows=60, seed=0, cache=world.cache), data)
        request = pipeline.Request(data=str(data), device="cpu")
        result = pipeline.run(competition, config, request, out=root / "run", world=world)
        large_test_set(data, rows)
        before, peak, stop = anonymous(), [0], threading.Event()

        def watch() -> None:
            while not stop.wait(0.02):
                peak[0] = max(peak[0], anonymous())

        watcher = threading.Thread(target=watch)
        watcher.start()
        begin = time.perf_counter()
        submission = pipeline.predict(runs.find(result["run"]), data=str(data), world=world)
        seconds = time.perf_counter() - begin
        stop.set()
        watcher.join()
        written = len(submission.read_text().splitlines()) - 1
    assert written == rows, f"{written} rows written"
    print(f"{rows} pictures of 420x580, {result['folds']} folds of {config.model.encoder}, two views: {seconds:.0f} s")
    print(f"anonymous memory: {before / 1e9:.2f} GB before, peak {peak[0] / 1e9:.2f} GB (limit {LIMIT / 1e9:.0f} GB)")
    sys.exit(peak[0] > LIMIT)


if __name__ == "__main__":
    main()
