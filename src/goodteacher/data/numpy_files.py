"""What NumPy files declare, read from their headers before any array is made.

``numpy.load`` makes an array as large as its header says, whatever the file holds.
"""

from __future__ import annotations

import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt

from goodteacher.config import check_regular
from goodteacher.data.bounds import check_fits
from goodteacher.errors import InputError

UNREADABLE = (
    *(OSError, ValueError, EOFError, TypeError, KeyError, SyntaxError, NotImplementedError),
    *(
        RuntimeError,
        OverflowError,
        tokenize.TokenError,
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        struct.error,
    ),
)
"""What NumPy and zipfile raise for files that are damaged or no such files."""

_DAMAGED = "Is the file damaged, or not what its name says?"


def load_npy(
    path: Path, error: type[InputError], *, mode: Literal["r", "c"] | None = None
) -> npt.NDArray[Any]:
    """Read or map a ``.npy`` file whose header was looked at first; nothing is unpickled.

    Args:
        path: The file.
        error: What to raise where it is no regular file or does not fit into memory.
        mode: How to map it (``r`` or ``c``); None reads it into memory.

    Raises:
        InputError: It is no regular file, or would take more memory than it may.
        OSError, ValueError, EOFError: It is no such file, or cut short.
    """
    check_regular(path, error)
    with path.open("rb") as file:
        declared = _declared(file)
        held = path.stat().st_size - file.tell()
        if declared > held:
            raise ValueError(f"its header declares {declared} bytes, and {held} are there")
        if mode is None:
            check_fits(declared, str(path), error=error)
            file.seek(0)
            read: npt.NDArray[Any] = np.load(file, allow_pickle=False)
            return read
    mapped: npt.NDArray[Any] = np.load(path, mmap_mode=mode, allow_pickle=False)
    return mapped


def load_npz(path: Path, error: type[InputError]) -> dict[str, npt.NDArray[Any]]:
    """Read every array of an ``.npz`` file; nothing is unpickled.

    Args:
        path: The file.
        error: What to raise where it is no regular file or does not fit into memory.

    Raises:
        InputError: It is no regular file, or would take more memory than it may.
        OSError, ValueError, EOFError, zipfile.BadZipFile, ...: It is no such file, or damaged.
    """
    check_regular(path, error)
    with path.open("rb") as file:
        check_fits(_declared_in_zip(file), str(path), advice=_DAMAGED, error=error)
        file.seek(0)
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    others = [name for name, value in arrays.items() if not isinstance(value, np.ndarray)]
    if others:
        raise ValueError(f"its part {others[0]!r} is not an array")
    return arrays


def _declared_in_zip(file: IO[bytes]) -> int:
    """Return the bytes that all arrays of an archive take."""
    total = 0
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            with archive.open(member) as part:
                try:
                    declared = _declared(part)
                except ValueError as problem:
                    if "pickle" in str(problem):
                        raise
                    declared = member.file_size  # no array: numpy gives its bytes
            total += max(declared, member.file_size)
    return total


def _declared(file: IO[bytes]) -> int:
    """Return the bytes of the array that a header declares; the file then stands behind it."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"its header is of version {version}, which plain arrays never have")
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which would have to be unpickled")
    if min(shape, default=0) < 0:
        raise ValueError(f"its header declares a shape {shape}")
    return math.prod(shape) * dtype.itemsize
