"""Table nets: TabM, an ensemble of multilayer perceptrons that share their matrices, over embedded columns.

B rows, F numeric columns, K categorical columns, M members, E embedding width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import nn

Edges = Sequence[Sequence[float] | np.ndarray]


class TableEncoder(nn.Module):
    """Columns as one flat float vector [B, width]: for a table net, or beside the pooled features of a picture.

    A number is embedded as a line plus a piecewise-linear function with bends at its edges, a category as a row of a
    table. Unknown and missing categories (code 0) start as zeros. Source: Gorishniy, Rubachev, Babenko 2022,
    arXiv:2203.05556, section 3.2; the sum with a line that starts alone is version B of the authors' later code.

    Args:
        features: columns of the input "numbers"; those past `len(edges)`, missing indicators, are passed on unchanged.
        cardinalities: for every column of the input "codes", its largest code + 1.
        edges: for every embedded number its bin edges in standardised units, ascending; fewer than two leave the line
            alone. Rounded to float16, in which weights are kept, and what falls together then is joined.
        embedding: E, floats per column.

    Attributes:
        width: floats per row.
    """

    edges: torch.Tensor
    offsets: torch.Tensor

    def __init__(self, features: int, cardinalities: tuple[int, ...], *, edges: Edges, embedding: int) -> None:
        super().__init__()
        assert len(edges) <= features, f"{len(edges)} lists of edges for {features} numbers"
        assert embedding >= 1, "an embedding has at least one float"
        assert min(cardinalities, default=1) >= 1, "every categorical column has the code 0"
        self.numbers, self.plain = len(edges), features - len(edges)
        self.width = (self.numbers + len(cardinalities)) * embedding + self.plain
        assert self.width, "a table without columns"
        padded = _padded([rounded_edges(column) for column in edges])
        self.register_buffer("edges", torch.from_numpy(padded))
        self.line = nn.Parameter(torch.empty(self.numbers, embedding))
        self.bias = nn.Parameter(torch.empty(self.numbers, embedding))
        self.bends = nn.Parameter(torch.zeros(self.numbers, padded.shape[1] - 1, embedding))
        for parameter in (self.line, self.bias):
            nn.init.uniform_(parameter, -(embedding**-0.5), embedding**-0.5)
        starts = np.cumsum([0, *cardinalities])
        # one table for all columns: one lookup instead of K
        self.table = nn.Parameter(torch.randn(int(starts[-1]), embedding) * embedding**-0.5)
        self.register_buffer("offsets", torch.from_numpy(starts[:-1].astype(np.int64)), persistent=False)
        with torch.no_grad():
            self.table[self.offsets] = 0

    def forward(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Float32 [B, width] of "numbers" [B, features] and "codes" int64 [B, K] (absent where there are none)."""
        parts = []
        if self.numbers or self.plain:
            numbers = inputs["numbers"].float()
            parts += [self._embedded(numbers[:, : self.numbers]), numbers[:, self.numbers :]]
        if len(self.offsets):
            parts.append(nn.functional.embedding(inputs["codes"] + self.offsets, self.table).flatten(1))
        return torch.cat(parts, dim=1)

    def _embedded(self, numbers: torch.Tensor) -> torch.Tensor:
        left, length = self.edges[:, :-1], self.edges.diff(dim=1)
        # padding repeats the last edge: such bins have no length, and hold 0 for every number
        inside = (numbers[:, :, None] - left) / torch.where(length > 0, length, 1.0)
        filled = torch.where(length > 0, inside.clamp(0, 1), 0.0)
        bent = torch.einsum("bfe,fed->bfd", filled, self.bends)
        return (self.bias + numbers[:, :, None] * self.line + bent).flatten(1)


class TableNet(nn.Module):
    """Logits float32 [B, M, outputs] of embedded columns: M perceptrons that share their matrices.

    Each layer multiplies its input and its output by vectors of the member's own. Those on the first input start as
    random signs and tell the members apart, the others start at one; the heads are separate. Losses and decoded
    predictions are averaged over the members, never the logits.
    Source: TabM, Gorishniy, Kotelnikov, Babenko 2024, arXiv:2410.24210, section 3; the layer is BatchEnsemble's,
    Wen, Tran, Ba 2020, arXiv:2002.06715, equation 5.

    Args:
        features, cardinalities, edges, embedding: see TableEncoder.
        outputs: floats per member.
        width: of the hidden layers.
        blocks: number of hidden layers.
        dropout: after every hidden layer.
        members: M.
    """

    def __init__(
        self,
        features: int,
        cardinalities: tuple[int, ...],
        *,
        outputs: int,
        edges: Edges,
        width: int = 128,
        blocks: int = 3,
        dropout: float = 0.0,
        members: int = 32,
        embedding: int = 16,
    ) -> None:
        super().__init__()
        assert min(outputs, width, blocks, members) >= 1, "a net needs outputs, width, blocks and members"
        self.encoder = TableEncoder(features, cardinalities, edges=edges, embedding=embedding)
        sizes = [self.encoder.width] + [width] * blocks
        layers = [SharedLinear(before, after, members=members) for before, after in pairwise(sizes)]
        with torch.no_grad():
            layers[0].into.copy_(torch.randint_like(layers[0].into, 2) * 2 - 1)
        self.layers = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Parameter(torch.empty(members, width, outputs))
        self.bias = nn.Parameter(torch.empty(members, outputs))
        for parameter in (self.head, self.bias):
            nn.init.uniform_(parameter, -(width**-0.5), width**-0.5)

    def features(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The embedded columns, float32 [B, encoder.width]."""
        return self.encoder(inputs)

    def forward(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Float32 [B, M, outputs] of the batch's inputs, when training and when predicting."""
        hidden = self.features(inputs)[:, None]
        for layer in self.layers:
            hidden = self.dropout(torch.relu(layer(hidden)))
        # float32 whatever the rest is in: in bf16 a price would come out in steps of half a percent
        with torch.autocast(hidden.device.type, enabled=False):
            return torch.einsum("bmw,mwo->bmo", hidden.float(), self.head) + self.bias


class SharedLinear(nn.Module):
    """A linear layer [B, M or 1, before] -> [B, M, after]: one matrix, and three vectors for each of M members."""

    def __init__(self, before: int, after: int, *, members: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(after, before))
        self.into = nn.Parameter(torch.ones(members, before))
        self.out = nn.Parameter(torch.ones(members, after))
        self.bias = nn.Parameter(torch.empty(members, after))
        nn.init.uniform_(self.weight, -(before**-0.5), before**-0.5)
        with torch.no_grad():  # the same for all members, as in the source
            self.bias.copy_(torch.empty(after).uniform_(-(before**-0.5), before**-0.5).expand(members, after))

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """[B, M, after] in the format of the surrounding autocast."""
        return nn.functional.linear(hidden * self.into, self.weight) * self.out + self.bias


def rounded_edges(edges: Sequence[float] | np.ndarray) -> np.ndarray:
    """float32: the edges that stay apart in float16, strictly ascending."""
    return np.unique(np.asarray(edges, dtype=np.float64).astype(np.float16)).astype(np.float32)


def _padded(edges: Sequence[np.ndarray]) -> np.ndarray:
    """float32 [F, most edges, at least 2]; shorter ones repeat their last edge (an infinite one could not be kept)."""
    most = max([2, *map(len, edges)])
    padded = np.zeros((len(edges), most), dtype=np.float32)
    for row, column in zip(padded, edges, strict=True):
        if len(column):
            row[: len(column)], row[len(column) :] = column, column[-1]
    return padded
