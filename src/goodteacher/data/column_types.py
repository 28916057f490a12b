"""Columns of numbers in Arrow tables."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def is_numeric(kind: pa.DataType) -> bool:
    """Say whether a column of this type holds numbers."""
    checks = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_decimal,
    )
    return any(check(kind) for check in checks)


def as_floats(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Return a column of numbers as float64, with NaN for a missing one."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
