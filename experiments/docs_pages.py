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

from goodteacher.records.words import fixed
from pairs import NAMES
from panels import Look, Panel, Series
from repeated import Estimate

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
    """A page made of one result file, with one figure.

    Attributes:
        page: The page.
        results: The result file, JSON.
        places: What makes each marked place, of what `read` returns.
        figure: Where the figure goes.
        draw: What draws it there, of the same.
        read: Of the file's content; itself by default.
    """

    page: Path
    results: Path
    places: Mapping[str, Callable[[Any], str]]
    figure: Path
    draw: Callable[[Any, Path], None]
    read: Callable[[Any], Any] = lambda content: content

    def found(self) -> Any:
        """Return what the places and the figure are made of."""
        return self.read(json.loads(self.results.read_text()))

    def text(self, found: Any) -> str:
        """Return the page with every place made anew."""
        return filled(self.page.read_text(), lambda name: self.places[name](found))

    def write(self) -> None:
        """Make the figure and the page. Needs Matplotlib, the extra `bench`."""
        found = self.found()
        self.draw(found, self.figure)
        self.page.write_text(self.text(found))


def in_panels(panels_of: Callable[[Any], list[Panel]], **axes: Any) -> Callable[[Any, Path], None]:
    """Return what draws panels.

    Args:
        panels_of: What they show.
        **axes: Settings of `figures.Kind`: words on the axes and their scales.
    """

    def drawn(found: Any, path: Path) -> None:
        from figures import Kind, draw  # needs Matplotlib

        draw(Kind(lambda _: [], **axes), panels_of(found), path)

    return drawn


def still_to_run(done: Mapping[str, int], planned: int) -> str:
    """Say of each data set how many of its runs are finished.

    Args:
        done: Finished runs by data set; 0 of those that are not named.
        planned: Runs of each data set.

    Example:
        >>> print(still_to_run({"mnist": 2, "fashion_mnist": 3, "banking77": 3}, 3))
        2 of 3 runs on MNIST, 0 of 3 runs on CIFAR-10; the others are complete.
        >>> still_to_run(dict.fromkeys(NAMES, 3), 3)
        'Nothing: all has been run.'
    """
    open_ = [name for name in NAMES if done.get(name, 0) < planned]
    if not open_:
        return "Nothing: all has been run."
    said = (f"{done.get(name, 0)} of {planned} runs on {NAMES[name]}" for name in open_)
    others = "; the others are complete" if len(open_) < len(NAMES) else ""
    return f"{', '.join(said)}{others}."


def points_series(
    label: str, x: Sequence[float], effects: Sequence[Estimate], look: Look = "line"
) -> Series:
    """Return differences of accuracy with their intervals as a line in points."""
    middle, low, high = (
        [100 * getattr(effect, name) for effect in effects] for name in ("mean", "low", "high")
    )
    return Series(label, x, middle, low, high, look)


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
