"""Everything that changes while training comes back, from memory and from a file, to the bit."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.errors import RunError
from harness.training import loop
from tests.tiny import RATE, bits, fresh, recipe


def test_five_steps_after_a_restore_equal_the_five_before_it() -> None:
    training = fresh()
    loop.advance(training, 3, RATE, recipe())
    snapshot = training.snapshot()
    loop.advance(training, 8, RATE, recipe())
    first = bits(training)
    training.restore(snapshot)
    assert training.step == 3
    loop.advance(training, 8, RATE, recipe())
    assert bits(training) == first


def test_a_snapshot_is_not_touched_by_later_steps() -> None:
    training = fresh()
    loop.advance(training, 2, RATE, recipe())
    snapshot = training.snapshot()
    before = {name: tensor.clone() for name, tensor in snapshot.tensors.items()}
    loop.advance(training, 6, RATE, recipe())
    training.restore(snapshot)
    loop.advance(training, 6, RATE, recipe())
    assert all(torch.equal(tensor, before[name]) for name, tensor in snapshot.tensors.items())


def test_a_saved_state_continues_in_another_object_to_the_same_bits(tmp_path: Path) -> None:
    whole = fresh()
    loop.advance(whole, 10, RATE, recipe())
    stopped = fresh()
    loop.advance(stopped, 4, RATE, recipe())
    stopped.save(tmp_path / "state.safetensors")
    other = fresh(seed=99)
    other.load(tmp_path / "state.safetensors")
    loop.advance(other, 10, RATE, recipe())
    assert bits(other) == bits(whole)


def test_the_four_random_generators_come_back() -> None:
    training = fresh()
    snapshot = training.snapshot()
    drawn = (random.random(), np.random.rand(), torch.rand(1).item())
    training.restore(snapshot)
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == drawn


def test_a_carry_comes_back(tmp_path: Path) -> None:
    training = fresh()
    training.carry = {"hidden": torch.ones(2, 3)}
    training.save(tmp_path / "s")
    training.carry = {}
    training.load(tmp_path / "s")
    assert torch.equal(training.carry["hidden"], torch.ones(2, 3))


def test_an_unreadable_newest_state_falls_back_to_the_one_before(tmp_path: Path) -> None:
    training, path = fresh(), tmp_path / "s"
    loop.advance(training, 2, RATE, recipe())
    training.save(path)
    loop.advance(training, 4, RATE, recipe())
    training.save(path)
    path.write_bytes(path.read_bytes()[:100])
    training.load(path)
    assert training.step == 2


def test_no_readable_state_is_said_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "s").write_bytes(b"no tensors")
    with pytest.raises(RunError, match="no readable training state"):
        fresh().load(tmp_path / "s")


def test_moments_lie_as_their_parameters_do_after_a_load(tmp_path: Path) -> None:
    training = fresh()
    loop.advance(training, 2, RATE, recipe())
    training.save(tmp_path / "s")
    training.load(tmp_path / "s")
    for group in training.optimizer.param_groups:
        for parameter in group["params"]:
            assert training.optimizer.state[parameter]["exp_avg"].stride() == parameter.stride()


def test_the_average_is_warmed_up_and_takes_batch_norm_statistics_along() -> None:
    training = fresh()
    name = "layers.1.running_mean"
    start = training.average[name].clone()
    loop.advance(training, 1, RATE, recipe(ema=0.99))
    now = training.net.state_dict()[name]
    # the first update's decay is min(0.99, 1 / 10): nine tenths of the way at once
    assert torch.allclose(training.average[name], start + 0.9 * (now - start))


def test_biases_and_norms_have_no_decay() -> None:
    groups = {group["weight_decay"]: len(group["params"]) for group in fresh().optimizer.param_groups}
    assert groups == {0.0: 4, 0.1: 2}
