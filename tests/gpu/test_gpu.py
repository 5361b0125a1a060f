"""On a real GPU: fp16 steps, a host that never waits, a scaler that recovers, finite losses, and memory that runs out.

`make gpu` runs them; they are skipped where torch sees no CUDA device.

B rows, C classes, H height, W width.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from harness.batch import Batch
from harness.metrics import VOID
from harness.models.mask_losses import NAMES, MaskLoss
from harness.pipeline import fold, nets, planning, stages
from harness.pipeline.hardware import Hardware
from harness.tasks import BinaryMask, ClassMask
from harness.training import loop, precision, schedule, state
from tests import tiny
from tests.kit import SHIPPED, sample_data

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

DEVICE, HALF = "cuda", "fp16"
SIDE = 1024
LIMIT = 1536 * 2**20  # bytes a step may take: the whole loss needs a third of it, three layers of all rows more
# batch norm takes a bias before it out again: its gradient is rounding alone
ROUNDING_ALONE = "layers.0.bias"


def fresh(kind: str, *, scale: float = 1024.0, growth: int = 1000, dropout: float = 0.0) -> state.TrainState:
    """The tiny net on the device; without dropout, whose random numbers differ from format to format."""
    loop.seed_everything(0, 0)
    net = tiny.TinyNet()
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
    net = net.to(DEVICE, memory_format=torch.channels_last)  # type: ignore[call-overload]
    training = state.TrainState.start(net, rate=1e-2, weight_decay=0.1, ema=True, precision=kind)
    if kind == "fp16":
        training.scaler = torch.amp.GradScaler(DEVICE, init_scale=scale, growth_interval=growth)
    return training


def recipe(kind: str, **changes: object) -> loop.Recipe:
    """The tiny recipe on the device."""
    return tiny.recipe(device=DEVICE, autocast=precision.autocast(DEVICE, kind), **changes)


def gradients(training: state.TrainState) -> dict[str, torch.Tensor]:
    """The clipped gradients of an only step, from AdamW's first moments (a tenth and a little of them)."""
    moments = training.optimizer.state
    named = training.net.named_parameters()
    return {name: moments[tensor]["exp_avg"].float() for name, tensor in named if name != ROUNDING_ALONE}


def test_a_step_in_fp16_with_its_scaler_is_the_step_in_float32() -> None:
    losses: dict[str, float] = {}
    steps: dict[str, state.TrainState] = {}
    for kind in ("fp32", HALF):

        def report(step: int, loss: float, rate: float, kind: str = kind) -> None:
            losses[kind] = loss

        steps[kind] = fresh(kind)
        loop.advance(steps[kind], 1, tiny.RATE, recipe(kind, report=report, report_every=1))
    assert losses[HALF] == pytest.approx(losses["fp32"], rel=1e-2)
    assert losses[HALF] != losses["fp32"]  # it was another format
    exact, rounded = gradients(steps["fp32"]), gradients(steps[HALF])
    for name, gradient in exact.items():
        assert rounded[name].norm() > 0, f"the scaler skipped the step of {name}"
        assert (rounded[name] - gradient).norm() < 0.05 * gradient.norm(), name
    for name, weight in steps[HALF].net.named_parameters():
        assert weight.dtype == torch.float32, name


def waiting(mode: str) -> None:
    """What a wait for the device is: "error" or, as usual, "default"."""
    torch.cuda.set_sync_debug_mode(mode)


@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize("name", SHIPPED)
def test_no_step_waits_for_the_device_between_reports(name: str, shared_cache: Path) -> None:
    settings = (f"precision={HALF}", "model.encoder=resnet18", "train.workers=0")
    competition, config, data = sample_data(name, shared_cache, *settings)
    machine = Hardware(DEVICE, HALF, None)
    plan = planning.plan_folds(competition, config, data)
    fitted = nets.fit_fold(competition, config, data=data, plan=plan, fold=0)
    training = fold.fresh(competition, config, machine, fitted, fold=0)
    examples = fold.stream(competition, config, data=data, plan=plan, fold=0, stage=0, fitted=fitted)
    reports: list[int] = []

    def report(step: int, loss: float, rate: float) -> None:
        reports.append(step)

    usual = stages.stage_recipe(competition, config, machine, examples, fitted, fold=0, stage=0, report=report)
    rate = schedule.planned("constant", total=100, peak=1e-4, warmup=0.01, cooldown=0.0)
    loop.advance(training, 2, rate, dataclasses.replace(usual, report_every=100))  # kernels and memory are found

    def watched(cursor: int, count: int) -> Iterator[Batch]:
        for step, batch in enumerate(usual.batches(cursor, count)):
            waiting("error" if step < count - 1 else "default")  # the last step is reported, which is a wait
            yield batch

    try:
        loop.advance(training, 8, rate, dataclasses.replace(usual, report_every=100, batches=watched))
    finally:
        waiting("default")
    assert reports == [2, 8]


def test_an_infinite_gradient_skips_its_step_and_the_halved_scale_doubles_again() -> None:
    training, calls = fresh("fp16", growth=3), [0]
    usual = recipe("fp16").loss

    def loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        value = usual(logits, target)
        calls[0] += 1
        if calls[0] == 2:
            value.register_hook(lambda gradient: gradient * float("inf"))
        return value

    changed = recipe("fp16", loss=loss)
    loop.advance(training, 1, tiny.RATE, changed)
    before = {name: tensor.clone() for name, tensor in training.net.named_parameters()}
    loop.advance(training, 2, tiny.RATE, changed)
    assert all(torch.equal(tensor, before[name]) for name, tensor in training.net.named_parameters())
    assert training.scaler.get_scale() == 512
    loop.advance(training, 5, tiny.RATE, changed)
    assert training.scaler.get_scale() == 1024
    for name in ("layers.0.weight", "layers.4.weight"):
        assert not torch.equal(training.net.get_parameter(name), before[name])
    assert state.finite(training.snapshot())


def drawn(channels: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(logits [1, C, H, W] on the device, a mask, a class map with void), all random."""
    random = torch.Generator().manual_seed(0)
    logits = torch.randn((1, channels, SIDE, SIDE), generator=random) * 4
    mask = (torch.rand((1, 1, SIDE, SIDE), generator=random) < 0.2).float()
    classes = torch.randint(0, 3, (1, 1, SIDE, SIDE), generator=random).to(torch.uint8)
    classes[torch.rand((1, 1, SIDE, SIDE), generator=random) < 0.1] = VOID
    return logits.to(DEVICE), mask.to(DEVICE), classes.to(DEVICE)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["own", *NAMES])
@pytest.mark.parametrize("several", [False, True])
def test_losses_of_large_pictures_are_finite_and_near_float32_in_every_format(
    several: bool, name: str, dtype: torch.dtype
) -> None:
    plain, mask, classes = drawn(3 if several else 1)
    own: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    own = ClassMask(("a", "b", "c"), void=VOID).loss if several else BinaryMask().loss
    loss, target = own if name == "own" else MaskLoss(name, own, classes=several), classes if several else mask
    exact = loss(plain, target)
    logits = plain.to(dtype).requires_grad_()
    found = loss(logits, target)
    assert found.dtype == torch.float32
    assert torch.isfinite(found)
    assert found.item() == pytest.approx(exact.item(), abs=1e-3)
    found.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@contextlib.contextmanager
def cramped() -> Iterator[None]:
    """A device with LIMIT bytes left: what asks for more runs out of memory for real."""
    gc.collect()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + LIMIT) / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def large(cursor: int, count: int) -> Iterator[Batch]:
    """Batches of 16 pictures of 1024 pixels a side: 32 MB on the way in, and half a GB a layer in the net."""
    pictures = torch.zeros((16, 2, SIDE, SIDE), dtype=torch.uint8)
    target = torch.zeros((16, 1, SIDE, SIDE))
    for _ in range(count):
        yield Batch({"image": pictures}, target, torch.arange(16))


def test_a_step_too_large_for_the_device_is_made_in_pieces_with_the_loss_of_the_whole() -> None:
    curves: list[list[float]] = []
    told: list[str] = []
    for small in (False, True):
        loop.seed_everything(0, 0)
        net = tiny.PlainNet().to(DEVICE)
        training = state.TrainState.start(net, rate=1e-2, weight_decay=0.1, ema=True, precision="fp32")
        losses: list[float] = []

        def report(step: int, loss: float, rate: float, losses: list[float] = losses) -> None:
            losses.append(loss)

        settings = recipe("fp32", batches=large, report=report, report_every=1, say=told.append)
        with cramped() if small else contextlib.nullcontext():
            loop.advance(training, 3, tiny.RATE, settings)
        assert (training.parts > 1) == small, told
        curves.append(losses)
    assert "out of memory at step 0: the same step again, 8 of its 16 rows at a time" in told
    assert curves[1] == pytest.approx(curves[0], rel=1e-4)
