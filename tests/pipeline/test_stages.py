"""Stages: a frozen encoder stays still but for its norms, sizes and rates are as told, and resume knows the stage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from harness import pipeline, registry, runs
from harness.models.layers import layer_of
from harness.pipeline import World, nets
from harness.training import groups, loop, state
from tests.kit import request, sample_data, small

NAME = "ultrasound-nerve-segmentation"
PROGRESSIVE = (
    "data.folds=2",
    "stages.0.name=head",
    "stages.0.freeze=true",
    "stages.0.size=32x32",
    "stages.1.name=whole",
    "stages.1.epochs=1",
    "stages.1.rates=1e-4,1e-2",
    "stages.1.schedule=cosine",
    "stages.1.batch=6",
)


def before_training(shared_cache: Path) -> dict[str, torch.Tensor]:
    competition, config, _ = sample_data(NAME, shared_cache)
    loop.seed_everything(config.seed, 0)
    return nets.build_net(competition, config, nets.CPU).state_dict()


def test_a_frozen_encoder_keeps_its_weights_and_its_norms_adapt(tmp_path: Path, shared_cache: Path) -> None:
    competition = registry.load(NAME)
    config = small(competition, "data.folds=2", "stages.0.freeze=true", "train.ema=0", "train.weight_decay=0.5")
    pipeline.run(competition, config, request(only_folds=(0,)), out=tmp_path / "run", world=World(shared_cache))
    after = safetensors.torch.load_file(tmp_path / "run" / "weights" / "fold0.safetensors")
    first = before_training(shared_cache)
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, first[name].to(tensor.dtype))}
    encoder = {name for name in first if name.startswith("net.encoder.")}
    still = {name for name in encoder if "bn" not in name and "downsample.1" not in name}
    assert still
    assert not moved & still
    assert any(name.endswith("running_mean") for name in moved & encoder)
    assert moved - encoder


def test_stages_run_one_after_the_other_each_as_it_says(tmp_path: Path, shared_cache: Path) -> None:
    competition, sizes = registry.load(NAME), list[tuple[int, ...]]()
    forward = nets.MaskNet.forward

    def spy(net: nets.MaskNet, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        if net.training:
            sizes.append(tuple(inputs["image"].shape))
        return forward(net, inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nets.MaskNet, "forward", spy)
        config = small(competition, *PROGRESSIVE)
        pipeline.run(competition, config, request(only_folds=(0,)), out=tmp_path / "run", world=World(shared_cache))
    at_half = sizes.count((4, 1, 32, 32))
    assert sizes == [(4, 1, 32, 32)] * at_half + [(6, 1, 64, 64)] * (len(sizes) - at_half)
    assert 0 < at_half < len(sizes)


def test_a_run_stopped_in_its_second_stage_goes_on_in_it(tmp_path: Path, shared_cache: Path) -> None:
    competition = registry.load(NAME)
    config = small(competition, *PROGRESSIVE, "stages.1.epochs=3", "train.save_every=2")
    weights = []

    def stop(name: str, done: int, total: int) -> None:
        if name.startswith("fold 0 whole") and done >= 4:
            raise KeyboardInterrupt

    for interrupted in (False, True):
        out = tmp_path / str(interrupted)
        world = World(shared_cache, progress=stop) if interrupted else World(shared_cache)
        if interrupted:
            with pytest.raises(KeyboardInterrupt):
                pipeline.run(competition, config, request(only_folds=(0,)), out=out, world=world)
            pipeline.resume(runs.find(str(out)), data=None, world=World(shared_cache))
        else:
            pipeline.run(competition, config, request(only_folds=(0,)), out=out, world=world)
        weights.append((out / "weights" / "fold0.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_rates_grow_by_the_same_factor_from_layer_to_layer(shared_cache: Path) -> None:
    competition, config, _ = sample_data(NAME, shared_cache)
    net = nets.build_net(competition, config, nets.CPU)
    layers = layer_of(net)
    training = state.TrainState.start(net, rate=1, weight_decay=0.1, ema=False, precision="fp32", layers=layers)
    groups.pace(training.optimizer, net, 0.01, frozen=False)
    scales = {group["layer"]: group["scale"] for group in training.optimizer.param_groups}
    head = max(scales)
    assert (scales[0], scales[head]) == pytest.approx((0.01, 1.0))
    factors = [scales[layer + 1] / scales[layer] for layer in range(head)]
    assert factors == pytest.approx([100 ** (1 / head)] * head)
    # no weight is in two groups or in none
    grouped = [id(parameter) for group in training.optimizer.param_groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in net.parameters())
    plain = {group["weight_decay"] for group in training.optimizer.param_groups}
    assert plain == {0.0, 0.1}
    groups.pace(training.optimizer, net, 1.0, frozen=True)
    assert {group["scale"] for group in training.optimizer.param_groups} == {1.0}
    groups.pace(training.optimizer, net, 1.0, frozen=False)
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_a_run_that_changes_a_later_stage_begins_after_the_earlier_ones(tmp_path: Path, shared_cache: Path) -> None:
    competition, cache = registry.load(NAME), tmp_path / "cache"

    def trained(name: str, *settings: str, root: Path = cache) -> tuple[list[str], list[str], bytes]:
        told, out = list[str](), tmp_path / name
        config = small(competition, *PROGRESSIVE, *settings)
        pipeline.run(competition, config, request(only_folds=(0,)), out=out, world=World(root, say=told.append))
        log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        ran = list(dict.fromkeys(entry["stage"] for entry in log if entry["event"] == "train"))
        weights = (out / "weights" / "fold0.safetensors").read_bytes()
        return ran, [line for line in told if "begins after" in line], weights

    first = trained("first")
    assert first[:2] == (["head", "whole"], [])
    again = trained("again", "stages.1.epochs=2")
    assert again[:2] == (["whole"], ["fold 0 begins after stage head, as an earlier run left it"])
    # to the bit what it is without the earlier run
    assert again[2] == trained("alone", "stages.1.epochs=2", root=tmp_path / "other")[2]
    for changed in ("stages.0.epochs=2", "train.clip=0.5", "seed=1", "stages.0.size=48x48"):
        assert trained(changed.replace("=", "-"), changed)[0] == ["head", "whole"]
    assert trained("views", "report.resamples=20")[0] == ["whole"]


def test_a_disk_without_room_keeps_no_stage(tmp_path: Path, shared_cache: Path) -> None:
    competition = registry.load(NAME)
    config = small(competition, *PROGRESSIVE)
    tight = World(shared_cache, free=lambda path: 30_000_000 if path.name == "stages" else 10**12)
    pipeline.run(competition, config, request(only_folds=(1,)), out=tmp_path / "run", world=tight)
    again = list[str]()
    world = World(shared_cache, say=again.append)
    pipeline.run(competition, config, request(only_folds=(1,)), out=tmp_path / "again", world=world)
    assert not any("begins after" in line for line in again)
