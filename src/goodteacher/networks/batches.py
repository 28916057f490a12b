"""Batches as networks take them: a tensor, or a dictionary of tensors with as many rows each.

What is done to both alike - taking rows, dividing, describing - is done here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from goodteacher.data import InputSpec

Batch = Tensor | dict[str, Tensor]
"""float32 or int64 [B, ...], or such a tensor for each field."""


def map_batch(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    """Change a tensor, or that of each field.

    >>> map_batch({"a": torch.ones(1), "b": torch.zeros(1)}, lambda x: x + 1)
    {'a': tensor([2.]), 'b': tensor([1.])}
    """
    if isinstance(batch, Tensor):
        return change(batch)
    return {name: change(part) for name, part in batch.items()}


def batch_length(batch: Batch) -> int:
    """Return the number of examples B.

    >>> batch_length({"a": torch.zeros(5, 2)})
    5
    """
    return len(batch if isinstance(batch, Tensor) else next(iter(batch.values())))


def batch_device(batch: Batch) -> torch.device:
    """Return where a batch is."""
    return (batch if isinstance(batch, Tensor) else next(iter(batch.values()))).device


def take_rows(batch: Batch, rows: Tensor | slice) -> Batch:
    """Return some rows."""
    return map_batch(batch, lambda part: part[rows])


def split_batch(batch: Batch, size: int | Sequence[int]) -> Iterator[Batch]:
    """Divide a batch into pieces of a size, of which the last may be smaller; or of several."""
    if isinstance(batch, Tensor):
        yield from batch.split(size)
        return
    pieces = zip(*(part.split(size) for part in batch.values()), strict=True)
    for piece in pieces:
        yield dict(zip(batch, piece, strict=True))


def batch_shape(batch: Batch) -> str:
    """Return the shape, or that of each field, for a message.

    >>> batch_shape(torch.zeros(2, 3)), batch_shape({"ids": torch.zeros(2, 5)})
    ('[2, 3]', '{ids: [2, 5]}')
    """
    if isinstance(batch, Tensor):
        return str(list(batch.shape))
    return "{" + ", ".join(f"{name}: {list(part.shape)}" for name, part in batch.items()) + "}"


def made_up(spec: InputSpec, count: int, generator: torch.Generator) -> Batch:
    """Make examples up, of the type and in the range that real ones have.

    Args:
        spec: What one example is, as a network takes it.
        count: How many.
        generator: Draws them: numbers from a standard normal distribution, whole ones evenly
            between the lowest and the highest.

    >>> spec = InputSpec(kind="integers", shape=(3,), low=7, high=7)
    >>> made_up(spec, 1, torch.Generator())
    tensor([[7, 7, 7]])
    """
    if spec.kind == "fields":
        parts = {name: made_up(field, count, generator) for name, field in spec.fields.items()}
        return {name: part for name, part in parts.items() if isinstance(part, Tensor)}
    if spec.kind == "integers":
        return torch.randint(spec.low, spec.high + 1, (count, *spec.shape), generator=generator)
    return torch.randn(count, *spec.shape, generator=generator)
