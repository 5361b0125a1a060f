"""Losses of masks by name: finite in float32 for every extreme, lower for the better answer, and learnt by."""

from __future__ import annotations

import pytest
import torch

from harness.models.mask_losses import NAMES, MaskLoss
from harness.tasks import BinaryMask, ClassMask

SIDE, CLASSES = 1024, 3
DTYPES = [torch.float32, torch.float16, torch.bfloat16]
ROUNDING = {torch.float32: 1e-6, torch.float16: 1e-3, torch.bfloat16: 2e-2}
TASKS = {"mask": BinaryMask(), "classes": ClassMask(("a", "b", "c"), void=11)}


def loss_of(name: str, kind: str) -> MaskLoss:
    return MaskLoss(name, TASKS[kind].loss, classes=kind == "classes")


def answer(kind: str, truth: torch.Tensor, sure: float) -> torch.Tensor:
    """Logits that say the truth with this certainty; a negative one says the opposite."""
    if kind == "mask":
        return (truth * 2 - 1) * sure
    return torch.stack([((truth[:, 0] == index).float() * 2 - 1) * sure for index in range(CLASSES)], dim=1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("kind", "fill"), [("mask", 0), ("mask", 1), ("classes", 0), ("classes", 2), ("classes", 255)])
def test_a_picture_of_one_kind_has_a_finite_loss_and_gradient_near_those_of_float32(
    kind: str, fill: int, name: str, dtype: torch.dtype
) -> None:
    random = torch.Generator().manual_seed(0)
    truth = torch.full((1, 1, SIDE, SIDE), float(fill))
    plain = torch.randn((1, 1 if kind == "mask" else CLASSES, SIDE, SIDE), generator=random) * 3
    logits = plain.to(dtype).requires_grad_()
    loss = loss_of(name, kind)(logits, truth)
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)
    assert loss.item() == pytest.approx(loss_of(name, kind)(plain, truth).item(), rel=ROUNDING[dtype], abs=1e-6)
    loss.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["mask", "classes"])
def test_the_better_answer_has_the_lower_loss(kind: str, name: str) -> None:
    random = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 2 if kind == "mask" else CLASSES, (2, 1, 16, 16), generator=random).float()
    losses = [loss_of(name, kind)(answer(kind, truth, sure), truth).item() for sure in (8.0, 1.0, -1.0, -8.0)]
    assert losses == sorted(losses)
    assert losses[0] < 0.05


@pytest.mark.parametrize("name", NAMES)
def test_void_pixels_change_nothing(name: str) -> None:
    random = torch.Generator().manual_seed(0)
    truth = torch.randint(0, CLASSES, (2, 1, 16, 16), generator=random).float()
    truth[:, :, :5] = 255
    logits = torch.randn((2, CLASSES, 16, 16), generator=random)
    other = logits.clone()
    other[:, :, :5] *= -3
    loss = loss_of(name, "classes")
    assert loss(logits, truth).item() == pytest.approx(loss(other, truth).item(), rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_mask_still_teaches_to_answer_with_nothing(name: str) -> None:
    logits = torch.zeros((1, 1, 16, 16), requires_grad=True)
    loss_of(name, "mask")(logits, torch.zeros((1, 1, 16, 16))).backward()
    assert logits.grad is not None
    assert (logits.grad > 0).all()
