"""Listing values in messages."""

from __future__ import annotations

from collections.abc import Iterable

_SHOWN = 5  # how many offending values, ids or classes a message lists before it only counts


def shorten(values: Iterable[object], most: int = _SHOWN) -> str:
    """List the first few values for a message and count the rest.

    Args:
        values: All of them.
        most: How many are listed.

    Example:
        >>> shorten(range(7))
        '0, 1, 2, 3, 4 and 2 more'
        >>> shorten("abc", most=2)
        'a, b and 1 more'
    """
    shown = [str(value) for value in values]
    rest = len(shown) - most
    return ", ".join(shown[:most]) + (f" and {rest} more" if rest > 0 else "")
