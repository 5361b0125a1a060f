"""Picture nets: any timm encoder, pooled, with a linear head; side features of a table are fused before the head.

B rows, C channels, H height, W width, D features.
"""

from __future__ import annotations

import warnings

import timm
import torch
from torch import nn

from harness.competition import Normalise
from harness.errors import ConfigError
from harness.models.antialias import blurring
from harness.models.layouts import Memory, laid_out
from harness.models.masks import normalised

FUSED = 128  # channels of the hidden layer that joins picture and table


class PictureNet(nn.Module):
    """uint8 pictures [B, C, H, W], and what `side` reads of a table, in; logits [B, outputs] out.

    Args:
        encoder: timm model name.
        channels: of the pictures.
        outputs: of the logits.
        normalise: see competition.Image.
        input_name: the batch input that holds the pictures.
        dropout: before the last layer.
        side: inputs -> [B, side.width] features of a table, or None.
        blurpool: blur before dropping pixels.

    Raises:
        ConfigError: timm has no such encoder, or it cannot blur.
    """

    def __init__(
        self,
        encoder: str,
        *,
        channels: int,
        outputs: int,
        normalise: Normalise,
        input_name: str,
        dropout: float = 0.0,
        side: nn.Module | None = None,
        blurpool: bool = False,
    ) -> None:
        super().__init__()
        self.input_name, self.encoder_name = input_name, encoder
        self.normalise: Normalise = normalise
        self.memory: Memory = "channels_last"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # timm's deprecations are not the user's
                options = blurring(encoder) if blurpool else {}
                self.encoder = timm.create_model(encoder, pretrained=False, num_classes=0, in_chans=channels, **options)
        except (RuntimeError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise ConfigError(
                f"the encoder '{encoder}' cannot be built ({error})", fix="name a timm encoder such as resnet34"
            ) from error
        self.side = side
        features = _pooled_width(self.encoder)
        if side is not None:
            width = side.width
            assert isinstance(width, int), "a side encoder says its width"
            self.joined = nn.Sequential(nn.Linear(features + width, FUSED), nn.GELU(), nn.Dropout(dropout))
        self.head = nn.Linear(FUSED if side is not None else features, outputs)
        self.dropout = nn.Dropout(dropout) if side is None and dropout else nn.Identity()

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """Logits [B, outputs] of the batch's inputs."""
        pictures = normalised(inputs[self.input_name], self.normalise)
        features = self.encoder(laid_out(pictures, self.memory))
        if self.side is not None:
            features = self.joined(torch.cat([features, self.side(inputs)], dim=1))
        return self.head(self.dropout(features))


def _pooled_width(encoder: nn.Module) -> int:
    """Features that the pooled encoder gives; some nets have a layer between pooling and classifier."""
    width = getattr(encoder, "head_hidden_size", None) or encoder.num_features
    assert isinstance(width, int), "timm's encoders say how many features they give"
    return width
