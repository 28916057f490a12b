"""What the pages of a Parquet file declare, which pyarrow does not tell.

The end of a file says what each column takes, but is not what the reader goes by: it makes room for
as much as the header of each page says, up to 2 GiB a page. A header is a structure of Thrift's
compact protocol, whose fields 2 and 3 are the bytes of the page unpacked and packed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, BinaryIO

_FIRST_READ, _MOST_READ = 2**9, 2**24  # bytes of a header; pyarrow reads no longer ones
_UNPACKED, _PACKED = 2, 3  # fields
_STOP, _BYTE, _DOUBLE, _BINARY, _STRUCT = 0, 3, 7, 8, 12  # kinds of fields
_BOOLEAN, _WHOLE, _LISTS = 2, (4, 5, 6), (9, 10)


def unpacked_bytes(file: BinaryIO, chunk: Any) -> int:
    """Return the bytes that the pages of a column's part take when they are unpacked.

    Where a header cannot be read, what is behind it is left out: no reader gets there either.

    Args:
        file: The file.
        chunk: What its end declares of the part, as pyarrow has it.
    """
    return sum(unpacked for unpacked, _ in _pages(file, chunk))


def _pages(file: BinaryIO, chunk: Any) -> Iterator[tuple[int, int]]:
    """Yield the bytes of each page, unpacked and packed."""
    place, words = chunk.data_page_offset, chunk.dictionary_page_offset
    if words is not None and 0 < words < place:
        place = words
    end = min(place + chunk.total_compressed_size, file.seek(0, os.SEEK_END))
    while 0 < place < end:
        header = _header(file, place)
        if header is None:
            return
        length, unpacked, packed = header
        yield unpacked, packed
        place += length + packed


def _header(file: BinaryIO, place: int) -> tuple[int, int, int] | None:
    """Return a header's length and what it declares, unpacked and packed; None if it is none."""
    size = _FIRST_READ
    while size <= _MOST_READ:
        file.seek(place)
        content = file.read(size)
        try:
            length, found = _Reader(content).struct()
        except IndexError:
            if len(content) < size:
                return None
            size *= 8
            continue
        except (ValueError, RecursionError):
            return None
        unpacked, packed = found.get(_UNPACKED, -1), found.get(_PACKED, -1)
        return (length, unpacked, packed) if min(unpacked, packed) >= 0 else None
    return None


class _Reader:
    """A structure in Thrift's compact protocol.

    Raises:
        IndexError: It is longer than what is there.
        ValueError: It is none.
    """

    def __init__(self, content: bytes) -> None:
        self._content, self._place = content, 0

    def struct(self) -> tuple[int, dict[int, int]]:
        """Return how long it is, and its whole numbers by the number of their field."""
        found: dict[int, int] = {}
        field = 0
        while (head := self._byte()) != _STOP:
            kind, step = head & 15, head >> 4
            field = field + step if step else self._whole()
            if kind in _WHOLE:
                found[field] = self._whole()
            else:
                self._skip(kind)
        return self._place, found

    def _byte(self) -> int:
        found = self._content[self._place]
        self._place += 1
        return found

    def _length(self) -> int:
        found = shift = 0
        while (byte := self._byte()) & 128:
            found |= (byte & 127) << shift
            shift += 7
            if shift > 63:
                raise ValueError("no number is so long")
        return found | byte << shift

    def _whole(self) -> int:
        found = self._length()
        return found >> 1 ^ -(found & 1)

    def _skip(self, kind: int) -> None:
        if kind in _WHOLE:
            self._length()
        elif kind in (_BYTE, _DOUBLE, _BINARY):
            length = {_BYTE: 1, _DOUBLE: 8}.get(kind) or self._length()
            self._place += length
        elif kind in _LISTS:
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._length()
            for _ in range(min(count, len(self._content))):
                self._skip(head & 15)
        elif kind == _STRUCT:
            self.struct()
        elif kind > _BOOLEAN:
            raise ValueError("no header of a page has this")
