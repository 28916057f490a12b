"""Responses that are larger than memory: their rows are made where they are asked for.

What is measured of a response is a sum over its examples, so measuring takes a few thousand rows at
a time (:func:`row_chunks`), from memory or from a file, by the same functions. Students take the
rows of a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

AT_ONCE = 2**18
"""Numbers of a response that are measured at once: 2 MiB in float64, which caches hold."""

Index = slice | Tensor
"""Which rows: a range of them, or their numbers, int64."""


@dataclass(frozen=True, eq=False)
class LazyRows:
    """Logits [N, C] that are not in memory; taking some of them gives a tensor.

    Attributes:
        shape: (N, C).
        take: Gives the rows asked for, float32 [n, C].
        usable: Known to have a softmax in every row.
        dtype: The precision that holds the logits exactly: float32 or float16.

    Example:
        >>> rows = LazyRows((4, 2), torch.eye(4)[:, :2].__getitem__)
        >>> len(rows), rows[1:3].tolist(), rows.selected(torch.tensor([3, 0]))[1:].tolist()
        (4, [[0.0, 1.0], [0.0, 0.0]], [[1.0, 0.0]])
    """

    shape: tuple[int, int]
    take: Callable[[Index], Tensor]
    usable: bool = False
    dtype: torch.dtype = torch.float32

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Index) -> Tensor:
        return self.take(rows)

    def selected(self, rows: Tensor) -> LazyRows:
        """Return some rows in another order.

        Args:
            rows: Their numbers, int64 [n].
        """
        shape = (len(rows), self.shape[1])
        return LazyRows(shape, lambda index: self.take(rows[index]), self.usable, self.dtype)

    def whole(self) -> Tensor:
        """Return all rows, in memory, float32 [N, C]."""
        return self.take(slice(None))


Logits = Tensor | LazyRows
"""A response [N, C], in memory or not."""


def in_memory(logits: Logits) -> Tensor:
    """Return a response as a tensor [N, C]: for what needs all of it at once."""
    return logits.whole() if isinstance(logits, LazyRows) else logits


def select_rows(logits: Logits, rows: Tensor) -> Logits:
    """Return some rows [n, C] of a response; no copy where these are all in their order.

    Args:
        logits: [N, C].
        rows: Their numbers, int64 [n].
    """
    if len(rows) == len(logits) and torch.equal(rows, torch.arange(len(rows), device=rows.device)):
        return logits
    return logits.selected(rows) if isinstance(logits, LazyRows) else logits[rows]


def select_classes(logits: Logits, columns: Sequence[int]) -> Logits:
    """Return some columns of a response, in the order wanted.

    Args:
        logits: [N, C].
        columns: Their numbers.
    """
    if list(columns) == list(range(logits.shape[1])):
        return logits
    order = list(columns)
    if isinstance(logits, LazyRows):
        shape, take = (len(logits), len(order)), logits.take
        return LazyRows(shape, lambda index: take(index)[:, order], dtype=logits.dtype)
    return logits[:, order]


def concatenated(parts: Sequence[Logits]) -> Logits:
    """Return the rows of responses one after another, [N, C]; in memory if all of them are.

    Example:
        >>> lazy = LazyRows((2, 2), torch.eye(2).__getitem__)
        >>> concatenated([torch.zeros(1, 2), lazy])[torch.tensor([2, 0])].tolist()
        [[0.0, 1.0], [0.0, 0.0]]
    """
    tensors = [part for part in parts if isinstance(part, Tensor)]
    if len(tensors) == len(parts):
        return torch.cat(tensors)
    ends = torch.tensor([len(part) for part in parts]).cumsum(0)
    every = torch.arange(int(ends[-1]))
    shape = (len(every), parts[0].shape[1])

    def take(index: Index) -> Tensor:
        rows = every[index]
        owner, found = torch.bucketize(rows, ends, right=True), torch.empty(len(rows), shape[1])
        for number, part in enumerate(parts):
            own = owner == number
            found[own] = part[rows[own] - (ends[number] - len(part))]
        return found

    return LazyRows(shape, take)


def row_chunks(num_rows: int, num_classes: int) -> Iterator[slice]:
    """Divide the rows of a response into ranges that are measured at once.

    Example:
        >>> list(row_chunks(3, AT_ONCE // 2))
        [slice(0, 2, None), slice(2, 3, None)]
    """
    step = max(1, AT_ONCE // max(1, num_classes))
    for first in range(0, num_rows, step):
        yield slice(first, min(first + step, num_rows))


def in_chunks(logits: Logits, measured: Callable[[Tensor], Tensor]) -> Tensor:
    """Return what is measured of each row.

    Args:
        logits: [N, C], N at least 1.
        measured: From some rows [n, C] to [n, ...].
    """
    return each_chunk(len(logits), logits.shape[1], lambda rows: measured(logits[rows]))


def each_chunk(num_rows: int, num_classes: int, measured: Callable[[slice], Tensor]) -> Tensor:
    """Return what is measured of each row, given which rows.

    Args:
        num_rows: N, at least 1.
        num_classes: C.
        measured: From a range of n rows to [n, ...].
    """
    found: Tensor | None = None
    for rows in row_chunks(num_rows, num_classes):
        some = measured(rows)
        if found is None:
            # In one piece: small results kept between large ones would hold the heap apart, and
            # memory would grow by the size of the response.
            found = some.new_empty((num_rows, *some.shape[1:]))
        found[rows] = some
    if found is None:
        raise ValueError("there are no rows")
    return found


def unusable_rows(logits: Tensor) -> Tensor:
    """Tell which rows have no softmax: NaN, +infinity, or no finite logit at all.

    Args:
        logits: `[..., C]`; `-inf` is probability 0.

    Returns:
        bool `[...]`.

    Example:
        >>> unusable_rows(torch.tensor([[0.0, -torch.inf], [0.0, torch.inf], [-torch.inf] * 2]))
        tensor([False,  True,  True])
    """
    return ~torch.isfinite(logits.amax(1))


def count_unusable(logits: Logits) -> int:
    """Count the rows `[N, C]` that have no softmax; see :func:`unusable_rows`."""
    if isinstance(logits, LazyRows) and logits.usable:
        return 0
    return int(in_chunks(logits, unusable_rows).sum())
