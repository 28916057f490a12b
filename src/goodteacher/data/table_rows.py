"""Rows of a table with words or gaps, which are `Inputs`.

A row is stored as a number for each column: of a column of numbers the number, of a column of words
the place of the word among those of the column (``InputSpec.words``), -1 for a word that is none of
these. NaN is a missing value. What a network makes of gaps and words is its own affair (`Encode`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from goodteacher.data.column_types import as_floats, is_numeric
from goodteacher.data.inputs import InMemory
from goodteacher.data.labels import in_order, is_text
from goodteacher.data.listing import shorten
from goodteacher.data.spec import InputSpec
from goodteacher.errors import DataError

UNSEEN = -1
"""Place of a word that is none of its column's."""


@dataclass(frozen=True, eq=False)
class TableRows(InMemory):
    """Rows of a table.

    Attributes:
        tensor: float32 [N, F], NaN where a value is missing.
        known: What one row is, with the words of each column that holds some.

    Example:
        >>> spec = rows_spec({"size": None, "colour": ("blue", "red")})
        >>> table = pa.table({"size": [1.5, None], "colour": ["red", "green"]})
        >>> TableRows(rows_of_table(table, spec), spec).tensor.tolist()
        [[1.5, 1.0], [nan, -1.0]]
    """

    @property
    def nbytes(self) -> int:
        """Bytes of the tensor."""
        return self.tensor.nbytes

    def subset(self, positions: Tensor) -> TableRows:
        """Return some rows, as a copy."""
        return TableRows(self.tensor[positions], self.spec)

    def to(self, device: torch.device | str, /) -> TableRows:
        """Return the rows on a device."""
        return TableRows(self.tensor.to(device), self.spec)

    def check(self) -> None:
        """Refuse infinite numbers, and places of words that there are not.

        Raises:
            DataError: Some are; the message names the columns.
        """
        super().check()
        columns = self.spec.columns
        infinite = self.tensor.isinf().sum(0).tolist()
        told = [f"{name}: {n}" for name, n in zip(columns, infinite, strict=True) if n]
        if told:
            raise DataError(
                f"Numbers in rows must be finite or missing, but some are infinite or too large "
                f"for float32 ({shorten(told)}). Correct these values, or leave them empty."
            )
        for place, name in enumerate(columns):
            count = len(self.spec.words.get(name, ()))
            found = self.tensor[:, place]
            known = found[~found.isnan()]
            if name in self.spec.words and bool(((known < UNSEEN) | (known >= count)).any()):
                raise DataError(
                    f"Column {name!r} has {count} words, but its record names places beyond these."
                )

    def digest_into(self, digest: hashlib._Hash) -> None:
        """Add the columns, their words, and every value."""
        digest.update(f"{self.spec.columns!r}{sorted(self.spec.words.items())!r};".encode())
        super().digest_into(digest)


def rows_spec(columns: Mapping[str, tuple[str, ...] | None]) -> InputSpec:
    """Describe rows.

    Args:
        columns: The words of each column by its name; None for a column of numbers.
    """
    words = {name: values for name, values in columns.items() if values is not None}
    return InputSpec(kind="rows", shape=(len(columns),), columns=tuple(columns), words=words)


def words_of(column: pa.ChunkedArray) -> tuple[str, ...] | None:
    """Return the words that a column holds, sorted, categories too; None if it holds numbers."""
    if not is_text(column.type) and not pa.types.is_dictionary(column.type):
        return None
    return in_order(plain_words(column).unique().drop_null().to_pylist())


def rows_of_table(table: pa.Table, spec: InputSpec, where: str = "table") -> Tensor:
    """Return a table's rows as they are stored, float32 [N, F].

    Args:
        table: Has the columns that the rows have, in any order; others are not looked at.
        spec: What one row is.
        where: Names the table in messages.

    Raises:
        DataError: A column is missing, or holds other values than it should.
    """
    given = {*table.column_names}
    missing = [name for name in spec.columns if name not in given]
    if missing:
        gaps = ". A value that is not known may be None" if spec.kind == "rows" else ""
        raise DataError(
            f"The {where} does not have the columns {shorten(map(repr, missing))}; it has "
            f"{shorten(map(repr, table.column_names)) or 'none'}. Give all columns that the "
            f"training data had{gaps}."
        )
    found = np.empty((table.num_rows, len(spec.columns)), np.float32)
    for place, name in enumerate(spec.columns):
        column = table.column(name)
        words = spec.words.get(name)
        with np.errstate(over="ignore"):  # too large for float32: refused as infinite
            found[:, place] = (
                _numbers(column, name, where) if words is None else _places(column, words)
            )
    return torch.from_numpy(found)


def table_of(given: Any, columns: Sequence[str]) -> pa.Table:
    """Return rows that a user gives, in one of the ways in which people have them, as a table.

    Args:
        given: A data frame of pandas or Polars, an Arrow table, a dictionary with a list for each
            column, a list of dictionaries, or rows of values in the order of the columns.
        columns: Names of the columns.

    Raises:
        DataError: It is none of these.

    Example:
        >>> table_of([{"a": 1, "b": "x"}, {"a": None}], ["a", "b"]).to_pylist()
        [{'a': 1, 'b': 'x'}, {'a': None, 'b': None}]
        >>> table_of([(1, "x"), (2, None)], ["a", "b"]).column("b").to_pylist()
        ['x', None]
    """
    if is_table(given):
        return as_table(given)
    try:
        if isinstance(given, Mapping):
            listed = {str(name): _listed(values) for name, values in given.items()}
            one = not any(isinstance(values, list | tuple) for values in listed.values())
            return pa.table({k: _array([v] if one else v) for k, v in listed.items()})
        rows = _listed(given)
        if isinstance(rows, list | tuple) and rows and all(isinstance(r, Mapping) for r in rows):
            named = [{str(name): value for name, value in row.items()} for row in rows]
            there = [name for name in columns if any(name in row for row in named)]
            return pa.table({name: _array([r.get(name) for r in named]) for name in there})
        return _by_position(rows, columns)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise _no_rows(given, columns, str(error)) from error


class Frame(Protocol):
    """A data frame of pandas or Polars, an Arrow table, or anything else that Arrow reads."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Hand the columns over, by Arrow's PyCapsule interface."""


def is_table(given: object) -> TypeGuard[Frame]:
    """Say whether something is a data frame or a table, by Arrow's own protocol.

    Example:
        >>> is_table(pa.table({"a": [1]})), is_table({"a": [1]})
        (True, False)
    """
    return hasattr(given, "__arrow_c_stream__")


def has_columns(given: Any) -> bool:
    """Say whether values come with the names of their columns: a table, or dictionaries.

    Example:
        >>> has_columns({"a": [1]}), has_columns([{"a": 1}]), has_columns([[1]])
        (True, True, False)
    """
    first = given[0] if isinstance(given, list | tuple) and given else given
    return is_table(given) or isinstance(first, Mapping)


def as_table(frame: Frame) -> pa.Table:
    """Return a data frame of pandas or Polars, or anything else that Arrow reads, as a table.

    Raises:
        DataError: A column holds what Arrow has no type for, such as words and numbers in one.
    """
    if isinstance(frame, pa.Table):
        return frame
    try:
        table = pa.table(frame)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(
            f"The {type(frame).__name__} cannot be read as a table: {error}. Does a column hold "
            "values of several types? Give each column one type, for example with "
            "frame.astype({'column': str})."
        ) from error
    for place, field in enumerate(table.schema):
        if pa.types.is_string_view(_held(field.type)):  # of Polars: Arrow can take no rows of it
            plain = [_without_views(chunk) for chunk in table.column(place).chunks]
            column = pa.chunked_array(plain, None if plain else pa.large_string())
            table = table.set_column(place, field.name, column)
    return table


def _held(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _without_views(chunk: pa.Array) -> pa.Array:
    if not pa.types.is_dictionary(chunk.type):
        return chunk.cast(pa.large_string())
    return chunk.dictionary.cast(pa.large_string()).take(chunk.indices)


def _by_position(rows: Any, columns: Sequence[str]) -> pa.Table:
    if isinstance(rows, list | tuple) and rows and not isinstance(rows[0], list | tuple):
        rows = [rows]  # one row
    if not isinstance(rows, list | tuple) or any(len(row) != len(columns) for row in rows):
        raise TypeError(f"each row must have {len(columns)} values")
    turned = zip(*rows, strict=True) if rows else [()] * len(columns)
    return pa.table({n: _array(list(v)) for n, v in zip(columns, turned, strict=True)})


def _no_rows(given: Any, columns: Sequence[str], why: str) -> DataError:
    return DataError(
        f"Rows must be a data frame, a list of dictionaries, or rows of {len(columns)} values in "
        f"the order of the columns ({shorten(columns)}), but a {type(given).__name__} cannot be "
        f"read so: {why.rstrip('.')}."
    )


def _array(values: Any) -> pa.Array:
    """Return values for Arrow; NaN, as pandas has it among words too, is a missing one."""
    return pa.array(values, from_pandas=True)


def _listed(values: Any) -> Any:
    return values.tolist() if hasattr(values, "tolist") else values


def _numbers(column: pa.ChunkedArray, name: str, where: str) -> npt.NDArray[np.float64]:
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not is_numeric(column.type):
        shown = shorten(map(repr, column.drop_null().unique().to_pylist()))
        raise DataError(
            f"Column {name!r} must hold numbers in every split, but in the {where} its type is "
            f"{column.type} ({shown}). Correct the values that are not numbers."
        )
    return as_floats(column)


def _places(column: pa.ChunkedArray, words: Sequence[str]) -> npt.NDArray[np.float64]:
    plain = plain_words(column)
    found = pc.index_in(plain, value_set=pa.array(words, pa.string())).cast(pa.float64())
    unseen = pc.and_(pc.is_null(found), pc.is_valid(plain))
    filled = pc.if_else(unseen, pa.scalar(float(UNSEEN)), found)
    return np.asarray(filled.to_numpy(), np.float64)


def plain_words(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return words as they are known: without spaces around; an empty one is missing, as in a file.

    Example:
        >>> plain_words(pa.chunked_array([[" red", " ", None]])).to_pylist()
        ['red', None, None]
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    text = pc.utf8_trim_whitespace(column.cast(pa.string()))
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
