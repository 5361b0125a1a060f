"""torch.compile, in place: weights keep their names, so what is saved and loaded does not change."""

from __future__ import annotations

import logging

import torch
from torch import nn


def start(net: nn.Module) -> None:
    """Has `net` compiled at its next forward pass, seconds to minutes; compiling it again starts from nothing.

    What was compiled before in this process is forgotten, and each shape gets kernels of its own: with kernels that
    serve all shapes seen so far, or a limit reached by earlier folds, a fold's bits would depend on what ran before it.
    Random numbers (dropout) are those of the plain net.
    """
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it reports that a CPU has no CUDA
    torch.compiler.reset()
    net.compile(dynamic=False, options={"fallback_random": True})


def problem(device: str) -> str | None:
    """Why this machine cannot compile, in one line; None where it can. A few seconds, by compiling one layer."""
    layer = nn.Linear(2, 2).to(device)
    start(layer)
    try:
        layer(torch.ones(2, 2, device=device)).sum().backward()
    except Exception as error:  # whatever a compiler, its driver or its files run into; the layer itself is sound
        return first_line(error)
    return None


def first_line(error: Exception) -> str:
    """What went wrong, in one line; torch begins with which backend raised, and says what on the next."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return " ".join(lines[: 2 if lines[0].endswith(":") else 1])
