"""What a network is: its class, structure and initial weights, in a few words and numbers.

A study keeps it for every network of the user's, so that another one under the same name is
noticed. Weights are told apart by two sums, which other processors round differently: they agree
within a tolerance, never to the last bit.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from goodteacher.config import Frozen, digest_of

_SAME = 1e-4


class NetworkIdentity(Frozen):
    """What a network is."""

    class_name: str
    structure: str
    parameters: int
    sum: float
    norm: float

    def difference(self, other: NetworkIdentity) -> str | None:
        """Say in what another network differs; None if it does not."""
        if self.class_name != other.class_name:
            return f"it is now a {self.class_name} and was a {other.class_name}"
        if (self.structure, self.parameters) != (other.structure, other.parameters):
            return (
                f"its structure has changed (it has {self.parameters:,} parameters and had "
                f"{other.parameters:,})"
            )
        room = _SAME * max(other.norm, 1e-12)
        sums = math.isclose(self.sum, other.sum, abs_tol=room * math.sqrt(max(1, self.parameters)))
        if not (sums and math.isclose(self.norm, other.norm, abs_tol=room)):
            return "its initial weights have changed"
        return None


def identity_of(network: nn.Module) -> NetworkIdentity:
    """Return what a network is.

    Args:
        network: Any module; lazy parameters count by name only.

    Example:
        >>> identity_of(nn.Linear(4, 3)).class_name
        'Linear'
    """
    state = {
        name: tensor
        for name, tensor in (*network.named_parameters(), *network.named_buffers())
        if not is_lazy(tensor)
    }
    shapes = [[name, list(tensor.shape), str(tensor.dtype)] for name, tensor in state.items()]
    values = [t.detach().double().flatten() for t in state.values() if t.is_floating_point()]
    flat = torch.cat(values) if values else torch.zeros(0, dtype=torch.float64)
    return NetworkIdentity(
        class_name=type(network).__qualname__,
        structure=digest_of([str(network), shapes]),
        parameters=sum(p.numel() for p in network.parameters() if not is_lazy(p)),
        # Six digits, so that the name of a network given in Python seldom hangs on rounding.
        sum=float(f"{float(flat.sum()):.6g}"),
        norm=float(f"{float(flat.norm()):.6g}"),
    )
