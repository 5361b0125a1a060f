"""timm encoders as a test needs them: a classifier of known weights, and the module inside a mask net."""

from __future__ import annotations

import warnings

import segmentation_models_pytorch
import timm
import torch
from torch import nn

SMALL = "mobilenetv3_small_050"


def classifier(encoder: str) -> nn.Module:
    """A timm classifier of known random weights, batch statistics included, so that a buffer left behind shows."""
    torch.manual_seed(7)
    model = timm.create_model(encoder).eval()
    for name, tensor in model.state_dict().items():
        if name.endswith("running_mean"):
            tensor.normal_(std=0.1)
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
    return model


def mask_encoder(encoder: str, channels: int) -> nn.Module:
    """The timm module inside a mask net."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = segmentation_models_pytorch.Unet(
            f"tu-{encoder}", encoder_weights=None, in_channels=channels, decoder_channels=(16, 8, 8, 8, 8)
        )
    return net.eval().encoder.model
