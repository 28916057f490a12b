"""Means over pairs, with their range and a bootstrap interval, and tables of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from goodteacher.records.words import fixed, points, steady

RESAMPLES, SEED = 10_000, 0


@dataclass(frozen=True)
class Summary:
    """A mean over pairs.

    Attributes:
        mean: The mean.
        low: The least value of a pair.
        high: The greatest value of a pair.
        interval: 95 % interval of the mean, by resampling pairs; None for one pair. It takes pairs
            for independent: pairs of one data set are alike, so it is rather too narrow.
        n: Number of pairs.
    """

    mean: float
    low: float
    high: float
    interval: tuple[float, float] | None
    n: int

    def text(self, digits: int = 2, *, ranged: bool = True) -> str:
        """Format as mean [interval] (range), or without the range.

        Example:
            >>> summary = Summary(1.0, 0.5, 1.5, (0.75, 1.25), 4)
            >>> summary.text(), summary.text(1, ranged=False)
            ('1.00 [0.75, 1.25] (0.50 to 1.50)', '1.0 [0.8, 1.2]')
        """
        form = f".{digits}f"
        mean, low, high = (fixed(value, form) for value in (self.mean, self.low, self.high))
        if self.interval is None:
            return mean
        within = ", ".join(fixed(end, form) for end in self.interval)
        return f"{mean} [{within}]" + (f" ({low} to {high})" if ranged else "")


def summarize(values: Iterable[float]) -> Summary | None:
    """Return the mean over pairs with its spread; None of nothing.

    Args:
        values: One of each pair.
    """
    found = np.asarray(list(values), dtype=float)
    if not found.size:
        return None
    interval = _interval(found) if found.size > 1 else None
    mean, low, high = (steady(float(value)) for value in (found.mean(), found.min(), found.max()))
    return Summary(mean, low, high, interval, found.size)


def _interval(values: np.ndarray) -> tuple[float, float]:
    rng = np.random.default_rng(SEED)
    drawn = values[rng.integers(0, values.size, (RESAMPLES, values.size))].mean(1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return steady(float(low)), steady(float(high))


def json_text(result: Any) -> str:
    """Return a result as the text of its file, the same on every machine.

    Example:
        >>> print(json_text({"mean": 0.1 + 0.2}))
        {
         "mean": 0.3
        }
        <BLANKLINE>
    """

    def kept(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: kept(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [kept(each) for each in value]
        return steady(value) if isinstance(value, float) else value

    return json.dumps(kept(result), indent=1, allow_nan=False) + "\n"


def shown(values: Iterable[float], digits: int = 2, *, ranged: bool = True) -> str:
    """Format the mean of values with its spread; `-` of nothing."""
    found = summarize(values)
    return found.text(digits, ranged=ranged) if found else "-"


def shown_ratio(values: Iterable[float], digits: int = 1) -> str:
    """Format the geometric mean of ratios with its spread; `-` of nothing.

    Example:
        >>> shown_ratio([2.0, 8.0])
        '4.0 [2.0, 8.0] (2.0 to 8.0)'
    """
    found = summarize(np.log(list(values)))
    if found is None:
        return "-"
    ends = found.interval and (math.exp(found.interval[0]), math.exp(found.interval[1]))
    mean, low, high = (math.exp(each) for each in (found.mean, found.low, found.high))
    return Summary(mean, low, high, ends, found.n).text(digits)


def in_points(mean: float, low: float, high: float) -> str:
    """Format a difference of accuracies with its interval, in points.

    Example:
        >>> in_points(0.01, -0.0005, 0.02)
        '+1.00 [-0.05, +2.00]'
    """
    return f"{points(mean)} [{points(low)}, {points(high)}]"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out rows as a Markdown table.

    Example:
        >>> print(table(["a", "b"], [["1", "2"]]))
        | a | b |
        |---|---|
        | 1 | 2 |
    """
    lines = [f"| {' | '.join(cells)} |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])
