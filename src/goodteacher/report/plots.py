"""Figures of the report outside it: in a notebook, in a file, or as numbers.

A notebook may be light or dark, whatever the system says. A plot therefore brings its own ground:
as HTML it follows JupyterLab's and VS Code's themes, else the system's; as SVG it is of one theme.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goodteacher.errors import ConfigError
from goodteacher.report.chart import Figure, Intervals, Lines, Matrix, Strips, Waterfall
from goodteacher.report.parts import Panel, View
from goodteacher.report.standalone import as_document, as_html, as_svg
from goodteacher.studies import Place, Store, Url, place_of


@dataclass(frozen=True, repr=False)
class Plot:
    """A figure of the report with its numbers, which a notebook shows where it is the last value.

    Attributes:
        title: What it shows.
        views: The figures to choose from, of which one is shown.
        chosen: Place of the shown one.

    Example:
        >>> from goodteacher.report.chart import Interval, Intervals
        >>> from goodteacher.report.parts import Table
        >>> rows = (Interval("a", 1.5, (1.0, 2.0), None, "+1.50"),)
        >>> view = View("", Intervals("gain, points", rows), "One study.", Table("", (), ()))
        >>> Plot("Gains", (view,)).rows()
        [{'name': 'a', 'gain, points': 1.5, 'low': 1.0, 'high': 2.0}]
    """

    title: str
    views: tuple[View, ...]
    chosen: int = 0

    @property
    def labels(self) -> tuple[str, ...]:
        """What the views are called: what :meth:`view` takes."""
        return tuple(view.label for view in self.views)

    def view(self, label: str) -> Plot:
        """Return the same plot with another view shown.

        Args:
            label: One of :attr:`labels`.

        Raises:
            ConfigError: There is no view of that name.
        """
        if label not in self.labels:
            known = ", ".join(map(repr, self.labels))
            raise ConfigError(
                f"This plot has no view {label!r}. Its views are {known}; name one of them."
            )
        return dataclasses.replace(self, chosen=self.labels.index(label))

    @property
    def caption(self) -> str:
        """What the shown view shows, with n, spread, split and units."""
        return self._shown.caption

    @property
    def data(self) -> Figure:
        """What is drawn, before it is drawn: frozen numbers, names and notes."""
        return self._shown.figure

    def rows(self) -> list[dict[str, Any]]:
        """Return the numbers of the shown view, a dictionary for each mark.

        ``pandas.DataFrame(plot.rows())`` makes a table of them. Accuracies are in %, differences in
        points; what is not known is None.
        """
        return list(rows_of(self.data))

    def svg(self, *, dark: bool = False, width: int = 760) -> str:
        """Return the shown view as an SVG file's text, with title and legend.

        Args:
            dark: Light text on a dark ground.
            width: In pixels, at least 300.

        Raises:
            ConfigError: It is narrower.
        """
        if width < 300:
            raise ConfigError(f"width must be at least 300 pixels, but is {width}.")
        return as_svg(self._shown, title=self._heading, dark=dark, width=width)

    def html(self) -> str:
        """Return the shown view as a part of a page, with its legend, caption and numbers."""
        others = tuple(label for label in self.labels if label != self._shown.label)
        return as_html(self._shown, title=self._heading, others=others)

    def save(self, path: str | Path, *, dark: bool = False) -> Place:
        """Write the shown view into a file that needs nothing else.

        Args:
            path: Its name ends in ``.svg`` or ``.html``; a URL works too.
            dark: Light text on a dark ground; a page follows its reader's choice instead.

        Returns:
            Where it is.

        Raises:
            ConfigError: The name ends otherwise.
            StudyError: It cannot be written.
        """
        place = place_of(path)
        kind = place.name.rpartition(".")[2].lower()
        if kind not in ("svg", "html"):
            raise ConfigError(
                f"{path} names no kind of file that a plot can be saved as: end it in .svg or "
                ".html."
            )
        text = self.svg(dark=dark) if kind == "svg" else as_document(self.html(), self._heading)
        write_page(place, text)
        return place

    @property
    def _shown(self) -> View:
        return self.views[self.chosen]

    @property
    def _heading(self) -> str:
        colon = "" if self.title.endswith("?") else ":"
        return f"{self.title}{colon} {self._shown.label}" if self._shown.label else self.title

    def _repr_html_(self) -> str:
        return self.html()

    def _repr_svg_(self) -> str:
        return self.svg()

    def __repr__(self) -> str:
        return f"{self._heading}\n{self.caption}"


def plot_of(panel: Panel) -> Plot:
    """Return what a panel of the page shows."""
    return Plot(panel.title, panel.views)


def write_page(place: Place, text: str) -> None:
    """Write a text into a file of any name, whole or not at all.

    Raises:
        StudyError: It cannot be written.
    """
    folder: Place = Url(place.rpartition("/")[0]) if isinstance(place, Url) else place.parent
    Store(folder, noted=False).write_text(place.name, text)


def rows_of(figure: Figure) -> Iterator[dict[str, Any]]:
    """Yield the numbers of a figure, a dictionary for each mark, all with the same keys."""
    if isinstance(figure, Matrix):
        return _rows_of_matrix(figure)
    if isinstance(figure, Lines):
        return _rows_of_lines(figure)
    if isinstance(figure, Waterfall):
        return _rows_of_waterfall(figure)
    if isinstance(figure, Strips):
        return _rows_of_strips(figure)
    return _rows_of_intervals(figure)


def _rows_of_matrix(figure: Matrix) -> Iterator[dict[str, Any]]:
    for row, cells in zip(figure.rows, figure.cells, strict=True):
        for column, cell in zip(figure.columns, cells, strict=True):
            text = " ".join(cell.text.split())
            yield {
                figure.down or "row": row,
                figure.across or "column": column,
                "value": cell.value,
                "text": text,
            }


def _rows_of_lines(figure: Lines) -> Iterator[dict[str, Any]]:
    for series in figure.series:
        for point in series.points:
            low, high = point.interval or (None, None)
            place = {figure.x.title: point.x, figure.y.title: point.y}
            yield {
                "series": series.name,
                **place,
                "low": low,
                "high": high,
                "label": point.label,
            }


def _rows_of_strips(figure: Strips) -> Iterator[dict[str, Any]]:
    for row, bars in zip(figure.rows, figure.shares, strict=True):
        for column, shares in zip(figure.columns, bars, strict=True):
            for name, share in zip(figure.names, shares, strict=True):
                yield {figure.down: row, "column": column, "part": name, "share": share}


def _rows_of_waterfall(figure: Waterfall) -> Iterator[dict[str, Any]]:
    for step in figure.steps:
        low, high = (end - step.start for end in step.interval)
        yield {
            "step": step.name,
            "kind": figure.kinds[step.style],
            "points": step.end - step.start,
            "low": low,
            "high": high,
        }


def _rows_of_intervals(figure: Intervals) -> Iterator[dict[str, Any]]:
    joint = any(row.outer for row in figure.rows)
    for row in figure.rows:
        low, high = row.inner or (None, None)
        found = {"name": row.name, figure.title: row.mean, "low": low, "high": high}
        if joint:
            found["joint low"], found["joint high"] = row.outer or (None, None)
        yield found
