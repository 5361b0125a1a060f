"""Optuna's own plots of a search, drawn without a display."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import matplotlib
import optuna
from matplotlib import pyplot
from optuna.visualization import matplotlib as plots

from harness import files

SIZE, DPI = (9, 5), 110  # inches, pixels each


def draw(folder: Path, study: optuna.Study, *, metric: str) -> list[Path]:
    """Writes history.png, curves.png, slices.png and, where trials differ, importances.png into a folder.

    Args:
        metric: name of what the trials score.
    """
    complete = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if not complete:
        return []
    names: dict[str, Any] = {"target_name": metric}
    kinds: dict[str, Any] = {
        "history": lambda: plots.plot_optimization_history(study, **names),
        "curves": lambda: plots.plot_intermediate_values(study),
        "slices": lambda: plots.plot_slice(study, **names),
    }
    if len({trial.value for trial in complete}) > 1:
        kinds["importances"] = lambda: plots.plot_param_importances(study, **names)
    folder.mkdir(parents=True, exist_ok=True)
    before = matplotlib.get_backend()
    pyplot.switch_backend("agg")  # Optuna draws by pyplot, which would look for a display
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Optuna that its plots may change, of matplotlib on single points
            return [_drawn(folder / f"{name}.png", draw) for name, draw in kinds.items()]
    finally:
        pyplot.close("all")
        pyplot.switch_backend(before)


def _drawn(path: Path, draw: Any) -> Path:
    figure = _figure(draw())
    figure.set_size_inches(*SIZE)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI, bbox_inches="tight", metadata={"Software": None})
    files.write_bytes(path, content.getvalue())
    return path


def _figure(axes: Any) -> Any:
    """Of one set of axes, or the first of several."""
    while not hasattr(axes, "figure"):
        axes = axes.flat[0] if hasattr(axes, "flat") else axes[0]
    return axes.figure
