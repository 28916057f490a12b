"""A network: how it wants its inputs, and the module that takes them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from goodteacher.data import InputSpec
from goodteacher.errors import ModelError
from goodteacher.networks.batches import map_batch
from goodteacher.networks.build import build_model
from goodteacher.networks.preparation import Preparation


class Network(nn.Module):
    """A preparation and a module: what is trained, stored, delivered and exported.

    Training sees the module alone, on inputs that were prepared a few thousand at a time; students
    that are trained together share one preparation. The module's weights keep their names in
    `module`; what the preparation holds are buffers.

    Args:
        preparation: Turns examples as stored into what the module takes.
        module: From ``[B, *prepared shape]`` to raw logits ``[B, C]``.

    Example:
        >>> from goodteacher.networks.preparation import Identity
        >>> Network(Identity(), nn.Linear(4, 3))(torch.zeros(2, 4)).shape
        torch.Size([2, 3])
    """

    preparation: Preparation

    def __init__(self, preparation: Preparation, module: nn.Module) -> None:
        super().__init__()
        self.preparation = preparation
        self.module = module

    def forward(self, raw: Any) -> Tensor:
        """Return logits [N, C] of examples as stored: numbers, texts, or fields of numbers."""
        device = next(self.module.parameters(), torch.zeros(())).device
        logits: Tensor = self.module(map_batch(self.preparation(raw), lambda part: part.to(device)))
        return logits


def build_network(
    spec: str,
    preparation: Preparation,
    *,
    num_classes: int,
    inputs: InputSpec,
    seed: int,
) -> Network:
    """Build a network for examples as they are stored.

    Args:
        spec: Its specification, see `build_model`.
        preparation: How it wants its inputs.
        num_classes: Number C of logits.
        inputs: What one stored example is.
        seed: Of the initial weights.

    Raises:
        ModelError: It cannot be built, or the preparation does not take such examples.
    """
    try:
        prepared = preparation.output(inputs)
    except ValueError as error:
        raise ModelError(
            f"The network {spec!r} cannot take examples that are {inputs}: {error}."
        ) from error
    module = build_model(spec, num_classes=num_classes, inputs=prepared, seed=seed)
    return Network(preparation, module)
