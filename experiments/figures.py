"""Draw the figures of the study, small panels in one SVG for each kind.

The story has a panel for each data set, in letters that a phone shows; the tables have one for each
pair, in figures that scroll there. The two figures with a line for each pair are in `forest.py`.

All share one style: white ground, so that they read on light and dark pages alike, and symbols that
repeat what colours say. Runs have an ordered scale: the smaller the batch size, the darker the
line, each with a mark of its own and its batch size at its end. Everything else has the colours of
the report (Okabe and Ito's and Tol's). The same numbers make the same file. Needs Matplotlib (the
extra `bench`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib

import forest
import panels
from goodteacher.records.words import fixed
from goodteacher.report.theme import power_ticks
from left_of_lead import LeftOfLead
from pairs import Pair
from panels import MAP_COLORS, STAR_COLOR, Grid, Panel, Panels, Series

matplotlib.use("svg")
from matplotlib import colors, lines, pyplot, ticker

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "goodteacher",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#DEE2E6",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 3,
    "figure.facecolor": "white",
}
FONT: dict[Any, Any] = {"font.size": 10, "axes.titlesize": 10, "axes.labelsize": 10}
"""Letters of the story's figures."""

COLORS = ("#0072B2", "#D55E00", "#007A5A", "#AA3377", "#6B6B6B", "#8A6D00")
"""Okabe and Ito's and Tol's, dark enough for white paper; marks repeat the distinction."""

MARKERS = "osD^vPXph"
RUN_COLORS, LIGHTEST = "viridis", 0.82
"""The scale of runs, and where on it the largest batch size stands: all beyond is too light."""
SMALLER = 0.85
"""Numbers in maps, as a share of the letters."""
WORST = -3.0
"""Points below the best at which the map's colours end: early teachers would take them all."""

LOOKS: Mapping[str, Mapping[str, Any]] = {
    "line": {},
    "dashed": {"linestyle": "--", "markerfacecolor": "white"},
    "path": {"linewidth": 0.4},
    "points": {"linestyle": "none"},
    "hollow": {"linestyle": "none", "markerfacecolor": "none", "markersize": 5},
}


@dataclass(frozen=True)
class Kind:
    """A figure.

    Attributes:
        panels: What it shows.
        x: Words on the horizontal axis.
        y: Words on the vertical axis.
        log_x: Whether the horizontal axis is logarithmic; with base 2 it has ticks at powers.
        log_y: Whether the vertical axis is.
        from_zero: A line that means "nothing", if there is one.
    """

    panels: Panels
    x: str
    y: str
    log_x: int | None = None
    log_y: bool = False
    from_zero: float | None = None


KINDS: Mapping[str, Kind] = {
    "similarity": Kind(
        panels.similarity, "epoch", "similarity information, nats", log_x=2, log_y=True
    ),
    "effective_classes": Kind(
        panels.effective_classes, "epoch", "effective classes", log_x=2, log_y=True, from_zero=1.0
    ),
    "grid": Kind(panels.of_pairs(panels.grid), "epoch", "batch size"),
    "teacher_accuracy": Kind(panels.of_pairs(panels.teacher_accuracy), "teacher, %", "students, %"),
    "gain": Kind(
        panels.of_pairs(panels.gain),
        "similarity information, nats",
        "gain over hard labels, points",
        log_x=10,
        from_zero=0.0,
    ),
    "temperature": Kind(panels.of_pairs(panels.temperature), "T", "students, %", log_x=2),
    "ladder": Kind(panels.of_pairs(panels.ladder), "T", "gain, points", log_x=2, from_zero=0.0),
}


@dataclass(frozen=True)
class Layout:
    """How panels stand beside one another.

    Attributes:
        columns: At most so many.
        width: Of one panel, inches.
        height: Of one panel, inches.
        style: What it changes of `STYLE`.
    """

    columns: int
    width: float
    height: float
    style: Mapping[Any, Any] = field(default_factory=dict)


TABLES = Layout(3, 2.3, 2.1)
STORY = Layout(2, 2.6, 2.2, FONT)
IN_THE_STORY = ("similarity", "gain")


def write_figures(study: Sequence[Pair], lead: LeftOfLead, folder: Path) -> None:
    """Draw every kind from the pairs; one without any panel says so.

    Args:
        study: The pairs.
        lead: What is left of the sweet spot's lead, pair by pair.
        folder: Where the SVG files go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, kind in KINDS.items():
        draw(kind, kind.panels(study), folder / f"all_{name}.svg", TABLES)
    for name in IN_THE_STORY:
        kind = KINDS[name]
        draw(kind, kind.panels(panels.one_of_each(study)), folder / f"study_{name}.svg")
    worth, leads = forest.worth(study), forest.leads(lead)
    forest.draw(worth, "gain, points of test accuracy", folder / "study_worth.svg", alike=False)
    forest.draw(leads, "lead, points of test accuracy", folder / "study_lead.svg", alike=True)


def draw(kind: Kind, shown: Sequence[Panel], path: Path, layout: Layout = STORY) -> None:
    """Draw the panels of one kind.

    Args:
        kind: The figure.
        shown: Its panels; there may be none.
        path: The SVG file.
        layout: How they stand.
    """
    with matplotlib.rc_context({**STYLE, **layout.style}):
        columns = min(layout.columns, max(1, len(shown)))
        rows = max(1, math.ceil(len(shown) / columns))
        figure, axes = pyplot.subplots(
            rows,
            columns,
            figsize=(layout.width * max(columns, 2), layout.height * rows + 0.5),
            squeeze=False,
            layout="constrained",
        )
        looks = _looks(shown)
        for panel, axis in zip(shown, axes.flat, strict=False):
            axis.set_title(panel.title)
            _draw_panel(axis, kind, panel, looks)
        for axis in axes.flat[len(shown) :]:
            axis.set_axis_off()
        figure.supxlabel(kind.x, fontsize="medium")
        figure.supylabel(kind.y, fontsize="medium")
        _legend(figure, list(axes.flat), shown, layout)
        if not shown:
            figure.text(0.5, 0.5, "not run", ha="center")
        figure.draw_without_rendering()  # where lines end is known once all is laid out
        for panel, axis in zip(shown, axes.flat, strict=False):
            _name_ends(axis, panel, looks)
        save(figure, path)


def save(figure: Any, path: Path) -> None:
    """Write a figure; the same one makes the same file."""
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)
    if path.suffix == ".svg":
        path.write_text(shortened(path.read_text()))


def shortened(svg: str) -> str:
    """Round coordinates to hundredths of a point and drop what only indents; words stay.

    Example:
        >>> shortened('<text x="1.23456">0.001 nats</text>')
        '<text x="1.23">0.001 nats</text>'
    """

    def rounded(tag: re.Match[str]) -> str:
        return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", tag[0])

    return re.sub(r"\n\s*", "\n", re.sub(r"<[^>]*>", rounded, svg))


def _draw_panel(axis: Any, kind: Kind, panel: Panel, looks: Mapping[str, Look]) -> None:
    if panel.grid is not None:
        _draw_grid(axis, panel.grid)
        return
    for series in panel.series:
        _draw_series(axis, series, looks[_key(series)])
    if any(series.named for series in panel.series):
        axis.margins(y=0.12)  # so that names at the ends of lines stand above the ticks
    if kind.from_zero is not None:
        axis.axhline(kind.from_zero, color="#868E96", linewidth=0.8, zorder=0)
    _scale(axis, kind, [x for series in panel.series for x in series.x])


def _draw_series(axis: Any, series: Series, own: Look) -> None:
    color = own.color
    if series.look == "level":
        axis.axhline(series.y[0], color=color, linestyle=":", label=series.label)
        return
    how = {"color": color, "marker": own.marker, **LOOKS[series.look]}
    axis.plot(series.x, series.y, label=series.label, **how)
    if series.low:
        axis.vlines(series.x, series.low, series.high, color=color, linewidth=0.8, alpha=0.6)
    if series.last and series.x:
        ring = {"markersize": 7, "markerfacecolor": "none", "color": color}
        axis.plot(series.x[-1:], series.y[-1:], marker="o", **ring)


def _name_ends(axis: Any, panel: Panel, looks: Mapping[str, Look]) -> None:
    """Write the batch size of each run at the end of its line, none over another."""
    named = [series for series in panel.series if series.named and series.x]
    size = pyplot.rcParams["font.size"]
    points_per_pixel = 72 / axis.figure.dpi
    heights = [
        axis.transData.transform((series.x[-1], series.y[-1]))[1] * points_per_pixel
        for series in named
    ]
    for series, height, place in zip(named, heights, apart(heights, 1.1 * size), strict=True):
        axis.annotate(
            str(series.run),
            (series.x[-1], series.y[-1]),
            (5, place - height),
            textcoords="offset points",
            va="center",
            fontsize=size,
            color=_darker(looks[_key(series)].color),
            annotation_clip=False,
        )


def _darker(color: str) -> str:
    """Return a line's colour for letters, which need more contrast than lines."""
    return str(colors.to_hex([0.6 * part for part in colors.to_rgb(color)]))


def apart(heights: Sequence[float], gap: float) -> list[float]:
    """Return places near the heights that are at least a gap apart, in the same order.

    Args:
        heights: Where names would stand.
        gap: Least distance between two.

    Example:
        >>> apart([0.0, 10.0, 1.0], 4.0)
        [-1.5, 10.0, 2.5]
    """
    order = sorted(range(len(heights)), key=heights.__getitem__)
    groups: list[list[int]] = []
    for number in order:
        groups.append([number])
        while len(groups) > 1 and _low(groups[-1], heights, gap) - gap < _high(
            groups[-2], heights, gap
        ):
            last = groups.pop()
            groups[-1] += last
    found = list(heights)
    for group in groups:
        low = _low(group, heights, gap)
        for place, number in enumerate(group):
            found[number] = low + place * gap
    return found


def _low(group: Sequence[int], heights: Sequence[float], gap: float) -> float:
    middle = sum(heights[number] for number in group) / len(group)
    return middle - gap * (len(group) - 1) / 2


def _high(group: Sequence[int], heights: Sequence[float], gap: float) -> float:
    return _low(group, heights, gap) + gap * (len(group) - 1)


def _draw_grid(axis: Any, grid: Grid) -> None:
    values = [[math.nan if v is None else v for v in row] for row in grid.values]
    best = max(v for row in values for v in row if not math.isnan(v))
    axis.imshow(values, cmap=MAP_COLORS, vmin=best + WORST, vmax=best, aspect="auto")
    axis.set_xticks(range(len(grid.columns)), [str(epoch) for epoch in grid.columns])
    axis.set_yticks(range(len(grid.rows)), [str(size) for size in grid.rows])
    axis.grid(visible=False)
    for y, row in enumerate(values):
        for x, value in enumerate(row):
            if not math.isnan(value):
                ink = "black" if value > best + WORST / 2 else "white"
                size = SMALLER * pyplot.rcParams["font.size"]
                place = {"ha": "center", "va": "center"}
                form = ".1f" if abs(value) < 9.95 else ".0f"  # what a cell has room for
                axis.text(x, y, fixed(value, form), fontsize=size, color=ink, **place)
    if grid.star is not None:
        place = (grid.star[1] + 0.3, grid.star[0] - 0.3)
        axis.plot(*place, "*", color=STAR_COLOR, markeredgecolor="#5A3A00", markersize=8)


def _scale(axis: Any, kind: Kind, positions: Sequence[float]) -> None:
    if kind.log_y:
        axis.set_yscale("log")
        _tick_within_decade(axis.yaxis, *axis.get_ylim())
    if kind.log_x is not None and positions:
        axis.set_xscale("log", base=kind.log_x)
        if kind.log_x == 2:
            ticks = power_ticks([float(position) for position in positions])
            axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        else:
            _tick_within_decade(axis.xaxis, *axis.get_xlim())
    axis.minorticks_off()


def _tick_within_decade(axis: Any, low: float, high: float) -> None:
    """Give a logarithmic axis that spans less than a decade ticks; powers of ten may miss it."""
    if high < 10 * low:
        axis.set_major_locator(ticker.MaxNLocator(4))
        axis.set_major_formatter("{x:g}")


@dataclass(frozen=True)
class Look:
    """The colour and the mark of a line, the same in every panel of a figure."""

    color: str
    marker: str


def _looks(shown: Sequence[Panel]) -> dict[str, Look]:
    """Return how each line looks: runs by an ordered scale, the others by the report's colours."""
    series = [one for panel in shown for one in panel.series]
    sizes = sorted({one.run for one in series if one.run is not None})
    scale = matplotlib.colormaps[RUN_COLORS]
    looks = {}
    for number, size in enumerate(sizes):
        place = LIGHTEST * number / max(1, len(sizes) - 1)
        looks[str(size)] = Look(colors.to_hex(scale(place)), MARKERS[number % len(MARKERS)])
    others = dict.fromkeys(_key(one) for one in series if one.run is None)
    for number, key in enumerate(others):
        looks[key] = Look(COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)])
    return looks


def _key(series: Series) -> str:
    return series.label if series.run is None else str(series.run)


def _entries(shown: Sequence[Panel]) -> list[str]:
    """Return the words of the legend: runs once, by their batch size, then the others."""
    series = [one for panel in shown for one in panel.series]
    runs = sorted((one.run, one.label) for one in series if one.named and one.run is not None)
    others = [one.label for one in series if one.run is None]
    return list(dict.fromkeys([*(label for _, label in runs), *others]))


def _legend(figure: Any, axes: Sequence[Any], shown: Sequence[Panel], layout: Layout) -> None:
    found: dict[str, Any] = {}
    for axis in axes:
        handles, labels = axis.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    runs = {one.label for panel in shown for one in panel.series if one.named}
    left_out = runs if layout is STORY else set()  # they are named at the ends of their lines
    entries = {name: found[name] for name in _entries(shown) if name in found.keys() - left_out}
    for panel in shown:  # further lines of runs look alike but for their run
        for one in panel.series:
            if one.run is not None and not one.named:
                words = one.label.partition(", ")[2]
                entries[words] = lines.Line2D([], [], color="#495057", **LOOKS[one.look])
    if entries:
        columns = 4 if layout is TABLES or max(map(len, entries)) <= 16 else 2
        handles = list(entries.values())
        place = "outside upper left"
        figure.legend(handles, list(entries), loc=place, ncols=columns, frameon=False)
