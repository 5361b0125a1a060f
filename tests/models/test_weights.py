"""Encoder weights: which file is found on this machine, and what gets into a timm encoder."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from harness.errors import ConfigError
from harness.models.weights import find, load_encoder
from tests.encoders import SMALL, classifier, mask_encoder

ENCODERS = ("resnet10t", "mobilenetv3_small_050", "convnext_atto")


def last_features(model: Any, pictures: torch.Tensor) -> torch.Tensor:
    """What the classifier itself computes before its head."""
    return model.forward_features(pictures)


def saved(model: nn.Module, path: Path) -> Path:
    """`model`'s whole state dict at `path`, classifier and all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(model.state_dict(), path)
    else:
        torch.save(model.state_dict(), path)
    return path


@pytest.mark.parametrize("encoder", ENCODERS)
def test_colour_features_equal_those_of_the_source_model(encoder: str, tmp_path: Path) -> None:
    source = classifier(encoder)
    module = mask_encoder(encoder, channels=3)
    loaded = load_encoder(module, saved(source, tmp_path / "weights.safetensors"), 3)
    pictures = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(module(pictures)[-1], last_features(source, pictures))
    assert loaded == len(module.state_dict())


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_grey_picture_gives_the_features_of_three_equal_channels(encoder: str, tmp_path: Path) -> None:
    source = classifier(encoder)
    module = mask_encoder(encoder, channels=1)
    load_encoder(module, saved(source, tmp_path / "weights.pth"), 1)
    grey = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(module(grey)[-1], last_features(source, grey.expand(-1, 3, -1, -1)))


def test_weights_in_half_precision_fill_a_float32_encoder(tmp_path: Path) -> None:
    source = classifier(SMALL).half()
    module = mask_encoder(SMALL, channels=3)
    load_encoder(module, saved(source, tmp_path / "weights.safetensors"), 3)
    weight = module.state_dict()["conv_stem.weight"]
    assert weight.dtype == torch.float32
    assert torch.equal(weight, source.state_dict()["conv_stem.weight"].float())


def test_a_training_checkpoint_of_a_wrapped_model_is_unwrapped(tmp_path: Path) -> None:
    state = {f"module.{name}": tensor for name, tensor in classifier(SMALL).state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "weights.pth")
    module = mask_encoder(SMALL, channels=3)
    assert load_encoder(module, tmp_path / "weights.pth", 3) == len(module.state_dict())


def test_another_encoders_file_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    module = mask_encoder(SMALL, channels=3)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(ConfigError, match=r"weights\.safetensors.*tensors.*--weights scratch"):
        load_encoder(module, saved(classifier("resnet10t"), tmp_path / "weights.safetensors"), 3)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_a_deeper_net_whose_first_blocks_would_fit_is_refused(tmp_path: Path) -> None:
    state = classifier("resnet10t").state_dict()
    deeper = {**state, **{f"layer4.{block}.conv{n}.weight": torch.zeros(1) for block in range(1, 9) for n in (1, 2)}}
    safetensors.torch.save_file(deeper, tmp_path / "weights.safetensors")
    with pytest.raises(ConfigError, match=r"16 of \d+ tensors are not resnet10t's, first 'layer4_1_conv1_weight'"):
        load_encoder(mask_encoder("resnet10t", channels=3), tmp_path / "weights.safetensors", 3)


def test_a_tensor_of_another_shape_is_named(tmp_path: Path) -> None:
    state = classifier("resnet10t").state_dict()
    state["layer2.0.conv1.weight"] = state["layer2.0.conv1.weight"][:5].clone()
    safetensors.torch.save_file(state, tmp_path / "weights.safetensors")
    with pytest.raises(ConfigError, match=r"'layer2.0.conv1.weight' has shape \(5, 64, 3, 3\)"):
        load_encoder(mask_encoder("resnet10t", channels=3), tmp_path / "weights.safetensors", 3)


def test_a_file_that_lacks_many_tensors_is_refused_with_their_count(tmp_path: Path) -> None:
    state = {name: tensor for name, tensor in classifier("resnet10t").state_dict().items() if "layer4" not in name}
    safetensors.torch.save_file(state, tmp_path / "weights.safetensors")
    with pytest.raises(ConfigError, match=r"\d+ of \d+ tensors of the encoder found, 'layer4.0.conv1.weight'"):
        load_encoder(mask_encoder("resnet10t", channels=3), tmp_path / "weights.safetensors", 3)


class Payload:
    """Makes a folder when it is unpickled by a reader that runs code."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return (os.mkdir, (str(self.folder),))


@pytest.mark.parametrize("bare", [True, False], ids=["pickle", "torch file"])
def test_code_in_a_weights_file_is_refused_and_does_not_run(bare: bool, tmp_path: Path) -> None:
    path, trace = tmp_path / "weights.pth", tmp_path / "the payload ran"
    if bare:
        path.write_bytes(pickle.dumps({"state_dict": Payload(trace)}))
    else:
        torch.save({"conv1.weight": torch.zeros(1), "extra": Payload(trace)}, path)
    with pytest.raises(ConfigError, match=r"weights\.pth: not a plain state dict"):
        load_encoder(nn.Conv2d(3, 4, 3), path, 3)
    assert not trace.exists()


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>"], ids=["empty", "a web page"])
def test_a_damaged_file_is_the_users_mistake_and_no_traceback(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=name):
        load_encoder(nn.Conv2d(3, 4, 3), tmp_path / name, 3)


def test_scratch_takes_no_weights_even_where_there_are_some(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "resnet34.pth").touch()
    found = find("scratch", "resnet34", cache=tmp_path, offline=False)
    assert (found.path, found.told) == (None, "resnet34 starts from scratch, as asked")


def test_a_given_file_is_taken_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.pt"
    path.touch()
    found = find(str(path), "resnet34", cache=tmp_path, offline=True)
    assert (found.path, found.told) == (path, f"resnet34 starts from {path}")


@pytest.mark.parametrize("name", ["resnet34.safetensors", "resnet34.bin", "model.safetensors", "pytorch_model.bin"])
def test_a_given_folder_is_searched_for_the_encoder_and_for_the_hubs_names(name: str, tmp_path: Path) -> None:
    (tmp_path / name).touch()
    (tmp_path / "resnet50.safetensors").touch()
    assert find(str(tmp_path), "resnet34", cache=tmp_path, offline=True).path == tmp_path / name


def test_a_path_that_is_absent_of_another_kind_or_without_weights_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.h5").touch()
    (tmp_path / "empty").mkdir()
    for name, problem in (("absent.pth", "no such"), ("weights.h5", "no ending"), ("empty", "no weights of resnet34")):
        with pytest.raises(ConfigError, match=problem):
            find(str(tmp_path / name), "resnet34", cache=tmp_path, offline=True)


def test_auto_takes_the_file_in_the_cache_without_asking_anyone(tmp_path: Path) -> None:
    path = tmp_path / "weights" / "resnet34.safetensors"
    path.parent.mkdir()
    path.touch()
    nobody = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    found = find("auto", "resnet34", cache=tmp_path, offline=False, environment=nobody)
    assert (found.path, found.told) == (path, f"resnet34 starts from {path}")


def test_an_encoder_without_published_weights_starts_from_scratch(tmp_path: Path) -> None:
    assert "no published weights" in find("auto", "nfnet_f0", cache=tmp_path, offline=False).told


def test_a_tag_that_timm_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"resnet34\.unheard_of"):
        find("auto", "resnet34.unheard_of", cache=tmp_path, offline=True)
