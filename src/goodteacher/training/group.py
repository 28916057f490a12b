"""The processes that train one network together: what each computes of a batch.

The batch is that of the whole group. It is divided, example by example in the order of the batch,
so that the mean of what the processes compute is what one process would have computed from all of
it. One process alone is a group of one: :data:`ALONE`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from goodteacher.networks import Examples
from goodteacher.training.machine import Machine


@dataclass(frozen=True)
class Division:
    """What one process of a group computes of a batch, in one piece or several.

    Attributes:
        rows: Which examples of the batch, one piece after another; None for all of them, in order.
        lengths: How many in each piece.
        weights: What the mean over each piece counts in the mean over the batch, times the number
            of processes that divide it.
        divided: Of each piece, whether it is shared out; if not, every process computes all of it.
    """

    rows: Tensor | None
    lengths: tuple[int, ...]
    weights: tuple[float, ...]
    divided: tuple[bool, ...]

    def of(self, batch: Tensor) -> Tensor:
        """Return this process's part of a batch's positions [B]."""
        return batch if self.rows is None else batch[self.rows.to(batch.device)]


def part_of(count: int, rank: int, size: int) -> slice:
    """Return which of a number of things are for one of several processes: consecutive ones.

    Args:
        count: How many there are.
        rank: Number of the process, from 0.
        size: How many processes there are.

    Example:
        >>> [part_of(7, rank, 3) for rank in range(3)]
        [slice(0, 2, None), slice(2, 4, None), slice(4, 7, None)]
    """
    return slice(rank * count // size, (rank + 1) * count // size)


def divide(count: int, piece: int | None, rank: int = 0, size: int = 1) -> Division:
    """Divide a batch among processes.

    A piece that has fewer examples than there are processes is computed by every one of them.

    Args:
        count: Examples of the batch.
        piece: Examples of the group at once, whose gradients are added up; None takes them all.
        rank: Number of the process, from 0.
        size: How many processes there are.

    Example:
        >>> divide(8, None, rank=1, size=2).lengths, divide(8, 5, rank=1, size=2).lengths
        ((4,), (3, 2))
    """
    begins = range(0, count, piece or count)
    pieces = [range(begin, min(begin + (piece or count), count)) for begin in begins]
    divided = tuple(1 < size <= len(whole) for whole in pieces)
    own = [
        whole[part_of(len(whole), rank, size)] if shared else whole
        for whole, shared in zip(pieces, divided, strict=True)
    ]
    return Division(
        rows=torch.tensor([row for part in own for row in part]) if any(divided) else None,
        lengths=tuple(map(len, own)),
        weights=tuple(
            (len(part) * size if shared else len(part)) / count
            for part, shared in zip(own, divided, strict=True)
        ),
        divided=divided,
    )


class Group:
    """The processes that train one network together; this class is one process alone.

    Attributes:
        rank: Number of this process, from 0; number 0 writes what is found.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that measures and writes."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """Return which of a number of things are for this process; see :func:`part_of`."""
        return part_of(count, self.rank, self.size)

    def machine(self, machine: Machine) -> Machine:
        """Return where this process computes: of several GPUs, its own."""
        return machine

    def ready(
        self, network: nn.Module, machine: Machine, examples: Examples
    ) -> Callable[[Any], Tensor]:
        """Return what runs a network's forward pass in training.

        Args:
            network: The network, on its device.
            machine: Where it trains.
            examples: What it sees.
        """
        return machine.ready(network)

    def computing(
        self, forward: Callable[[Any], Tensor], *, divided: bool, last: bool
    ) -> contextlib.AbstractContextManager[object]:
        """Return the context in which a piece of a batch is computed, forward and backward.

        Args:
            forward: What :meth:`ready` returned.
            divided: Whether the piece is shared out.
            last: Whether the gradient of the batch is complete with it.
        """
        return contextlib.nullcontext()

    def mean(self, value: Tensor) -> Tensor:
        """Return the mean of what the processes have, in all of them."""
        return value

    def agreed(self, answer: bool) -> bool:
        """Return what the leading process says, in all of them."""
        return answer

    def alike(self, network: nn.Module) -> None:
        """Give a network the leading process's buffers, in all of them."""

    def collected(self, own: Tensor, count: int) -> Tensor:
        """Return rows that were computed in shares, one after another.

        Args:
            own: Those of this process, on the CPU: what :meth:`part` says.
            count: How many there are in all.

        Returns:
            All of them in the leading process; in others, their own.
        """
        return own


ALONE = Group()
"""One process."""
