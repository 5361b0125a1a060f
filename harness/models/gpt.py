"""A small transformer that predicts the next token from a window of tokens.

B windows, T positions, W width, H heads, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

INITIAL = 0.02  # standard deviation of the first weights (Radford et al. 2019, "Language models are unsupervised ...")
BASE = 10_000.0  # wavelengths of the rotary positions reach 2 pi times this (Su et al. 2021, section 3.2.2)


class Gpt(nn.Module):
    """Pre-norm decoder: RMSNorm, rotary positions, causal attention, squared-ReLU MLP, tied embedding.

    Sources: Radford et al. 2019 (pre-norm decoder, the depth-scaled start of what adds to the residual stream); Zhang
    and Sennrich, arXiv:1910.07467 (RMSNorm); Su et al., arXiv:2104.09864 (rotary positions); So et al.,
    arXiv:2109.08668 (squared ReLU); Press and Wolf, arXiv:1608.05859 (tying).
    """

    recurrent = False

    def __init__(
        self, vocabulary: int, *, width: int, layers: int, heads: int, context: int, dropout: float = 0.0
    ) -> None:
        """A net with fresh weights.

        Args:
            vocabulary: number of token ids.
            width: of the residual stream; a multiple of 2 `heads`.
            layers: blocks of attention and MLP.
            heads: of the attention.
            context: most positions of a window.
            dropout: on the embedding, the attention's shares, and what is added to the residual stream.
        """
        super().__init__()
        assert width % (2 * heads) == 0, "rotary positions turn pairs: the width must be a multiple of twice the heads"
        self.context = context
        self.embedding = nn.Embedding(vocabulary, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(_Block(width, heads, dropout) for _ in range(layers))
        self.norm = nn.RMSNorm(width)
        cosine, sine = rotations(context, width // heads)
        # not in the state: they follow from the settings, and float16 files would round them
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("sine", sine, persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                # each block adds twice to the residual stream, whose variance then does not grow with depth
                deep = math.sqrt(2 * layers) if name.endswith("out.weight") else 1.0
                nn.init.normal_(parameter, std=INITIAL / deep)

    def forward(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Logits [B, T, V] of the token after each of `inputs["tokens"]`, int64 [B, T] with T <= `context`."""
        tokens = inputs["tokens"]
        positions = tokens.shape[1]
        assert positions <= self.context, f"{positions} positions in a net for {self.context}"
        cosine, sine = self.get_buffer("cosine")[:positions], self.get_buffer("sine")[:positions]
        stream = self.dropout(self.embedding(tokens))
        for block in self.blocks:
            stream = block(stream, cosine, sine)
        return F.linear(self.norm(stream), self.embedding.weight)


class _Block(nn.Module):
    """Attention, then MLP, each added to the residual stream."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.share = heads, dropout
        self.attention_norm, self.mlp_norm = nn.RMSNorm(width), nn.RMSNorm(width)
        self.attention_in = nn.Linear(width, 3 * width, bias=False)
        self.attention_out = nn.Linear(width, width, bias=False)
        self.mlp_in = nn.Linear(width, 4 * width, bias=False)
        self.mlp_out = nn.Linear(4 * width, width, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, stream: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
        stream = stream + self.dropout(self._attention(self.attention_norm(stream), cosine, sine))
        hidden = F.relu(self.mlp_in(self.mlp_norm(stream))).square()
        return stream + self.dropout(self.mlp_out(hidden))

    def _attention(self, stream: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
        windows, positions, width = stream.shape
        packed = self.attention_in(stream).view(windows, positions, 3, self.heads, width // self.heads)
        query, key, value = packed.permute(2, 0, 3, 1, 4)  # each [B, H, T, W / H]
        query, key = (rotate(part, cosine, sine).to(value.dtype) for part in (query, key))
        share = self.share if self.training else 0.0
        # the mask is the kernel's own: no -inf that half precision could turn into NaN
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=share, is_causal=True)
        return self.attention_out(mixed.transpose(1, 2).reshape(windows, positions, width))


def rotations(context: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines, float32 [context, size / 2], of position times `BASE ** (-2 i / size)` (RoFormer, eq. 15)."""
    speeds = BASE ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    angles = torch.arange(context, dtype=torch.float64)[:, None] * speeds
    return angles.cos().float(), angles.sin().float()


def rotate(part: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    """[..., T, size] with the pairs (i, i + size / 2) turned by the angles [T, size / 2] of their positions."""
    first, second = part.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)
