"""What a run begins with: the machine as it is settled, and the files that say so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness import files, runs
from harness.competition import Competition
from harness.config import TrainConfig, from_json
from harness.data.folds import FoldPlan
from harness.pipeline import hardware, nets, probes, quarantine
from harness.pipeline.job import Request
from harness.pipeline.parts import Data, Part
from harness.pipeline.planning import write_folds
from harness.pipeline.preparation import World


def settled(
    competition: Competition,
    config: TrainConfig,
    request: Request,
    run: runs.Run,
    settings: dict[str, Any],
    *,
    world: World,
) -> hardware.Hardware:
    """As the run began, with a word on what differs now; else settled anew."""
    if "hardware" not in settings:
        found = hardware.settle(competition, config, device=request.device, offline=request.sample, world=world)
        if competition.picture is not None:  # what cannot be built is said before any data is read
            nets.build_net(competition, config, replace(found, device="cpu"))
        return found
    machine = hardware.here(from_json(settings["hardware"], hardware.Hardware), world)
    usable = probes.still_compiled(machine, world)
    different = hardware.differences(run.environment() or {}, hardware.environment(machine.device))
    if usable != machine:
        different.append("its nets were compiled")
    if different:
        world.say(f"not bit-identical to an uninterrupted run, because {'; '.join(different)}")
    return usable


def write(run: runs.Run, settings: dict[str, Any], data: Data, plan: FoldPlan, test: Part | None) -> None:
    """folds.csv, environment.json, the resolved config.json, and quarantine.csv where rows cannot be used."""
    if run.environment() is None:
        files.write_json(run.path / "environment.json", hardware.environment(settings["hardware"]["device"]))
    write_folds(run.path / "folds.csv", data, plan)
    quarantine.write(run.path / "quarantine.csv", [*data.spoilt, *(test.spoilt if test else ())])
    run.finish("cache", settings["data_hash"], decoded=settings["decoded"])
    run.finish("folds", [settings["data_hash"], plan.digest(data.rows.ids)], number=plan.number)
    files.write_json(run.path / "config.json", settings)
