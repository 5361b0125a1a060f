"""Which regularisation, loss and saving of memory a task can take, from what the settings ask for."""

from __future__ import annotations

from harness.competition import Competition
from harness.config import TrainConfig
from harness.errors import ConfigError
from harness.models.antialias import SMALLEST
from harness.models.mask_losses import MaskLoss
from harness.pipeline.preparation import stage_size
from harness.training.loop import Loss
from harness.training.mixing import Mixing, Smoothed


def check(competition: Competition, config: TrainConfig) -> None:
    """Refuses what cannot be right before anything is trained.

    Raises:
        ConfigError: what was asked for cannot be right.
    """
    _check_encoder(competition, config)
    _check_blur(competition, config)
    _check_flip(competition, config)
    _check_sampling(competition, config)
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


def loss_of(competition: Competition, config: TrainConfig, loss: Loss) -> Loss:
    """The task's loss, or the one asked for in its place; of labels less certain where asked for.

    Raises:
        ConfigError: asked for where there are no masks, or no labels.
    """
    share, name, kind = config.train.smoothing, config.train.loss, competition.task.kind
    if name != "own":
        if kind not in ("mask", "classes"):
            raise ConfigError(f"train.loss={name} without masks", fix="leave it at own")
        loss = MaskLoss(name, loss, classes=kind == "classes")
    if share:
        if kind not in ("label", "tags"):
            raise ConfigError(f"train.smoothing={share} without labels", fix="leave it at 0")
        loss = Smoothed(loss, share, several=kind == "tags")
    return loss


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
