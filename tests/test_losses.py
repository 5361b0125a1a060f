"""Losses are float32 and finite whatever the logits are, also for pictures that are all empty or all full."""

from __future__ import annotations

import pytest
import torch

from harness.tasks import BinaryMask, ClassMask, Multilabel, Regression, SingleLabel

SIDE = 1024
DTYPES = [torch.float32, torch.float16, torch.bfloat16]
ROUNDING = {torch.float32: 0.0, torch.float16: 1e-3, torch.bfloat16: 1e-2}


def binary(fill: float) -> torch.Tensor:
    return torch.full((1, 1, SIDE, SIDE), fill)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("truth", [0.0, 1.0])
@pytest.mark.parametrize("answer", [-30.0, 0.3, 30.0])
def test_a_mask_loss_is_finite_and_near_that_of_float32(dtype: torch.dtype, truth: float, answer: float) -> None:
    task = BinaryMask()
    exact = task.loss(binary(answer), binary(truth))
    logits = binary(answer).to(dtype).requires_grad_()
    loss = task.loss(logits, binary(truth))
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
    assert loss.item() == pytest.approx(exact.item(), abs=1e-6, rel=ROUNDING[dtype])
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    right = (answer > 0) == (truth > 0)
    assert (loss.item() < 0.01) == (right and abs(answer) > 1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fill", [0, 2, 255])
def test_a_class_map_loss_is_finite_when_all_is_one_class_or_void(dtype: torch.dtype, fill: int) -> None:
    task = ClassMask(("a", "b", "c"), void=11)
    random = torch.Generator().manual_seed(0)
    plain = torch.randn((1, 3, SIDE, SIDE), generator=random) * 4
    target = torch.full((1, 1, SIDE, SIDE), fill, dtype=torch.uint8)
    logits = plain.to(dtype).requires_grad_()
    loss = task.loss(logits, target)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(task.loss(plain, target).item(), rel=ROUNDING[dtype], abs=1e-6)
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    if fill == 255:
        assert loss.item() == 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1e-3, 1.0, 60.0])
def test_losses_of_labels_and_numbers_are_float32_and_finite_for_sure_and_wrong_answers(
    dtype: torch.dtype, size: float
) -> None:
    random = torch.Generator().manual_seed(1)
    plain = torch.randn((64, 5), generator=random) * size
    truth = torch.eye(5)[torch.randint(0, 5, (64,), generator=random)]
    cases = [
        (SingleLabel(tuple("abcde")), plain, truth),
        (Multilabel(tuple("abcde")), plain, (truth + truth.roll(1, 1)).clamp(max=1)),
        (Regression(), plain[:, :1], truth[:, :1]),
    ]
    for task, logits, target in cases:
        loss = task.loss(logits.to(dtype), target)
        assert loss.dtype == torch.float32
        assert torch.isfinite(loss)
        assert loss.item() == pytest.approx(task.loss(logits, target).item(), rel=max(ROUNDING[dtype], 1e-7) * 3)
