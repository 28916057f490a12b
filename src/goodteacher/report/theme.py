"""Colours and scales of the figures.

Series take their colours from the style sheet, which has a light and a dark set: Okabe and Ito's
and Tol's, told apart by people with any common colour blindness; symbols repeat the distinction.
Cells take cividis, made for the same purpose, or blue to red around zero, and say their numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

_CIVIDIS = ((0, 34, 78), (53, 69, 108), (102, 105, 112), (148, 142, 119), (200, 184, 102))
_DIVERGING = ((33, 102, 172), (146, 197, 222), (247, 247, 247), (244, 165, 130), (178, 24, 43))


def cell_colors(share: float, *, diverging: bool) -> tuple[str, str]:
    """Return a cell's colour and that of its text, which is readable on it.

    Args:
        share: Place on the scale, from 0 to 1.
        diverging: Whether the scale has a neutral middle.

    Example:
        >>> cell_colors(0.0, diverging=False)
        ('#00224e', '#ffffff')
        >>> cell_colors(0.5, diverging=True)
        ('#f7f7f7', '#000000')
    """
    stops = _DIVERGING if diverging else _CIVIDIS
    place = min(max(share, 0.0), 1.0) * (len(stops) - 1)
    first = min(int(place), len(stops) - 2)
    part = place - first
    red, green, blue = (
        round(a + part * (b - a)) for a, b in zip(stops[first], stops[first + 1], strict=True)
    )
    ink = "#000000" if _luminance(red, green, blue) > 0.179 else "#ffffff"
    return f"#{red:02x}{green:02x}{blue:02x}", ink


def round_ticks(low: float, high: float, *, most: int = 5) -> tuple[float, ...]:
    """Return round numbers between two ends, at equal distances.

    Args:
        low: The lower end.
        high: The upper end, above the lower.
        most: About how many.

    Example:
        >>> round_ticks(0.0, 9.0)
        (0.0, 2.0, 4.0, 6.0, 8.0)
        >>> round_ticks(88.3, 88.9, most=3)
        (88.4, 88.6, 88.8)
    """
    width = (high - low) / most
    power = 10.0 ** math.floor(math.log10(width))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= width * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, -math.floor(math.log10(step)))
    return tuple(round(number * step, digits) for number in range(first, last + 1))


def power_ticks(values: Sequence[float]) -> list[float]:
    """Return ticks for a logarithmic axis: powers of two among the range, and both ends.

    A power too near to an end (closer than a factor of 1.3) gives way to it.

    Args:
        values: Positive positions on the axis.

    Example:
        >>> power_ticks([1, 2, 3, 4, 6])
        [1, 2, 4, 6]
        >>> power_ticks([1, 10, 30])
        [1, 2, 4, 8, 16, 30]
    """
    if not values:
        return []
    low, high = min(values), max(values)
    powers = [2**k for k in range(-10, 32) if low * 1.3 <= 2**k <= high / 1.3]
    return sorted({low, *powers, high})


def decade_ticks(low: float, high: float) -> tuple[float, ...]:
    """Return 1, 2 and 5 times powers of ten between two ends of a logarithmic axis.

    Example:
        >>> decade_ticks(800, 3200)
        (1000.0, 2000.0)
        >>> decade_ticks(1, 30000)
        (1.0, 10.0, 100.0, 1000.0, 10000.0)
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if high / low < 200 else (1,)
    every = (factor * 10.0**power for power in powers for factor in factors)
    return tuple(tick for tick in every if low <= tick <= high)


def _luminance(*channels: int) -> float:
    """Return the relative luminance of a colour, as the rules for contrast define it."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (channel / 255 for channel in channels)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
