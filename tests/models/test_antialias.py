"""A blur before pixels are dropped: the encoder's names and weights are the plain one's."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch
from timm.layers.blur_pool import BlurPool2d

from harness import registry
from harness.config import override
from harness.errors import ConfigError
from harness.models.antialias import SMALLEST, blurring
from harness.models.images import PictureNet
from harness.models.layers import layer_of
from harness.models.masks import MaskNet
from harness.models.weights import load_encoder
from harness.pipeline import nets
from harness.pipeline.regularising import check
from tests.encoders import SMALL, classifier


def net(kind: str, encoder: str, *, blurpool: bool) -> PictureNet | MaskNet:
    torch.manual_seed(0)
    common = {"channels": 3, "outputs": 2, "normalise": "half", "input_name": "image", "blurpool": blurpool}
    if kind == "picture":
        return PictureNet(encoder, **common)  # type: ignore[arg-type]
    return MaskNet(encoder, decoder=(16, 8, 8, 8, 8), **common)  # type: ignore[arg-type]


def blurs(module: torch.nn.Module) -> int:
    return sum(isinstance(part, BlurPool2d) for part in module.modules())


@pytest.mark.parametrize(("kind", "encoder"), [("picture", "resnet18"), ("picture", SMALL), ("mask", SMALL)])
def test_a_blurring_net_has_the_names_shapes_and_layers_of_the_plain_one(kind: str, encoder: str) -> None:
    plain, blurring_net = (net(kind, encoder, blurpool=blurpool) for blurpool in (False, True))
    assert blurs(plain) == 0
    assert blurs(blurring_net) >= 1
    shapes = [{name: tensor.shape for name, tensor in one.state_dict().items()} for one in (plain, blurring_net)]
    assert shapes[0] == shapes[1]
    assert layer_of(blurring_net) == layer_of(plain)


@pytest.mark.parametrize("kind", ["picture", "mask"])
def test_pretrained_weights_of_the_plain_classifier_load_into_a_blurring_encoder(kind: str, tmp_path: Path) -> None:
    trained = classifier(SMALL)
    safetensors.torch.save_file(trained.state_dict(), tmp_path / "weights.safetensors")
    plain, own = (net(kind, SMALL, blurpool=blurpool) for blurpool in (False, True))
    counts = [load_encoder(one.encoder, tmp_path / "weights.safetensors", 3) for one in (plain, own)]
    assert counts[0] == counts[1] > 100
    expected, found = plain.encoder.state_dict(), own.encoder.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("kind", ["picture", "mask"])
def test_logits_come_at_the_smallest_size_and_differ_from_the_plain_net_s(kind: str) -> None:
    plain, own = (net(kind, SMALL, blurpool=blurpool).eval() for blurpool in (False, True))
    own.load_state_dict(plain.state_dict())
    inputs = {"image": torch.randint(0, 256, (2, 3, SMALLEST, 48), dtype=torch.uint8)}
    found = own(inputs)
    assert found.shape == ((2, 2) if kind == "picture" else (2, 2, SMALLEST, 48))
    assert not torch.allclose(found, plain(inputs))


@pytest.mark.parametrize(
    ("kind", "encoder"), [("picture", "convnext_atto"), ("mask", "convnext_atto"), ("mask", "resnest14d")]
)
def test_an_encoder_without_a_place_for_it_is_named_with_one_that_has(kind: str, encoder: str) -> None:
    with pytest.raises(ConfigError, match=f"'{encoder}' has no place for model.blurpool") as caught:
        net(kind, encoder, blurpool=True)
    assert "resnet34" in caught.value.fix


def test_an_encoder_whose_weights_a_blur_would_rename_is_refused() -> None:
    """Its names hold positions that the blur would move: pretrained weights would be left out in silence."""
    with pytest.raises(ConfigError, match="'resnetrs50' has no place"):
        blurring("resnetrs50")


def test_the_look_at_an_encoder_draws_no_random_number() -> None:
    """It is taken once a process: a fold's first weights would depend on which fold is built first."""
    blurring.cache_clear()
    first, second = (net("picture", SMALL, blurpool=True).state_dict() for _ in range(2))
    assert all(torch.equal(second[name], tensor) for name, tensor in first.items())


def test_an_unknown_encoder_is_still_an_unknown_encoder() -> None:
    with pytest.raises(ConfigError, match="'resnet99' cannot be built"):
        net("picture", "resnet99", blurpool=True)


def test_the_setting_reaches_the_nets_and_is_off_unless_asked_for() -> None:
    for name in ("gemstones-images", "ultrasound-nerve-segmentation"):
        competition = registry.load(name)
        config = override(competition.defaults, [f"model.encoder={SMALL}", "model.decoder=16x8x8x8x8"])
        assert blurs(nets.build_net(competition, config, nets.CPU)) == 0
        config = override(config, ["model.blurpool=true"])
        check(competition, config)
        assert blurs(nets.build_net(competition, config, nets.CPU)) == 4


@pytest.mark.parametrize(
    ("name", "setting", "problem"),
    [
        ("playground-series-s3e8", "train.rate=1e-3", "without pictures"),
        ("gemstones-images", "train.size=16x64", "of pictures of 16x64"),
        ("gemstones-images", "stages.0.size=64x16", "of pictures of 64x16"),
    ],
)
def test_a_blur_that_cannot_be_is_refused(name: str, setting: str, problem: str) -> None:
    competition = registry.load(name)
    with pytest.raises(ConfigError, match=f"model.blurpool {problem}"):
        check(competition, override(competition.defaults, ["model.blurpool=true", setting]))


def test_a_map_of_one_pixel_is_what_a_smaller_picture_would_blur() -> None:
    small = {"image": torch.zeros((1, 3, SMALLEST - 1, 64), dtype=torch.uint8)}
    with pytest.raises(RuntimeError, match=r"[Pp]adding size"):
        net("picture", SMALL, blurpool=True).eval()(small)
    net("mask", SMALL, blurpool=True).eval()(small)
