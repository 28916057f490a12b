"""Axes of figures: from where to where they go, where numbers stand on them, and how these read."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

from goodteacher.report.chart import Axis
from goodteacher.report.theme import decade_ticks, round_ticks

_SAME = 1e-9
"""Numbers that differ by less than this share of their size are drawn as one."""

_FEW_TICKS = 3


@dataclass(frozen=True)
class Scale:
    """An axis with its ends.

    Attributes:
        low: The lower end.
        high: The upper end.
        log: Whether it is logarithmic.
        ticks: Where numbers stand.
    """

    low: float
    high: float
    log: bool
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """Return a place from 0 to 1."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def scale_of(axis: Axis, values: Iterable[float]) -> Scale:
    """Return the scale on which an axis shows values, with room at both ends."""
    known = [*values, *axis.ticks] or [1.0, 2.0]
    low, high = min(known), max(known)
    if axis.log:
        room = max((high / low) ** 0.06, 1.05)
        low, high = low / room, high * room
        decades = decade_ticks(low, high)
        few = len(decades) < _FEW_TICKS
        return Scale(low, high, True, axis.ticks or (round_ticks(low, high) if few else decades))
    spread = high - low if high - low > _SAME * max(abs(low), abs(high)) else 0.0
    room = 0.07 * spread or abs(high) * 0.05 or 1.0
    low, high = low - room, high + room
    return Scale(low, high, False, axis.ticks or round_ticks(low, high))


def number_on(value: float, scale: Scale) -> str:
    """Write a tick with as many decimals as tell the ticks apart."""
    if scale.log or len(scale.ticks) < 2:
        return f"{value:,.10g}"
    step = min(b - a for a, b in itertools.pairwise(scale.ticks))
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:,.{digits}f}"
