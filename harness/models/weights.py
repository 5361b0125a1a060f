"""Pretrained encoder weights: where they are found, and how they get into a timm encoder inside a mask net."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import timm
import torch
from timm.models import adapt_input_conv
from torch import nn

from harness import files
from harness.errors import ConfigError
from harness.models import hub, tensors

ENDINGS = (".safetensors", ".pth", ".pt", ".bin")
HUB_NAMES = ("model.safetensors", "pytorch_model.bin")
PREFIXES = ("module.", "_orig_mod.", "model.", "body.")  # data parallel, compiled, two of timm's feature wrappers
ENOUGH = 0.9  # share of the encoder's tensors; a feature encoder may hold a few that a classifier's file does not
DAY = 86_400.0  # seconds for which a hub that failed is left alone
FIX = "give weights that timm made for this encoder, or --weights scratch"


@dataclass(frozen=True)
class Weights:
    """Where an encoder starts.

    Attributes:
        path: a file for `load_encoder`, or None to start from scratch.
        told: one line for the terminal and the run's record.
    """

    path: Path | None
    told: str


def find(
    setting: str,
    encoder: str,
    *,
    cache: Path,
    offline: bool,
    timeout: float = 5.0,
    clock: files.Clock = time.time,
    environment: Mapping[str, str] | None = None,
) -> Weights:
    """The weights an encoder starts from; "auto" looks in `<cache>/weights`, in the hub's cache, then asks the hub.

    Args:
        setting: "auto", "scratch", a weights file, or a folder of them.
        encoder: timm model name, with or without a tag.
        cache: the cache root; `weights/<encoder>.failed.json` in it remembers a failure for a day.
        offline: never ask the hub.
        timeout: seconds the hub has for its first answer, and for every sign of progress after it.
        clock: seconds since 1970.
        environment: variables for the hub's client, over this process's own (HF_ENDPOINT, HF_HUB_CACHE, ...).

    Raises:
        ConfigError: a path that does not exist or holds no such weights, or a tag that timm does not know.
    """
    if setting == "scratch":
        return Weights(None, f"{encoder} starts from scratch, as asked")
    if setting != "auto":
        path = _given(Path(setting).expanduser(), encoder)
        return Weights(path, f"{encoder} starts from {path}")
    local = _first(cache / "weights", [f"{encoder}{ending}" for ending in ENDINGS])
    if local is not None:
        return Weights(local, f"{encoder} starts from {local}")
    return _from_hub(encoder, cache / "weights", offline, timeout, clock, dict(environment or {}))


def _given(path: Path, encoder: str) -> Path:
    """The weights file that a path of the user's means."""
    if path.is_dir():
        names = [*(f"{encoder}{ending}" for ending in ENDINGS), *HUB_NAMES]
        found = _first(path, names)
        if found is None:
            raise ConfigError(
                f"no weights of {encoder} in this folder", file=path, fix=f"put in one of {', '.join(names)}"
            )
        return found
    if not path.exists():
        raise ConfigError("no such encoder weights", file=path, fix="give a file or folder, or --weights auto")
    if path.suffix not in ENDINGS:
        raise ConfigError(f"'{path.suffix}' is no ending of weights", file=path, fix=f"expected {', '.join(ENDINGS)}")
    return path


def _first(folder: Path, names: list[str]) -> Path | None:
    """The first of `names` that is a file in `folder`, if any is."""
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _from_hub(
    encoder: str, folder: Path, offline: bool, timeout: float, clock: files.Clock, environment: dict[str, str]
) -> Weights:
    """Weights out of the hub's cache, or fetched now, or none; failures are remembered in `folder`."""
    scratch = f"{encoder} starts from scratch: no local file, and"
    repository, revision = _published(encoder)
    if not repository:
        return Weights(None, f"{scratch} timm names no published weights that fit it")
    hub_cache = environment.get("HF_HUB_CACHE")
    for name in HUB_NAMES:
        cached = huggingface_hub.try_to_load_from_cache(repository, name, cache_dir=hub_cache, revision=revision)
        if isinstance(cached, str):
            return Weights(Path(cached), f"{encoder} starts from {cached}")
    if offline or _switched_off({**os.environ, **environment}.get("HF_HUB_OFFLINE", "")):
        return Weights(None, f"{scratch} the hub is not asked offline")
    memory = folder / f"{encoder}.failed.json"
    reason = _remembered(memory, clock())
    if reason is not None:
        return Weights(None, f"{scratch} {reason}, less than a day ago")
    try:
        path = hub.fetch(repository, HUB_NAMES, revision=revision, timeout=timeout, environment=environment)
    except hub.NoFileError as failure:
        files.write_json(memory, {"schema": 1, "time": clock(), "reason": str(failure)})
        return Weights(None, f"{scratch} {failure} (not tried again for a day)")
    return Weights(path, f"{encoder} starts from {path}, downloaded from {repository}")


def _published(encoder: str) -> tuple[str, str]:
    """(repository, revision) of timm's own weights; ("", "") where there are none under the usual file names."""
    try:
        settings = timm.get_pretrained_cfg(encoder)
    except RuntimeError as error:
        raise ConfigError(f"the encoder '{encoder}': {error}", fix="leave the tag out, or name another") from error
    # another file name means another project's format, whose tensors have other names
    if settings is None or not settings.hf_hub_id or settings.hf_hub_filename:
        return "", ""
    repository, _, revision = settings.hf_hub_id.partition("@")
    return repository, revision or "main"


def _switched_off(value: str) -> bool:
    """Whether the hub client's switch HF_HUB_OFFLINE is on (huggingface_hub documentation, environment variables)."""
    return value.upper() in ("1", "ON", "YES", "TRUE")


def _remembered(memory: Path, now: float) -> str | None:
    """The reason of a failure of the last day; None when there was none, or its note cannot be read."""
    try:
        note = json.loads(memory.read_text(encoding="utf-8"))
        return str(note["reason"]) if 0 <= now - float(note["time"]) < DAY else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def load_encoder(module: nn.Module, weights_path: Path, channels: int) -> int:
    """Fills a timm feature encoder from a timm classifier's weights; the number of tensors loaded.

    Feature encoders rename what they wrap (`stages.0` becomes `stages_0`, some put `model.` before all), and leave the
    head out: names are compared without such prefixes and with `_` for `.`. A first convolution of another number of
    channels is summed (1) or repeated and scaled. Nothing is changed unless everything fits.

    Args:
        module: what `timm.create_model(..., features_only=True)` gives, alone or as a mask net's `encoder.model`.
        weights_path: .safetensors, or a state dict saved by torch; code in it is refused, not run.
        channels: of the pictures the module was built for.

    Raises:
        ConfigError: unreadable, fewer than 90 % of the module's tensors found, a tensor of another shape, or a file of
            a deeper architecture, whose first blocks would fit.
    """
    source = {_plain(name): tensor for name, tensor in tensors.read(weights_path).items()}
    _check_architecture(module, source, weights_path)
    target = module.state_dict()
    # weights, biases and running statistics; counters and index tables are whole numbers, and older files lack them
    needed = [name for name, tensor in target.items() if tensor.is_floating_point()]
    absent = [name for name in needed if _plain(name) not in source]
    if len(needed) - len(absent) < ENOUGH * len(needed):
        count = f"{len(needed) - len(absent)} of {len(needed)} tensors"
        raise ConfigError(f"{count} of the encoder found, '{absent[0]}' is missing", file=weights_path, fix=FIX)
    found: dict[str, torch.Tensor] = {}
    entries = _entries(module)
    for name, tensor in target.items():
        weight = source.get(_plain(name))
        if weight is None:
            continue
        if _plain(name) in entries and weight.shape != tensor.shape:
            weight = _adapted(weight, channels, entries[_plain(name)])
        if weight.shape != tensor.shape:
            shapes = f"has shape {tuple(weight.shape)}, the encoder's {tuple(tensor.shape)}"
            raise ConfigError(f"the tensor '{name}' {shapes}", file=weights_path, fix=FIX)
        found[name] = weight
    module.load_state_dict(found, strict=False)
    return len(found)


def _check_architecture(module: nn.Module, source: dict[str, torch.Tensor], file: Path) -> None:
    """Refuses a file with many tensors that the module's own classifier lacks: resnet34's would fill a resnet18."""
    architecture = getattr(module, "pretrained_cfg", {}).get("architecture")
    if not architecture:
        return
    with torch.device("meta"):
        known = {_plain(name) for name in timm.create_model(architecture).state_dict()}
    strange = [name for name in source if name not in known]
    if len(strange) > (1 - ENOUGH) * len(source):
        problem = f"{len(strange)} of {len(source)} tensors are not {architecture}'s, first '{strange[0]}'"
        raise ConfigError(problem, file=file, fix=FIX)


def _plain(name: str) -> str:
    """A tensor's name in the one spelling that files and feature encoders share."""
    shorter = True
    while shorter:
        prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), "")
        name, shorter = name.removeprefix(prefix), bool(prefix)
    return name.replace(".", "_")


def _entries(module: nn.Module) -> dict[str, int]:
    """Plain names of the convolutions that read the picture -> channels that they were pretrained on."""
    settings: Any = getattr(module, "pretrained_cfg", {})
    names = settings.get("first_conv") or ()
    channels = (settings.get("input_size") or (3,))[0]
    return {_plain(f"{name}.weight"): channels for name in ((names,) if isinstance(names, str) else names)}


def _adapted(weight: torch.Tensor, channels: int, published: int) -> torch.Tensor:
    """A first convolution's weight for `channels`; as it is where timm knows no way, for the shape check to refuse."""
    try:
        return adapt_input_conv(channels, weight, base_chans=published)
    except (NotImplementedError, AssertionError, ValueError):
        return weight
