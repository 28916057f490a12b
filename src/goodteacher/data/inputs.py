"""The port `Inputs`: the examples of a split as they are stored, whatever they are.

    InMemory   a tensor: images, rows of numbers, series, token ids
    Mapped     the same in a file that is larger than memory, read where it is needed
    OnDemand   images that stay encoded (:mod:`goodteacher.data.encoded`)
    Fields     several of the above by name, such as input_ids and attention_mask
    Texts      strings, and TextColumns several of each example (:mod:`goodteacher.data.texts`)
    Sparse     numbers of which most are zero (:mod:`goodteacher.data.sparse`)

An `InputSpec` says what one example is: its kind, shape and range. How a network wants it is the
network's affair (`Preparation`). ``tests/contracts/test_inputs.py`` holds what each of these owes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeGuard

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from goodteacher.data.numbers import AT_ONCE, at_once, check_numbers, digest_numbers, spec_of
from goodteacher.data.spec import InputSpec
from goodteacher.errors import DataError

Text = str | tuple[str, ...]
"""What is to be read of one example: a text, or one for each of several columns."""

Raw = Tensor | tuple[Text, ...] | Mapping[str, Tensor]
"""Some examples as stored: [N, ...], N texts, or a tensor [N, ...] for each field."""


class Inputs(Protocol):
    """The examples of a split, as they are stored."""

    @property
    def spec(self) -> InputSpec:
        """What one example is."""

    @property
    def nbytes(self) -> int:
        """Bytes that all examples take in memory; 0 where they stay in a file."""

    def __len__(self) -> int:
        """Return the number N of examples."""

    def rows(self, positions: Tensor) -> Raw:
        """Return the examples at some positions, in that order, as a copy.

        Args:
            positions: int64 [B], on any device.

        Returns:
            Images as uint8, numbers as float32, integers in an integer type.
        """

    def reads(self, parts: Iterable[Tensor]) -> Iterator[Raw]:
        """Yield what `rows` returns for each of several lists of positions.

        What takes long to read is read ahead, while what was yielded is in use.
        """

    def chunks(self, size: int | None = None) -> Iterator[Raw]:
        """Yield all examples in order; what is yielded is not to be changed.

        Args:
            size: Examples at a time; by default as many as `at_once` says.
        """

    def subset(self, positions: Tensor) -> Inputs:
        """Return the examples at some positions; of a file, without reading it."""

    def to(self, device: torch.device | str, /) -> Inputs:
        """Return the same on a device; of a file or of texts, themselves."""

    def check(self) -> None:
        """Refuse what cannot be used.

        Raises:
            DataError: Their type or shape is none that is known, or a value is missing.
        """

    def digest_into(self, digest: hashlib._Hash) -> None:
        """Add type, shape and contents to a hash: the same for a file and for memory."""


class AtHand:
    """Inputs that gain nothing from being read ahead."""

    def rows(self, positions: Tensor) -> Any:
        """Return the examples at some positions."""
        raise NotImplementedError

    def reads(self, parts: Iterable[Tensor]) -> Iterator[Any]:
        """Yield the examples at each of several lists of positions."""
        return map(self.rows, parts)


@dataclass(frozen=True, eq=False)
class InMemory(AtHand):
    """A tensor.

    Attributes:
        tensor: uint8 images [N, channels, height, width], float32 [N, ...], or of an integer type
            [N, ...].
        known: What one example is, where that was found before.
    """

    tensor: Tensor
    known: InputSpec | None = None

    @cached_property
    def spec(self) -> InputSpec:
        """What one example is; of a part, what one of the whole is."""
        return self.known or spec_of(self.tensor.dtype, self.tensor.shape[1:], self)

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor."""
        return self.tensor.nbytes

    def __len__(self) -> int:
        return len(self.tensor)

    def rows(self, positions: Tensor) -> Tensor:
        """Return rows of the tensor, on its device."""
        return self.tensor.index_select(0, positions.to(self.tensor.device))

    def chunks(self, size: int | None = None) -> Iterator[Tensor]:
        """Yield views of the tensor."""
        yield from self.tensor.split(size or at_once(self.tensor.shape[1:]))

    def subset(self, positions: Tensor) -> InMemory:
        """Return rows of the tensor, as a copy."""
        return InMemory(self.tensor[positions], self.spec)

    def to(self, device: torch.device | str, /) -> InMemory:
        """Return the tensor on a device."""
        return InMemory(self.tensor.to(device), self.spec)

    def check(self) -> None:
        """Refuse other types than uint8, int64 and such, and float32, and empty examples."""
        check_numbers(self.tensor.dtype, tuple(self.tensor.shape))

    def digest_into(self, digest: hashlib._Hash) -> None:
        """Add type, shape and bytes."""
        digest_numbers(digest, self)


@dataclass(frozen=True, eq=False)
class Mapped(AtHand):
    """An array in a file, of which only the rows that are asked for are read.

    Attributes:
        parts: Arrays [n, ...] that follow one another, memory-mapped.
        places: Which of their rows these examples are, int64 [N]; None for all.
        known: What one example is, where that was found before.
    """

    parts: tuple[npt.NDArray[Any], ...]
    places: npt.NDArray[np.int64] | None = None
    known: InputSpec | None = None

    @cached_property
    def spec(self) -> InputSpec:
        """What one example is; of integers, the file is read once for their range."""
        return self.known or spec_of(self._dtype, self.parts[0].shape[1:], self)

    @property
    def nbytes(self) -> int:
        """Nothing: it stays in its file."""
        return 0

    def __len__(self) -> int:
        return int(self._starts[-1]) if self.places is None else len(self.places)

    def rows(self, positions: Tensor) -> Tensor:
        """Read some rows."""
        asked = positions.cpu().numpy()
        rows = asked if self.places is None else self.places[asked]
        if len(self.parts) == 1:
            return self._as_tensor(self.parts[0][rows])
        found = np.empty((len(rows), *self.parts[0].shape[1:]), self.parts[0].dtype)
        owners = np.searchsorted(self._starts, rows, side="right") - 1
        for owner in np.unique(owners):
            own = owners == owner
            found[own] = self.parts[owner][rows[own] - self._starts[owner]]
        return self._as_tensor(found)

    def chunks(self, size: int | None = None) -> Iterator[Tensor]:
        """Read all rows, in order."""
        size = size or at_once(self.parts[0].shape[1:])
        yield from self.reads(torch.arange(len(self)).split(size))

    def subset(self, positions: Tensor) -> Mapped:
        """Return some rows, without reading them."""
        asked = positions.cpu().numpy()
        places = asked if self.places is None else self.places[asked]
        return Mapped(self.parts, places, self.spec)

    def to(self, device: torch.device | str, /) -> Mapped:
        """Return itself: it stays in its file."""
        return self

    def check(self) -> None:
        """Refuse other types than numbers, and empty examples."""
        check_numbers(self._dtype, (len(self), *self.parts[0].shape[1:]))

    def digest_into(self, digest: hashlib._Hash) -> None:
        """Add type, shape and bytes, as of a tensor in memory."""
        digest_numbers(digest, self)

    @cached_property
    def _starts(self) -> npt.NDArray[np.int64]:
        """The row at which each part begins, and the number of all."""
        return np.cumsum([0, *map(len, self.parts)])

    @cached_property
    def _dtype(self) -> torch.dtype:
        return self._as_tensor(self.parts[0][:1]).dtype

    def _as_tensor(self, array: npt.NDArray[Any]) -> Tensor:
        return as_stored_type(torch.from_numpy(_native(array)))


@dataclass(frozen=True, eq=False)
class Fields(AtHand):
    """Several inputs of each example, by name.

    Attributes:
        parts: What each field holds, as many rows each.
    """

    parts: Mapping[str, InMemory | Mapped]

    @cached_property
    def spec(self) -> InputSpec:
        """What each field of an example is."""
        return InputSpec(kind="fields", fields={k: part.spec for k, part in self.parts.items()})

    @property
    def nbytes(self) -> int:
        """Bytes of all fields."""
        return sum(part.nbytes for part in self.parts.values())

    def __len__(self) -> int:
        return len(next(iter(self.parts.values()), ()))

    def rows(self, positions: Tensor) -> dict[str, Tensor]:
        """Return rows of each field."""
        return {name: part.rows(positions) for name, part in self.parts.items()}

    def chunks(self, size: int | None = None) -> Iterator[dict[str, Tensor]]:
        """Yield rows of each field."""
        size = size or AT_ONCE  # not what each would choose: they must go together
        parts = [part.chunks(size) for part in self.parts.values()]
        for rows in zip(*parts, strict=True):
            yield dict(zip(self.parts, rows, strict=True))

    def subset(self, positions: Tensor) -> Fields:
        """Return rows of each field."""
        return Fields({name: part.subset(positions) for name, part in self.parts.items()})

    def to(self, device: torch.device | str, /) -> Fields:
        """Return the fields on a device."""
        return Fields({name: part.to(device) for name, part in self.parts.items()})

    def check(self) -> None:
        """Refuse fields that differ in length, and what a field refuses."""
        if not self.parts:
            raise DataError(
                "Inputs given as a dictionary need at least one field, but it is empty."
            )
        lengths = {name: len(part) for name, part in self.parts.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} {length}" for name, length in lengths.items())
            raise DataError(
                f"All fields must have one row for each example, but their lengths differ: {told}. "
                "Do they come from different files?"
            )
        for name, part in self.parts.items():
            try:
                part.check()
            except DataError as error:
                raise DataError(f"In the field {name!r}: {error}") from error

    def digest_into(self, digest: hashlib._Hash) -> None:
        """Add each field, with its name."""
        for name, part in self.parts.items():
            digest.update(f"{name!r};".encode())
            part.digest_into(digest)


def are_inputs(values: object) -> TypeGuard[Inputs]:
    """Say whether something is inputs already.

    >>> are_inputs(InMemory(torch.zeros(3, 1))), are_inputs(np.zeros(3))
    (True, False)
    """
    return hasattr(values, "digest_into")


def as_inputs(values: Inputs | Tensor | npt.NDArray[Any] | Mapping[str, Any]) -> Inputs:
    """Return inputs of what holds them: a memory-mapped array stays in its file.

    Args:
        values: A tensor or array [N, ...], a dictionary of such, or inputs, which are returned.

    Raises:
        DataError: An array holds no numbers.

    Example:
        >>> as_inputs({"ids": np.zeros((2, 5), np.int64), "ages": np.ones((2, 1))}).spec.shapes
        {'ids': (5,), 'ages': (1,)}
    """
    if isinstance(values, Mapping):
        parts = {str(name): _as_part(part, f"the field {name!r}") for name, part in values.items()}
        return Fields(parts)
    if isinstance(values, Tensor | np.ndarray):
        return _as_part(values, "inputs")
    return values


def _as_part(values: Any, role: str) -> InMemory | Mapped:
    if isinstance(values, InMemory | Mapped):
        return values
    if is_mapped(values):
        return Mapped((values,))
    return InMemory(as_stored_type(as_tensor(values, role)))


def is_mapped(values: Any) -> bool:
    """Say whether an array lies in a file that is mapped into memory.

    >>> is_mapped(np.zeros(3))
    False
    """
    while isinstance(values, np.ndarray):
        if isinstance(values, np.memmap):
            return True
        values = values.base
    return False


def as_stored_type(tensor: Tensor) -> Tensor:
    """Bring numbers into a type that is stored: fractions into float32; whole ones stay.

    >>> as_stored_type(torch.zeros(2, dtype=torch.float64)).dtype
    torch.float32
    """
    if tensor.is_floating_point():
        return tensor.to(torch.float32)
    if tensor.dtype == torch.bool:
        return tensor.to(torch.uint8)
    if tensor.dtype in (torch.uint16, torch.uint32, torch.uint64):  # torch can hardly use these
        return tensor.to(torch.int64)
    return tensor


def as_tensor(values: Any, role: str) -> Tensor:
    """Read numbers as a tensor, sharing memory where that is possible.

    Args:
        values: Anything that NumPy or torch reads as an array.
        role: What messages call it.

    Raises:
        DataError: They are no numbers, or differ in length.
    """
    if isinstance(values, Tensor):
        return values
    try:
        return torch.from_numpy(_native(np.asarray(values)))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{role} must be an array of numbers, but could not be read as one ({error}). Do its"
            " rows differ in length, or does it hold text or Python objects? Convert it to a"
            " numeric NumPy array or torch tensor."
        ) from error


def _native(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # torch shares an array's memory, so read-only, reversed and byte-swapped arrays are copied; it
    # knows no number longer than float64
    long = array.dtype.type is np.longdouble
    dtype = np.dtype(np.float64) if long else array.dtype.newbyteorder("=")
    return np.require(array, dtype, requirements=["C", "W"])
