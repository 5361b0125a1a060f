"""Reading tensors from files that others made, without running what may be hidden in them."""

from __future__ import annotations

import pickle
import struct
import warnings
import zipfile
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from harness.errors import ConfigError

# what torch's restricted unpickler and the safetensors reader were seen to raise on damaged files
DAMAGED = (
    safetensors.SafetensorError,
    zipfile.BadZipFile,
    OSError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    MemoryError,
    OverflowError,
    struct.error,
)
WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")  # keys of timm's training script, best first


def read(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a .safetensors file or of a state dict saved by torch, by name, on the CPU.

    Raises:
        ConfigError: unreadable, without tensors, or a pickle that holds more than tensors.
    """
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        _check_stored(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's advice on pickle protocols is for whoever wrote the file
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        problem = "not a plain state dict: it is damaged, or holds code, which is never run"
        raise ConfigError(problem, file=path, fix="save the state dict alone, or as .safetensors") from error
    except DAMAGED as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"unreadable as weights ({reason})", file=path, fix="download the file again") from error
    while isinstance(content, dict) and (key := next((key for key in WRAPPERS if _table(content, key)), "")):
        content = content[key]
    named = content if isinstance(content, dict) else {}
    found = {str(name): tensor for name, tensor in named.items() if isinstance(tensor, torch.Tensor)}
    if not found:
        raise ConfigError("no tensors by name in this file", file=path, fix="save the model's state dict")
    return found


def _check_stored(path: Path) -> None:
    """Refuses a compressed archive, which torch would read too: it never writes one, and a small one may hold much."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        packed = next((entry for entry in archive.infolist() if entry.compress_type != zipfile.ZIP_STORED), None)
    if packed is not None:
        problem = f"its entry {packed.filename!r} is compressed, as torch saves none"
        raise ConfigError(problem, file=path, fix="save the state dict with torch.save, or as .safetensors")


def _table(content: dict, key: str) -> bool:
    return isinstance(content.get(key), dict)
