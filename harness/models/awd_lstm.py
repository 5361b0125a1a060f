"""The AWD-LSTM: recurrent layers whose connections, not only activations, are dropped.

B lanes, T positions of a window, V vocabulary, E embedding, H hidden units.

Source of the whole file: Merity, Keskar and Socher 2017, "Regularizing and optimizing LSTM language models",
arXiv:1708.02182; sections are named where they apply.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

Carry = dict[str, torch.Tensor]


class AwdLstm(nn.Module):
    """Embedding, LSTM layers, tied output, with every dropout of the paper.

    Attributes:
        penalty: float32 scalar that training adds to the loss (AR and TAR, section 4.6); 0 after an evaluation. It
            belongs to the graph of the last forward pass.
    """

    recurrent = True

    def __init__(
        self,
        vocabulary: int,
        *,
        embedding: int,
        hidden: int,
        layers: int,
        dropout_embedding: float = 0.1,
        dropout_input: float = 0.4,
        dropout_hidden: float = 0.25,
        dropout_output: float = 0.4,
        weight_drop: float = 0.5,
        alpha: float = 2.0,
        beta: float = 1.0,
        tied: bool = True,
    ) -> None:
        """A net with fresh weights; the defaults are the paper's for Penn Treebank (section 5).

        Args:
            vocabulary: number of token ids.
            embedding: size of a token's vector; with `tied`, also of what the last layer gives.
            hidden: units of the other layers.
            layers: LSTM layers.
            dropout_embedding: share of the vocabulary whose vectors are zero throughout a window (4.3).
            dropout_input, dropout_hidden, dropout_output: locked dropout of the vectors that enter the first layer,
                pass between layers, and leave the last (4.2).
            weight_drop: share of the hidden-to-hidden weights dropped throughout a window (2).
            alpha: weight of AR, the mean square of the dropped output.
            beta: weight of TAR, the mean square of its undropped change from one position to the next.
            tied: one matrix is embedding and output (4.4).
        """
        super().__init__()
        sizes = [embedding, *[hidden] * (layers - 1), embedding if tied else hidden]
        self.embedding = nn.Embedding(vocabulary, embedding)
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)  # section 5
        self.layers = nn.ModuleList(_Layer(inside, outside, weight_drop) for inside, outside in pairwise(sizes))
        self.output = None if tied else nn.Parameter(torch.empty(vocabulary, hidden).uniform_(-0.1, 0.1))
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.dropout_embedding, self.dropout_input = dropout_embedding, dropout_input
        self.dropout_hidden, self.dropout_output = dropout_hidden, dropout_output
        self.alpha, self.beta = alpha, beta
        self.penalty = torch.zeros(())

    @property
    def output_weight(self) -> torch.Tensor:
        """[V, E or H]: the embedding itself when tied; one name only, so that files and averages hold it once."""
        return self.embedding.weight if self.output is None else self.output

    def forward(self, inputs: Mapping[str, torch.Tensor], carry: Carry) -> tuple[torch.Tensor, Carry]:
        """(logits [B, T, V] of the next tokens, carry for the window that follows).

        Args:
            inputs: "tokens" int64 [B, T]; "fresh" bool [B], lanes that start from zeros whatever the carry says.
            carry: what the call before returned, float32 [B, H] by name; empty for zeros. It is detached.
        """
        tokens, fresh = inputs["tokens"], inputs["fresh"][:, None]
        if carry and len(carry["h0"]) != len(tokens):
            carry = {}  # the batch changed, after running out of memory say: these lanes continue no others
        vectors = self._locked(self._embedded(tokens), self.dropout_input)
        passed: Carry = {}
        for index, layer in enumerate(self.layers):
            if index:
                vectors = self._locked(vectors, self.dropout_hidden)
            before = [carry[f"{part}{index}"].masked_fill(fresh, 0.0) for part in "hc"] if carry else None
            vectors, hidden, cell = layer(vectors, before)
            passed |= {f"h{index}": hidden.detach().float(), f"c{index}": cell.detach().float()}
        dropped = self._locked(vectors, self.dropout_output)
        self.penalty = self._penalty(vectors, dropped)
        return F.linear(dropped, self.output_weight, self.bias), passed

    def _embedded(self, tokens: torch.Tensor) -> torch.Tensor:
        """[B, T, E]; in training, a dropped word is dropped wherever it stands in the window."""
        vectors = self.embedding(tokens)
        if not self.training or not self.dropout_embedding:
            return vectors
        kept = F.dropout(torch.ones(self.embedding.num_embeddings, device=tokens.device), self.dropout_embedding)
        return vectors * kept[tokens][..., None]

    def _locked(self, vectors: torch.Tensor, share: float) -> torch.Tensor:
        """[B, T, .] with one mask per lane for all positions (Gal and Ghahramani, arXiv:1512.05287)."""
        if not self.training or not share:
            return vectors
        return vectors * F.dropout(torch.ones_like(vectors[:, :1]), share)

    def _penalty(self, raw: torch.Tensor, dropped: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return torch.zeros((), device=raw.device)
        size = self.alpha * dropped.float().square().mean()
        change = raw.float().diff(dim=1).square()
        return size + self.beta * change.mean() if change.numel() else size


class _Layer(nn.Module):
    """One LSTM layer whose hidden-to-hidden matrix is dropped anew at each call in training."""

    def __init__(self, inside: int, outside: int, weight_drop: float) -> None:
        super().__init__()
        self.weight_drop, self.size = weight_drop, outside
        bound = 1 / math.sqrt(outside)
        shapes = {"weight_input": (4 * outside, inside), "weight_hidden": (4 * outside, outside)}
        for name, shape in {**shapes, "bias_input": (4 * outside,), "bias_hidden": (4 * outside,)}.items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape).uniform_(-bound, bound)))

    def forward(
        self, vectors: torch.Tensor, before: list[torch.Tensor] | None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(outputs [B, T, H], last hidden [B, H], last cell [B, H]) from [B, T, E] and ([B, H], [B, H]) or zeros."""
        names = ("weight_input", "weight_hidden", "bias_input", "bias_hidden")
        weights: dict[str, torch.Tensor] = {name: self.get_parameter(name) for name in names}
        if self.weight_drop:
            # a new tensor each time: the parameter itself is never written, and its gradient passes the mask
            weights["weight_hidden"] = F.dropout(weights["weight_hidden"], self.weight_drop, self.training)
        device, kind = vectors.device.type, torch.float32
        if device != "cpu" and torch.is_autocast_enabled(device):
            kind = torch.get_autocast_dtype(device)  # on a CPU small recurrent nets in bf16 can be 100 times slower
        if before is None:
            before = [vectors.new_zeros(vectors.shape[0], self.size)] * 2
        with torch.autocast(device, enabled=False), warnings.catch_warnings():
            # cuDNN would like one buffer for all weights; a dropped copy cannot lie in it
            warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")
            state = [part.to(kind)[None].contiguous() for part in before]
            flat = [weights[name].to(kind) for name in names]
            # nn.LSTM's own call: ..., has biases, layers, dropout, train, bidirectional, batch first
            outputs, hidden, cell = torch._VF.lstm(  # type: ignore[reportAttributeAccessIssue]
                vectors.to(kind), state, flat, True, 1, 0.0, self.training, False, True
            )
        return outputs, hidden[0], cell[0]
