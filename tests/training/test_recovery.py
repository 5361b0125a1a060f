"""Training that diverges goes back to its last good step and on more slowly; three falls are enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from harness.batch import Batch
from harness.errors import DivergedError, Stopped
from harness.training import loop, precision, recovery
from harness.training.snapshots import Snapshot
from harness.training.state import TrainState, finite
from tests.tiny import RATE, bits, fresh, recipe

TOTAL = 20


def train(training: TrainState, told: list[str], kept: list[Snapshot] | None = None, **changes: object) -> None:
    keep = (lambda snapshot, good: None) if kept is None else (lambda snapshot, good: kept.append(snapshot))
    recovery.train(training, TOTAL, RATE, recipe(**changes), every=4, keep=keep, say=told.append)


def above(training: TrainState, edge: float) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """The usual loss, but no number where the rate is above `edge`."""
    usual = recipe().loss

    def loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        rate = max(group["lr"] for group in training.optimizer.param_groups)
        return usual(logits, target) * (float("nan") if rate > edge else 1.0)

    return loss


def late(training: TrainState) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """The usual loss, but no number at step 6 while the rate was not lowered."""
    usual = recipe().loss
    return lambda logits, target: (
        usual(logits, target) * (float("nan") if training.step == 6 and training.pace == 1 else 1.0)
    )


def test_training_that_does_not_diverge_has_the_bits_of_the_plain_loop() -> None:
    plain, kept, told = fresh(), list[Snapshot](), list[str]()
    for step in range(4, TOTAL + 1, 4):
        loop.advance(plain, step, RATE, recipe())
    careful = fresh()
    train(careful, told, kept)
    assert bits(careful) == bits(plain)
    assert told == []
    assert [snapshot.facts["step"] for snapshot in kept] == [4, 8, 12, 16]


def test_a_loss_that_is_no_number_goes_back_to_the_last_good_step_and_on_at_half_the_rate() -> None:
    training, told, reports = fresh(), list[str](), list[tuple[int, float]]()
    report = lambda step, loss, rate: reports.append((step, rate))  # noqa: E731
    train(training, told, loss=above(training, 0.6 * 1e-2), report=report, report_every=1)
    assert training.step == TOTAL
    assert training.pace == 0.5
    assert finite(training.snapshot())
    assert len(told) == 1
    assert told[0].startswith("the loss is nan at step 4: back to step 0, and on at 0.5 times the rate")
    # what is reported is the rate that was used
    assert max(rate for _, rate in reports) == pytest.approx(0.5e-2)
    assert [step for step, _ in reports][3:] == list(range(1, TOTAL + 1))


def test_steps_after_a_fall_are_those_of_a_run_that_was_slow_from_the_good_step_on() -> None:
    training, told = fresh(), list[str]()
    train(training, told, loss=above(training, 0.6 * 1e-2))
    slow = fresh()
    slow.pace = 0.5
    train(slow, [])
    slow.falls = 1
    assert bits(training) == bits(slow)


@pytest.mark.parametrize("stopped_at", [2, 6, 11])
def test_a_stop_between_good_steps_changes_neither_the_fall_that_follows_nor_the_bits(
    stopped_at: int, tmp_path: Path
) -> None:
    """The rate is too high from step 6 on: the fall goes back to step 4, also where the run was stopped after it."""
    whole, told = fresh(), list[str]()
    train(whole, told, loss=late(whole), report_every=3)
    assert told == ["the loss is nan at step 8: back to step 4, and on at 0.5 times the rate"]
    asked, stopped, again = [0], fresh(), list[str]()

    def halt() -> None:
        asked[0] += 1
        if asked[0] > stopped_at:
            raise Stopped("stopped", fix="go on")

    def keep(snapshot: Snapshot, good: Snapshot | None) -> None:
        stopped.save(tmp_path / "state", snapshot, good)

    stopping = recipe(loss=late(stopped), tick=halt, report_every=3)
    with pytest.raises(Stopped):
        recovery.train(stopped, TOTAL, RATE, stopping, every=4, keep=keep, say=again.append)
    resumed = fresh()
    resumed.load(tmp_path / "state")
    train(resumed, again, loss=late(resumed), report_every=3)
    assert again == told
    assert bits(resumed) == bits(whole)


def test_the_third_fall_is_the_last_and_leaves_the_last_good_state() -> None:
    training, told, calls = fresh(), list[str](), [0]
    usual = recipe().loss

    def loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        calls[0] += 1
        return usual(logits, target) * (float("nan") if calls[0] > 6 else 1.0)

    with pytest.raises(DivergedError, match="for the 3rd time, at ever lower rates; begin with a lower one"):
        train(training, told, loss=loss)
    assert len(told) == 2
    assert training.step == 4
    assert finite(training.snapshot())


def test_weights_that_are_no_numbers_count_as_a_fall_though_the_loss_was_one() -> None:
    training, told, spoilt = fresh(), list[str](), [False]
    update = training.optimizer.step

    def step(*arguments: object) -> object:
        result = update(*arguments)  # type: ignore[call-overload,arg-type]
        if training.step == 7 and not spoilt[0]:  # the last update before a state is kept
            spoilt[0] = True
            with torch.no_grad():
                next(training.net.parameters()).fill_(float("inf"))
        return result

    training.optimizer.step = step  # type: ignore[method-assign,assignment]
    train(training, told)
    assert told == ["a weight is not finite at step 8: back to step 4, and on at 0.5 times the rate"]
    assert finite(training.snapshot())


def test_a_saved_state_carries_the_lower_pace_on(tmp_path: Path) -> None:
    training = fresh()
    training.pace = 0.25
    training.save(tmp_path / "state")
    other = fresh()
    other.load(tmp_path / "state")
    assert other.pace == 0.25


def test_a_gradient_scale_below_one_is_divergence() -> None:
    training = fresh()
    training.scaler = torch.amp.GradScaler("cpu", init_scale=0.5, growth_interval=1000)
    with pytest.raises(DivergedError, match="fp16 gradients overflow at step 2"):
        loop.advance(training, 2, RATE, recipe())


def test_an_overflow_skips_its_step_and_the_scale_recovers_through_a_saved_state(tmp_path: Path) -> None:
    training, usual = fresh(), recipe().loss
    training.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)

    loop.advance(training, 1, RATE, recipe())
    before = {name: tensor.clone() for name, tensor in training.net.named_parameters()}

    def infinite(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        value = usual(logits, target)
        value.register_hook(lambda gradient: gradient * float("inf"))
        return value

    loop.advance(training, 2, RATE, recipe(loss=infinite))
    assert all(torch.equal(tensor, before[name]) for name, tensor in training.net.named_parameters())
    assert training.scaler.get_scale() == 512
    training.save(tmp_path / "state")
    other = fresh()
    other.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)
    other.load(tmp_path / "state")
    assert other.scaler.get_scale() == 512
    loop.advance(other, 5, RATE, recipe())
    assert other.scaler.get_scale() == 1024


def test_the_scaler_does_nothing_but_in_fp16() -> None:
    assert not precision.scaler("fp32").is_enabled()
    assert not precision.scaler("bf16").is_enabled()


def test_loading_processes_that_a_signal_ended_first_are_a_stop_and_no_bug(tmp_path: Path) -> None:
    training, asked, kept = fresh(), [False], list[int]()
    usual = recipe()

    def batches(cursor: int, count: int) -> Iterator[Batch]:
        for number, batch in enumerate(usual.batches(cursor, count)):
            if number == 2:
                asked[0] = True
                raise RuntimeError("DataLoader worker (pid 7) exited unexpectedly")
            yield batch

    def halt() -> None:
        if asked[0]:
            raise Stopped("stopped", fix="go on")

    def keep(snapshot: Snapshot, good: Snapshot | None) -> None:
        kept.append(snapshot.facts["step"])

    stopping = recipe(batches=batches, tick=halt)
    with pytest.raises(Stopped):
        recovery.train(training, TOTAL, RATE, stopping, every=4, keep=keep, say=lambda text: None)
    assert kept == [2]
