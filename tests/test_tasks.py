"""Binary masks: what a mask file may hold, and a loss that half precision cannot break."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from harness.errors import DataError
from harness.tasks import BinaryMask

HALVES = [torch.float16, torch.bfloat16]


@pytest.mark.parametrize(
    ("cells", "inside"),
    [
        ([[0, 255], [255, 0]], [[False, True], [True, False]]),
        ([[0, 1], [1, 1]], [[False, True], [True, True]]),
        ([[0, 0], [0, 0]], [[False, False], [False, False]]),
        ([[255, 255]], [[True, True]]),
        ([[1, 1]], [[True, True]]),
    ],
)
def test_zero_is_outside_and_the_one_other_value_is_inside(cells, inside) -> None:
    encoded = BinaryMask().encode(np.array(cells, dtype=np.uint8), "mask.tif")
    assert encoded.dtype == np.bool_
    np.testing.assert_array_equal(encoded, inside)


@pytest.mark.parametrize(
    ("cells", "grey"),
    [([0, 3, 4, 255], 2), ([100, 255, 255], 1), ([100, 100, 100], 3), ([0, 254, 255, 255], 1), ([1, 255], 1)],
)
def test_grey_pixels_are_refused_with_the_file_and_their_number(cells, grey) -> None:
    with pytest.raises(DataError, match=rf"7_12_mask\.tif: the mask has {grey} grey pixels"):
        BinaryMask().encode(np.array([cells], dtype=np.uint8), "7_12_mask.tif")


@pytest.mark.parametrize("precision", [*HALVES, torch.float32])
@pytest.mark.parametrize("inside", [0.0, 1.0])
def test_the_loss_of_a_large_picture_is_float32_and_finite(precision, inside) -> None:
    logits = torch.linspace(-12, 12, 1024).to(precision).expand(1, 1, 1024, 1024)
    target = torch.full((1, 1, 1024, 1024), inside)
    loss = BinaryMask().loss(logits, target)
    assert loss.dtype == torch.float32
    assert torch.isfinite(loss)


@pytest.mark.parametrize("precision", HALVES)
@pytest.mark.parametrize("inside", [0.0, 1.0])
def test_half_precision_logits_give_the_loss_of_float32_logits(precision, inside) -> None:
    torch_generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 1, 1024, 1024, generator=torch_generator)
    target = torch.full_like(logits, inside)
    expected = BinaryMask().loss(logits, target)
    assert BinaryMask().loss(logits.to(precision), target).item() == pytest.approx(expected.item(), rel=1e-3)


@pytest.mark.parametrize("inside", [0.0, 1.0])
def test_the_gradient_is_finite_where_the_mask_is_empty_or_full(inside) -> None:
    logits = torch.zeros(2, 1, 8, 8, requires_grad=True)
    BinaryMask().loss(logits, torch.full((2, 1, 8, 8), inside)).backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad != 0).all()


def test_the_loss_of_two_pixels_is_the_number_computed_by_hand() -> None:
    # probabilities 3/4 on the true pixel and 1/5 on the other
    logits = torch.tensor([[[[math.log(3), -math.log(4)]]]])
    target = torch.tensor([[[[1.0, 0.0]]]])
    entropy = -(math.log(3 / 4) + math.log(4 / 5)) / 2
    soft_dice = (2 * 3 / 4 + 1) / (3 / 4 + 1 / 5 + 1 + 1)
    for weight in (0.0, 0.5, 1.0):
        expected = (1 - weight) * entropy + weight * (1 - soft_dice)
        assert BinaryMask(dice_weight=weight).loss(logits, target).item() == pytest.approx(expected, abs=1e-6)


def test_a_right_answer_costs_less_than_a_wrong_one() -> None:
    target = torch.tensor([[[[1.0, 0.0, 0.0, 1.0]]]])
    right, wrong = (target - 0.5) * 8, (0.5 - target) * 8
    assert BinaryMask().loss(right, target) < 0.05 < BinaryMask().loss(wrong, target)


@pytest.mark.parametrize("precision", [*HALVES, torch.float32])
def test_decoding_gives_float32_probabilities(precision) -> None:
    logits = torch.tensor([-1e4, -3.0, 0.0, 3.0, 1e4]).to(precision).reshape(1, 1, 1, 5)
    decoded = BinaryMask().decode(logits)
    assert decoded.dtype == torch.float32
    assert decoded.shape == logits.shape
    assert decoded.min() >= 0
    assert decoded.max() <= 1
    assert decoded[0, 0, 0, 2] == 0.5
    assert (decoded.flatten().diff() > 0).all()
