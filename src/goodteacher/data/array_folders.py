"""Read a folder of arrays, each in a file that is mapped rather than read: larger than memory.

    x_train.npy   y_train.npy   x_test.npy   y_test.npy   (x_validation.npy, ids_train.npy, ...)
    x_train.arrow                inputs in an Arrow file; several columns are fields by name
    x_train.input_ids.npy        one field of several

Names are those of `arrays`. Only ``x_`` files stay where they are; labels and ids are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pyarrow as pa

from goodteacher.config import check_regular
from goodteacher.data.arrays import dataset_from_arrays
from goodteacher.data.dataset import Dataset
from goodteacher.data.inputs import Fields, Mapped
from goodteacher.data.labels import is_text
from goodteacher.data.numpy_files import UNREADABLE, load_npy
from goodteacher.data.reading import Reading
from goodteacher.errors import DataError

_SUFFIXES = (".npy", ".arrow")


def is_array_folder(path: Path) -> bool:
    """Say whether a folder holds arrays: an ``x_train`` among them."""
    return path.is_dir() and any(file.name.startswith("x_train.") for file in _files(path))


def load_array_folder(path: Path, reading: Reading) -> Dataset:
    """Build a data set of a folder's arrays; inputs stay in their files.

    Args:
        path: The folder.
        reading: See `dataset_from_arrays`.

    Raises:
        DataError: A file is damaged or holds no array, or see `dataset_from_arrays`.
    """
    arrays: dict[str, Any] = {}
    for file in _files(path):
        if file.stem in arrays:
            raise DataError(f"{path} holds {file.stem} twice, as .npy and .arrow. Remove one.")
        inputs = file.name.startswith("x_")
        if file.suffix == ".arrow" and not inputs:
            raise DataError(
                f"{file} is an Arrow file, but only inputs are read from Arrow files. "
                "Save it as .npy."
            )
        arrays[file.stem] = open_arrow(file) if file.suffix == ".arrow" else _npy(file, inputs)
    return dataset_from_arrays(path.name, arrays, reading)


def open_arrow(path: Path) -> Mapped | Fields:
    """Map the columns of an Arrow file (the file or the stream format), without reading it.

    Args:
        path: The file. Each column holds a number, or a list of numbers of one length, a row.

    Returns:
        The only column, or all of them as fields by name.

    Raises:
        DataError: It is no Arrow file, or a column holds something else.
    """
    table = _table(path)
    try:
        names = table.column_names
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} has a column whose name is not valid UTF-8. The file may be damaged. "
            "Write it again."
        ) from error
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise DataError(f"{path} has two columns called {doubled[0]!r}. Rename or remove one.")
    columns = {
        name: Mapped(tuple(_rows(table.column(name), f"column {name!r} of {path}")))
        for name in names
    }
    if not columns or not table.num_rows:
        raise DataError(f"{path} has no rows. Is it the right file?")
    return columns.popitem()[1] if len(columns) == 1 else Fields(columns)


def _files(path: Path) -> list[Path]:
    return sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)


def _npy(path: Path, mapped: bool) -> npt.NDArray[Any]:
    try:
        return load_npy(path, DataError, mode="r" if mapped else None)
    except DataError:
        raise
    except UNREADABLE as error:
        raise DataError(
            f"{path} cannot be read as a .npy file of a plain array ({error}). The file may be "
            "incomplete, or it may contain Python objects, which are never unpickled. Write it "
            "again with numpy.save."
        ) from error


def _table(path: Path) -> pa.Table:
    check_regular(path, DataError)
    source = pa.memory_map(str(path))
    try:
        return pa.ipc.open_file(source).read_all()
    except pa.ArrowInvalid:
        pass  # datasets writes the stream format
    try:
        source.seek(0)
        return pa.ipc.open_stream(source).read_all()
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            f"{path} cannot be read as an Arrow file ({error}). The file may be incomplete. Write "
            "it again with pyarrow.ipc.new_file, uncompressed."
        ) from error


def _rows(column: pa.ChunkedArray, where: str) -> Iterator[npt.NDArray[Any]]:
    """Yield each chunk of a column as an array [n, ...] on the file's own memory."""
    for chunk in column.chunks:
        if len(chunk):
            try:
                yield _array(chunk, where)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise _unusable(where, chunk.type) from error


def _array(chunk: pa.Array, where: str) -> npt.NDArray[Any]:
    if isinstance(chunk, pa.FixedShapeTensorArray):
        tensor: npt.NDArray[Any] = chunk.to_numpy_ndarray()
        return tensor
    shape = [len(chunk)]
    while pa.types.is_nested(chunk.type):
        if chunk.null_count or not hasattr(chunk, "flatten") or pa.types.is_struct(chunk.type):
            raise _unusable(where, chunk.type)
        inner = chunk.flatten()
        width, rest = divmod(len(inner), len(chunk))
        lengths = chunk.value_lengths().to_numpy(zero_copy_only=False)
        if rest or bool((lengths != width).any()):
            raise DataError(
                f"The rows of {where} differ in length ({lengths.min()} to {lengths.max()}). Pad "
                "or cut them to one length."
            )
        shape.append(width)
        chunk = inner
    if chunk.null_count or not (
        pa.types.is_integer(chunk.type) or pa.types.is_floating(chunk.type)
    ):
        raise _unusable(where, chunk.type)
    flat: npt.NDArray[Any] = chunk.to_numpy(zero_copy_only=True)
    return flat.reshape(shape if len(shape) > 1 else [*shape, 1])


def _unusable(where: str, kind: pa.DataType) -> DataError:
    if is_text(kind):
        return DataError(
            f"{where} contains texts, but an Arrow file of this folder may contain only numbers. "
            "Write the texts and their labels as tables: train.parquet and test.parquet, each "
            "with a column 'label'."
        )
    return DataError(
        f"{where} must contain a number, or a list of numbers, in every row, but its type is "
        f"{kind}, or values are missing. Leave the column out, or fill them in."
    )
