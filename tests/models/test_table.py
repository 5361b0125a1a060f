"""Table nets: the encoder by hand, members that differ, one set of bits on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from harness.models.table import SharedLinear, TableEncoder, TableNet, rounded_edges
from harness.training.loop import read_weights, write_weights
from harness.training.state import TrainState

EDGES = ([-1.0, 0.0, 1.0, 2.0], [-0.5, 0.5], [0.0])


def net(**changes: object) -> TableNet:
    """A small net of three numbers, one missing indicator and two categories."""
    torch.manual_seed(0)
    sizes = {"outputs": 2, "width": 16, "blocks": 2, "members": 4, "embedding": 8, "edges": EDGES, **changes}
    return TableNet(4, (4, 3), **sizes)  # type: ignore[reportArgumentType]


def inputs(rows: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "numbers": torch.randn(rows, 4, generator=generator),
        "codes": torch.stack([torch.arange(rows) % 4, torch.arange(rows) % 3], dim=1),
    }


@pytest.mark.parametrize("training", [True, False])
def test_every_member_answers_for_every_row(training: bool) -> None:
    built = net().train(training)
    logits = built(inputs(5))
    assert logits.shape == (5, 4, 2)
    assert logits.dtype == torch.float32
    assert built.features(inputs(5)).shape == (5, built.encoder.width) == (5, 3 * 8 + 1 + 2 * 8)


def test_members_differ_from_the_first_step() -> None:
    built = net()
    with torch.no_grad():  # the same head for all: what is left are the signs on the first input
        built.head.copy_(built.head[:1].expand_as(built.head))
        built.bias.zero_()
    logits = built(inputs(6))
    spread = logits.std(dim=1)
    assert (spread > 1e-3).all()
    first, second = (layer for layer in built.layers if isinstance(layer, SharedLinear))
    assert set(first.into.unique().tolist()) == {-1, 1}
    assert set(second.into.unique().tolist()) == {1}


def test_predictions_repeat_and_do_not_depend_on_the_batch() -> None:
    built = net(dropout=0.5).eval()
    rows = inputs(12)
    whole = built(rows)
    assert torch.equal(whole, built(rows))
    torch.testing.assert_close(built({name: part[3:5] for name, part in rows.items()}), whole[3:5])
    built.train()
    assert not torch.equal(built(rows), built(rows))


def test_gradients_reach_every_parameter() -> None:
    built = net()
    built(inputs(24)).square().mean().backward()
    for name, parameter in built.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_a_piecewise_linear_embedding_by_hand() -> None:
    encoder = TableEncoder(1, (), edges=[[0.0, 1.0, 3.0]], embedding=1)
    with torch.no_grad():
        encoder.line.fill_(10)
        encoder.bias.fill_(100)
        encoder.bends.copy_(torch.tensor([[[1.0], [2.0]]]))
    found = encoder({"numbers": torch.tensor([[-1.0], [0.5], [2.0], [9.0]])})
    # 100 + 10 x + the filled share of [0, 1] + 2 times that of [1, 3]
    assert found[:, 0].tolist() == [90, 105.5, 122, 193]


def test_a_piecewise_linear_embedding_starts_as_its_line() -> None:
    encoder = TableEncoder(2, (), edges=EDGES[:2], embedding=4)
    numbers = torch.randn(7, 2)
    expected = (numbers[:, :, None] * encoder.line + encoder.bias).flatten(1)
    torch.testing.assert_close(encoder({"numbers": numbers}), expected)


def test_unknown_categories_start_as_zeros() -> None:
    encoder = TableEncoder(0, (3, 4), edges=[], embedding=5)
    found = encoder({"codes": torch.tensor([[0, 0], [2, 3], [0, 1]])})
    assert found[0].abs().sum() == 0
    assert (found[1] != 0).all()
    torch.testing.assert_close(found[1, 5:], encoder.table[6])


def test_columns_without_a_bin_and_tables_of_one_kind_are_fine() -> None:
    encoder = TableEncoder(2, (), edges=[[], [0.25]], embedding=3)
    found = encoder({"numbers": torch.tensor([[0.0, 5.0]])})
    assert torch.isfinite(found).all()
    assert found.shape == (1, encoder.width) == (1, 6)


def test_a_shared_layer_is_a_linear_layer_per_member() -> None:
    torch.manual_seed(0)
    layer = SharedLinear(5, 3, members=2)
    with torch.no_grad():
        for parameter in (layer.into, layer.out, layer.bias):
            parameter.normal_()
    hidden = torch.randn(4, 2, 5)
    for member in range(2):
        # Wen et al. 2020, equation 1: the member's matrix is the shared one times the outer product of its vectors
        matrix = layer.weight * torch.outer(layer.out[member], layer.into[member])
        expected = torch.nn.functional.linear(hidden[:, member], matrix, layer.bias[member])
        torch.testing.assert_close(layer(hidden)[:, member], expected)


def test_edges_stay_apart_in_float16() -> None:
    rounded = rounded_edges([8.0, 8.001, 8.002, 9.0, -1.0])
    assert rounded.tolist() == [-1, 8, 9]
    encoder = TableEncoder(1, (), edges=[[8.0, 8.001, 9.0]], embedding=2)
    assert torch.equal(encoder.edges.half().float(), encoder.edges)


def test_weights_come_back_from_disk_with_their_edges(tmp_path: Path) -> None:
    first, second = net().eval(), net().eval()
    path = tmp_path / "weights.safetensors"
    write_weights(first.state_dict(), path)
    with torch.no_grad():
        for parameter in second.parameters():
            parameter.zero_()
    read_weights(second, path)
    assert torch.equal(second.encoder.edges, first.encoder.edges)
    torch.testing.assert_close(second(inputs(8)), first(inputs(8)), rtol=1e-2, atol=2e-3)


def test_bf16_gives_float32_logits_near_those_of_float32() -> None:
    built = net().eval()
    exact = built(inputs(16))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = built(inputs(16))
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0.05, atol=0.02)


def test_a_small_regression_is_learnt_with_a_kink_and_a_category() -> None:
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    numbers, codes = random.normal(size=(128, 1)), random.integers(1, 4, size=(128, 1))
    target = np.abs(numbers[:, 0]) + np.array([0, 1, -1, 2.0])[codes[:, 0]]
    rows = {"numbers": torch.from_numpy(numbers).float(), "codes": torch.from_numpy(codes)}
    wanted = torch.from_numpy((target - target.mean()) / target.std()).float()[:, None, None]
    edges = [np.quantile(numbers[:, 0], np.linspace(0, 1, 9))]
    built = TableNet(1, (4,), outputs=1, edges=edges, width=32, blocks=2, members=4, embedding=8)
    state = TrainState.start(built, rate=1e-2, weight_decay=1e-2, ema=False, precision="fp32")
    loss = torch.tensor(torch.inf)
    for _ in range(100):
        loss = (built(rows) - wanted).square().mean()
        loss.backward()
        state.optimizer.step()
        state.optimizer.zero_grad()
    assert loss.item() < 1e-3
