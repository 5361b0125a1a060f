"""Feeds drawn inputs to the readers until the time is over: `python -m tests.fuzz [seconds in all]`.

Writes benchmarks/results/fuzz.md: inputs tried, seconds, distinct findings. Each finding's smallest input is printed.
Exit code 1 where there is any.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from harness import files
from tests.fuzz.mutations import inputs, variations
from tests.fuzz.targets import TARGETS, Target, try_one, without_sync

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "fuzz.md"
ROUND = 50  # inputs of one call of hypothesis, which draws all of them also where the time is over
NEAR = 20  # others near each of them
GROWTH = 256_000_000  # bytes that the process may grow by while it reads inputs of at most 20,000 bytes


@dataclass
class Tally:
    """What was tried of one reader.

    Attributes:
        tried: inputs.
        seconds: that they took.
        found: (kind and place of the error) -> smallest input that brings it about.
    """

    tried: int = 0
    seconds: float = 0.0
    found: dict[str, bytes] = field(default_factory=dict)


def fuzz(target: Target, seconds: float, folder: Path, *, first: int = 0) -> Tally:
    """Inputs for a reader until the time is over.

    Args:
        first: seed of the first round.
    """
    tally, begin = Tally(), time.monotonic()
    before = _peak()

    @settings(
        max_examples=ROUND,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(content=inputs(target.seeds, target.tokens))
    def one_round(content: bytes) -> None:
        for near in variations(content, target.tokens, NEAR):
            if time.monotonic() - begin > seconds:
                return
            tally.tried += 1
            error = try_one(target, near, folder)
            if error is not None:
                _note(tally, target, near, error, folder)

    while time.monotonic() - begin < seconds:
        seed(first)(one_round)()
        first += 1
    tally.seconds = time.monotonic() - begin
    if _peak() - before > GROWTH:
        tally.found[f"memory grew by {(_peak() - before) / 1e6:.0f} MB"] = b""
    return tally


def _note(tally: Tally, target: Target, content: bytes, error: BaseException, folder: Path) -> None:
    key = _place(error)
    if key not in tally.found:
        content = _smaller(target, content, key, folder)
    if len(content) < len(tally.found.get(key, content + b" ")):
        tally.found[key] = content


def _smaller(target: Target, content: bytes, key: str, folder: Path) -> bytes:
    """The input without what the finding does not need."""
    size = max(1, len(content) // 2)
    while size:
        place = 0
        while place < len(content):
            less = content[:place] + content[place + size :]
            error = try_one(target, less, folder)
            if error is not None and _place(error) == key:
                content = less
            else:
                place += size
        size //= 2
    return content


def _place(error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    own = [step for step in traceback.extract_tb(error.__traceback__) if "/harness/" in step.filename] or [frame]
    return f"{type(error).__name__} in {Path(own[-1].filename).name}:{own[-1].lineno} ({own[-1].name})"


def _peak() -> int:
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def main(seconds: float) -> int:
    """Fuzzes all readers, each for its share of the seconds; the number of findings."""
    without_sync()
    rows = ["| reader | inputs | seconds | findings |", "|---|---|---|---|"]
    count = 0
    with tempfile.TemporaryDirectory() as scratch:
        for target in TARGETS:
            tally = fuzz(target, seconds / len(TARGETS), Path(scratch) / "one", first=time.time_ns() % 2**32)
            rows.append(f"| {target.name} | {tally.tried:,} | {tally.seconds:.0f} | {len(tally.found)} |")
            print(rows[-1], flush=True)
            for key, content in tally.found.items():
                print(f"  {key}\n    {content[:2000]!r}", flush=True)
            count += len(tally.found)
    head = (
        "What `make fuzz` last tried: drawn inputs, real files changed in up to six places; an input is at most 20 kB."
    )
    files.write_text(RESULTS, "\n".join(["# Fuzzing", "", head, "", *rows, ""]))
    return count


if __name__ == "__main__":
    sys.exit(min(1, main(float(sys.argv[1]) if len(sys.argv) > 1 else 600.0)))
