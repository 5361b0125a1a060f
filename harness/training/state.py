"""Everything that changes while training, in one place, with snapshot, restore, save and load."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from harness.errors import ConfigError
from harness.training import precision as formats
from harness.training import snapshots
from harness.training.course import Course
from harness.training.groups import grouped
from harness.training.snapshots import Snapshot


@dataclass
class TrainState:
    """Weights, optimizer, scaler, averaged weights, counters, random generators, and a carry for recurrent nets.

    Attributes:
        net: on its device.
        optimizer: AdamW over the net's parameters.
        scaler: of gradients; idle unless the precision is fp16.
        average: exponential moving average of every float parameter and buffer (batch-norm statistics come with it);
            empty when none is kept.
        step: optimizer steps done in the stage.
        age: optimizer steps done in all stages, which the average's warm-up counts.
        cursor: rows of the stage's stream read.
        stage: index of the stage.
        pace: what every rate is multiplied by; lowered where training diverged.
        parts: micro-batches a step is cut into; raised where memory ran out.
        peak: learning rate that a range test found for the stage, or None.
        carry: tensors a recurrent net passes on.
        course: where the schedule stands of a stage whose length the clock decides, or None.
        falls: how often the stage left the finite numbers.
        unread: summed loss of the steps since its last reading, on the device.
        unread_steps: how many they are.
        good: the last snapshot that was seen to be finite, which a fall goes back to; no part of a snapshot itself.
    """

    net: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    average: dict[str, torch.Tensor] = field(default_factory=dict)
    step: int = 0
    age: int = 0
    cursor: int = 0
    stage: int = 0
    pace: float = 1.0
    parts: int = 1
    peak: float | None = None
    carry: dict[str, torch.Tensor] = field(default_factory=dict)
    course: Course | None = None
    falls: int = 0
    unread: torch.Tensor | None = None
    unread_steps: int = 0
    good: Snapshot | None = None

    @classmethod
    def start(
        cls,
        net: nn.Module,
        *,
        rate: float,
        weight_decay: float,
        ema: bool,
        precision: str,
        layers: Mapping[str, int] | None = None,
    ) -> TrainState:
        """A fresh state: fused AdamW over the groups of `groups.grouped`."""
        optimizer = torch.optim.AdamW(grouped(net, weight_decay, layers), lr=rate, fused=True)
        average = {name: tensor.detach().clone() for name, tensor in _floats(net)} if ema else {}
        return cls(net, optimizer, formats.scaler(precision), average)

    def next_stage(self) -> None:
        """Counters to zero, weights and optimizer kept."""
        self.stage, self.step, self.cursor, self.peak, self.course = self.stage + 1, 0, 0, None, None
        self.falls, self.good = 0, None

    def update_average(self, decay: float) -> None:
        """Moves the average towards the weights; the decay is warmed up: min(decay, (1 + age) / (10 + age)).

        Source of the warm-up: tf.train.ExponentialMovingAverage, argument num_updates.
        """
        if self.average:
            weight = 1 - min(decay, (1 + self.age) / (10 + self.age))
            current = [tensor.detach() for _, tensor in _floats(self.net)]
            # one kernel for all tensors instead of one each; exported nowhere else
            torch._foreach_lerp_(list(self.average.values()), current, weight)  # type: ignore[reportPrivateImportUsage]

    def average_anew(self) -> None:
        """Puts the average where the weights are: they were not trained here."""
        for name, tensor in _floats(self.net) if self.average else []:
            self.average[name].copy_(tensor)

    def final_weights(self) -> dict[str, torch.Tensor]:
        """What predicts: the average where one is kept, else the last step's weights."""
        weights = {name: tensor.detach() for name, tensor in self.net.state_dict().items()}
        return {**weights, **self.average}

    def snapshot(self) -> Snapshot:
        """A copy of everything, which later steps do not touch."""
        optimizer = self.optimizer.state_dict()
        tensors = {f"net.{name}": tensor for name, tensor in self.net.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self.average.items()}
        tensors |= {f"carry.{name}": tensor for name, tensor in self.carry.items()}
        for index, slots in optimizer["state"].items():
            tensors |= {f"optimizer.{index}.{slot}": torch.as_tensor(value) for slot, value in slots.items()}
        if self.unread is not None and self.unread_steps:
            tensors["unread"] = self.unread
        tensors["random.torch"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors["random.cuda"] = torch.cuda.get_rng_state()
        numpy_state = np.random.get_state(legacy=False)
        facts = {
            "step": self.step,
            "age": self.age,
            "cursor": self.cursor,
            "stage": self.stage,
            "pace": self.pace,
            "parts": self.parts,
            "peak": self.peak,
            "groups": [{k: v for k, v in group.items() if k != "params"} for group in optimizer["param_groups"]],
            "scaler": self.scaler.state_dict(),
            "random.python": random.getstate(),
            "random.numpy": {**numpy_state, "state": {k: _plain(v) for k, v in numpy_state["state"].items()}},
            "course": None if self.course is None else asdict(self.course),
            "falls": self.falls,
            "unread": self.unread_steps,
        }
        # through JSON: what is restored from memory is then exactly what is restored from a file
        return Snapshot(
            {name: tensor.detach().clone() for name, tensor in tensors.items()}, json.loads(json.dumps(facts))
        )

    def restore(self, snapshot: Snapshot) -> None:
        """Goes back to a snapshot; the next steps repeat to the bit on the same machine."""
        tensors, facts = snapshot.tensors, snapshot.facts
        self.net.load_state_dict(_under(tensors, "net."))
        for name, tensor in _under(tensors, "average.").items():
            self.average[name].copy_(tensor)
        device = next(self.net.parameters()).device
        self.carry = {name: tensor.to(device, copy=True) for name, tensor in _under(tensors, "carry.").items()}
        self._restore_optimizer(tensors, facts["groups"])
        self.scaler.load_state_dict(facts["scaler"])
        self.step, self.age, self.cursor, self.stage = (facts[name] for name in ("step", "age", "cursor", "stage"))
        # a state of an older version has none of these
        self.pace, self.parts, self.peak = facts.get("pace", 1.0), facts.get("parts", 1), facts.get("peak")
        course = facts.get("course")
        self.course = None if course is None else Course(**course)
        self.falls, self.unread_steps = facts.get("falls", 0), facts.get("unread", 0)
        self.unread = tensors["unread"].to(device, copy=True) if self.unread_steps else None
        torch.set_rng_state(tensors["random.torch"].cpu())
        if torch.cuda.is_available() and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"].cpu())
        version, internal, gauss = facts["random.python"]
        random.setstate((version, tuple(internal), gauss))
        state = facts["random.numpy"]["state"]
        np.random.set_state(
            {**facts["random.numpy"], "state": {**state, "key": np.array(state["key"], dtype=np.uint32)}}
        )

    def _restore_optimizer(self, tensors: dict[str, torch.Tensor], groups: list[dict[str, Any]]) -> None:
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in _under(tensors, "optimizer.").items():
            index, slot = name.split(".", 1)
            like = parameters[int(index)]
            # the fused step walks raw memory: moments must lie as their parameter does, channels last included
            copy = (
                torch.empty_like(like, dtype=tensor.dtype) if tensor.shape == like.shape else torch.empty_like(tensor)
            )
            state.setdefault(int(index), {})[slot] = copy.copy_(tensor)
        offset, packed = 0, []
        for group, saved in zip(self.optimizer.param_groups, groups, strict=True):
            count = len(group["params"])
            betas = {"betas": tuple(saved["betas"])} if "betas" in saved else {}
            # a state of an older version knows no layers
            missing = {name: group[name] for name in ("scale", "layer") if name not in saved}
            packed.append({**saved, **betas, **missing, "params": list(range(offset, offset + count))})
            offset += count
        self.optimizer.load_state_dict({"state": state, "param_groups": packed})

    def save(self, path: Path, snapshot: Snapshot | None = None, good: Snapshot | None = None) -> None:
        """Writes the state, or a snapshot, to `path` at once; the state before it is kept as `<name>.before`."""
        snapshots.write(path, snapshot or self.snapshot(), good)

    def load(self, path: Path) -> None:
        """Restores what `save` wrote; the file before it when the newest is unreadable.

        Raises:
            RunError: neither is readable.
            ConfigError: it is the state of another net or optimizer.
        """
        snapshot, self.good = snapshots.read(path)
        try:
            self.restore(snapshot)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
            # not a RunError, after which a caller would go on with what is half restored
            fix = "delete it to train this fold from the start"
            raise ConfigError("the training state is of another net, or damaged", file=path, fix=fix) from error


def finite(snapshot: Snapshot) -> bool:
    """Whether every weight is a finite number; one wait for the device."""
    weights = [tensor for tensor in _under(snapshot.tensors, "net.").values() if tensor.is_floating_point()]
    return all(torch.stack([torch.isfinite(tensor).all() for tensor in weights]).tolist())


def _floats(net: nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [(name, tensor) for name, tensor in net.state_dict().items() if tensor.is_floating_point()]


def _under(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else int(value)
