"""Pages of `docs/` that results fill: where they are, what they have in common, how they are made.

A page holds marked places (`benchmarks/pages.py`), and a function makes the text of each from the
committed results. Its test makes all of them again and compares.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goodteacher.records.words import fixed, points
from panels import Panel

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "benchmarks"))

from pages import filled, places  # noqa: E402  (the benchmarks fill their pages with it, too)

__all__ = ["filled", "places"]

DOCS = ROOT / "docs"
FIGURES = DOCS / "figures"

NOT_RUN = "*Not run yet.*"

Row = Mapping[str, Any]
Rows = Sequence[Row]


@dataclass(frozen=True)
class ResultsPage:
    """A page made of the rows of one result file, with one figure.

    Attributes:
        page: The page.
        rows: The result file.
        places: What makes each marked place.
        figure: Where the figure goes.
        panels: What it shows.
        axes: Settings of `figures.Kind`: words on the axes, their scales.
    """

    page: Path
    rows: Path
    places: Mapping[str, Callable[[Rows], str]]
    figure: Path
    panels: Callable[[Rows], list[Panel]]
    axes: Mapping[str, Any]

    def text(self, rows: Rows) -> str:
        """Return the page with every place made anew."""
        return filled(self.page.read_text(), lambda name: self.places[name](rows))

    def write(self) -> None:
        """Make the page and its figure. Needs Matplotlib, the extra `bench`."""
        from figures import Kind, draw

        rows = json.loads(self.rows.read_text())
        self.page.write_text(self.text(rows))
        draw(Kind(lambda _: [], **self.axes), self.panels(rows), self.figure)


def spread(values: Sequence[float], form: str = "+.1f") -> str:
    """Format a range; a single value where both ends look the same.

    Example:
        >>> spread([0.5, 2.0]), spread([1.0])
        ('+0.5 to +2.0', '+1.0')
    """
    low, high = fixed(min(values), form), fixed(max(values), form)
    return low if low == high else f"{low} to {high}"


def counted(verdicts: Iterable[str]) -> str:
    """Say how often each verdict was given, the most frequent first.

    Example:
        >>> counted(["no_gain", "knowledge", "knowledge"])
        'knowledge 2, no gain 1'
    """
    found = Counter(verdict.replace("_", " ") for verdict in verdicts)
    return ", ".join(f"{name} {count}" for name, count in found.most_common())


def effect_text(effect: Sequence[float]) -> str:
    """Format a mean with the ends of its interval, given as fractions, in points.

    Example:
        >>> effect_text([0.01, -0.0005, 0.02])
        '+1.00 [-0.05, +2.00]'
    """
    mean, low, high = map(points, effect)
    return f"{mean} [{low}, {high}]"
