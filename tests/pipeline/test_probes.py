"""What a run makes of measured steps: kept once, decided anew for each run's steps, and off where it is told how."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch
from torch import nn

from harness import files, registry
from harness.batch import Batch
from harness.config import TrainConfig, from_json, override
from harness.models.layouts import Memory, lay_out
from harness.models.masks import MaskNet
from harness.pipeline import fold, nets, planning, probes
from harness.pipeline.hardware import Hardware
from harness.pipeline.job import Job
from harness.pipeline.preparation import World
from harness.pipeline.probes import Work
from harness.runs import Run
from harness.training import compiling
from tests import tiny
from tests.encoders import SMALL
from tests.kit import sample_data, small

NAME = "ultrasound-nerve-segmentation"
UNKNOWN = Hardware("cpu", "auto", None)
SHORT, LONG = Work(steps=10, starts=2), Work(steps=10**9, starts=2)


def never(*_: Any) -> NoReturn:
    raise AssertionError("nothing is to be measured")


def first_batch() -> Batch:
    return next(iter(tiny.batches(0, 1)))


def build(memory: Memory) -> nn.Module:
    return lay_out(tiny.TinyNet(), memory)


def config() -> TrainConfig:
    return small(registry.load(NAME), "precision=auto")


def probed(world: World, work: Work, *, hardware: Hardware = UNKNOWN, measure: bool = False) -> Hardware:
    batch, net = (first_batch, build) if measure else (never, never)
    competition = registry.load(NAME)
    return probes.probed(competition, config(), hardware, first_batch=batch, build=net, work=work, world=world)


def keep(world: World, **answers: dict[str, Any]) -> None:
    files.write_json(probes.kept(registry.load(NAME), config(), "cpu", world), answers)


def test_a_precision_that_is_told_is_taken_with_nothing_measured(tmp_path: Path) -> None:
    told = Hardware("cpu", "fp32", None)
    assert probed(World(tmp_path), LONG, hardware=told) == told
    assert (told.memory, told.compiled) == ("channels_last", False)


def test_what_was_measured_once_decides_for_runs_of_other_lengths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    keep(
        world,
        precision={"plain": 1.0, "other": 0.5},
        memory={"plain": 0.5, "other": 0.4},
        compiled={"plain": 0.4, "other": 0.3, "start": 60.0},
    )
    monkeypatch.setattr(compiling, "problem", lambda device: None)
    expected = Hardware("cpu", "bf16", None, memory="contiguous", compiled=False)
    assert probed(world, Work(steps=1190, starts=2)) == expected
    assert probed(world, Work(steps=1210, starts=2)) == replace(expected, compiled=True)
    # a compiler that has gone since then is said and done without
    told: list[str] = []
    monkeypatch.setattr(compiling, "problem", lambda device: "no compiler")
    assert probed(replace(world, say=told.append), LONG) == expected
    assert told == ["torch.compile is left out: no compiler"]


def test_without_a_clear_winner_steps_stay_float32_and_channels_last(tmp_path: Path) -> None:
    world = World(tmp_path)
    keep(world, precision={"plain": 1.0, "other": 0.98}, memory={"plain": 1.0, "other": 0.98})
    assert probed(world, SHORT) == Hardware("cpu", "fp32", None)


def test_a_short_run_measures_formats_and_layouts_once_and_no_compiler(tmp_path: Path) -> None:
    told: list[str] = []
    world = World(tmp_path, say=told.append)
    found = probed(world, SHORT, measure=True)
    assert found.precision in ("fp32", "bf16")
    assert not found.compiled
    assert len(told) == 1
    assert told[0].startswith(f"precision {found.precision}, {found.memory.replace('_', ' ')}: the fastest")
    assert probed(world, SHORT) == found
    assert len(told) == 1


def test_a_compiler_that_fails_is_said_once_and_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(net: nn.Module) -> None:
        def backend(graph: object, inputs: object) -> NoReturn:
            raise NotImplementedError("no kernel for this\nand a long trace")

        torch.compiler.reset()
        net.compile(backend=backend)

    monkeypatch.setattr(compiling, "start", broken)
    told: list[str] = []
    world = World(tmp_path, say=told.append)
    found = probed(world, LONG, measure=True)
    assert not found.compiled
    assert told[0].startswith("torch.compile is left out, now and later: ")
    assert "no kernel for this" in told[0]
    assert len(told) == 2
    assert probed(world, LONG) == found
    assert len(told) == 2


def test_a_batch_that_does_not_fit_is_halved_and_nothing_is_measured_where_two_rows_do_not(tmp_path: Path) -> None:
    told: list[str] = []

    def narrow(rows: int) -> Any:
        def build_narrow(memory: Memory) -> nn.Module:
            net = build(memory)
            net.register_forward_pre_hook(lambda net, given: full(len(given[0]["image"]) > rows))
            return net

        world = World(tmp_path / str(rows), say=told.append)
        return probes.probed(
            registry.load(NAME), config(), UNKNOWN, first_batch=first_batch, build=build_narrow, work=LONG, world=world
        )

    assert not narrow(2).compiled  # its steps will be cut
    assert told[-1].endswith("the fastest of what was tried on this machine")
    assert narrow(0) == Hardware("cpu", "fp32", None)
    assert told[-1] == "memory is short: precision and layout are not measured"


def full(ran_out: bool) -> None:
    if ran_out:
        raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize("setting", ["model.checkpoint=true", "train.accumulate=2"])
def test_what_the_compiler_cannot_or_would_do_anew_each_time_is_not_compiled(setting: str, tmp_path: Path) -> None:
    settings, world = override(config(), [setting]), World(tmp_path)
    answers = {name: {"plain": 1.0, "other": 0.1, "start": 1.0} for name in ("precision", "memory", "compiled")}
    files.write_json(probes.kept(registry.load(NAME), settings, "cpu", world), answers)
    found = probes.probed(
        registry.load(NAME), settings, UNKNOWN, first_batch=never, build=never, work=LONG, world=world
    )
    assert found == Hardware("cpu", "bf16", None, memory="contiguous", compiled=False)


def test_a_run_of_an_older_version_goes_on_channels_last_and_not_compiled() -> None:
    old = {"device": "cpu", "precision": "fp32", "encoder_weights": None}
    assert from_json(old, Hardware) == Hardware("cpu", "fp32", None, memory="channels_last", compiled=False)


def test_both_layouts_give_the_same_logits_and_a_net_is_built_in_the_one_recorded() -> None:
    torch.manual_seed(0)
    common: dict[str, Any] = {"decoder": (16, 16, 8, 8, 8), "channels": 3, "outputs": 1, "normalise": "half"}
    net = MaskNet(SMALL, input_name="image", **common).eval()
    pictures = {"image": torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)}
    first = lay_out(net, "channels_last")(pictures)
    assert torch.allclose(lay_out(net, "contiguous")(pictures), first, atol=1e-4)
    competition = registry.load(NAME)
    hardware = replace(nets.CPU, memory="contiguous")
    weights = [tensor for tensor in nets.build_net(competition, config(), hardware).parameters() if tensor.dim() == 4]
    assert all(tensor.is_contiguous() for tensor in weights)


def test_a_recorded_compilation_starts_anew_in_each_stage_and_changes_no_name(
    tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    competition, plain, data = sample_data("playground-series-s3e8", shared_cache, "data.folds=2")
    settings = override(plain, ["stages.1.epochs=1", "stages.1.name=second"])
    plan = planning.plan_folds(competition, settings, data)
    started: list[nn.Module] = []
    monkeypatch.setattr(compiling, "start", started.append)
    written = []
    for compiled in (False, True):
        run = Run(tmp_path / str(compiled))
        run.path.mkdir()
        machine = replace(nets.CPU, compiled=compiled)
        job = Job(competition, settings, run, machine, World(tmp_path / f"{compiled} cache"))
        fold.train_fold(job, 0, data=data, plan=plan, places=[])
        written.append((run.path / "weights" / "fold0.safetensors").read_bytes())
        assert len(started) == (2 if compiled else 0)
    assert written[0] == written[1]


def test_the_work_ahead_counts_the_steps_and_stages_of_all_folds(shared_cache: Path) -> None:
    competition, plain, data = sample_data("playground-series-s3e8", shared_cache, "data.folds=2")
    settings = override(plain, ["stages.0.epochs=3", "stages.1.epochs=2", "stages.1.name=second"])
    plan = planning.plan_folds(competition, settings, data)
    rows = len(plan.training(0))
    found = fold.work(competition, settings, data=data, plan=plan, folds=2)
    assert found.starts == 4
    assert found.steps == 2 * (-(-3 * rows // 4) + -(-2 * rows // 4))


def test_hardware_goes_through_json() -> None:
    hardware = Hardware("cpu", "bf16", None, memory="contiguous", compiled=True)
    assert from_json(asdict(hardware), Hardware) == hardware
