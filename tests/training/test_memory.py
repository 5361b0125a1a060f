"""Running out of memory costs time and nothing else: the same step again in smaller pieces, the same losses."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn

from harness.batch import Batch
from harness.errors import MemoryShortError
from harness.models.language import AwdLstm
from harness.tasks import BinaryMask, NextToken
from harness.training import backward, loop, memory, shards
from harness.training.precision import autocast
from harness.training.state import TrainState
from tests.tiny import RATE, ROWS, PlainNet, fresh, recipe

Reports = list[tuple[int, float, float]]


def plain(net: nn.Module | None = None) -> TrainState:
    loop.seed_everything(0, 0)
    return TrainState.start(net or PlainNet(), rate=1e-2, weight_decay=0.1, ema=True, precision="fp32")


def narrow(training: TrainState, rows: int, *, backwards: bool = False) -> TrainState:
    """A machine on which a pass over more than `rows` rows runs out of memory, forward or backward."""

    def fail(gradient: torch.Tensor | None = None) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    def look(net: nn.Module, given: tuple[Any, ...], output: torch.Tensor) -> None:
        if len(output) > rows:
            if not backwards:
                fail()
            if output.requires_grad:
                output.register_hook(fail)

    training.net.register_forward_hook(look)
    return training


def curve(training: TrainState, steps: int = 12, **changes: object) -> list[float]:
    reports: Reports = []
    loop.advance(training, steps, RATE, recipe(report=lambda *facts: reports.append(facts), report_every=1, **changes))
    return [loss for _, loss, _ in reports]


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("backwards", [False, True])
def test_the_loss_curve_is_that_of_a_machine_with_enough_memory(rows: int, backwards: bool) -> None:
    whole, told = plain(), list[str]()
    expected = curve(whole)
    cut = narrow(plain(), rows, backwards=backwards)
    assert curve(cut, say=told.append) == pytest.approx(expected, rel=1e-4)
    assert cut.parts == (4 if rows == 1 else 2)
    assert (cut.step, cut.cursor) == (whole.step, whole.cursor)
    for name, tensor in whole.net.state_dict().items():
        torch.testing.assert_close(cut.net.state_dict()[name], tensor, rtol=1e-3, atol=1e-5)
    assert told[0] == f"out of memory at step 0: the same step again, 2 of its {ROWS} rows at a time"
    assert len(told) == (2 if rows == 1 else 1)


def test_a_row_that_does_not_fit_is_said_with_a_way_out() -> None:
    training = narrow(plain(), 0)
    with pytest.raises(MemoryShortError, match=r"a single row does not fit.*model\.checkpoint=true"):
        loop.advance(training, 3, RATE, recipe())
    assert training.step == 0


def test_another_error_is_not_taken_for_want_of_memory() -> None:
    training = plain()
    training.net.register_forward_hook(lambda *given: (_ for _ in ()).throw(RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        loop.advance(training, 3, RATE, recipe())


def test_the_cpu_allocator_and_cuda_libraries_are_understood() -> None:
    said = "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 B"
    assert memory.out_of_memory(RuntimeError(said))
    assert memory.out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"))
    assert not memory.out_of_memory(MemoryError())
    assert not memory.out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_the_second_pass_of_a_micro_batch_drops_what_the_first_dropped_and_counts_no_norm_twice() -> None:
    batch = next(iter(recipe().batches(0, 1)))
    training = fresh()
    training.parts = 2
    loop.seed_everything(3, 0)
    value, _ = backward.accumulate(training, batch, loss=BinaryMask().loss, autocast=autocast("cpu", "fp32"))
    drawn = torch.rand(3)

    by_hand = fresh()
    loop.seed_everything(3, 0)
    pieces = [by_hand.net({"image": batch.inputs["image"][rows]}) for rows in (slice(0, 2), slice(2, 4))]
    assert torch.equal(torch.rand(3), drawn)
    assert batch.target is not None
    expected = BinaryMask().loss(torch.cat(pieces), batch.target)
    expected.backward()
    torch.testing.assert_close(value, expected.detach())
    for one, other in zip(training.net.parameters(), by_hand.net.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    statistics = [name for name in training.net.state_dict() if "running" in name or "tracked" in name]
    assert len(statistics) == 3
    for name in statistics:
        assert torch.equal(training.net.state_dict()[name], by_hand.net.state_dict()[name])


def test_a_recurrent_net_carries_each_lane_on_and_its_penalty_counts_by_the_row() -> None:
    drops = dict.fromkeys(
        ("dropout_embedding", "dropout_input", "dropout_hidden", "dropout_output", "weight_drop"), 0.0
    )
    torch.manual_seed(0)
    net = AwdLstm(11, embedding=6, hidden=8, layers=2, **drops)
    whole, cut = plain(net), plain(copy.deepcopy(net))
    cut.parts = 2
    for step in range(3):
        tokens = torch.randint(0, 11, (5, 8), generator=torch.Generator().manual_seed(step))
        inputs = {"tokens": tokens[:, :-1], "fresh": torch.zeros(5, dtype=torch.bool)}
        batch = Batch(inputs, tokens[:, 1:].contiguous(), torch.arange(5))
        values = []
        for training in (whole, cut):
            context = autocast("cpu", "fp32")
            value, training.carry = backward.accumulate(training, batch, loss=NextToken().loss, autocast=context)
            values.append(float(value))
        assert values[1] == pytest.approx(values[0], rel=1e-5)
        assert values[0] > float(net.penalty.detach()) > 0
    for name, tensor in whole.carry.items():
        torch.testing.assert_close(cut.carry[name], tensor)
    for one, other in zip(whole.net.parameters(), cut.net.parameters(), strict=True):
        torch.testing.assert_close(other.grad, one.grad, rtol=1e-4, atol=1e-6)


class Half(shards.Shard):
    """One of two processes in one: what both would gather is known from a pass over all rows."""

    whole: torch.Tensor

    def gather(self, own: torch.Tensor, rows: int) -> torch.Tensor:
        torch.testing.assert_close(own, self.whole[self.own(rows)])
        return self.whole.clone()


@pytest.mark.parametrize("parts", [1, 2])
def test_gradients_of_two_processes_averaged_are_those_of_one(parts: int) -> None:
    batch, one, context = next(iter(recipe().batches(0, 1))), plain(), autocast("cpu", "fp32")
    value, _ = backward.accumulate(one, batch, loss=BinaryMask().loss, autocast=context)
    with torch.no_grad():
        whole = one.net(batch.inputs)
    grads = []
    for rank in range(2):
        shard, training = Half(rank, 2), plain()
        object.__setattr__(shard, "whole", whole)
        training.parts = parts
        same, _ = backward.accumulate(training, batch, loss=BinaryMask().loss, autocast=context, shard=shard)
        torch.testing.assert_close(same, value)
        grads.append([parameter.grad for parameter in training.net.parameters()])
    for expected, first, second in zip(one.net.parameters(), *grads, strict=True):
        assert first is not None
        assert second is not None
        torch.testing.assert_close((first + second) / 2, expected.grad)


def test_processes_cut_their_rows_into_as_many_parts_and_keep_what_a_norm_needs() -> None:
    for rows, number, asked in ((7, 2, 2), (5, 2, 3), (16, 3, 4)):
        cut = min(asked, rows // number)
        assert {len(backward._parts(shards.Shard(rank, number).own(rows), cut)) for rank in range(number)} == {cut}
    training = narrow(fresh(), 1)
    with pytest.raises(MemoryShortError, match="a step on 2 rows does not fit"):
        loop.advance(training, 3, RATE, recipe(least=2))


def test_a_saved_state_knows_in_how_many_pieces_its_steps_fit(tmp_path: Path) -> None:
    training = plain()
    training.parts = 4
    training.save(tmp_path / "state")
    other = plain()
    other.load(tmp_path / "state")
    assert other.parts == 4


class Card:
    """So many bytes of memory; a step costs a constant and so much a row."""

    def __init__(self, limit: int, constant: int = 100, row: int = 10, surprise: int = 0) -> None:
        self.limit, self.constant, self.row, self.surprise = limit, constant, row, surprise
        self.measured: list[int] = []

    def __call__(self, rows: int) -> int | None:
        self.measured.append(rows)
        peak = self.constant + self.row * rows + (self.surprise if rows > 4 else 0)
        return peak if peak <= self.limit else None


def test_the_largest_micro_batch_is_found_from_two_small_steps_and_a_trial() -> None:
    roomy = Card(limit=1000)
    assert memory.largest(roomy, 64, roomy.limit) == 64
    assert roomy.measured == [2, 4, 64]
    half = Card(limit=500)
    assert memory.largest(half, 64, half.limit) == 32  # 64 rows need 740 bytes, and are not tried
    assert half.measured == [2, 4, 32]
    steep = Card(limit=500, surprise=300)
    assert memory.largest(steep, 64, steep.limit) == 8
    assert steep.measured == [2, 4, 32, 16, 8]
    assert memory.largest(Card(limit=130), 64, 130) == 2
    assert memory.largest(Card(limit=1000), 3, 1000) == 3
    assert memory.largest(Card(limit=1000), 1, 1000) == 1


def test_no_more_than_five_steps_are_measured() -> None:
    card = Card(limit=3000, surprise=2990)
    assert memory.largest(card, 256, card.limit) == 4
    assert len(card.measured) <= 5


@pytest.mark.parametrize("encoder", ["resnet18", "mobilenetv3_small_050", "efficientnet_b0", "convnext_atto"])
def test_a_forgetful_encoder_gives_the_same_gradients_and_keeps_less(encoder: str) -> None:
    torch.manual_seed(0)
    net = timm.create_model(encoder, features_only=True)
    other = copy.deepcopy(net)
    memory.forgetful(other)
    assert list(other.state_dict()) == list(net.state_dict())
    kept: dict[int, int] = {}
    pictures = torch.randn(2, 3, 64, 64)

    def gradients(model: nn.Module) -> list[torch.Tensor]:
        loop.seed_everything(0, 0)
        held: dict[int, int] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            held[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = sum((features.square().mean() for features in model(pictures)), torch.zeros(()))
        weights = {parameter.data_ptr() for parameter in model.parameters()}
        kept[id(model)] = sum(size for place, size in held.items() if place not in weights)
        loss.backward()
        return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]

    for one, same in zip(gradients(net), gradients(other), strict=True):
        torch.testing.assert_close(same, one)
    for name, tensor in net.state_dict().items():
        if "running" in name or "tracked" in name:
            torch.testing.assert_close(other.state_dict()[name], tensor)
    assert kept[id(other)] < 0.6 * kept[id(net)]
    with torch.no_grad():
        torch.testing.assert_close(other.eval()(pictures)[-1], net.eval()(pictures)[-1])


def test_a_block_that_is_called_with_names_forgets_too() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(2, 2)

        def forward(self, given: torch.Tensor, *, shift: torch.Tensor) -> torch.Tensor:
            return self.inner(given) + shift

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = Named()

        def forward(self, given: torch.Tensor) -> torch.Tensor:
            return self.block(given, shift=given)

    net = Outer()
    memory.forgetful(net)
    net(torch.ones(1, 2)).sum().backward()
    assert net.block.inner.weight.grad is not None
