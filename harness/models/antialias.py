"""Downsampling that blurs before it drops pixels: Zhang 2019, arXiv:1904.11486, with timm's layer."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import timm
import torch
from timm.layers.blur_pool import BlurPool2d
from torch import nn

from harness.errors import ConfigError

SMALLEST = 17  # pixels a side: the blur mirrors its input's border, which a map of one pixel, met from 16 on, has not


class Blur(BlurPool2d):
    """timm's blur of stride 2 over as many channels as come: its depthwise blocks announce those that leave them."""

    def __init__(self, channels: int | None = None, **options: Any) -> None:
        super().__init__(None, **options)


@functools.cache
def blurring(encoder: str) -> dict[str, Any]:
    """The options of `timm.create_model` that put a blur into an encoder; it has no weights, the names stay the same.

    Raises:
        ConfigError: an encoder that has no place for it, or only one that renames its weights.
    """
    options = {"aa_layer": Blur}
    plain = _unfilled(encoder)
    try:
        built = _unfilled(encoder, **options)
    except (TypeError, AssertionError):  # an option it does not know, or refuses
        built = plain
    blurs = any(isinstance(module, Blur) for module in built.modules())
    if not blurs or list(built.state_dict()) != list(plain.state_dict()):
        raise ConfigError(
            f"the encoder '{encoder}' has no place for model.blurpool",
            fix="name one that has, such as resnet34 or efficientnet_b0, or leave model.blurpool at false",
        )
    return options


def _unfilled(encoder: str, **options: Any) -> nn.Module:
    """The encoder on no memory."""
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")  # timm's deprecations are not the user's
        return timm.create_model(encoder, pretrained=False, num_classes=0, **options)
