"""Encoder weights: what is found, what is asked of the hub, and what gets into a timm encoder."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import segmentation_models_pytorch
import timm
import torch
from torch import nn

from harness.errors import ConfigError
from harness.models import hub
from harness.models.weights import find, load_encoder

ENCODERS = ("resnet10t", "mobilenetv3_small_050", "convnext_atto")
SMALL = "mobilenetv3_small_050"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def classifier(encoder: str) -> nn.Module:
    """A timm classifier of known random weights, batch statistics included, so that a buffer left behind shows."""
    torch.manual_seed(7)
    model = timm.create_model(encoder).eval()
    for name, tensor in model.state_dict().items():
        if name.endswith("running_mean"):
            tensor.normal_(std=0.1)
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
    return model


def last_features(model: Any, pictures: torch.Tensor) -> torch.Tensor:
    """What the classifier itself computes before its head."""
    return model.forward_features(pictures)


def mask_encoder(encoder: str, channels: int) -> nn.Module:
    """The timm module inside a mask net."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = segmentation_models_pytorch.Unet(
            f"tu-{encoder}", encoder_weights=None, in_channels=channels, decoder_channels=(16, 8, 8, 8, 8)
        )
    return net.eval().encoder.model


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


def test_auto_takes_what_the_hubs_own_cache_holds(tmp_path: Path) -> None:
    repository = tmp_path / "hub" / f"models--timm--{SMALL}.lamb_in1k"
    path = repository / "snapshots" / COMMIT / "pytorch_model.bin"
    for file, text in ((repository / "refs" / "main", COMMIT), (path, "")):
        file.parent.mkdir(parents=True)
        file.write_text(text)
    environment = {"HF_HUB_CACHE": str(tmp_path / "hub")}
    assert find("auto", SMALL, cache=tmp_path, offline=True, environment=environment).path == path


def test_offline_never_asks_and_remembers_nothing(tmp_path: Path) -> None:
    environment = {"HF_HUB_CACHE": str(tmp_path / "hub")}
    found = find("auto", SMALL, cache=tmp_path, offline=True, environment=environment)
    assert found.told == f"{SMALL} starts from scratch: no local file, and the hub is not asked offline"
    assert not (tmp_path / "weights").exists()


def test_an_encoder_without_published_weights_starts_from_scratch(tmp_path: Path) -> None:
    assert "no published weights" in find("auto", "nfnet_f0", cache=tmp_path, offline=False).told


def test_a_tag_that_timm_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"resnet34\.unheard_of"):
        find("auto", "resnet34.unheard_of", cache=tmp_path, offline=True)


def client(port: int, cache: Path) -> dict[str, str]:
    """The hub client's variables for a hub on this machine."""
    endpoint = f"http://127.0.0.1:{port}"
    return {"HF_ENDPOINT": endpoint, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A listener whose connections are made by the kernel and never answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def test_a_silent_hub_is_left_after_the_timeout_and_not_asked_again_for_a_day(
    silent: socket.socket, tmp_path: Path
) -> None:
    environment = client(silent.getsockname()[1], tmp_path / "hub")
    noon = 1_700_000_000.0

    def ask(at: float, timeout: float = 1.0) -> str:
        return find(
            "auto",
            SMALL,
            cache=tmp_path,
            offline=False,
            timeout=timeout,
            clock=lambda: at,
            environment=environment,
        ).told

    said = f"{SMALL} starts from scratch: no local file, and the hub did not answer within"
    assert ask(noon) == f"{said} 1 s (not tried again for a day)"
    with silent.accept()[0] as connection:
        connection.settimeout(5)
        assert connection.recv(4096).startswith(b"HEAD /timm/")
        assert connection.recv(4096) == b"", "the child still holds its connection"
    assert json.loads((tmp_path / "weights" / f"{SMALL}.failed.json").read_text())["time"] == noon

    assert ask(noon + 86_399) == f"{said} 1 s, less than a day ago"
    with pytest.raises(BlockingIOError):
        silent.accept()

    assert ask(noon + 86_401, timeout=0.3) == f"{said} 0.3 s (not tried again for a day)"
    silent.accept()[0].close()


def test_a_note_of_a_failure_that_cannot_be_read_does_not_stand_in_the_way(tmp_path: Path) -> None:
    note = tmp_path / "weights" / f"{SMALL}.failed.json"
    note.parent.mkdir()
    note.write_text('{"time": ')
    with socket.create_server(("127.0.0.1", 0)) as listener:
        environment = client(listener.getsockname()[1], tmp_path / "hub")
    # the port is closed again: connecting to it is refused at once
    found = find("auto", SMALL, cache=tmp_path, offline=False, environment=environment)
    assert found.path is None
    assert "the hub could not be used (" in found.told
    assert json.loads(note.read_text())["schema"] == 1


@dataclass
class Hub:
    """A hub of one repository: `files` by name; `pause` seconds between pieces; after `stop` bytes it falls silent."""

    files: dict[str, bytes] = field(default_factory=dict)
    pause: float = 0.0
    stop: int | None = None
    over: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)
    port: int = 0


@pytest.fixture
def loopback() -> Iterator[Hub]:
    """A running `Hub`; it speaks the part of the protocol that a download needs (HEAD, GET, ETag, X-Repo-Commit)."""
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            state.asked.append(f"{self.command} {self.path}")
            content = state.files.get(self.path.rpartition("/")[2])
            self.send_response(404 if content is None else 200)
            self.send_header("X-Repo-Commit", COMMIT)
            if content is None:
                self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("ETag", f'"{hashlib.sha256(content or b"").hexdigest()}"')
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            content = state.files[self.path.rpartition("/")[2]]
            for start in range(0, len(content), 1 << 20):
                if state.stop is not None and start >= state.stop:
                    state.over.wait(30)
                    return
                self.wfile.write(content[start : start + (1 << 20)])
                time.sleep(state.pause)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield state
        state.over.set()
        server.shutdown()
        thread.join()


def test_what_the_hub_delivers_fills_the_encoder_and_is_found_again_offline(loopback: Hub, tmp_path: Path) -> None:
    source = classifier(SMALL)
    loopback.files["model.safetensors"] = safetensors.torch.save(source.state_dict())
    environment = client(loopback.port, tmp_path / "hub")
    found = find("auto", SMALL, cache=tmp_path, offline=False, environment=environment)
    assert found.path is not None
    assert found.told == f"{SMALL} starts from {found.path}, downloaded from timm/{SMALL}.lamb_in1k"
    module = mask_encoder(SMALL, channels=3)
    load_encoder(module, found.path, 3)
    assert torch.equal(module.state_dict()["conv_stem.weight"], source.state_dict()["conv_stem.weight"])
    assert find("auto", SMALL, cache=tmp_path, offline=True, environment=environment).path == found.path


def test_the_second_file_name_is_asked_for_where_the_first_is_missing(loopback: Hub, tmp_path: Path) -> None:
    loopback.files["second"] = b"content"
    path = hub.fetch("a/b", ("first", "second"), timeout=5, environment=client(loopback.port, tmp_path))
    assert path.read_bytes() == b"content"
    assert loopback.asked[0] == "HEAD /a/b/resolve/main/first"


def test_a_repository_without_the_files_is_told(loopback: Hub, tmp_path: Path) -> None:
    with pytest.raises(hub.NoFileError, match="the hub holds no first or second"):
        hub.fetch("a/b", ("first", "second"), timeout=5, environment=client(loopback.port, tmp_path))


def test_a_slow_download_may_take_longer_than_the_timeout(loopback: Hub, tmp_path: Path) -> None:
    loopback.files["slow"], loopback.pause = os.urandom(6 << 20), 0.25
    start = time.monotonic()
    path = hub.fetch("a/b", ("slow",), timeout=1.0, environment=client(loopback.port, tmp_path))
    assert time.monotonic() - start > 1.0
    assert path.read_bytes() == loopback.files["slow"]


def test_a_download_that_stops_is_left_after_the_timeout_and_leaves_no_partial_file(
    loopback: Hub, tmp_path: Path
) -> None:
    loopback.files["half"], loopback.stop = os.urandom(4 << 20), 2 << 20
    with pytest.raises(hub.NoFileError, match="the hub sent nothing for 1 s"):
        hub.fetch("a/b", ("half",), timeout=1.0, environment=client(loopback.port, tmp_path))
    assert not list(tmp_path.rglob("*.incomplete"))
