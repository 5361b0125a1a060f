"""Mixed pictures keep their targets' meaning: shares of labels, and masks that lie where their pixels do."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from harness import registry
from harness.batch import Batch
from harness.competition import Table
from harness.config import TrainConfig, override
from harness.errors import ConfigError
from harness.pipeline.regularising import check
from harness.tasks import Multilabel, SingleLabel
from harness.training import loop
from harness.training.mixing import Mixing, Smoothed
from tests.tiny import RATE, bits, fresh, recipe

SIDE, LABELS = 16, 4


def mixing(**changes: object) -> Mixing:
    settings = {"picture": "image", "mixup": 0.0, "cutmix": 0.0, "until": 100, "dense": False}
    return Mixing(**{**settings, "seed": 0, "fold": 0, "stage": 0, **changes})  # type: ignore[arg-type]


def flat(*, several: bool = False) -> Batch:
    """Pictures each of one grey value, 0, 40, 80 and 120, with a label of their own and perhaps a common one."""
    grey = torch.arange(LABELS, dtype=torch.uint8) * 40
    pictures = grey[:, None, None, None].expand(-1, 3, SIDE, SIDE).contiguous()
    target = torch.eye(LABELS, dtype=torch.bool)
    if several:
        target[:, 0] = True
    return Batch({"image": pictures}, target, torch.arange(LABELS))


@pytest.mark.parametrize("step", range(6))
def test_mixup_averages_pictures_and_labels_by_the_same_share(step: int) -> None:
    mixed = mixing(mixup=1.0)(flat(), step)
    assert mixed.target is not None
    assert mixed.target.sum(dim=1) == pytest.approx(torch.ones(LABELS))
    # the grey that the label shares say
    expected = (mixed.target * torch.arange(LABELS) * 40).sum(dim=1)
    found = mixed.inputs["image"].float()
    assert mixed.inputs["image"].dtype == torch.uint8
    assert (found - expected[:, None, None, None]).abs().max() <= 0.5 + 1e-4


@pytest.mark.parametrize("step", range(6))
def test_cutmix_gives_labels_the_area_that_they_cover(step: int) -> None:
    mixed = mixing(cutmix=1.0)(flat(), step)
    assert mixed.target is not None
    pictures = mixed.inputs["image"][:, 0]
    for picture, target in zip(pictures, mixed.target, strict=True):
        areas = [(picture == 40 * label).float().mean().item() for label in range(LABELS)]
        assert target.tolist() == pytest.approx(areas)


def test_a_label_that_both_pictures_have_stays_certain() -> None:
    """Of several labels a share is no shared-out certainty: what is in both is in the mixture."""
    for kind in ("mixup", "cutmix"):
        mixed = mixing(**{kind: 1.0})(flat(several=True), 1)
        assert mixed.target is not None
        assert mixed.target[:, 0] == pytest.approx(torch.ones(LABELS))
        assert ((mixed.target >= 0) & (mixed.target <= 1)).all()


@pytest.mark.parametrize("classes", [False, True])
def test_a_mask_is_pasted_where_its_pixels_are(classes: bool) -> None:
    random = torch.Generator().manual_seed(0)
    mask = torch.randint(0, 12 if classes else 2, (LABELS, 1, SIDE, SIDE), generator=random).float()
    pictures = (mask * 20).to(torch.uint8).expand(-1, 3, -1, -1).contiguous()  # a picture shows its mask
    before = pictures.clone()
    mixed = mixing(cutmix=1.0, dense=True)(Batch({"image": pictures}, mask, torch.arange(LABELS)), 3)
    assert mixed.target is not None
    assert torch.equal(mixed.inputs["image"][:, :1], (mixed.target * 20).to(torch.uint8))
    assert not torch.equal(mixed.inputs["image"], before)
    assert torch.equal(pictures, before)  # the batch that came is as it was


def test_the_draw_is_a_function_of_seed_fold_stage_and_step() -> None:
    def mixed(step: int = 3, **changes: object) -> bytes:
        return mixing(mixup=0.4, cutmix=1.0, **changes)(flat(), step).inputs["image"].numpy().tobytes()

    assert mixed() == mixed()
    drawn = {mixed(), mixed(4), mixed(5), mixed(seed=1), mixed(fold=1), mixed(stage=1)}
    assert len(drawn) >= 4


def test_the_last_steps_see_plain_pictures() -> None:
    batch = flat()
    assert mixing(mixup=1.0, until=5)(batch, 5) is batch
    assert mixing(mixup=1.0, until=5)(batch, 4) is not batch
    assert mixing()(batch, 0) is batch


def test_a_mixed_stage_may_be_split_anywhere() -> None:
    mix = mixing(cutmix=1.0, dense=True, until=7)
    whole, halves = fresh(), fresh()
    loop.seed_everything(0, 0)
    loop.advance(whole, 9, RATE, recipe(mix=mix))
    loop.seed_everything(0, 0)
    loop.advance(halves, 4, RATE, recipe(mix=mix))
    loop.advance(halves, 9, RATE, recipe(mix=mix))
    assert bits(halves) == bits(whole)
    plain = fresh()
    loop.seed_everything(0, 0)
    loop.advance(plain, 9, RATE, recipe())
    assert bits(plain) != bits(whole)


def test_smoothing_is_torch_s_for_one_label_and_half_way_for_several() -> None:
    random = torch.Generator().manual_seed(0)
    logits, classes = torch.randn((8, LABELS), generator=random), torch.arange(8) % LABELS
    target = torch.eye(LABELS)[classes]
    one = Smoothed(SingleLabel(tuple("abcd")).loss, 0.1, several=False)(logits, target)
    assert one.item() == pytest.approx(torch.nn.functional.cross_entropy(logits, classes, label_smoothing=0.1).item())
    many = Smoothed(Multilabel(tuple("abcd")).loss, 0.1, several=True)(logits, target)
    softened = torch.nn.functional.binary_cross_entropy_with_logits(logits, target * 0.9 + 0.05)
    assert many.item() == pytest.approx(softened.item())


@pytest.mark.parametrize(
    ("name", "setting", "problem"),
    [
        ("playground-series-s3e8", "train.mixup=0.2", "on a table or a text"),
        ("text-language-model", "train.cutmix=1", "on a table or a text"),
        ("camvid", "train.mixup=0.2", "use train.cutmix"),
        ("camvid", "train.smoothing=0.1", "without labels"),
        ("planet", "train.loss=dice", "without masks"),
    ],
)
def test_what_a_task_cannot_take_is_refused(name: str, setting: str, problem: str) -> None:
    competition = registry.load(name)
    with pytest.raises(ConfigError, match=problem):
        check(competition, override(competition.defaults, [setting]))


def test_a_picture_with_side_features_is_not_mixed() -> None:
    planet = registry.load("planet")
    beside = dataclasses.replace(planet, inputs=(*planet.inputs, Table(numbers=("weight",))))
    with pytest.raises(ConfigError, match="on a table or a text"):
        check(beside, override(planet.defaults, ["train.cutmix=1"]))


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("camvid", ["train.cutmix=1", "train.loss=lovasz"]),
        ("ultrasound-nerve-segmentation", ["train.mixup=0.4", "train.cutmix=1"]),
        ("planet", ["train.mixup=0.4", "train.smoothing=0.1"]),
        ("gemstones-images", ["train.mixup=0.4", "train.cutmix=1", "train.smoothing=0.1"]),
    ],
)
def test_what_a_task_can_take_is_taken(name: str, settings: list[str]) -> None:
    competition = registry.load(name)
    check(competition, override(competition.defaults, settings))


def test_mixing_is_off_unless_asked_for() -> None:
    settings = TrainConfig().train
    assert (settings.mixup, settings.cutmix, settings.smoothing) == (0, 0, 0)
