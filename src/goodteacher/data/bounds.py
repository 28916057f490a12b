"""How much memory what is read may take, asked before anything is allocated.

A file of a few kilobytes can declare an array of terabytes, or unpack into gigabytes; texts and
words that were read become a hundred times as many numbers. So whoever reads or expands works out
what it would allocate, from headers and counts, and asks `check_fits` first. What is allowed is the
setting ``max_memory_gib``, or half of the free memory.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Protocol

import psutil

from goodteacher.errors import DataError, InputError

SHARE_OF_FREE = 0.5
"""Share of the free memory that one thing that is read may take, where nothing else is said."""


FEWER_TERMS = "Fewer terms of texts take less (--tfidf-features 1000)."
"""What to do where the features of texts take too much; a sentence for `check_fits`."""


class Readable(Protocol):
    """What gives bytes, such as an open file."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many of the bytes that are left."""


_limit: ContextVar[float | None] = ContextVar("max_memory_gib", default=None)


@contextlib.contextmanager
def at_most(gib: float | None) -> Iterator[None]:
    """Let what is read meanwhile take so much memory, each file for itself.

    Args:
        gib: The setting ``max_memory_gib``; None changes nothing.

    Example:
        >>> with at_most(0.5):
        ...     allowed_bytes() / 2**20
        512.0
    """
    token = _limit.set(_limit.get() if gib is None else gib)
    try:
        yield
    finally:
        _limit.reset(token)


def inherited() -> Callable[[], None]:
    """Return what a new thread or process calls first, to be allowed what this one is."""
    return functools.partial(_inherit, _limit.get())


def _inherit(gib: float | None) -> None:
    _limit.set(gib)


def allowed_bytes() -> float:
    """Return the bytes that one thing that is read may take."""
    gib = _limit.get()
    if gib is not None:
        return gib * 2**30
    return SHARE_OF_FREE * float(psutil.virtual_memory().available)


def check_fits(
    needed: float, what: str, *, advice: str = "", error: type[InputError] = DataError
) -> None:
    """Refuse what would take more memory than it may, before it is allocated.

    Args:
        needed: Bytes that it would take.
        what: What would take them, at the beginning of a sentence: a file, or a part of it.
        advice: What to do beside allowing more, a sentence.
        error: What to raise.

    Raises:
        InputError: It does not fit; the message has both figures.

    Example:
        >>> check_fits(2**20, "x.npz")
        >>> check_fits(2**70, "x.npz", advice="Is it damaged?")
        Traceback (most recent call last):
        ...
        goodteacher.errors.DataError: x.npz would take 1.1e+12 GiB of memory, but ...
    """
    allowed = allowed_bytes()
    if needed <= allowed:
        return
    source = "max_memory_gib says" if _limit.get() is not None else "half of the free memory is"
    raise error(
        f"{what} would take {_gib(needed)} GiB of memory, but {source} {_gib(allowed)} GiB. "
        f"{advice + ' ' * bool(advice)}If that is meant, allow more: max_memory_gib "
        "(--max-memory-gib)."
    )


def check_shape(
    shape: Sequence[int],
    itemsize: int,
    what: str,
    *,
    advice: str = "",
    error: type[InputError] = DataError,
) -> None:
    """Refuse an array of a shape that does not fit; see `check_fits`.

    Args:
        shape: Of the array.
        itemsize: Bytes of each number.
        what: What would take them.
        advice: What to do beside allowing more.
        error: What to raise.
    """
    check_fits(math.prod(shape) * itemsize, what, advice=advice, error=error)


def read_at_most(stream: Readable, what: str, *, error: type[InputError] = DataError) -> bytes:
    """Read a stream to its end, unless it gives more than fits, as what is compressed may.

    Args:
        stream: What is read.
        what: Its name, for the message.
        error: What to raise.

    Raises:
        InputError: It gives more.
    """
    allowed, parts, length = allowed_bytes(), [], 0
    while part := stream.read(_READ_AT_ONCE):
        parts.append(part)
        length += len(part)
        if length > allowed:
            check_fits(length + 1, f"{what}, unpacked, is longer than allowed and", error=error)
    return b"".join(parts)


_READ_AT_ONCE = 2**24


def _gib(count: float) -> str:
    return f"{count / 2**30:.2g}"
