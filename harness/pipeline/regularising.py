"""Which regularisation, loss and saving of memory a task can take, from what the settings ask for.

N training rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from harness.competition import Competition
from harness.config import TrainConfig
from harness.errors import ConfigError
from harness.metrics import VOID
from harness.models.antialias import SMALLEST
from harness.models.mask_losses import MaskLoss
from harness.pipeline.parts import Data
from harness.pipeline.preparation import stage_size
from harness.training import weighing
from harness.training.loop import Loss
from harness.training.mixing import Mixing, Smoothed
from harness.training.weighing import WeightedClasses, WeightedLabel, WeightedTags


def check(competition: Competition, config: TrainConfig) -> None:
    """Refuses what cannot be right before anything is trained.

    Raises:
        ConfigError: what was asked for cannot be right.
    """
    _check_encoder(competition, config)
    _check_blur(competition, config)
    _check_flip(competition, config)
    _check_sampling(competition, config)
    _check_weights(competition, config)
    mixing(competition, config, fold=0, stage=0, total=1)
    loss_of(competition, config, competition.task.loss)


def _check_encoder(competition: Competition, config: TrainConfig) -> None:
    asked = {"model.checkpoint": config.model.checkpoint, "stages.N.freeze or .rates": config.layered}
    for key in (key for key, there in asked.items() if there and competition.picture is None):
        raise ConfigError(f"{key} without pictures", fix="leave it out: tables and texts have no encoder")


def mixing(competition: Competition, config: TrainConfig, *, fold: int, stage: int, total: int) -> Mixing | None:
    """How batches of a stage of `total` steps are mixed; None where they are not.

    Raises:
        ConfigError: asked for where it cannot be right.
    """
    asked = [name for name in ("mixup", "cutmix") if getattr(config.train, name) > 0]
    if not asked:
        return None
    picture, kind = competition.picture, competition.task.kind
    if picture is None or competition.table is not None:
        problem = f"train.{asked[0]} on a table or a text"
        raise ConfigError(
            problem, fix="leave it at 0: categories and words have no mean, and a mixed row no one of its own"
        )
    if kind == "classes" and "mixup" in asked:
        raise ConfigError("train.mixup on class maps", fix="use train.cutmix: classes of pixels have no mean")
    return Mixing(
        picture=picture.column,
        mixup=config.train.mixup,
        cutmix=config.train.cutmix,
        until=round(config.train.mixed * total),
        dense=kind in ("mask", "classes"),
        seed=config.seed,
        fold=fold,
        stage=stage,
    )


def loss_of(
    competition: Competition,
    config: TrainConfig,
    loss: Loss,
    *,
    weights: Sequence[float] | None = None,
    device: str = "cpu",
) -> Loss:
    """The task's loss, or the one asked for in its place; of labels less certain, or of weights, where asked for.

    Args:
        weights: of the labels or classes, see `class_weights`.

    Raises:
        ConfigError: asked for where there are no masks, or no labels.
    """
    share, name, kind = config.train.smoothing, config.train.loss, competition.task.kind
    weigh = None if weights is None else torch.tensor(weights, dtype=torch.float32, device=device)
    if weigh is not None and kind == "classes":
        loss = WeightedClasses(weigh)
    if name != "own":
        if kind not in ("mask", "classes"):
            raise ConfigError(f"train.loss={name} without masks", fix="leave it at own")
        loss = MaskLoss(name, loss, classes=kind == "classes")
    if share and kind not in ("label", "tags"):
        raise ConfigError(f"train.smoothing={share} without labels", fix="leave it at 0")
    if weigh is not None and kind in ("label", "tags"):
        return WeightedTags(weigh, share) if kind == "tags" else WeightedLabel(weigh, share)
    return Smoothed(loss, share, several=kind == "tags") if share else loss


def class_weights(config: TrainConfig, data: Data, *, rows: np.ndarray) -> tuple[float, ...] | None:
    """What each label or class counts for in the loss, by its frequency among these training rows; None: all alike.

    Args:
        rows: int64 [N], the training rows.

    Raises:
        ConfigError: asked for where nothing has a frequency.
    """
    _check_weights(data.competition, config)
    if not config.train.class_weights:
        return None
    kind, outputs = data.competition.task.kind, data.competition.task.outputs
    if kind == "classes":
        assert data.masks is not None, "class maps are masks"
        masks = data.masks
        counts = [np.bincount(masks[row].ravel(), minlength=VOID + 1)[:outputs] for row in rows.tolist()]
        return tuple(weighing.pixel_weights(np.stack(counts)).tolist())
    assert data.targets is not None, "labels are targets"
    weights = weighing.tag_weights if kind == "tags" else weighing.label_weights
    return tuple(weights(data.targets[rows]).tolist())


def _check_blur(competition: Competition, config: TrainConfig) -> None:
    if not config.model.blurpool:
        return
    if competition.picture is None:
        raise ConfigError("model.blurpool without pictures", fix="leave it at false")
    if competition.task.kind in ("mask", "classes"):
        return  # a mask net pads to whole strides
    for stage in range(len(config.stages)):
        size = stage_size(competition, config, stage)
        if min(size) < SMALLEST:
            problem = f"model.blurpool of pictures of {size[0]}x{size[1]}"
            raise ConfigError(problem, fix=f"train at {SMALLEST} pixels a side or more, or leave it at false")


def _check_flip(competition: Competition, config: TrainConfig) -> None:
    picture = competition.picture
    if config.train.flip == "alternating" and (picture is None or "hflip" not in picture.symmetries):
        problem = f"train.flip=alternating, but {competition.name} declares no left-right flip"
        raise ConfigError(problem, fix="leave it at random, or declare hflip where the target bears it")


def _check_sampling(competition: Competition, config: TrainConfig) -> None:
    if config.train.sampling == "area" and competition.task.kind != "mask":
        problem = f"train.sampling=area, but the task is {competition.task.name}"
        raise ConfigError(problem, fix="leave it at even: only masks of one foreground have an area")


def _check_weights(competition: Competition, config: TrainConfig) -> None:
    if not config.train.class_weights:
        return
    if competition.task.kind not in ("label", "tags", "classes"):
        problem = f"train.class_weights, but the task is {competition.task.name}"
        raise ConfigError(problem, fix="leave it at false: only labels and classes have a frequency")
    if config.train.loss == "focal":
        problem = "train.class_weights with train.loss=focal"
        raise ConfigError(problem, fix="choose one of the two: focal stands in the place of what would be weighted")
