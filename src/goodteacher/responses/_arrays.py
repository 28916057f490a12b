"""Named arrays out of any supported kind of file, unchecked but never unpickled."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from goodteacher.errors import InputError

Array = npt.NDArray[Any]

ID_NAMES = ("ids", "id")
LABEL_NAMES = ("labels", "label", "y")
UNNAMED = "(values)"
"""The one array of a .npy file, or the class columns of a table."""

_SHOWN = 5


def read_arrays(
    path: Path, error: type[InputError], *, class_columns: bool = True
) -> dict[str, Array]:
    """Read a file into named arrays; one without a name is called :data:`UNNAMED`.

    Args:
        path: The file.
        error: What to raise where it cannot be read.
        class_columns: Gather a table's remaining columns into one array of classes.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise error(
            f"{path} cannot be read, since its kind {path.suffix or '(none)'!r} is not known. "
            f"Supported are {', '.join(_READERS)}."
        )
    if not path.is_file():
        raise error(f"There is no file {path}. Is the path right, and relative to this folder?")
    try:
        content = reader(path)
        return content if isinstance(content, dict) else _from_table(content, class_columns)
    except MalformedError as problem:
        raise error(f"{path}: {problem}") from None
    except _READ_ERRORS as cause:
        raise error(
            f"{path} cannot be read as {path.suffix}: {cause}. Is it damaged, or of another kind "
            "than its name says?"
        ) from cause


_READ_ERRORS = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    zipfile.BadZipFile,
    zlib.error,
    SafetensorError,
    pa.ArrowException,
)


class MalformedError(Exception):
    """A file that can be read, but not used; becomes the caller's own error."""


def _read_npy(path: Path) -> dict[str, Array]:
    with path.open("rb") as file:
        return {UNNAMED: _never_pickled(partial(np.load, file, allow_pickle=False))}


def _read_npz(path: Path) -> dict[str, Array]:
    # Opened here, since np.load leaves a damaged file open.
    with path.open("rb") as file:
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise MalformedError("it is a .npy file by another name. Rename it to end in .npy.")
        with loaded as archive:
            names = archive.files
            return {name: _never_pickled(partial(archive.__getitem__, name)) for name in names}


def _never_pickled(load: Callable[[], Array]) -> Array:
    try:
        return load()
    except ValueError as error:
        if "pickle" not in str(error):
            raise
        raise MalformedError(
            "it holds Python objects or is no NumPy file, and goodteacher never unpickles. Save "
            "plain numbers, all rows of equal length."
        ) from None


def _read_safetensors(path: Path) -> dict[str, Array]:
    # Through torch, since NumPy has no bfloat16.
    return {
        name: (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
        for name, tensor in load_file(path).items()
    }


def _read_parquet(path: Path) -> Any:
    # A single file, not a dataset: folder names must not become columns.
    with pa.parquet.ParquetFile(path) as file:
        return file.read()


def _from_table(table: Any, class_columns: bool) -> dict[str, Array]:
    """Name a table's arrays: special columns as they are, the rest as classes in order."""
    if not table.num_rows:
        raise MalformedError("it has no rows below its header.")
    special = {*ID_NAMES, *LABEL_NAMES, "logits", "probabilities"}
    arrays = {name: _column(table, name) for name in table.column_names if name in special}
    classes = [name for name in table.column_names if name not in special]
    if not class_columns or not classes or arrays.keys() & {"logits", "probabilities"}:
        return arrays
    if _all_numeric(table, classes):
        _check_class_order(classes)
        arrays[UNNAMED] = np.stack([_column(table, name) for name in classes], axis=1)
    return arrays


def _all_numeric(table: Any, names: Sequence[str]) -> bool:
    kinds = [table.schema.field(name).type for name in names]
    # An empty column has the null type; that values are missing is then said of it by name.
    tests = (pa.types.is_floating, pa.types.is_integer, pa.types.is_null)
    return all(any(test(kind) for test in tests) for kind in kinds)


def _column(table: Any, name: str) -> Array:
    column = table.column(name).combine_chunks()
    if column.null_count:
        raise MalformedError(f"column {name!r} lacks {column.null_count} of {len(column)} values.")
    if not pa.types.is_nested(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    lengths = {len(row) for row in column}
    if len(lengths) != 1:
        raise MalformedError(
            f"the lists in column {name!r} differ in length: {sorted(lengths)[:5]}."
        )
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat).reshape(len(column), -1)


def _check_class_order(names: Sequence[str]) -> None:
    unnamed = [name for name in names if not name or name.startswith("__index_level_")]
    if unnamed:
        raise MalformedError(
            f"column {unnamed[0]!r} has no name of its own; it looks like a row index. Name it "
            "'id', or write the table without its index."
        )
    if all(re.fullmatch(r"-?\d*\.\d+(e[+-]?\d+)?", name) for name in names):
        raise MalformedError("its first line holds numbers. Add a header line with column names.")
    ends = [re.search(r"(\d+)$", name) for name in names]
    numbers = [int(end.group(1)) for end in ends if end]
    if len(numbers) == len(names) and numbers != sorted(numbers):
        raise MalformedError(
            f"the class columns are numbered {numbers[:_SHOWN]}..., not in order. Columns are read "
            "as classes in the order they stand: sort them by number."
        )


_READERS: Mapping[str, Callable[[Path], Any]] = {
    ".safetensors": _read_safetensors,
    ".npz": _read_npz,
    ".npy": _read_npy,
    ".parquet": _read_parquet,
    ".csv": pa.csv.read_csv,
}
