"""Metrics as per-row statistics and one reduction over all rows; never a mean of batch means.

Reductions take any leading axes ([..., N, S] -> [...]), so that a sweep over thresholds is one call. Decisions and
truths are what the task's `encode` gives: bool masks [H, W], class maps uint8 [H, W] (255 is void), bool labels
[..., L], numbers, and for text (nats, tokens, bytes) of a row.
"""

from __future__ import annotations

from harness.metrics.base import VOID, Average, FScore, Metric
from harness.metrics.labels import ACCURACY, LOG_LOSS, MACRO_F1, MICRO_F1, SAMPLES_F2
from harness.metrics.pixels import DICE_PER_PICTURE, DICE_PER_VOLUME, dice, global_accuracy, mean_iou
from harness.metrics.values import BITS_PER_BYTE, MAE, NATS_PER_TOKEN, PERPLEXITY, RMSE, RMSLE

__all__ = [
    "ACCURACY",
    "BITS_PER_BYTE",
    "DICE_PER_PICTURE",
    "DICE_PER_VOLUME",
    "LOG_LOSS",
    "MACRO_F1",
    "MAE",
    "MICRO_F1",
    "NATS_PER_TOKEN",
    "PERPLEXITY",
    "RMSE",
    "RMSLE",
    "SAMPLES_F2",
    "VOID",
    "Average",
    "FScore",
    "Metric",
    "dice",
    "global_accuracy",
    "mean_iou",
]
