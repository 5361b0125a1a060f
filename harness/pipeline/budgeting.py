"""A run that must end in time: what there is to submit early, how long each fold trains, and what is left out.

From the first seconds on `submission.csv` is valid: sample values, then the cheap model of the first fold, then the
first fold's network, then all folds. Each replaces the one before at once. What is shed is said and recorded.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness import files, runs
from harness.competition import Competition
from harness.config import TrainConfig
from harness.errors import ConfigError, OutOfTime
from harness.governor import Governor
from harness.pipeline import early, probes
from harness.pipeline.hardware import Hardware
from harness.pipeline.job import Request
from harness.pipeline.preparation import World
from harness.pipeline.seat import TRUNKS
from harness.training.shards import Shard

PROBED = 1200.0  # seconds of budget from which on precision and layout are measured, where no earlier run has


def resolved(config: TrainConfig) -> TrainConfig:
    """The configuration of a run whose length the clock decides: warmup-stable-decay in every stage, no range test."""
    # a quarter of the steps, as one-cycle takes to warm up, would be lost to a schedule that is level after it
    train = replace(config.train, schedule="warmup-stable-decay", warmup=min(0.1, config.train.warmup))
    return replace(
        config, train=train, stages=tuple(replace(stage, schedule=None, find=False) for stage in config.stages)
    )


def check(request: Request, shard: Shard) -> None:
    """Refuses what a budget cannot be kept with.

    Raises:
        ConfigError: folds trained at once, several processes, or a search that does not know how long it takes.
    """
    if request.processes > 1 or shard.number > 1:
        raise ConfigError(
            "--budget with several processes", fix="leave out --processes and torchrun: one clock, one process"
        )
    if request.tune and request.search.method not in TRUNKS:
        fix = f"give --method {' or '.join(TRUNKS)}, or tune first, without a budget"
        raise ConfigError(f"--budget with --method {request.search.method}", fix=fix)


def unprobed(budget: Budget, competition: Competition, config: TrainConfig, machine: Hardware) -> Hardware:
    """What is left to "auto" settled without a probe, where time is short and no earlier run has measured it."""
    known = probes.kept(competition, config, machine.device, budget.world).exists()
    if machine.precision != "auto" or known or budget.governor.seconds >= PROBED:
        return machine
    kind = "fp32" if machine.device == "cpu" else "fp16"
    budget.world.say(f"precision {kind}, not probed: the budget is short")
    return replace(machine, precision=kind)


@dataclass
class Budget:
    """A run's time, in this process and the earlier ones.

    Attributes:
        governor: of this process.
        run: the folder.
        world: whose progress and predictions look at the clock.
        granted: seconds for all processes.
        earlier: seconds that earlier processes took.
        shed: what was left out, a sentence each.
        submissions: what `submission.csv` held, with the seconds after which it did.
    """

    governor: Governor
    run: runs.Run
    world: World
    granted: float
    earlier: float = 0.0
    shed: list[str] = field(default_factory=list)
    submissions: list[tuple[str, float]] = field(default_factory=list)

    def record(self) -> dict[str, Any]:
        """The part of the run's JSON that tells of it."""
        return {
            "seconds": self.granted,
            "used": round(self.earlier + self.governor.used(), 1),
            "shed": self.shed,
            "submissions": self.submissions,
            "steps": _steps(self.run),
        }

    def note(self) -> None:
        """Keeps what a later process must know."""
        files.write_json(self.run.path / "clock.json", self.record())

    def written(self, what: str) -> None:
        """`submission.csv` is there, or better than it was."""
        after = round(self.earlier + self.governor.used(), 1)
        self.submissions.append((what, after))
        self.world.say(f"submission.csv after {after:.0f} s: {what}")
        self.note()

    def leave_out(self, what: str) -> None:
        """Says and notes what is shed."""
        if what not in self.shed:
            self.shed.append(what)
            self.world.say(f"shed for the budget: {what}")

    def settle(self, wanted: int, trained: int) -> None:
        """Of what was said of folds while the machine's speed changed, keeps what came true."""
        said = [what for what in self.shed if not what.startswith("folds ")]
        place = said.index("test-time views") + 1 if "test-time views" in said else 0
        self.shed = said if trained == wanted else [*said[:place], f"folds {wanted} -> {trained}", *said[place:]]


def begun(run: runs.Run, seconds: float, world: World, *, more: float | None = None) -> Budget:
    """The time of a run that begins or goes on.

    Args:
        seconds: asked for when the run began.
        more: granted to this process, in the place of what is left.

    Raises:
        OutOfTime: nothing is left.
    """
    path = run.path / "clock.json"
    before = files.read_json(path, fix="remove it: the clock starts anew") if path.exists() else {}
    earlier = float(before.get("used", 0.0))
    left = before.get("seconds", seconds) - earlier if more is None else more
    if left < 1:
        raise OutOfTime(f"the run's {before['seconds']:g} s are used up", fix=going_on(run))
    governor = Governor(left, world.clock, world.clock() if world.began is None else world.began)
    progress = world.progress

    def ticking(label: str, done: int, total: int) -> None:
        governor.check()
        progress(label, done, total)

    def tick() -> None:
        governor.check()
        world.halt()

    timed = replace(world, tick=tick, progress=ticking)
    shed, written = before.get("shed", []), [tuple(pair) for pair in before.get("submissions", [])]
    return Budget(governor, run, timed, earlier + left, earlier, shed, written)


def first_submission(budget: Budget, competition: Competition, config: TrainConfig, root: Path) -> None:
    """Writes sample values, unless a process before this one wrote anything."""
    if not (budget.run.path / "submission.csv").exists():
        early.write(competition, config, root, budget.run, budget.world)
        budget.written("sample values")


def _steps(run: runs.Run) -> dict[str, dict[str, int]]:
    """fold -> stage -> optimizer steps it took, as the log tells."""
    found: dict[str, dict[str, int]] = {}
    path = run.path / "log.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        entry = json.loads(line) if line.endswith("}") else {}
        if entry.get("event") == "settled":
            found.setdefault(str(entry["fold"]), {})[entry["stage"]] = entry["steps"]
    return found


def going_on(run: runs.Run) -> str:
    """How a run with a budget is gone on with."""
    return f"go on with: harness resume {run.path} --budget TIME"
