"""Picture nets: a vector of logits, with or without side features, and weights that load by timm's names."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import safetensors.torch
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from harness.competition import Normalise
from harness.errors import ConfigError
from harness.models.images import PictureNet
from harness.models.masks import IMAGENET, normalised
from harness.models.table import TableEncoder
from harness.models.weights import load_encoder
from tests.encoders import SMALL, classifier


def net(encoder: str = SMALL, *, side: bool = False, channels: int = 3) -> PictureNet:
    torch.manual_seed(0)
    encoded = TableEncoder(2, (4,), edges=((-1.0, 0.0, 1.0), (0.0,)), embedding=4) if side else None
    return PictureNet(encoder, channels=channels, outputs=5, normalise="half", input_name="image", side=encoded)


def inputs(rows: int, *, channels: int = 3) -> dict[str, torch.Tensor]:
    pictures = torch.randint(0, 256, (rows, channels, 64, 48), dtype=torch.uint8)
    return {"image": pictures, "numbers": torch.randn(rows, 2), "codes": torch.randint(0, 4, (rows, 1))}


@pytest.mark.parametrize("encoder", [SMALL, "resnet18"])
@pytest.mark.parametrize("channels", [1, 3])
def test_logits_are_one_row_a_picture_at_any_size(encoder: str, channels: int) -> None:
    assert net(encoder, channels=channels).eval()(inputs(2, channels=channels)).shape == (2, 5)


class CountHostConstants(TorchDispatchMode):
    """Counts tensors made of Python numbers on the host: copied to a GPU, each is a wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.made = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.made += function is torch.ops.aten.lift_fresh.default
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("how", get_args(Normalise))
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_normalised_with_no_constant_from_the_host(how: Normalise, channels: int) -> None:
    pictures = inputs(2, channels=channels)["image"]
    with CountHostConstants() as counter:
        torch.tensor([0.5])
        assert counter.made == 1
        normalised(pictures, how)
    assert counter.made == 1


def test_pictures_of_imagenet_s_mean_and_spread_come_out_as_zero_and_one() -> None:
    means, spreads = (torch.tensor(part).view(1, 3, 1, 1) for part in IMAGENET)
    assert torch.allclose(normalised(means * 255, "imagenet"), torch.zeros(1, 3, 1, 1), atol=1e-6)
    assert torch.allclose(normalised((means + spreads) * 255, "imagenet"), torch.ones(1, 3, 1, 1), atol=1e-5)
    grey = torch.full((1, 1, 2, 2), 255 * means.mean().item())
    assert torch.allclose(normalised(grey, "imagenet"), torch.zeros(1, 1, 2, 2), atol=1e-6)


def test_side_features_change_the_answer_and_are_learned() -> None:
    fused = net(side=True).eval()
    given = inputs(2)
    other = {**given, "numbers": given["numbers"] + 1}
    assert not torch.allclose(fused(given), fused(other))
    fused(given).sum().backward()
    assert all(parameter.grad is not None for parameter in fused.side.parameters())  # type: ignore[union-attr]
    plain = net().eval()
    assert torch.equal(plain(given), plain(other))


def test_pretrained_weights_of_a_classifier_reach_the_encoder(tmp_path: Path) -> None:
    trained = classifier(SMALL)
    safetensors.torch.save_file(trained.state_dict(), tmp_path / "weights.safetensors")
    own = net()
    load_encoder(own.encoder, tmp_path / "weights.safetensors", 3)
    assert torch.equal(own.encoder.state_dict()["conv_stem.weight"], trained.state_dict()["conv_stem.weight"])


def test_an_encoder_that_timm_does_not_have_is_the_user_s_mistake() -> None:
    with pytest.raises(ConfigError, match="resnet99"):
        net("resnet99")
