"""Tables of encoded images that are larger than memory: copied into a file that is mapped.

A Parquet file cannot give one of its rows without decompressing hundreds, and an epoch wants them
in any order. So such a table is copied, a few rows at a time, into a temporary Arrow file, whose
rows are read where they are needed. The file has no name, so it is gone when the process is.
"""

from __future__ import annotations

import errno
import mmap
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from goodteacher.data.table_bounds import column_chunks
from goodteacher.errors import DataError

_ROWS_AT_ONCE = 256


def parquet_bytes(path: Path, columns: Iterable[str]) -> int:
    """Return the bytes that some columns of a Parquet file take in memory, without reading them."""
    return sum(chunk.total_uncompressed_size for chunk in column_chunks(path, {*columns}))


def map_parquet(path: Path, columns: Iterable[str]) -> pa.Table:
    """Read columns of a Parquet file into a table that lies in a temporary file.

    Raises:
        DataError: There is no room for the file.
    """
    file = pq.ParquetFile(path)
    whole, wanted = file.schema_arrow, set(columns)
    schema = pa.schema([field for field in whole if field.name in wanted], whole.metadata)
    return _mapped(schema, file.iter_batches(_ROWS_AT_ONCE, columns=schema.names))


def take_mapped(table: pa.Table, rows: npt.NDArray[np.int64]) -> pa.Table:
    """Return some rows of a table, in a temporary file.

    Args:
        table: The table.
        rows: Which, in ascending order.

    Raises:
        DataError: There is no room for the file.
    """
    return _mapped(table.schema, _taken(table, rows))


def _taken(table: pa.Table, rows: npt.NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
    begun = 0
    for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
        first, last = np.searchsorted(rows, (begun, begun + len(batch)))
        yield batch.take(pa.array(rows[first:last] - begun))
        begun += len(batch)


def _mapped(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> pa.Table:
    with tempfile.TemporaryFile(prefix="goodteacher-") as file:
        try:
            with pa.ipc.new_stream(pa.PythonFile(file, "w"), schema) as to:
                for batch in batches:
                    to.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
            file.flush()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise DataError(
                "Encoded images that take too much memory are copied into a temporary file, but "
                f"{tempfile.gettempdir()} has no room for it ({error}). Set the environment "
                "variable TMPDIR to a folder with as much free space as the Parquet files need."
            ) from error
        found = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return pa.ipc.open_stream(pa.BufferReader(pa.py_buffer(found))).read_all()
