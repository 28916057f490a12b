"""Listing values in messages."""

from __future__ import annotations

from collections.abc import Iterable

_SHOWN = 5  # how many offending values, ids or classes a message lists before it only counts


def shorten(values: Iterable[object]) -> str:
    """List the first few values for a message and count the rest.

    Example:
        >>> shorten(range(7))
        '0, 1, 2, 3, 4 and 2 more'
    """
    shown = [str(value) for value in values]
    rest = len(shown) - _SHOWN
    return ", ".join(shown[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
