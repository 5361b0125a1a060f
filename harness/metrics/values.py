"""Metrics of numbers, and of text as (nats, tokens, bytes) of a row.

S statistics per row.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.metrics.base import SKLEARN, Metric, mean, root_mean

if TYPE_CHECKING:
    import numpy as np


def squared_error(decision: float, truth: float) -> tuple[float, ...]:
    """((p - t)^2,)."""
    return ((float(decision) - float(truth)) ** 2,)


def squared_log_error(decision: float, truth: float) -> tuple[float, ...]:
    """((ln(1 + p) - ln(1 + t))^2,); a prediction below 0 counts as 0."""
    return ((math.log1p(max(float(decision), 0.0)) - math.log1p(float(truth))) ** 2,)


def absolute_error(decision: float, truth: float) -> tuple[float, ...]:
    """(|p - t|,)."""
    return (abs(float(decision) - float(truth)),)


def nats_and_tokens(decision: tuple[float, int, int], truth: tuple[float, int, int]) -> tuple[float, ...]:
    """(nats, tokens) of one row of text; the count is the truth's."""
    return (float(decision[0]), float(truth[1]))


def nats_and_bytes(decision: tuple[float, int, int], truth: tuple[float, int, int]) -> tuple[float, ...]:
    """(nats, bytes) of one row of text; a prediction's nats include the spelling of unknown words."""
    return (float(decision[0]), float(truth[2]))


def ratio(statistics: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Sum of the first statistic over sum of the second."""
    sums = statistics.sum(axis=-2)
    return sums[..., 0] / sums[..., 1]


def exponential_ratio(statistics: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """exp(sum of the first statistic / sum of the second): perplexity over all tokens."""
    import numpy as np

    return np.exp(ratio(statistics, groups))


def bits_ratio(statistics: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The same in bits."""
    return ratio(statistics, groups) / math.log(2)


RMSE = Metric("RMSE", squared_error, root_mean, 0.0, False, SKLEARN, additive=True)
RMSLE = Metric("RMSLE", squared_log_error, root_mean, 0.0, False, SKLEARN, additive=True)
MAE = Metric("MAE", absolute_error, mean, 0.0, False, SKLEARN, additive=True)
MERITY = "Merity, Keskar and Socher 2017, arXiv:1708.02182: exp of the mean nats over all tokens"
PERPLEXITY = Metric("perplexity", nats_and_tokens, exponential_ratio, 1.0, False, MERITY, additive=True)
NATS_PER_TOKEN = Metric("nats per token", nats_and_tokens, ratio, 0.0, False, MERITY, additive=True)
BITS_PER_BYTE = Metric(
    name="bits per byte",
    statistics=nats_and_bytes,
    reduce=bits_ratio,
    best=0.0,
    higher_is_better=False,
    source="Gao et al. 2020, arXiv:2101.00027, section 3.1: no tokenizer can flatter it",
    additive=True,
    of="prediction",
)
