"""Tasks beside binary masks: finite float32 losses, members of a net, targets there and back, what is refused.

B rows, C classes, H height, W width, L labels, K members of a net, T tokens, V vocabulary.
"""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch

from harness.errors import DataError
from harness.tasks import ClassMask, Multilabel, NextToken, Regression, SingleLabel, Task

HALVES = [torch.float16, torch.bfloat16]
LABELS = ("clear", "primary", "water")
CLASSES = ("sky", "road", "tree")


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def bits(*shape: int, seed: int = 0) -> torch.Tensor:
    return normal(*shape, seed=seed) > 0


CASES: dict[str, tuple[Task, torch.Tensor, torch.Tensor]] = {
    "class mask": (ClassMask(CLASSES), normal(2, 3, 96, 128), bits(2, 1, 96, 128).byte()),
    "single label": (SingleLabel(LABELS), normal(64, 3), torch.eye(3).repeat(22, 1)[:64]),
    "multilabel": (Multilabel(LABELS), normal(64, 3), bits(64, 3)),
    "members": (Multilabel(LABELS), normal(64, 4, 3), bits(64, 3)),
    "regression": (Regression(log=True, centre=8.0, spread=1.5), normal(64, 1), normal(64, 1).exp() * 3000),
    "text": (NextToken(), normal(4, 32, 500), bits(4, 32).long()),
}


@pytest.mark.parametrize("precision", HALVES)
@pytest.mark.parametrize("name", CASES)
def test_half_precision_logits_give_the_float32_loss(name: str, precision: torch.dtype) -> None:
    task, logits, target = CASES[name]
    loss = task.loss(logits.to(precision), target)
    assert loss.dtype == torch.float32
    assert loss.shape == ()
    assert loss.item() == pytest.approx(task.loss(logits, target).item(), rel=1e-2)


@pytest.mark.parametrize("precision", HALVES)
@pytest.mark.parametrize("name", CASES)
def test_a_far_wrong_answer_has_a_finite_loss_and_gradient(name: str, precision: torch.dtype) -> None:
    task, logits, target = CASES[name]
    far = (logits.sign() * 3e4).to(precision).requires_grad_()
    loss = task.loss(far, target)
    assert torch.isfinite(loss)
    loss.backward()
    assert far.grad is not None
    assert torch.isfinite(far.grad).all()


@pytest.mark.parametrize("name", CASES)
def test_decoding_half_precision_gives_float32(name: str) -> None:
    task, logits, _ = CASES[name]
    decoded = task.decode(logits.half())
    assert decoded.dtype == torch.float32
    assert torch.isfinite(decoded).all()
    np.testing.assert_allclose(decoded, task.decode(logits), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", CASES)
def test_a_batch_costs_the_mean_of_its_rows(name: str) -> None:
    task, logits, target = CASES[name]
    # rows of one size: a class mask's mean is over labelled pixels
    rows = [task.loss(logits[row : row + 1], target[row : row + 1]).item() for row in range(len(logits))]
    assert task.loss(logits, target).item() == pytest.approx(sum(rows) / len(rows), rel=1e-5)


MEMBERS: dict[str, tuple[Task, torch.Tensor, torch.Tensor]] = {
    "single label": (SingleLabel(LABELS), normal(5, 4, 3), torch.eye(3)[[0, 1, 2, 1, 0]]),
    "multilabel": (Multilabel(LABELS), normal(5, 4, 3), bits(5, 3)),
    "regression": (Regression(centre=3.0, spread=2.0), normal(5, 4, 1), normal(5, 1, seed=1)),
    "price": (Regression(log=True, centre=3.0, spread=0.5), normal(5, 4, 1), normal(5, 1, seed=1).exp()),
}


@pytest.mark.parametrize("name", MEMBERS)
def test_a_net_of_members_costs_the_mean_of_its_members(name: str) -> None:
    task, logits, target = MEMBERS[name]
    alone = [task.loss(logits[:, member], target).item() for member in range(4)]
    assert task.loss(logits, target).item() == pytest.approx(sum(alone) / 4, rel=1e-6)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_net_of_members_answers_the_mean_of_its_members_answers(name: str) -> None:
    task, logits, _ = MEMBERS[name]
    alone = torch.stack([task.decode(logits[:, member]) for member in range(4)])
    decoded = task.decode(logits)
    assert decoded.shape == (5, task.outputs)
    np.testing.assert_allclose(decoded, alone.mean(dim=0), rtol=1e-5)
    # not the answer of the members' mean logits
    assert (decoded - task.decode(logits.mean(dim=1))).abs().max() > 1e-3 or name == "regression"


def test_class_masks_map_void_to_255_and_keep_the_classes() -> None:
    encoded = ClassMask(CLASSES, void=11).encode(np.array([[0, 1], [2, 11]], np.uint8), "annot.png")
    assert encoded.dtype == np.uint8
    assert encoded.tolist() == [[0, 1], [2, 255]]
    task = ClassMask(CLASSES, void=255)
    np.testing.assert_array_equal(task.encode(task.present(encoded), "annot.png"), encoded)


@pytest.mark.parametrize(
    ("void", "told"),
    [
        (None, r"annot\.png: the mask has 2 pixels of value 3; masks hold 0 to 2$"),
        (11, r"masks hold 0 to 2, or 11 for void"),
    ],
)
def test_a_value_that_is_no_class_is_refused_with_the_file(void: int | None, told: str) -> None:
    with pytest.raises(DataError, match=told):
        ClassMask(CLASSES, void=void).encode(np.array([[0, 3], [3, 2]], np.uint8), "annot.png")


def test_void_pixels_neither_cost_nor_teach() -> None:
    task, logits = ClassMask(CLASSES), normal(1, 3, 1, 4).requires_grad_()
    target = torch.tensor([[[[0, 255, 2, 255]]]], dtype=torch.uint8)
    loss = task.loss(logits, target)
    chances = logits.detach().log_softmax(dim=1)[0, :, 0]
    assert loss.item() == pytest.approx(-(chances[0, 0] + chances[2, 2]).item() / 2, rel=1e-6)
    loss.backward()
    assert logits.grad is not None
    assert (logits.grad[..., [1, 3]] == 0).all()
    assert (logits.grad[..., [0, 2]] != 0).all()


@pytest.mark.parametrize("precision", [*HALVES, torch.float32])
def test_a_mask_that_is_all_void_costs_nothing(precision: torch.dtype) -> None:
    logits = normal(2, 3, 4, 4).to(precision).requires_grad_()
    loss = ClassMask(CLASSES).loss(logits, torch.full((2, 1, 4, 4), 255, dtype=torch.uint8))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_probabilities_of_classes_and_labels_sum_to_one() -> None:
    np.testing.assert_allclose(ClassMask(CLASSES).decode(normal(2, 3, 4, 5)).sum(dim=1), 1, rtol=1e-5)
    np.testing.assert_allclose(SingleLabel(LABELS).decode(normal(6, 2, 3)).sum(dim=-1), 1, rtol=1e-5)


def test_labels_are_learnt_sorted_unless_they_are_declared() -> None:
    assert SingleLabel().learn(["water", "clear", "water", "Zoo"]).labels == ("Zoo", "clear", "water")
    assert SingleLabel(("b", "a")).learn(["a", "c"]).labels == ("b", "a")
    assert Multilabel().learn([("water", "clear"), (), ["haze", "water", "water"]]).labels == ("clear", "haze", "water")
    assert Multilabel(("b", "a")).learn([("c",)]).labels == ("b", "a")
    assert SingleLabel().learn(["b", "a"]).outputs == 2


@pytest.mark.parametrize("label", LABELS)
def test_a_label_comes_back_from_its_target(label: str) -> None:
    task = SingleLabel(LABELS)
    target = task.encode(label, "train.csv")
    assert target.dtype == np.bool_
    assert target.sum() == 1
    assert task.present(target) == label


def test_tags_come_back_in_the_order_of_the_vocabulary_each_once() -> None:
    task = Multilabel(LABELS)
    for tags, expected in (((), ()), (("water", "clear"), ("clear", "water")), (["water", "water"], ("water",))):
        target = task.encode(tags, "train.csv")
        assert target.shape == (3,)
        assert task.present(target) == expected
        np.testing.assert_array_equal(task.encode(task.present(target), "train.csv"), target)


@pytest.mark.parametrize(("task", "cell"), [(SingleLabel(LABELS), "haze"), (Multilabel(LABELS), ("clear", "haze"))])
def test_an_unknown_label_is_refused_with_the_file_and_the_known_ones(task: Task, cell: Any) -> None:
    with pytest.raises(DataError, match=r"train\.csv: unknown label 'haze'; known labels: clear, primary, water$"):
        task.encode(cell, "train.csv")


def test_of_many_known_labels_the_first_twelve_are_named() -> None:
    task = SingleLabel(tuple(f"l{number:02}" for number in range(20)))
    with pytest.raises(DataError, match=r"l11, \.\.\.$"):
        task.encode("haze", "train.csv")


def test_label_losses_are_the_ones_computed_by_hand() -> None:
    logits = torch.tensor([[math.log(3), 0.0]])  # chances 3/4 and 1/4; each by itself 3/4 and 1/2
    assert SingleLabel(("a", "b")).loss(logits, torch.tensor([[0, 1]])).item() == pytest.approx(math.log(4))
    both = -(math.log(3 / 4) + math.log(1 / 2)) / 2
    assert Multilabel(("a", "b")).loss(logits, torch.tensor([[True, True]])).item() == pytest.approx(both)


def test_a_mixture_of_labels_costs_the_mixture_of_the_losses() -> None:
    task, logits = SingleLabel(LABELS), normal(1, 3)
    single = [task.loss(logits, torch.eye(3)[[label]]).item() for label in range(3)]
    mixed = task.loss(logits, torch.tensor([[0.7, 0.0, 0.3]])).item()
    assert mixed == pytest.approx(0.7 * single[0] + 0.3 * single[2], rel=1e-5)


def test_the_loss_of_text_is_the_mean_of_its_nats_and_decoding_gives_each() -> None:
    logits, target = normal(2, 3, 5), torch.tensor([[0, 1, 2], [4, 4, 4]])
    chances = NextToken().decode(logits)
    np.testing.assert_allclose(chances.exp().sum(dim=-1), 1, rtol=1e-5)
    nats = -chances.gather(-1, target[..., None])
    assert NextToken().loss(logits, target).item() == pytest.approx(nats.mean().item(), rel=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_a_task_goes_to_a_worker(name: str) -> None:
    task = CASES[name][0]
    assert pickle.loads(pickle.dumps(task)) == task
