"""Augmentation, the only file that knows albumentations (2.0.8, the last release under MIT).

Randomness comes in as one seed per view: the same seed gives the same picture in any process, in any order.

H height, W width, C channels.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import cv2
import numpy as np

# its import asks a server for the latest version unless told not to
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
import albumentations

from harness.competition import Size, Symmetry
from harness.data.pictures import shrink
from harness.metrics import VOID
from harness.symmetries import turn_array, with_flip


@dataclass(frozen=True)
class Augmentation:
    """What is done to a training picture and, moved along, to its mask.

    Attributes:
        size: (height, width) that comes out.
        class_map: the mask holds class numbers (255 is void), not 0 and 1.
        symmetries: drawn evenly, with the identity.
        strength: 0 leaves geometry and light alone, 1 is the full range.
    """

    size: Size
    symmetries: tuple[Symmetry, ...]
    strength: float
    class_map: bool = False

    def __post_init__(self) -> None:
        # built once per process: constructing the transforms costs more than applying them
        object.__setattr__(self, "_transforms", _transforms(self.strength, outside=VOID if self.class_map else 0))

    def __call__(
        self, picture: np.ndarray, mask: np.ndarray | None, seed: int, *, flip: bool | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """uint8 [h, w, C] and mask uint8 [h, w] at `size`; the mask may come at another resolution.

        `flip` says whether the symmetry drawn ends in a left-right flip, where both are declared; None draws that too.
        """
        picture = shrink(picture, self.size)
        mask = self._fitted(mask)
        random = np.random.default_rng(seed)
        if self.symmetries:
            names = ("identity", *self.symmetries)
            name = names[int(random.integers(len(names)))]
            name = name if flip is None else with_flip(name, flip, among=names)
            picture = turn_array(picture.transpose(2, 0, 1), name).transpose(1, 2, 0)
            mask = None if mask is None else turn_array(mask, name)
            if picture.shape[:2] != self.size:  # a transpose of a picture that is not square
                picture, mask = shrink(np.ascontiguousarray(picture), self.size), self._fitted(mask)
        picture = np.ascontiguousarray(picture)
        mask = None if mask is None else np.ascontiguousarray(mask)
        for transform in self._transforms:  # type: ignore[attr-defined]
            # each its own stream: one seed for all of a Compose would make every coin fall alike
            transform.set_random_seed(int(random.integers(2**32)))
            out = transform(image=picture) if mask is None else transform(image=picture, mask=mask)
            picture, mask = out["image"], out.get("mask")
        return picture.reshape(*self.size, -1), mask

    def _fitted(self, mask: np.ndarray | None) -> np.ndarray | None:
        if mask is None:
            return None
        mask = np.ascontiguousarray(mask)
        return shrink_class_map(mask, self.size) if self.class_map else shrink_mask(mask, self.size)


def shrink_class_map(mask: np.ndarray, size: Size) -> np.ndarray:
    """uint8 [h, w] of a class map [H, W]: the class at the middle of each pixel, for numbers cannot be averaged."""
    return mask if mask.shape == size else cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def shrink_mask(mask: np.ndarray, size: Size) -> np.ndarray:
    """uint8 [h, w] of a [H, W] mask of 0 and 1: a pixel is inside when half of its area is."""
    if mask.shape == size:
        return mask
    return (shrink(mask[:, :, None] * np.uint8(255), size)[:, :, 0] > 127).astype(np.uint8)


def _transforms(strength: float, *, outside: int) -> list[albumentations.BasicTransform]:
    if strength == 0:
        return []
    return [
        albumentations.Affine(
            scale=(1 - 0.15 * strength, 1 + 0.2 * strength),
            translate_percent=(-0.08 * strength, 0.08 * strength),
            rotate=(-15 * strength, 15 * strength),
            border_mode=cv2.BORDER_CONSTANT,
            fill_mask=outside,
            p=0.8,
        ),
        albumentations.RandomBrightnessContrast(0.2 * strength, 0.2 * strength, p=0.6),
        albumentations.RandomGamma((100 - 25 * strength, 100 + 35 * strength), p=0.3),
    ]
