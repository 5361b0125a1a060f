"""Rare classes count more: weights computed by hand, and losses that keep their meaning when truths are mixed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as functional

from harness.tasks import ClassMask, Multilabel, SingleLabel
from harness.training.mixing import Smoothed
from harness.training.weighing import (
    WeightedClasses,
    WeightedLabel,
    WeightedTags,
    label_weights,
    pixel_weights,
    tag_weights,
)

ROWS, LABELS, MEMBERS = 6, 3, 2
WEIGHTS = torch.tensor([0.5, 2.0, 3.0])
LOSSES = {"label": WeightedLabel, "tags": WeightedTags}


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def truths(kind: str) -> torch.Tensor:
    """bool [B, L]: the labels in turn, of tags each second one beside."""
    one = torch.eye(LABELS, dtype=torch.bool)[torch.arange(ROWS) % LABELS]
    return one if kind == "label" else one | one.roll(1, dims=0) & (torch.arange(ROWS) % 2 == 0)[:, None]


def test_labels_weigh_the_inverse_of_their_frequency() -> None:
    """Of 8 rows 6 have the first label, 2 the second, none the third: 8/(2 x 6) and 8/(2 x 2)."""
    targets = np.eye(3, dtype=bool)[[0, 0, 0, 1, 0, 0, 1, 0]]
    assert label_weights(targets) == pytest.approx([2 / 3, 2, 1])
    assert label_weights(targets)[targets.argmax(axis=1)].mean() == pytest.approx(1)


def test_tags_weigh_the_rows_without_them_for_each_with_them_and_no_more_than_twenty() -> None:
    targets = np.zeros((100, 5), dtype=bool)
    for tag, count in enumerate((0, 1, 20, 50, 100)):
        targets[:count, tag] = True
    assert tag_weights(targets).tolist() == [20, 20, 4, 1, 1 / 20]


def test_pixels_weigh_the_median_frequency_over_their_class_s_own() -> None:
    """Shares of the masks that show them: 80 of 200, 100 of 200, 20 of 100; the median 0.4 gives 1, 0.8 and 2.

    On average over the pixels (80 x 1 + 100 x 0.8 + 20 x 2) / 200 = 1. The fourth class is nowhere.
    """
    counts = np.array([[60, 40, 0, 0], [20, 60, 20, 0]])
    assert pixel_weights(counts) == pytest.approx([1, 0.8, 2, 1])


def test_a_class_of_hardly_a_pixel_weighs_at_most_twenty_times_the_median() -> None:
    weights = pixel_weights(np.array([[5000, 4999, 1]]))
    assert weights[2] / weights[1] == pytest.approx(20)
    assert (weights * [5000, 4999, 1]).sum() == pytest.approx(10_000)
    assert pixel_weights(np.zeros((2, 3), dtype=np.int64)).tolist() == [1, 1, 1]


def test_a_weighted_label_is_torch_s_weighted_cross_entropy_over_the_rows() -> None:
    logits, target = random(ROWS, LABELS), truths("label")
    each = functional.cross_entropy(logits, target.int().argmax(dim=1), weight=WEIGHTS, reduction="none")
    assert WeightedLabel(WEIGHTS)(logits, target).item() == pytest.approx(each.mean().item())


def test_weighted_tags_are_torch_s_with_positive_weights() -> None:
    logits, target = random(ROWS, LABELS), truths("tags")
    expected = functional.binary_cross_entropy_with_logits(logits, target.float(), pos_weight=WEIGHTS)
    assert WeightedTags(WEIGHTS)(logits, target).item() == pytest.approx(expected.item())


def test_weighted_pixels_are_torch_s_over_all_that_are_not_void() -> None:
    logits, target = random(2, LABELS, 4, 4), torch.arange(32).reshape(2, 1, 4, 4) % LABELS
    target[0, 0, :2] = 255
    each = functional.cross_entropy(logits, target[:, 0], weight=WEIGHTS, ignore_index=255, reduction="none")
    assert WeightedClasses(WEIGHTS)(logits, target.float()).item() == pytest.approx(each.sum().item() / 24)
    void = WeightedClasses(WEIGHTS)(logits, torch.full_like(target, 255))
    assert void.item() == 0


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_even_weights_give_the_plain_loss(share: float) -> None:
    even, names = torch.ones(LABELS), tuple("abc")
    for kind, task in (("label", SingleLabel(names)), ("tags", Multilabel(names))):
        logits, target = random(ROWS, LABELS), truths(kind)
        plain = Smoothed(task.loss, share, several=kind == "tags")(logits, target)
        assert LOSSES[kind](even, share)(logits, target).item() == pytest.approx(plain.item())
    logits, classes = random(2, LABELS, 4, 4), torch.arange(32).reshape(2, 1, 4, 4) % LABELS
    assert torch.allclose(WeightedClasses(even)(logits, classes), ClassMask(names).loss(logits, classes))


@pytest.mark.parametrize("share", [0.0, 0.2])
@pytest.mark.parametrize("kind", LOSSES)
def test_a_mixed_truth_costs_the_mixture_of_what_its_parts_cost(kind: str, share: float) -> None:
    loss, logits, target = LOSSES[kind](WEIGHTS, share), random(ROWS, LABELS), truths(kind).float()
    mixed = torch.lerp(target.roll(1, dims=0), target, 0.3)
    expected = torch.lerp(loss(logits, target.roll(1, dims=0)), loss(logits, target), 0.3)
    assert loss(logits, mixed).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("kind", LOSSES)
def test_smoothing_spreads_a_row_s_weight_and_leaves_the_best_answer_where_it_was(kind: str) -> None:
    """The best answer to a common label stays that label, however much the rare one weighs."""
    heavy, share = torch.tensor([0.1, 1.0, 50.0]), 0.1
    target = torch.eye(LABELS)[:1]
    logits = torch.zeros((1, LABELS), requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = LOSSES[kind](heavy, share)(logits, target)
        loss.backward()
        return loss

    optimizer.step(closure)  # type: ignore[arg-type]
    found = (logits.softmax(dim=1) if kind == "label" else logits.sigmoid()).detach()[0]
    expected = [1 - 2 * share / 3, share / 3, share / 3] if kind == "label" else [1 - share / 2, share / 2, share / 2]
    assert found.tolist() == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("kind", LOSSES)
def test_each_member_of_a_net_learns_on_its_own(kind: str) -> None:
    loss, logits, target = LOSSES[kind](WEIGHTS, 0.1), random(ROWS, MEMBERS, LABELS), truths(kind)
    apart = [loss(logits[:, member], target).item() for member in range(MEMBERS)]
    assert loss(logits, target).item() == pytest.approx(sum(apart) / MEMBERS)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("size", [1.0, 60_000.0])
def test_half_precision_logits_give_a_finite_float32_loss_and_gradient(dtype: torch.dtype, size: float) -> None:
    pairs = [(LOSSES[kind](WEIGHTS, 0.1), (ROWS, LABELS), truths(kind)) for kind in LOSSES]
    pixels = torch.arange(32).reshape(2, 1, 4, 4) % LABELS
    for loss, shape, target in [*pairs, (WeightedClasses(WEIGHTS), (2, LABELS, 4, 4), pixels)]:
        logits = (random(*shape).sign() * size).to(dtype).requires_grad_()
        found = loss(logits, target)
        assert found.dtype == torch.float32
        assert torch.isfinite(found)
        found.backward()
        assert logits.grad is not None
        assert torch.isfinite(logits.grad).all()
