"""How fast our step is beside a plain PyTorch loop: the same net, batch and loss, turn about in one process.

Plain is what a tutorial writes: float32, NCHW, default AdamW, the loss read at every step. Ours is `loop.advance` as a
run uses it: channels last, the fused optimizer without decay on norms, clipping, averaged weights, the precision that
the probe finds. The two alternate as A B B A, so that a machine that slows down slows both; a ratio is the median over
the rounds of plain seconds by ours.

    python -m benchmarks.step [rounds]
"""

from __future__ import annotations

import functools
import statistics
import sys
import time
from collections.abc import Callable, Iterator

import timm
import torch
from torch import nn

from harness.batch import Batch
from harness.models.images import PictureNet
from harness.models.masks import IMAGENET
from harness.tasks import SingleLabel
from harness.training import loop, precision, probing, schedule, state

SIDE, ROWS, LABELS, STEPS = 128, 16, 10, 3
ENCODERS = ("resnet18", "resnet34", "efficientnet_b0", "convnext_atto")
# on a processor with bf16 units the first two are to be twice as fast; nowhere is any to be slower than noise
TWICE, FLOOR = 2.0, 0.97


def batch() -> Batch:
    """Random pictures and labels."""
    random = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (ROWS, 3, SIDE, SIDE), generator=random, dtype=torch.uint8)
    target = torch.eye(LABELS)[torch.randint(0, LABELS, (ROWS,), generator=random)]
    return Batch({"image": pictures}, target, torch.arange(ROWS))


def plain(encoder: str, data: Batch) -> Callable[[], None]:
    """Steps of the loop that a tutorial writes."""
    net = timm.create_model(encoder, pretrained=False, num_classes=LABELS).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4)
    criterion = nn.CrossEntropyLoss()
    mean, spread = (torch.tensor(values)[:, None, None] for values in IMAGENET)
    assert data.target is not None, "the batch has labels"
    truth = data.target

    def steps() -> None:
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss = criterion(net((data.inputs["image"].float() / 255 - mean) / spread), truth)
            loss.backward()
            optimizer.step()
            loss.item()

    return steps


def ours(encoder: str, data: Batch) -> tuple[Callable[[], None], str]:
    """(steps of the loop as a run uses it, the precision the probe found)."""
    loop.seed_everything(0, 0)
    net = PictureNet(encoder, channels=3, outputs=LABELS, normalise="imagenet", input_name="image")
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    task = SingleLabel(tuple(map(str, range(LABELS))))
    assert data.target is not None, "the batch has labels"
    truth = data.target

    def once(kind: str) -> None:
        with precision.autocast("cpu", kind):
            logits = net(data.inputs)
        task.loss(logits, truth).backward()

    single, half = functools.partial(once, "fp32"), functools.partial(once, "bf16")
    kind = "bf16" if probing.compare(single, half, watched=net, clock=time.perf_counter).faster else "fp32"
    net.zero_grad(set_to_none=True)
    training = state.TrainState.start(net, rate=1e-4, weight_decay=0.01, ema=True, precision=kind)

    def batches(cursor: int, count: int) -> Iterator[Batch]:
        yield from [data] * count

    recipe = loop.Recipe(
        loss=task.loss,
        batches=batches,
        autocast=precision.autocast("cpu", kind),
        device="cpu",
        clip=1.0,
        ema=0.99,
        report_every=1000,
        report=lambda step, loss, rate: None,
    )
    rate = schedule.planned("constant", total=10**6, peak=1e-4, warmup=1e-6, cooldown=0.0)
    return lambda: loop.advance(training, training.step + STEPS, rate, recipe), kind


def seconds(work: Callable[[], None]) -> float:
    """Wall seconds of one call."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def main() -> int:
    """Prints one line per encoder; returns 1 if one is slower than the plain loop by more than noise."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    data, slower = batch(), False
    print(f"{torch.get_num_threads()} threads, {ROWS} pictures of {SIDE}x{SIDE}, {STEPS} steps a turn, {rounds} rounds")
    print(f"{'encoder':<20}{'precision':>10}{'plain, ms':>11}{'ours, ms':>10}{'ratio':>8}{'low':>7}{'high':>7}")
    for encoder in ENCODERS:
        one, (two, kind) = plain(encoder, data), ours(encoder, data)
        one()  # the first steps pay for memory and kernel choice
        two()
        times: list[tuple[float, float]] = []
        for _ in range(rounds):
            a, b, c, d = seconds(one), seconds(two), seconds(two), seconds(one)
            times.append((a + d, b + c))
        ratios = sorted(before / now for before, now in times)
        ratio = statistics.median(ratios)
        middle = [statistics.median(column) * 1e3 / (2 * STEPS) for column in zip(*times, strict=True)]
        print(
            f"{encoder:<20}{kind:>10}{middle[0]:>11.0f}{middle[1]:>10.0f}{ratio:>8.2f}{ratios[0]:>7.2f}{ratios[-1]:>7.2f}"
        )
        slower |= ratio < FLOOR
    print(f"with bf16 units resnet18 and resnet34 are to reach {TWICE}; none is to fall below {FLOOR}")
    return 1 if slower else 0


if __name__ == "__main__":
    raise SystemExit(main())
