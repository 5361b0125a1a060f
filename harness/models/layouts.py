"""How pictures and the weights of their nets lie in memory: each pixel's channels together, or each channel's pixels.

B rows, C channels, H height, W width.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

Memory = Literal["channels_last", "contiguous"]
FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


def lay_out(net: nn.Module, memory: Memory) -> nn.Module:
    """The net itself, its weights and from now on its pictures laid out so; the numbers stay what they are."""
    net.memory = memory  # type: ignore[reportArgumentType]
    return net.to(memory_format=FORMATS[memory])  # type: ignore[call-overload]


def laid_out(pictures: torch.Tensor, memory: Memory) -> torch.Tensor:
    """Pictures [B, C, H, W] laid out as the weights that read them."""
    return pictures.contiguous(memory_format=FORMATS[memory])
