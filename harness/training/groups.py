"""Parameter groups: which weights decay, and how fast each layer learns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from timm.optim._param_groups import param_groups_weight_decay
from torch import nn

NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)


def grouped(net: nn.Module, weight_decay: float, layers: Mapping[str, int] | None) -> list[dict[str, Any]]:
    """An optimizer's groups: no decay on biases and norms (Loshchilov and Hutter, arXiv:1711.05101).

    Args:
        layers: parameter name -> layer number; each layer gets groups of its own, which `pace` scales.
    """
    layer = {id(parameter): layers[name] for name, parameter in net.named_parameters()} if layers else {}
    groups = []
    for group in param_groups_weight_decay(net, weight_decay):
        parts: dict[int, list[nn.Parameter]] = {}
        for parameter in group["params"]:
            parts.setdefault(layer.get(id(parameter), 0), []).append(parameter)
        facts = {"weight_decay": group["weight_decay"], "scale": 1.0}
        groups += [{**facts, "params": parts[number], "layer": number} for number in sorted(parts)]
    return groups


def pace(optimizer: torch.optim.Optimizer, net: nn.Module, lowest: float, *, frozen: bool) -> None:
    """Sets how fast the layers learn: the head at the full rate, the first layer at `lowest` of it.

    In between the rates grow by the same factor from layer to layer, as fastai's `slice(low, high)` spreads them
    (Howard and Ruder 2018, arXiv:1801.06146, section 3.2). `frozen` holds all layers but the head, norms excepted:
    they go on adapting to the new pictures, as fastai's `train_bn` has it.
    """
    head = max(group["layer"] for group in optimizer.param_groups)
    norms = {id(p) for module in net.modules() if isinstance(module, NORMS) for p in module.parameters()}
    for group in optimizer.param_groups:
        group["scale"] = lowest ** ((head - group["layer"]) / head) if head else 1.0
        for parameter in group["params"]:
            parameter.requires_grad_(not frozen or group["layer"] == head or id(parameter) in norms)
