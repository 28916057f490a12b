"""A study's context for other processes: small objects, and a file of arrays that all of them map.

Functions and networks that were given in Python go along (by cloudpickle). Arrays and tensors lie
in a file of their own, so that however many processes of a machine read it, memory holds them once.
Processes of this machine find the objects beside it, in a folder that one process made for those
that it starts and for as long as these work; it tells them the objects' digest, and others are not
unpickled. Nothing is ever unpickled from a study.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedWriter, BytesIO
from pathlib import Path
from typing import Any, cast

import cloudpickle
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from goodteacher.errors import ConfigError, RunError

_OBJECTS, _ARRAYS = "objects.pickle", "arrays.bin"

_ALIGNED = 64
"""Arrays begin at multiples of so many bytes, which every vector instruction can read."""


@contextlib.contextmanager
def sending(instead: str) -> Iterator[None]:
    """Say so where something that was given in Python cannot go to another process.

    Args:
        instead: The setting that keeps it in this one.

    Raises:
        ConfigError: It cannot be pickled.
    """
    try:
        yield
    except (TypeError, AttributeError, pickle.PicklingError) as error:
        first = str(error).strip().partition("\n")[0].rstrip(".")
        raise ConfigError(
            f"A network or function that was given in Python cannot be sent to other processes: "
            f"{first}. Make it without such an object, or use one process: {instead}."
        ) from error


@dataclass(frozen=True)
class Packed:
    """A value without its arrays, which lie in a file.

    Attributes:
        objects: All that is small, pickled.
        places: Where in the file each array begins, and its bytes.
    """

    objects: bytes
    places: tuple[tuple[int, int], ...]


def pack(value: object, arrays: Path) -> Packed:
    """Write the arrays of a value into a file, and return the rest.

    Args:
        value: Anything that cloudpickle can write.
        arrays: The file.
    """
    places: list[tuple[int, int]] = []
    objects = BytesIO()
    with arrays.open("wb") as file:
        _Pickler(objects, _keeper(file, places)).dump(value)
    return Packed(objects.getvalue(), tuple(places))


def unpack(packed: Packed, arrays: Path) -> object:
    """Return what :func:`pack` was given, its arrays mapped.

    Who writes into them changes nothing for other processes.

    Args:
        packed: All but the arrays.
        arrays: The file that they lie in.
    """
    with arrays.open("rb") as file:
        empty = file.seek(0, 2) == 0  # which cannot be mapped
        whole = memoryview(b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    buffers = [whole[begin : begin + size] for begin, size in packed.places]
    return pickle.loads(packed.objects, buffers=buffers)


@dataclass(frozen=True)
class HandedOver:
    """What :func:`hand_over` has written; it is sent to the processes that read it.

    Attributes:
        folder: Where it lies.
        places: See :class:`Packed`.
        digest: SHA-256 of the pickled objects.
    """

    folder: Path
    places: tuple[tuple[int, int], ...]
    digest: str


def hand_over(value: object, folder: Path) -> HandedOver:
    """Write a value where other processes of this machine read it with :func:`take`.

    Args:
        value: Anything that cloudpickle can write.
        folder: An empty folder, into which no other user may look.

    Raises:
        ConfigError: A network or function that was given in Python cannot be pickled.
    """
    with sending(instead="workers=1 and teacher_workers=1"):
        packed = pack(value, folder / _ARRAYS)
    (folder / _OBJECTS).write_bytes(packed.objects)
    return HandedOver(folder, packed.places, hashlib.sha256(packed.objects).hexdigest())


def take(handed: HandedOver) -> object:
    """Return what :func:`hand_over` has written, its arrays mapped.

    Raises:
        RunError: Other objects lie there than were written.
    """
    objects = (handed.folder / _OBJECTS).read_bytes()
    if hashlib.sha256(objects).hexdigest() != handed.digest:
        raise RunError(
            f"{handed.folder / _OBJECTS} is not what was written there, so it is not read. Who may "
            "write to that folder? Give the same command again."
        )
    return unpack(Packed(objects, handed.places), handed.folder / _ARRAYS)


def _keeper(
    file: BufferedWriter, places: list[tuple[int, int]]
) -> Callable[[pickle.PickleBuffer], None]:
    def keep(buffer: pickle.PickleBuffer) -> None:
        file.write(b"\0" * (-file.tell() % _ALIGNED))
        with buffer.raw() as content:
            places.append((file.tell(), content.nbytes))
            file.write(content)

    return keep


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
    """Pickles with what lies in large memory aside: arrays do so themselves, tensors here."""

    def __init__(self, file: BytesIO, keep: Callable[[pickle.PickleBuffer], None]) -> None:
        super().__init__(file, protocol=5, buffer_callback=keep)

    def reducer_override(self, value: object) -> Any:
        """Say how tensors and arrays in files are written; cloudpickle knows the rest."""
        if isinstance(value, np.memmap) and (place := _place(value)) is not None:
            return _mapped, (*place, value.dtype, value.shape)
        if isinstance(value, np.ndarray) and not (value.flags.forc or value.dtype.hasobject):
            return np.asarray, (np.ascontiguousarray(value),)  # which lies aside, unlike its parts
        if type(value) is Tensor and value.device.type == "cpu" and value.layout is torch.strided:
            whole = value.detach().contiguous()
            array = whole.reshape(-1).view(torch.uint8).numpy()
            return _tensor, (array, value.dtype, tuple(value.shape))
        return super().reducer_override(value)


def _tensor(array: npt.NDArray[np.uint8], dtype: torch.dtype, shape: tuple[int, ...]) -> Tensor:
    if not array.size:
        return torch.empty(shape, dtype=dtype)
    return torch.from_numpy(array).view(dtype).reshape(shape)


def _place(array: np.memmap[Any, Any]) -> tuple[str, int] | None:
    """Return where in which file an array begins; None where its rows do not follow one another."""
    root: Any = array
    while isinstance(root.base, np.memmap):
        root = root.base
    if array.filename is None or not array.flags.c_contiguous:
        return None
    begin = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    return str(array.filename), cast("int", root.offset) + begin


def _mapped(file: str, offset: int, dtype: Any, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    return np.memmap(file, dtype=dtype, mode="r", offset=offset, shape=shape)
