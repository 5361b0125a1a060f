"""Plots, drawn without a display."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from harness import files
from harness.report.curves import Curve


def training(path: Path, curves: Mapping[int, Curve], *, title: str) -> None:
    """Writes a PNG of learning rate, momentum and loss over the steps, a line for each fold."""
    figure = Figure(figsize=(9, 8), layout="constrained")
    rates, momenta, losses = figure.subplots(3, sharex=True)
    for fold, curve in curves.items():
        rates.plot(curve.rates, color=f"C{fold}")
        momenta.plot(curve.momenta, color=f"C{fold}")
        losses.plot(*zip(*curve.losses, strict=True), color=f"C{fold}", label=f"fold {fold}")
    for first, name in next(iter(curves.values())).begins:
        for axes in (rates, momenta, losses):
            axes.axvline(first, color="0.85", zorder=0)
        rates.annotate(name, (first, 1), xycoords=("data", "axes fraction"), va="bottom")
    rates.set(ylabel="learning rate of the head")
    momenta.set(ylabel="momentum")
    losses.set(ylabel="loss", xlabel="optimizer step")
    losses.legend()
    figure.suptitle(title)
    _write(figure, path)


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
    _write(figure, path)


def _write(figure: Figure, path: Path) -> None:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    files.write_bytes(path, content.getvalue())
