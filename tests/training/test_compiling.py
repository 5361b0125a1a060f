"""Compiled training: the same steps as the plain net's, under the same names, to the same bits every time."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from harness.training import compiling, loop
from harness.training.state import TrainState
from tests.tiny import RATE, bits, fresh, recipe

STEPS = 6
# batch norm takes a bias before it out again: its gradient is rounding alone, of which AdamW makes whole steps
DRIFTING = {"layers.0.bias", "layers.1.running_mean"}
needs_compiler = pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="no C++ compiler for torch.compile"
)


def trained(compiled: bool, *stops: int) -> TrainState:
    training = fresh()
    if compiled:
        compiling.start(training.net)
    for stop in stops or (STEPS,):
        loop.advance(training, stop, RATE, recipe())
    return training


@needs_compiler
def test_compiled_steps_are_the_plain_net_s_and_repeat_to_the_bit(tmp_path: Path) -> None:
    plain, compiled = trained(False), trained(True)
    weights, others = plain.final_weights(), compiled.final_weights()
    assert list(weights) == list(others)
    for name in set(weights) - DRIFTING:
        assert torch.allclose(weights[name].float(), others[name].float(), rtol=1e-4, atol=1e-6), name
    # what is saved half-way and loaded into a net that is compiled anew ends in the same bits
    half = trained(True, STEPS // 2)
    half.save(tmp_path / "state")
    resumed = fresh(seed=1)
    resumed.load(tmp_path / "state")
    compiling.start(resumed.net)
    loop.advance(resumed, STEPS, RATE, recipe())
    assert bits(resumed) == bits(compiled)
    # and a plain net reads it too
    loop.write_weights(others, tmp_path / "weights")
    loop.read_weights(plain.net, tmp_path / "weights")


@needs_compiler
def test_a_machine_with_a_compiler_has_no_problem() -> None:
    assert compiling.problem("cpu") is None


def test_what_a_compiler_cannot_do_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(net: nn.Module) -> None:
        def backend(graph: object, inputs: object) -> object:
            raise RuntimeError("no such compiler\nand much more")

        torch.compiler.reset()
        net.compile(backend=backend)

    monkeypatch.setattr(compiling, "start", broken)
    found = compiling.problem("cpu")
    assert found is not None
    assert "no such compiler" in found
    assert "\n" not in found
