"""Configuration: frozen dataclasses, checked when made, changed by presets and by `-o key=value`.

Order of precedence: the adapter's defaults < preset < `-o` < named flags. config.json stores the resolved result.
"""

from harness.config.overrides import as_json, from_json, keys, override, with_epochs
from harness.config.settings import (
    DataSettings,
    Model,
    Precision,
    ReportSettings,
    TrainConfig,
    Training,
)
from harness.config.space import Dimension, SearchSpace
from harness.config.stage import Size, Stage

__all__ = [
    "DataSettings",
    "Dimension",
    "Model",
    "Precision",
    "ReportSettings",
    "SearchSpace",
    "Size",
    "Stage",
    "TrainConfig",
    "Training",
    "as_json",
    "from_json",
    "keys",
    "override",
    "with_epochs",
]
