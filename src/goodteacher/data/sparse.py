"""Numbers of which most are zero, as the features of texts are: one of the `Inputs`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from goodteacher.data.bounds import FEWER_TERMS, check_shape
from goodteacher.data.inputs import AtHand, InMemory
from goodteacher.data.numbers import AT_ONCE
from goodteacher.data.spec import InputSpec, numbers_spec
from goodteacher.errors import DataError


@dataclass(frozen=True, eq=False)
class Sparse(AtHand):
    """A sparse matrix, whose rows come dense.

    Attributes:
        matrix: float32 [N, D].

    Example:
        >>> Sparse(csr_matrix([[0.0, 2.0], [0.0, 0.0]])).rows(torch.tensor([1, 0])).tolist()
        [[0.0, 0.0], [0.0, 2.0]]
    """

    matrix: csr_matrix

    @property
    def spec(self) -> InputSpec:
        """A vector of numbers."""
        return numbers_spec(self.matrix.shape[1:])

    @property
    def nbytes(self) -> int:
        """Bytes that it takes on a device, where it is dense."""
        return len(self) * self.matrix.shape[1] * torch.float32.itemsize

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    def rows(self, positions: Tensor) -> Tensor:
        """Return some rows, dense.

        Raises:
            DataError: They are more than a batch, and would take more memory than they may.
        """
        if len(positions) > AT_ONCE:
            wide = f"{len(positions)} examples of {self.matrix.shape[1]} features each, dense,"
            check_shape((len(positions), *self.matrix.shape[1:]), 4, wide, advice=FEWER_TERMS)
        return torch.from_numpy(self.matrix[positions.cpu().numpy()].toarray()).float()

    def chunks(self, size: int | None = None) -> Iterator[Tensor]:
        """Yield rows, dense."""
        yield from self.reads(torch.arange(len(self)).split(size or AT_ONCE))

    def subset(self, positions: Tensor) -> Sparse:
        """Return some rows."""
        return Sparse(self.matrix[positions.cpu().numpy()])

    def to(self, device: torch.device | str, /) -> Sparse | InMemory:
        """Return itself; on an accelerator all rows, dense, which is where they are gathered."""
        if torch.device(device).type == "cpu":
            return self
        rows, done = torch.empty(self.matrix.shape, device=device), 0
        for chunk in self.chunks():
            rows[done : done + len(chunk)] = chunk
            done += len(chunk)
        return InMemory(rows)

    def check(self) -> None:
        """Refuse a matrix without rows or columns."""
        if not all(self.matrix.shape):
            raise DataError(
                "A split needs at least one example with at least one value, but its inputs have "
                f"shape {list(self.matrix.shape)}. Did a filter remove every row?"
            )

    def digest_into(self, digest: hashlib._Hash) -> None:
        """Add shape and bytes, as of the same numbers in memory."""
        digest.update(f"{torch.float32}{self.matrix.shape};".encode())
        for chunk in self.chunks():
            digest.update(chunk.numpy().data)
