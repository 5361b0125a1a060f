"""Number formats of a step: fp16 with a gradient scaler on CUDA, bf16 where it is measured faster on a CPU."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from harness.errors import ConfigError


def autocast(device: str, precision: str) -> AbstractContextManager:
    """The context of a forward pass; re-enterable."""
    if precision == "fp32":
        return nullcontext()
    kind = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device, dtype=kind)


def scaler(precision: str) -> torch.amp.GradScaler:
    """A gradient scaler; it does nothing unless the precision is fp16 (Micikevicius et al. 2018, arXiv:1710.03740)."""
    return torch.amp.GradScaler("cuda", enabled=precision == "fp16")


def check(device: str, precision: str) -> None:
    """Refuses what the device cannot do.

    Raises:
        ConfigError: fp16 on a CPU; bf16 below compute capability 8 (where `is_bf16_supported` is true by emulation).
    """
    if device == "cpu" and precision == "fp16":
        raise ConfigError("fp16 needs a GPU", fix="use --precision bf16 or fp32 on a CPU")
    if device == "cuda" and precision == "bf16" and torch.cuda.get_device_capability()[0] < 8:
        raise ConfigError("this card has no bf16 units", fix="use --precision fp16")
