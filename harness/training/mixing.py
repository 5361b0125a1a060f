"""Pictures of a batch mixed with each other, and their targets alike: mixup and cutmix.

B rows, C channels, H height, W width, L labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from harness.batch import Batch


@dataclass(frozen=True)
class Mixing:
    """Mixes a batch with itself in another order; what is drawn is a pure function of (seed, fold, stage, step).

    Attributes:
        picture: name of the input that holds uint8 pictures [B, C, H, W].
        mixup: both parameters of the Beta distribution of shares; 0 is off. Zhang et al. 2018, arXiv:1710.09412.
        cutmix: the same for the area of a pasted rectangle. Yun et al. 2019, arXiv:1905.04899.
        until: steps after which pictures stay as they are: the last epochs see what will be asked.
        dense: the target is a mask or class map [B, 1, H, W] and lies where the picture does.
        seed, fold, stage: of the draws.
    """

    picture: str
    mixup: float
    cutmix: float
    until: int
    dense: bool
    seed: int
    fold: int
    stage: int

    def __call__(self, batch: Batch, step: int) -> Batch:
        """The batch mixed; where both kinds are on, a coin decides for each batch."""
        kinds = [(kind, alpha) for kind, alpha in ((_mixup, self.mixup), (_cutmix, self.cutmix)) if alpha > 0]
        if not kinds or step >= self.until:
            return batch
        random = np.random.default_rng([self.seed, self.fold, self.stage, step])
        mix, alpha = kinds[int(random.integers(len(kinds)))]
        share = float(random.beta(alpha, alpha))
        pictures, target = batch.inputs[self.picture], batch.target
        assert target is not None, "training batches carry targets"
        partner = torch.from_numpy(random.permutation(len(pictures))).to(pictures.device, non_blocking=True)
        pictures, target = mix(pictures, target, partner, share, random, self.dense)
        return replace(batch, inputs={**batch.inputs, self.picture: pictures}, target=target)


def _mixup(
    pictures: torch.Tensor,
    target: torch.Tensor,
    partner: torch.Tensor,
    share: float,
    random: np.random.Generator,
    dense: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Each picture and target averaged with its partner's, `share` of its own."""
    mixed = torch.lerp(pictures[partner].float(), pictures.float(), share)
    return mixed.round_().to(torch.uint8), torch.lerp(target[partner].float(), target.float(), share)


def _cutmix(
    pictures: torch.Tensor,
    target: torch.Tensor,
    partner: torch.Tensor,
    share: float,
    random: np.random.Generator,
    dense: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """A rectangle of the partner's picture pasted; labels by the area that is left, masks pasted alike."""
    height, width = pictures.shape[-2:]
    side = (1 - share) ** 0.5
    y, x = random.integers(height), random.integers(width)
    top, bottom = (int(np.clip(y + sign * side * height / 2, 0, height)) for sign in (-1, 1))
    left, right = (int(np.clip(x + sign * side * width / 2, 0, width)) for sign in (-1, 1))
    box = (..., slice(top, bottom), slice(left, right))
    pictures = pictures.clone()
    pictures[box] = pictures[partner][box]
    if dense:
        target = target.clone()
        target[box] = target[partner][box]
        return pictures, target
    kept = 1 - (bottom - top) * (right - left) / (height * width)
    return pictures, torch.lerp(target[partner].float(), target.float(), kept)


@dataclass(frozen=True)
class Smoothed:
    """A loss of labels whose truths are less than certain. Szegedy et al. 2016, arXiv:1512.00567, section 7.

    Attributes:
        loss: (logits, target) -> scalar.
        share: taken from each truth, and spread evenly.
        several: each label stands alone (its other answer gets half), else the L labels share.
    """

    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    share: float
    several: bool

    def __call__(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The loss against the smoothed target [B, L]."""
        even = 0.5 if self.several else 1 / target.shape[-1]
        return self.loss(logits, target.float() * (1 - self.share) + self.share * even)
