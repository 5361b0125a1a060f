"""Language nets: dropouts, carry, causality, and the surprise of every token."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from harness.data.stretches import Stretch, evaluation_windows, row_lengths
from harness.models.awd_lstm import AwdLstm
from harness.models.gpt import Gpt, rotate, rotations
from harness.models.language import token_nats

VOCABULARY = 11
DROPOUTS = ("dropout_embedding", "dropout_input", "dropout_hidden", "dropout_output", "weight_drop")


def lstm(acting: str = "", *, tied: bool = True) -> AwdLstm:
    """A net in which only the dropout named acts."""
    torch.manual_seed(0)
    shares = {name: 0.5 if name == acting else 0.0 for name in DROPOUTS}
    return AwdLstm(VOCABULARY, embedding=6, hidden=8, layers=2, tied=tied, **shares)


def gpt(*, dropout: float = 0.0) -> Gpt:
    torch.manual_seed(0)
    net = Gpt(VOCABULARY, width=16, layers=2, heads=2, context=8, dropout=dropout)
    for parameter in net.parameters():
        parameter.data.mul_(4)  # fresh weights are small: every logit would be about 0
    return net


def run(net: nn.Module, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """The logits of windows that go on from nothing."""
    return net(inputs, {})[0] if net.recurrent else net(inputs)


def close(first: torch.Tensor, second: torch.Tensor, within: float = 1e-5) -> bool:
    """Whether all are equal within `within` (torch.testing costs seconds at its first use)."""
    return first.shape == second.shape and bool(((first - second).abs() <= within).all())


def window(lanes: int = 3, positions: int = 7, *, fresh: bool = True) -> dict[str, torch.Tensor]:
    tokens = torch.randint(VOCABULARY, (lanes, positions), generator=torch.Generator().manual_seed(1))
    return {"tokens": tokens, "fresh": torch.full((lanes,), fresh)}


def text(*lengths: int) -> Stretch:
    rng = np.random.default_rng(sum(lengths))
    return [(row, rng.integers(VOCABULARY, size=length).astype(np.int32)) for row, length in enumerate(lengths)]


def nats(net: nn.Module, stretches: list[Stretch], *, context: int = 8, batch: int = 3) -> dict[int, np.ndarray]:
    found = evaluation_windows(stretches, context=context, batch=batch, start=0, recurrent=bool(net.recurrent))
    return dict(token_nats(net, found, row_lengths(stretches), device="cpu", autocast=nullcontext()))


class TestAwdLstm:
    def test_one_layer_equals_torchs_lstm(self) -> None:
        net = AwdLstm(VOCABULARY, embedding=5, hidden=9, layers=1).eval()
        reference = nn.LSTM(5, 5, batch_first=True)
        layer = net.layers[0]
        names = {"weight_ih_l0": "weight_input", "weight_hh_l0": "weight_hidden"}
        names |= {"bias_ih_l0": "bias_input", "bias_hh_l0": "bias_hidden"}
        reference.load_state_dict({theirs: layer.get_parameter(ours).data for theirs, ours in names.items()})
        logits, carry = net(window(), {})
        outputs, (hidden, cell) = reference(net.embedding(window()["tokens"]))
        assert close(logits, F.linear(outputs, net.embedding.weight, net.bias))
        assert close(carry["h0"], hidden[0])
        assert close(carry["c0"], cell[0])

    def test_two_windows_with_the_carry_equal_one(self) -> None:
        net, whole = lstm().eval(), window()
        logits, last = net(whole, {})
        first, carry = net({**whole, "tokens": whole["tokens"][:, :3]}, {})
        going_on = {"tokens": whole["tokens"][:, 3:], "fresh": torch.zeros(3, dtype=torch.bool)}
        second, end = net(going_on, carry)
        assert close(torch.cat([first, second], dim=1), logits)
        assert all(close(end[name], last[name]) for name in ("h0", "c0", "h1", "c1"))
        assert not any(part.requires_grad for part in carry.values())

    def test_a_fresh_lane_starts_from_zeros_and_the_others_do_not(self) -> None:
        net, inputs = lstm().eval(), window()
        _, carry = net(inputs, {})
        carry["c1"][0] = float("nan")  # whatever it was
        mixed, _ = net({**inputs, "fresh": torch.tensor([True, False, True])}, carry)
        anew, _ = net(inputs, {})
        assert close(mixed[[0, 2]], anew[[0, 2]])
        assert not close(mixed[1], anew[1])

    @pytest.mark.parametrize("name", DROPOUTS)
    def test_each_dropout_acts_in_training_only(self, name: str) -> None:
        net = lstm(name)
        drawn = [net(window(), {})[0] for _ in range(2)]
        assert not close(drawn[0], drawn[1])
        net.eval()
        assert torch.equal(net(window(), {})[0], net(window(), {})[0])

    def test_no_dropout_makes_training_and_evaluation_equal(self) -> None:
        net = lstm()
        assert close(net(window(), {})[0], net.eval()(window(), {})[0])

    def test_weight_drop_leaves_the_raw_weight_and_its_gradient_has_the_masks_zeros(self) -> None:
        net = lstm("weight_drop")
        raw = net.layers[0].get_parameter("weight_hidden")
        before = raw.detach().clone()
        for _ in range(2):  # a second forward pass after a backward pass
            net.zero_grad()
            net(window(), {})[0].square().sum().backward()
            assert raw.grad is not None
            assert 0.35 < (raw.grad == 0).float().mean() < 0.65
        assert torch.equal(raw, before)

    def test_a_dropped_word_is_zero_wherever_it_stands(self) -> None:
        net = lstm("dropout_embedding")
        tokens = torch.tensor([[1, 2, 1, 3, 2], [2, 1, 4, 1, 3]])
        vectors = net._embedded(tokens)
        for token in (1, 2, 3, 4):
            assert len(vectors[tokens == token].detach().unique(dim=0)) == 1
        scale = vectors.detach() / net.embedding(tokens).detach()
        assert set(scale.unique().round(decimals=4).tolist()) <= {0.0, 2.0}

    def test_locked_dropout_has_one_mask_for_all_positions(self) -> None:
        dropped = lstm()._locked(torch.ones(4, 9, 50), 0.5)
        assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
        assert not torch.equal(dropped[0], dropped[1])

    def test_the_penalty_is_the_mean_square_of_outputs_and_of_their_changes(self) -> None:
        net = lstm()
        raw, dropped = torch.tensor([[[1.0, 2.0], [3.0, 2.0]]]), torch.tensor([[[2.0, 0.0], [6.0, 0.0]]])
        # alpha 2 x (4 + 36) / 4 + beta 1 x (4 + 0) / 2
        assert net._penalty(raw, dropped).item() == 22.0
        assert net._penalty(raw[:, :1], dropped[:, :1]).item() == 4.0
        net(window(), {})
        assert net.penalty.dtype == torch.float32
        assert net.penalty.requires_grad
        net.eval()(window(), {})
        assert net.penalty.item() == 0

    def test_tied_weights_are_one_parameter(self) -> None:
        tied, untied = lstm(), lstm(tied=False)
        assert tied.output_weight is tied.embedding.weight
        assert untied.output_weight is not untied.embedding.weight
        assert untied(window(), {})[0].shape == (3, 7, VOCABULARY)

    def test_the_papers_net_for_penn_treebank_has_24_million_parameters(self) -> None:
        net = AwdLstm(10_000, embedding=400, hidden=1150, layers=3)
        # 10,000 x 400 + 10,000, and 4 H (in + H + 2) for (400, 1150), (1150, 1150), (1150, 400)
        layers = 4 * (1150 * 1552 + 1150 * 2302 + 400 * 1552)
        assert sum(parameter.numel() for parameter in net.parameters()) == 4_010_000 + layers == 24_221_600


class TestGpt:
    def test_a_later_token_does_not_change_earlier_logits(self) -> None:
        net, inputs = gpt().eval(), window()
        changed = inputs["tokens"].clone()
        changed[:, 4] = (changed[:, 4] + 1) % VOCABULARY
        before, after = net(inputs), net({"tokens": changed})
        assert close(before[:, :4], after[:, :4])
        assert all(not close(before[:, place], after[:, place]) for place in range(4, 7))

    def test_any_length_up_to_the_context(self) -> None:
        net = gpt().eval()
        for positions in (1, 5, 8):
            assert net(window(2, positions)).shape == (2, positions, VOCABULARY)
        with pytest.raises(AssertionError, match="9 positions in a net for 8"):
            net(window(2, 9))

    def test_attention_depends_on_distances_not_on_places(self) -> None:
        cosine, sine = rotations(20, 6)
        query, key = torch.randn(6), torch.randn(6)
        turned = [rotate(part.expand(20, 6), cosine, sine) for part in (query, key)]
        scores = turned[0] @ turned[1].T
        for distance in (0, 1, 7):
            assert close(scores.diagonal(-distance), scores[distance, 0].expand(20 - distance))
        assert not close(scores[0, 0], scores[7, 0])

    def test_dropout_acts_in_training_only(self) -> None:
        net = gpt(dropout=0.3)
        assert not close(net(window()), net(window()))
        net.eval()
        assert torch.equal(net(window()), net(window()))

    def test_parameters_are_counted_once(self) -> None:
        net = Gpt(65, width=128, layers=4, heads=4, context=64)
        # 65 x 128, 4 blocks of 12 x 128^2 and two norms, one norm
        assert sum(parameter.numel() for parameter in net.parameters()) == 8_320 + 4 * (196_608 + 256) + 128 == 795_904
        assert sum(tensor.numel() for tensor in net.state_dict().values()) == 795_904


class TestTokenNats:
    @pytest.mark.parametrize("make", [lstm, gpt])
    def test_every_token_of_every_row_is_scored_once(self, make: Callable[[], nn.Module]) -> None:
        stretches = [text(5, 0, 13, 2), [(7, np.arange(9, dtype=np.int32))], [(8, np.zeros(0, dtype=np.int32))]]
        found = nats(make(), stretches)
        assert {row: len(part) for row, part in found.items()} == {0: 5, 1: 0, 2: 13, 3: 2, 7: 9, 8: 0}
        assert all(part.dtype == np.float32 and (part > 0).all() for part in found.values())

    def test_window_and_batch_do_not_change_what_a_recurrent_net_scores(self) -> None:
        stretches: list[Stretch] = [text(5, 13, 2), [(7, np.arange(9))], [(8, np.arange(4, 9))], [(9, np.arange(11))]]
        net = lstm()
        reference = nats(net, stretches, context=100, batch=1)
        for context, batch in ((1, 1), (3, 2), (4, 3), (7, 9)):
            found = nats(net, stretches, context=context, batch=batch)
            for row, expected in reference.items():
                np.testing.assert_allclose(found[row], expected, atol=1e-4)

    @pytest.mark.parametrize("make", [lstm, gpt])
    def test_nats_are_those_of_one_pass_over_the_whole_text(self, make: Callable[[], nn.Module]) -> None:
        net = make()
        stretch = text(3, 4)
        ids = torch.from_numpy(np.concatenate([ids for _, ids in stretch])).long()
        inputs = {
            "tokens": torch.cat([torch.zeros(1, dtype=torch.long), ids[:-1]])[None],
            "fresh": torch.tensor([True]),
        }
        net.eval()
        logits = run(net, inputs)
        expected = -logits[0].log_softmax(-1)[torch.arange(7), ids].detach().numpy()
        found = nats(net, [stretch], context=8)
        np.testing.assert_allclose(np.concatenate([found[0], found[1]]), expected, rtol=1e-5)

    def test_batch_does_not_change_what_a_net_without_a_carry_scores(self) -> None:
        stretches: list[Stretch] = [text(25, 13), [(7, np.arange(3))]]
        net = gpt()
        reference = nats(net, stretches, batch=1)
        for row, expected in nats(net, stretches, batch=5).items():
            np.testing.assert_allclose(expected, reference[row], atol=1e-5)

    def test_a_token_that_no_window_scores_is_noticed(self) -> None:
        windows = evaluation_windows([text(5)], context=8, batch=1, start=0, recurrent=False)
        with pytest.raises(AssertionError, match="no window scores"):
            list(token_nats(gpt(), windows, {0: 6}, device="cpu", autocast=nullcontext()))


@pytest.mark.parametrize("make", [lstm, gpt])
def test_bfloat16_on_a_cpu_is_close_to_float32_and_trains(make: Callable[[], nn.Module]) -> None:
    net = make()
    outputs = []
    for context in (nullcontext(), torch.autocast("cpu", dtype=torch.bfloat16)):
        with context:
            logits = run(net, window())
        F.cross_entropy(logits.float().flatten(0, 1), window()["tokens"].flatten()).backward()
        outputs.append(logits.detach().float().softmax(-1))
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in net.parameters())
    assert close(outputs[0], outputs[1], within=0.05)


@pytest.mark.parametrize(("make", "rate"), [(lstm, 1e-1), (gpt, 1e-2)])
def test_a_net_learns_one_batch_by_heart(make: Callable[[], nn.Module], rate: float) -> None:
    net = make()
    optimizer = torch.optim.AdamW(net.parameters())
    tokens = torch.tensor([[1, 2, 3, 4, 5, 6, 7, 8], [9, 8, 7, 1, 1, 2, 10, 0]])
    loss = torch.tensor(0.0)
    for step in range(140):
        optimizer.param_groups[0]["lr"] = rate * (1 - step / 140)  # at a constant rate the last loss is as it falls
        logits = run(net, {"tokens": tokens[:, :-1], "fresh": torch.tensor([True, True])})
        loss = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss.item() < 0.1
