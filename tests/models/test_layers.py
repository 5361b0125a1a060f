"""Layers of an encoder are timm's, also inside a U-Net that knows only its features; the rest is the head."""

from __future__ import annotations

import pytest
import timm
from timm.models import group_parameters
from torch import nn

from harness.models.images import PictureNet
from harness.models.layers import layer_of
from harness.models.masks import MaskNet

ENCODERS = ["resnet18", "mobilenetv3_small_050", "convnext_atto", "efficientnet_b0"]


def pictures(encoder: str) -> PictureNet:
    return PictureNet(encoder, channels=3, outputs=2, normalise="imagenet", input_name="image")


@pytest.mark.parametrize("encoder", ENCODERS)
def test_layers_are_timm_s_groups_and_the_head_is_above_them(encoder: str) -> None:
    net = pictures(encoder)
    found = layer_of(net)
    assert list(found) == [name for name, _ in net.named_parameters()]
    whole = timm.create_model(encoder, num_classes=0)
    groups = group_parameters(whole, whole.group_matcher(coarse=True))  # type: ignore[operator]
    assert max(found.values()) == len(groups)
    for number, names in groups.items():
        assert {found[f"encoder.{name}"] for name in names} == {number}
    assert {layer for name, layer in found.items() if not name.startswith("encoder.")} == {len(groups)}


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_u_net_has_the_layers_of_its_encoder_and_one_for_the_decoder(encoder: str) -> None:
    net = MaskNet(encoder, decoder=(16, 16, 8, 8, 8), channels=1, outputs=1, normalise="picture", input_name="image")
    found = layer_of(net)
    head = max(found.values())
    assert sorted(set(found.values())) == list(range(head + 1))
    assert head >= 4
    for name, layer in found.items():
        assert (layer == head) == (not name.startswith("net.encoder."))
    inside = [layer for name, layer in found.items() if layer != head]
    assert inside == sorted(inside)  # from the picture on


def test_a_net_without_an_encoder_is_one_layer() -> None:
    assert set(layer_of(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))).values()) == {0}
