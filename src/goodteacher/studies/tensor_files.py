"""Files of tensors: read under each of their names, and loaded into networks that they fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from goodteacher.data import shorten
from goodteacher.errors import StudyError
from goodteacher.studies.damage import reading
from goodteacher.studies.places import Place

_MOST = 3
"""Weights that a message names."""


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read the named tensors of a safetensors file, tied ones under each of their names.

    Raises:
        StudyError: The file is missing or damaged.
    """
    with reading(path, "tensors"):
        return tensors_of(path)


def tensors_of(path: Path) -> dict[str, torch.Tensor]:
    """Do what :func:`read_tensors` does, with the errors of safetensors."""
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        notes = dict(file.metadata() or {})
    tied = {key: tensors[kept] for key, kept in notes.items() if kept in tensors}
    return {**tied, **tensors}


def load_weights(network: nn.Module, tensors: Mapping[str, torch.Tensor], path: Place) -> None:
    """Load a network's weights, all of them and no others.

    Args:
        network: Takes them.
        tensors: By name.
        path: The file that they come from, for messages.

    Raises:
        StudyError: They are another network's.
    """
    difference = weights_difference(network, tensors)
    if difference:
        raise StudyError(
            f"{path} holds the weights of another network: {difference}. Was one of the "
            "files replaced, or the factory of the network changed? Put the file back that belongs "
            "to this network."
        )
    network.load_state_dict(tensors)


def weights_difference(network: nn.Module, tensors: Mapping[str, torch.Tensor]) -> str | None:
    """Say which weights a network has and tensors have not, or the other way round; None if none.

    Args:
        network: Its weights are those expected.
        tensors: By name.
    """
    expected = network.state_dict()
    missing = [name for name in expected if name not in tensors]
    unknown = [name for name in tensors if name not in expected]
    other = [
        f"{name} is {list(tensors[name].shape)} instead of {list(value.shape)}"
        for name, value in expected.items()
        if name in tensors and tensors[name].shape != value.shape
    ]
    parts = [
        *([f"missing are {shorten(missing, _MOST)}"] if missing else []),
        *([f"unknown are {shorten(unknown, _MOST)}"] if unknown else []),
        *([shorten(other, _MOST)] if other else []),
    ]
    return "; ".join(parts) or None


def saved_once(
    tensors: Mapping[str, torch.Tensor],
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return tensors that share no memory, and the names that stand for another's tensor."""
    names: dict[tuple[Any, ...], str] = {}
    plain: dict[str, torch.Tensor] = {}
    tied: dict[str, str] = {}
    for name, tensor in tensors.items():
        place = (tensor.device, tensor.data_ptr(), tensor.dtype, tensor.shape, tensor.stride())
        if tensor.numel() and place in names:
            tied[name] = names[place]
            continue
        names[place] = name
        value = tensor.detach().cpu().contiguous()
        # A part of a larger tensor is copied: safetensors refuses parts of one memory.
        whole = value.untyped_storage().nbytes() == value.nbytes
        plain[name] = value if whole else value.clone()
    return plain, tied
