"""Large responses: they stay in their files, and are written a few rows at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from goodteacher.maths.rows import Index, LazyRows, Logits, row_chunks

Array = npt.NDArray[Any]

MOST_IN_MEMORY = 2**26
"""Numbers of a response that is read into memory, 256 MiB as float32; a larger one stays in its
file, of which the rows that are wanted are read."""

_NAMES = {torch.float16: "F16", torch.float32: "F32", torch.int64: "I64"} | {
    torch.int32: "I32",
    torch.uint16: "U16",
}


def is_large(num_rows: int, num_classes: int) -> bool:
    """Say whether a response stays in its file."""
    return num_rows * num_classes > MOST_IN_MEMORY


def rows_of(values: Array) -> Logits:
    """Return the rows of an array that are logits as they are, float32.

    Args:
        values: [N, C], which may lie in a file that is mapped.
    """
    count, width = values.shape
    if is_large(count, width) and values.dtype in (np.float16, np.float32):
        tensor = torch.from_numpy(values)  # gathers faster than NumPy
        return LazyRows((count, width), lambda rows: tensor[rows].float(), dtype=tensor.dtype)
    rows = made_rows(count, width, lambda index: values[index])
    return rows if is_large(count, width) else rows.whole()


def made_rows(num_rows: int, num_classes: int, make: Callable[[Any], Array]) -> LazyRows:
    """Return rows that are made where they are asked for.

    Args:
        num_rows: N.
        num_classes: C.
        make: From rows, as NumPy takes them, to their logits [n, C] of any type.
    """

    def take(index: Index) -> Tensor:
        made = make(index.numpy() if isinstance(index, Tensor) else index)
        with np.errstate(over="ignore"):  # beyond float32 becomes infinite, which Response refuses
            return torch.from_numpy(np.ascontiguousarray(made, dtype=np.float32))

    return LazyRows((num_rows, num_classes), take)


def same_logits(one: Logits, other: Logits) -> bool:
    """Say whether two responses have the same numbers."""
    return tuple(one.shape) == tuple(other.shape) and all(
        torch.equal(one[rows], other[rows]) for rows in row_chunks(*one.shape)
    )


def save_arrays(path: Path, arrays: Mapping[str, Logits], metadata: Mapping[str, str]) -> None:
    """Write named arrays as safetensors; what is not in memory goes there a few rows at a time.

    Args:
        path: The file.
        arrays: Tensors or rows.
        metadata: Text to keep in the header.

    Raises:
        OSError: The file cannot be written.
    """
    # Wider numbers first, so that each array begins at a multiple of its numbers' size.
    names = sorted(arrays, key=lambda name: -arrays[name].dtype.itemsize)
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name in names:
        array, begin = arrays[name], end
        end += int(np.prod(array.shape)) * array.dtype.itemsize
        kind, shape = _NAMES[array.dtype], list(array.shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            _write_rows(file, arrays[name])


def _write_rows(file: BinaryIO, array: Logits) -> None:
    width = int(np.prod(array.shape[1:])) if len(array.shape) > 1 else 1
    for rows in row_chunks(len(array), width):
        part = array[rows].detach().cpu().to(array.dtype).contiguous()
        file.write(part.numpy().tobytes())
