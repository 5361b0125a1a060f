"""Mask nets: a segmentation-models-pytorch U-Net over any timm encoder, for any input size.

B rows, C channels, H height, W width.
"""

from __future__ import annotations

import warnings

import segmentation_models_pytorch
import torch
import torch.nn.functional as functional
from torch import nn

from harness.competition import Normalise
from harness.errors import ConfigError
from harness.models.antialias import blurring
from harness.models.layouts import Memory, laid_out

STRIDE = 32
# mean and standard deviation of ImageNet's training pictures in RGB (torchvision.models documentation)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class MaskNet(nn.Module):
    """uint8 pictures [B, C, H, W] in, logits [B, outputs, H, W] out.

    Normalises, pads to a multiple of 32 by repeating the border, runs the U-Net and crops: the caller may use any size.

    Args:
        encoder: timm model name.
        decoder: channels of the five decoder blocks, coarse to fine.
        channels: 1 to 4.
        outputs: channels of the logits.
        normalise: see competition.Image.
        input_name: the batch input it reads.
        blurpool: blur before dropping pixels.

    Raises:
        ConfigError: timm has no such encoder, or it gives no feature pyramid, or cannot blur.
    """

    def __init__(
        self,
        encoder: str,
        *,
        decoder: tuple[int, ...],
        channels: int,
        outputs: int,
        normalise: Normalise,
        input_name: str,
        dropout: float = 0.0,
        blurpool: bool = False,
    ) -> None:
        super().__init__()
        assert 1 <= channels <= 4, f"{channels} channels: masks models take 1 to 4"
        self.input_name, self.encoder_name = input_name, encoder
        self.normalise: Normalise = normalise
        self.memory: Memory = "channels_last"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # timm's deprecations and its notes on unused stages are not the user's
                self.net = segmentation_models_pytorch.Unet(
                    f"tu-{encoder}",
                    encoder_weights=None,
                    in_channels=channels,
                    classes=outputs,
                    decoder_channels=decoder,
                    **(blurring(encoder) if blurpool else {}),
                )
        except (RuntimeError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise ConfigError(
                f"the encoder '{encoder}' cannot be built ({error})", fix="name a timm encoder such as resnet34"
            ) from error
        self.dropout = nn.Dropout2d(dropout) if dropout else nn.Identity()

    @property
    def encoder(self) -> nn.Module:
        """The timm module inside, which pretrained weights go into."""
        return self.net.encoder.model

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """Logits [B, outputs, H, W] of the batch's inputs."""
        pictures = normalised(inputs[self.input_name], self.normalise)
        height, width = pictures.shape[-2:]
        below, right = -height % STRIDE, -width % STRIDE
        padded = functional.pad(pictures, (0, right, 0, below), mode="replicate") if below or right else pictures
        features = self.net.encoder(laid_out(padded, self.memory))
        decoded = self.net.decoder(features)
        logits = self.net.segmentation_head(self.dropout(decoded))
        return logits[:, :, :height, :width]


def normalised(pictures: torch.Tensor, how: Normalise) -> torch.Tensor:
    """Float32 [B, C, H, W] around zero of uint8 pictures."""
    pixels = pictures.float() / 255
    if how == "half":
        return (pixels - 0.5) / 0.25
    if how == "picture":
        mean = pixels.mean(dim=(1, 2, 3), keepdim=True)
        # a black picture has no spread; a thousandth of the range keeps it at zero
        return (pixels - mean) / pixels.std(dim=(1, 2, 3), keepdim=True).clamp(min=1e-3)
    # filled on the device: a list copied to a GPU would wait for it at every step
    mean, spread = (torch.stack([pixels.new_full((), value) for value in part]).view(1, 3, 1, 1) for part in IMAGENET)
    if pixels.shape[1] != 3:
        mean, spread = mean.mean(dim=1, keepdim=True), spread.mean(dim=1, keepdim=True)
    return (pixels - mean) / spread
