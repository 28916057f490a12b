"""What examples in numbers have in common: what one is, what is refused, and their contents."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from goodteacher.data.spec import InputSpec, numbers_spec
from goodteacher.errors import DataError

AT_ONCE = 4096
"""Examples that are read at once where all are looked at; large ones are fewer."""

_NUMBERS_AT_ONCE = 2**24


class Rows(Protocol):
    """Inputs whose examples are rows of one tensor."""

    @property
    def spec(self) -> InputSpec:
        """What one example is."""

    def __len__(self) -> int:
        """Return the number of examples."""

    def chunks(self, size: int | None = None) -> Iterator[Tensor]:
        """Yield all examples."""


def at_once(shape: Sequence[int]) -> int:
    """Return how many examples of a shape are read at once, where all are looked at.

    >>> at_once((3, 32, 32)), at_once((3, 224, 224))
    (4096, 111)
    """
    return max(1, min(AT_ONCE, _NUMBERS_AT_ONCE // max(1, math.prod(shape))))


def spec_of(dtype: torch.dtype, shape: Sequence[int], inputs: Rows) -> InputSpec:
    """Say what one example is; for the range of whole numbers, all are looked at."""
    if dtype == torch.float32:
        return numbers_spec(shape)
    if dtype == torch.uint8 and len(shape) == 3:
        return InputSpec(kind="images", shape=tuple(shape))
    ends = [torch.aminmax(chunk) for chunk in inputs.chunks() if chunk.numel()]
    low = min((int(least) for least, _ in ends), default=0)
    high = max((int(most) for _, most in ends), default=0)
    return InputSpec(kind="integers", shape=tuple(shape), low=low, high=high)


def check_numbers(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    """Refuse types that are not stored, and examples without an axis of their own.

    Args:
        dtype: Of all examples.
        shape: Of all examples, [N, ...].

    Raises:
        DataError: They cannot be used.
    """
    if len(shape) < 2 or dtype.is_complex or (dtype.is_floating_point and dtype != torch.float32):
        raise DataError(
            "inputs must be uint8 images [N, channels, height, width], or float32 or whole "
            f"numbers [N, ...] with at least one axis after that of the examples, but are {dtype} "
            f"{list(shape)}. Split.from_arrays converts other numbers. For a single column, give "
            "inputs[:, None]."
        )
    if dtype == torch.uint8 and len(shape) == 3:
        raise DataError(
            f"inputs are bytes of shape {list(shape)}. If they are images without a channel axis, "
            "give inputs[:, None]. If they are whole numbers and not images, give another type: "
            "inputs.astype('int64')."
        )
    if not np.prod(shape):
        raise DataError(
            f"A split needs at least one example with at least one value, but its inputs have"
            f" shape {list(shape)}. Is the source empty, or did a filter remove every row?"
        )


def decoded(array: npt.NDArray[Any], where: str, *, name: str) -> npt.NDArray[Any]:
    """Return texts that are given as bytes.

    Args:
        array: Of bytes.
        where: What they are, for a message: the subject of its sentence.
        name: What users may call the array.

    Raises:
        DataError: They are not UTF-8.

    Example:
        >>> decoded(np.array([b"cat"]), "y", name="y").tolist()
        ['cat']
    """
    try:
        return np.char.decode(array, "utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{where} holds bytes that are not UTF-8 ({error.reason}). Give text: "
            f"{name}.astype(str)."
        ) from None


def digest_numbers(digest: hashlib._Hash, inputs: Rows) -> None:
    """Add type, shape and bytes of all examples to a hash."""
    dtype, shape = next(iter(inputs.chunks(1))).dtype, inputs.spec.shape
    digest.update(f"{dtype}{(len(inputs), *shape)};".encode())
    for chunk in inputs.chunks():
        digest.update(np.ascontiguousarray(chunk.numpy()).data)
