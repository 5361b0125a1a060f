"""The loop: steps may be split anywhere, nothing waits for the device between reports, folds stand alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from harness.errors import ConfigError, DivergedError
from harness.training import loop, precision, schedule
from tests.tiny import RATE, ROWS, bits, fresh, recipe


class CountHostReads(TorchDispatchMode):
    """Counts copies of a device value to Python, each a wait for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.reads += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


def test_two_halves_equal_the_whole() -> None:
    whole = fresh()
    loop.advance(whole, 9, RATE, recipe())
    expected = bits(whole)
    halves = fresh()  # seeds anew
    loop.advance(halves, 4, RATE, recipe())
    loop.advance(halves, 9, RATE, recipe())
    assert bits(halves) == expected


def test_training_can_go_on_past_the_planned_end() -> None:
    training = fresh()
    loop.advance(training, 20, RATE, recipe())
    loop.advance(training, 23, RATE, recipe())
    assert (training.step, training.cursor) == (23, 23 * ROWS)


def test_the_host_reads_the_device_once_a_report_and_never_in_between() -> None:
    training = fresh()
    loop.advance(training, 2, RATE, recipe())
    with CountHostReads() as counter:
        loop.advance(training, 12, RATE, recipe(report_every=5))
    assert counter.reads == 3  # after steps 5, 10 and 12


def test_the_loss_goes_down_and_is_reported_with_the_rate_that_was_used() -> None:
    reports: list[tuple[int, float, float]] = []
    training = fresh()
    loop.advance(training, 20, RATE, recipe(report=lambda *facts: reports.append(facts)))
    assert [step for step, _, _ in reports] == [5, 10, 15, 20]
    assert reports[-1][1] < reports[0][1]
    assert reports[0][2] == RATE(4).learning_rate


def test_a_loss_that_is_not_finite_stops_with_the_fix() -> None:
    def broken(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return logits.mean() * float("nan")

    with pytest.raises(DivergedError, match="lower the rate"):
        loop.advance(fresh(), 5, RATE, recipe(loss=broken))


def test_seeds_depend_on_the_fold_only_through_the_fold() -> None:
    loop.seed_everything(1, 2)
    alone = torch.rand(3)
    loop.seed_everything(1, 0)
    torch.rand(100)
    loop.seed_everything(1, 2)
    assert torch.equal(torch.rand(3), alone)
    loop.seed_everything(1, 3)
    assert not torch.equal(torch.rand(3), alone)


def test_weights_on_disk_are_half_precision_and_what_is_loaded_is_what_is_there(tmp_path: Path) -> None:
    training, path = fresh(), tmp_path / "fold0.safetensors"
    loop.advance(training, 3, RATE, recipe())
    weights = training.final_weights()
    loop.write_weights(weights, path)
    loop.read_weights(training.net, path)
    loaded = training.net.state_dict()
    assert all(torch.equal(loaded[name], weights[name].half().to(loaded[name].dtype)) for name in weights)
    assert path.stat().st_size < 0.6 * sum(tensor.numel() * 4 for tensor in weights.values()) + 2000


def test_a_weight_beyond_half_precision_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="float16"):
        loop.write_weights({"w": torch.tensor([1e6])}, tmp_path / "w")


def test_the_schedule_rises_falls_and_mirrors_the_momentum() -> None:
    rates = [schedule.one_cycle(step, total=100, peak=1.0) for step in range(100)]
    peak = max(range(100), key=lambda step: rates[step].learning_rate)
    assert peak == 25
    assert rates[0].learning_rate == pytest.approx(1 / 25)
    assert rates[25].learning_rate == pytest.approx(1.0)
    assert rates[25].momentum == pytest.approx(0.85)
    assert rates[99].learning_rate < 1e-3
    assert rates[99].momentum == pytest.approx(0.95, abs=1e-3)


def test_fp16_on_a_cpu_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs a GPU"):
        precision.check("cpu", "fp16")
