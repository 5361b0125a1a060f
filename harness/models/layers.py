"""Which layer of a net each parameter belongs to, for freezing and for rates that grow towards the head."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import timm
import torch
from timm.models import group_parameters
from torch import nn


def layer_of(net: nn.Module) -> dict[str, int]:
    """Parameter name -> layer number: timm's layer groups of `net.encoder` from 0 on, all else one above the last.

    A net without an encoder is one layer, number 0.
    """
    encoder = getattr(net, "encoder", None)
    groups: dict[str, int] = {}
    inside: dict[int, str] = {}
    if isinstance(encoder, nn.Module):
        name = getattr(net, "encoder_name", None)
        assert isinstance(name, str), "nets with an encoder name it"
        groups = _groups(name)
        inside = {id(parameter): _flat(key) for key, parameter in encoder.named_parameters()}
    head = max(groups.values(), default=-1) + 1
    found = {key: groups.get(inside.get(id(parameter), ""), head) for key, parameter in net.named_parameters()}
    # groups that a net of features leaves out (a last convolution before the classifier) leave no gap
    order = {layer: index for index, layer in enumerate(sorted(set(found.values())))}
    return {key: order[layer] for key, layer in found.items()}


@functools.cache
def _groups(encoder: str) -> dict[str, int]:
    """Flat parameter name -> timm's coarse layer group of an encoder; built on no memory."""
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")  # timm's deprecations are not the user's
        whole = timm.create_model(encoder, pretrained=False, num_classes=0)
    matcher: Any = whole.group_matcher
    layers = group_parameters(whole, matcher(coarse=True))
    return {_flat(name): layer for layer, names in layers.items() for name in names}


def _flat(name: str) -> str:
    """Nets of features join the names of their first levels with "_" where the whole net has "."."""
    return name.replace(".", "_")
