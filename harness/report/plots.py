"""Plots, drawn without a display."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from harness import files


def range_test(
    path: Path,
    rates: np.ndarray,
    losses: np.ndarray,
    smooth: np.ndarray,
    suggestions: Mapping[str, float],
    *,
    title: str,
) -> None:
    """Writes a PNG of the loss over the learning rate, with the suggested rates marked.

    Args:
        rates, losses, smooth: [S] of a sweep.
        suggestions: name of a rule -> rate.
    """
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot(rates, losses, color="0.8", label="each batch")
    axes.plot(rates, smooth, color="black", label="smoothed")
    for index, (name, rate) in enumerate(suggestions.items()):
        axes.plot(rate, np.interp(rate, rates, smooth), "o", color=f"C{index}", label=f"{name}: {rate:.2g}")
    # what runs away at the end would flatten all that matters
    low, high = losses.min(), smooth[: smooth.argmin() + 1].max()
    axes.set_ylim(low - 0.2 * (high - low) - 1e-9, high + 0.6 * (high - low) + 1e-9)
    axes.set(xscale="log", xlabel="learning rate of the head", ylabel="loss", title=title)
    axes.legend()
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    files.write_bytes(path, content.getvalue())
