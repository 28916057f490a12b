"""What tables take in memory, worked out before they are parsed.

A Parquet file stores a number that a million rows share once, and a text that they share once. An
empty cell of a CSV file is one byte, and eight when it was read. A row of JSON lines that has a key
of its own makes a column for all rows.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow.parquet as pq

from goodteacher.config import check_regular
from goodteacher.data.bounds import Readable, allowed_bytes, check_fits
from goodteacher.data.parquet_pages import unpacked_bytes
from goodteacher.errors import DataError, InputError

_CELL = 8  # bytes of a number in a table
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 12, "FLOAT": 4, "DOUBLE": 8}
_BYTES = ("BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")
_ROWS_AT_ONCE = 4096
_READ_AT_ONCE = 2**24
_KEY = re.compile(rb'(?<!\\)"((?:[^"\\]|\\.)*)"\s*:')
_NULL_LINE = re.compile(rb"(?:\A(?:\xef\xbb\xbf)?|[^\s:,\[][ \t\r]*\n)\s*null\b")


def check_parquet(
    path: Path, columns: Collection[str] | None = None, *, error: type[InputError] = DataError
) -> None:
    """Refuse a Parquet file of which some columns would not fit into memory.

    Args:
        path: The file.
        columns: Which are read; None for all.
        error: What to raise.

    Raises:
        InputError: It is no regular file, or does not fit.
        pyarrow.ArrowException: It is no Parquet file.
    """
    check_regular(path, error)
    found = column_chunks(path, columns)
    numbers = sum(chunk.num_values * max(_WIDTHS.get(chunk.physical_type, 1), 1) for chunk in found)
    plain = sum(chunk.total_uncompressed_size for chunk in found)
    check_fits(max(numbers, plain), str(path), error=error)
    with path.open("rb") as opened:
        unpacked = sum(unpacked_bytes(opened, chunk) for chunk in found)
    check_fits(unpacked, str(path), error=error)
    with pq.ParquetFile(path) as file:
        for chunk in found:
            most = chunk.num_values * chunk.total_uncompressed_size
            shared = chunk.physical_type in _BYTES and chunk.has_dictionary_page
            if shared and most > allowed_bytes():
                _check_shared(file, chunk, str(path), error)


def column_chunks(path: Path, columns: Collection[str] | None = None) -> list[Any]:
    """Return what a Parquet file declares of its columns' parts, without reading these.

    Args:
        path: The file.
        columns: Which are wanted; None for all.

    Raises:
        pyarrow.ArrowException: It is no Parquet file, or its declarations are damaged.
        OSError: The same.
    """
    with path.open("rb") as opened:
        source = _Declarations(opened)
        file = pq.ParquetFile(source, pre_buffer=True)
        metadata = file.metadata
        # Damaged declarations of a column end the process where Python asks for them, but are
        # an exception where the file is read: which begins by looking at all of them.
        source.only = True
        with contextlib.suppress(_NotAskedError):
            file.read(use_threads=False)
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    chunks = (group.column(number) for group in groups for number in range(group.num_columns))
    wanted = None if columns is None else {*columns}
    return [c for c in chunks if wanted is None or c.path_in_schema.partition(".")[0] in wanted]


class _NotAskedError(Exception):
    """The values of a file were asked for, of which only the declarations are wanted."""


class _Declarations(io.RawIOBase):
    """A Parquet file of which, once ``only`` is set, no values can be read."""

    def __init__(self, opened: BinaryIO) -> None:
        self._opened = opened
        self.only = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._opened.seek(offset, whence)

    def tell(self) -> int:
        return self._opened.tell()

    def read(self, size: int = -1) -> bytes:
        if self.only:
            raise _NotAskedError
        return self._opened.read(size)


def _check_shared(file: pq.ParquetFile, chunk: Any, what: str, error: type[InputError]) -> None:
    """Add up texts that rows share, so few rows at a time that these fit whatever they are."""
    largest = max(1, chunk.total_uncompressed_size)
    rows = int(min(_ROWS_AT_ONCE, max(1, allowed_bytes() // largest)))
    total = 0
    for batch in file.iter_batches(rows, columns=[chunk.path_in_schema], use_threads=False):
        total += batch.nbytes
        check_fits(total, f"Column {chunk.path_in_schema!r} of {what}", error=error)


def check_text_table(
    stream: Readable, separator: bytes, what: str, *, error: type[InputError] = DataError
) -> None:
    """Refuse a table of text that would not fit into memory, by counting its cells.

    Args:
        stream: Its bytes, unpacked.
        separator: What stands between its columns.
        what: Its name, for the message.
        error: What to raise.

    Raises:
        InputError: It does not fit.
    """
    length = cells = 0
    while part := stream.read(_READ_AT_ONCE):
        length += len(part)
        cells += part.count(separator) + part.count(b"\n")
        check_fits(length + _CELL * cells, what, error=error)


def check_json_lines(content: bytes, what: str) -> None:
    """Refuse JSON lines that pyarrow must not be given.

    Rows each get the keys of all others, which may not fit into memory. And pyarrow 26 ends the
    process where a block of lines begins with `null`, which is no example anyway.

    Args:
        content: The lines.
        what: Their name, for the message.

    Raises:
        DataError: A line is `null`, or they do not fit.
    """
    if (found := _NULL_LINE.search(content)) is not None:
        number = content.count(b"\n", 0, found.end()) + 1
        raise DataError(
            f"{what}: line {number} is null. Each line must be an object, such as "
            '{"text": "...", "label": "..."}. Leave that line out.'
        )
    rows = content.count(b"\n") + 1
    keys = {found[1] for found in _KEY.finditer(content)}
    advice = f"It has {len(keys)} different keys in {rows} rows: do its values stand where keys do?"
    check_fits(len(content) + _CELL * rows * len(keys), what, advice=advice)
