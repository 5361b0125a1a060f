"""A training state as it was at one moment, in memory and in a file that nothing can run from.

The file is one safetensors: tensors by name, and the scalars as JSON in its header.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from harness import files
from harness.errors import RunError

GOOD = "good/"
# what the reader was seen to raise where a file is cut, says sizes it has not, or is something else
DAMAGED = (safetensors.SafetensorError, OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True)
class Snapshot:
    """A copy of a TrainState: tensors on their own memory, and JSON values."""

    tensors: dict[str, torch.Tensor]
    facts: dict[str, Any]


def write(path: Path, snapshot: Snapshot, good: Snapshot | None = None) -> None:
    """Writes a snapshot to `path` at once; the file before it is kept as `<name>.before`.

    Args:
        good: an earlier one that training would fall back to, where it is not this one.
    """
    tensors, facts = dict(snapshot.tensors), {"facts": json.dumps(snapshot.facts)}
    if good is not None:
        tensors |= {GOOD + name: tensor for name, tensor in good.tensors.items()}
        facts[GOOD] = json.dumps(good.facts)
    content = safetensors.torch.save({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, facts)
    if path.exists():
        path.replace(path.with_name(path.name + ".before"))
    files.write_bytes(path, content)


def read(path: Path) -> tuple[Snapshot, Snapshot | None]:
    """What `write` was given; of the file before it when the newest is unreadable.

    Raises:
        RunError: neither is readable.
    """
    for candidate in (path, path.with_name(path.name + ".before")):
        try:
            with safetensors.safe_open(candidate, framework="pt") as handle:
                words = handle.metadata() or {}
                facts, good = json.loads(words["facts"]), json.loads(words.get(GOOD, "null"))
                tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
        except (*DAMAGED, RecursionError):
            continue
        earlier = {name.removeprefix(GOOD): tensors.pop(name) for name in list(tensors) if name.startswith(GOOD)}
        return Snapshot(tensors, facts), None if good is None else Snapshot(earlier, good)
    raise RunError("no readable training state", file=path, fix="delete it to train this fold from the start")


def forget(path: Path) -> None:
    """Removes a file and the one before it."""
    for rest in (path, path.with_name(path.name + ".before")):
        rest.unlink(missing_ok=True)


def saved(path: Path) -> bool:
    """Whether there is a file to read."""
    return path.exists() or path.with_name(path.name + ".before").exists()
