"""Draw the figures of the study, small panels in one SVG for each kind.

All share one style: white ground, so that they read on light and dark pages alike, the colours of
the report (Okabe and Ito's and Tol's), and symbols that repeat what colours say. The same numbers
make the same file. Needs Matplotlib (the extra `bench`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

import panels
from goodteacher.report.theme import MAP_COLORS, STAR, THEMES, power_ticks
from pairs import Pair
from panels import Grid, Panel, Panels, Series

matplotlib.use("svg")
from matplotlib import pyplot, ticker

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "goodteacher",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#DEE2E6",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "lines.markersize": 3,
    "figure.facecolor": "white",
}
COLORS: Sequence[str] = THEMES["light"]["layout"]["colorway"]
MARKERS = "osD^vP"
COLUMNS, WIDTH, HEIGHT = 4, 2.5, 2.1
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
    "similarity": Kind(panels.similarity, "epoch", "S, nats", log_x=2, log_y=True),
    "effective_classes": Kind(
        panels.effective_classes, "epoch", "effective classes", log_x=2, log_y=True, from_zero=1.0
    ),
    "grid": Kind(panels.of_pairs(panels.grid), "epoch", "batch size"),
    "teacher_accuracy": Kind(panels.of_pairs(panels.teacher_accuracy), "teacher, %", "students, %"),
    "gain": Kind(panels.of_pairs(panels.gain), "S, nats", "gain, points", log_x=10, from_zero=0.0),
    "temperature": Kind(panels.of_pairs(panels.temperature), "T", "students, %", log_x=2),
    "ladder": Kind(panels.of_pairs(panels.ladder), "T", "gain, points", log_x=2, from_zero=0.0),
}


def write_figures(study: Sequence[Pair], folder: Path) -> None:
    """Draw every kind from the pairs; one without any panel says so.

    Args:
        study: The pairs.
        folder: Where the SVG files go.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, kind in KINDS.items():
        draw(kind, kind.panels(study), folder / f"{name}.svg")


def draw(kind: Kind, shown: Sequence[Panel], path: Path) -> None:
    """Draw the panels of one kind.

    Args:
        kind: The figure.
        shown: Its panels; there may be none.
        path: The SVG file.
    """
    with matplotlib.rc_context(STYLE):
        columns = min(COLUMNS, max(1, len(shown)))
        rows = max(1, math.ceil(len(shown) / columns))
        figure, axes = pyplot.subplots(
            rows,
            columns,
            figsize=(WIDTH * max(columns, 2), HEIGHT * rows + 0.5),
            squeeze=False,
            layout="constrained",
        )
        colors = _colors(shown)
        for panel, axis in zip(shown, axes.flat, strict=False):
            axis.set_title(panel.title)
            _draw_panel(axis, kind, panel, colors)
        for axis in axes.flat[len(shown) :]:
            axis.set_axis_off()
        figure.supxlabel(kind.x, fontsize=9)
        figure.supylabel(kind.y, fontsize=9)
        _legend(figure, axes)
        if not shown:
            figure.text(0.5, 0.5, "not run", ha="center")
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)
    if path.suffix == ".svg":
        path.write_text(shortened(path.read_text()))


def shortened(svg: str) -> str:
    """Round coordinates to hundredths of a point and drop what only indents."""
    rounded = re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", svg)
    return re.sub(r"\n\s*", "\n", rounded)


def _draw_panel(axis: Any, kind: Kind, panel: Panel, colors: Mapping[str, int]) -> None:
    if panel.grid is not None:
        _draw_grid(axis, panel.grid)
        return
    for series in panel.series:
        _draw_series(axis, series, colors[_color_key(series)])
    if kind.from_zero is not None:
        axis.axhline(kind.from_zero, color="#868E96", linewidth=0.8, zorder=0)
    _scale(axis, kind, [x for series in panel.series for x in series.x])


def _draw_series(axis: Any, series: Series, number: int) -> None:
    color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
    if series.look == "level":
        axis.axhline(series.y[0], color=color, linestyle=":", label=series.label)
        return
    how = {"color": color, "marker": marker, **LOOKS[series.look]}
    axis.plot(series.x, series.y, label=series.label, **how)
    if series.low:
        axis.vlines(series.x, series.low, series.high, color=color, linewidth=0.8, alpha=0.6)
    if series.last and series.x:
        ring = {"markersize": 7, "markerfacecolor": "none", "color": color}
        axis.plot(series.x[-1:], series.y[-1:], marker="o", **ring)


def _draw_grid(axis: Any, grid: Grid) -> None:
    values = [[math.nan if v is None else v for v in row] for row in grid.values]
    best = max(v for row in values for v in row if not math.isnan(v))
    axis.imshow(values, cmap=MAP_COLORS.lower(), vmin=best + WORST, vmax=best, aspect="auto")
    axis.set_xticks(range(len(grid.columns)), [str(epoch) for epoch in grid.columns])
    axis.set_yticks(range(len(grid.rows)), [str(size) for size in grid.rows])
    axis.grid(visible=False)
    for y, row in enumerate(values):
        for x, value in enumerate(row):
            if not math.isnan(value):
                ink = "black" if value > best + WORST / 2 else "white"
                axis.text(x, y, f"{value:+.1f}", ha="center", va="center", fontsize=6, color=ink)
    if grid.star is not None:
        place = (grid.star[1] + 0.3, grid.star[0] - 0.3)
        axis.plot(*place, "*", color=STAR["color"], markeredgecolor="#5A3A00", markersize=8)


def _scale(axis: Any, kind: Kind, positions: Sequence[float]) -> None:
    if kind.log_y:
        axis.set_yscale("log")
        low, high = axis.get_ylim()
        if high < 10 * low:  # powers of ten would leave the axis without ticks
            axis.yaxis.set_major_locator(ticker.MaxNLocator(4))
            axis.yaxis.set_major_formatter("{x:g}")
    if kind.log_x is not None and positions:
        axis.set_xscale("log", base=kind.log_x)
        if kind.log_x == 2:
            ticks = power_ticks([float(position) for position in positions])
            axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.minorticks_off()


def _colors(shown: Sequence[Panel]) -> dict[str, int]:
    """Number the legend's words; those of one batch size have one number in every panel."""
    keys = {_color_key(series): series.label for panel in shown for series in panel.series}
    order = sorted(keys, key=_order) if all(k.startswith("batch") for k in keys) else list(keys)
    return {key: number for number, key in enumerate(order)}


def _color_key(series: Series) -> str:
    return series.label.partition(",")[0]


def _order(key: str) -> int:
    return int(key.split()[1])


def _legend(figure: Any, axes: Any) -> None:
    found: dict[str, Any] = {}
    for axis in axes.flat:
        handles, labels = axis.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    if found:
        columns = max(2, axes.shape[1])
        figure.legend(
            found.values(), found.keys(), loc="outside upper left", ncols=columns, frameon=False
        )
