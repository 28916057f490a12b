"""The map of the omitted classes: batch size x epoch, two rows of panels for each data set."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omitted_results import Grid, Spot
from omitted_rules import needed
from pairs import NAMES
from panels import MAP_COLORS, STAR_COLOR

SHOWN_TEMPERATURES = (1.0, 4.0, 16.0)


@dataclass(frozen=True)
class Map:
    """One kind of panel: a value for each batch size and epoch.

    Attributes:
        title: What it shows.
        value: Of a teacher without its seed.
        form: How the value is written into its cell.
        colour: What its colour follows, from 0 (dark) to 1 (bright) after scaling to the panel.
        ends: Values at which the colours end; None for the panel's own.
        star: Whether the largest value is marked.
    """

    title: str
    value: Callable[[Grid, Spot], float]
    form: str
    colour: Callable[[float], float] = float
    ends: tuple[float, float] | None = None
    star: bool = True


def _known(t: float, share: Any) -> Callable[[Grid, Spot], float]:
    return lambda grid, spot: 100 * float(grid.values(spot, t, share).mean())


def _students(grid: Grid, spot: Spot) -> float:
    return 100 * statistics.fmean(grid.best_accuracy(number) for number in grid.members[spot])


def _similarity(grid: Grid, spot: Spot) -> float:
    known = (grid.teachers[number]["similarity"]["1"] for number in grid.members[spot])
    return 1000 * statistics.fmean(known)


def _fit(grid: Grid, spot: Spot) -> float:
    return statistics.fmean(-grid.teachers[number]["best_nll"] for number in grid.members[spot])


MAPS: Sequence[Map] = (
    Map("omitted, T = 1, as trained, %", _known(1.0, "trained"), ".0f", ends=(0, 100)),
    *(
        Map(f"omitted, T = {t:g}, corrected, %", _known(t, "corrected"), ".0f", ends=(0, 100))
        for t in SHOWN_TEMPERATURES
    ),
    Map(
        "T that the teacher needs", needed, "g", colour=math.log, ends=(0, math.log(64)), star=False
    ),
    Map("students, all classes, best T, %", _students, ".1f"),
    Map("S, T = 1, 0.001 nats", _similarity, ".0f", colour=lambda value: math.log(max(value, 1.0))),
    Map("held-out log-likelihood, nats", _fit, ".2f"),
)
COLUMNS = 4


def draw(grids: Mapping[str, Grid], path: Path) -> None:
    """Draw every map of every data set that was run at the temperatures shown.

    Args:
        grids: By data set.
        path: The SVG file.
    """
    from figures import STYLE, pyplot, save  # needs Matplotlib, which values do not

    shown = {
        name: grid for name, grid in grids.items() if {*SHOWN_TEMPERATURES} <= {*grid.temperatures}
    }
    with pyplot.rc_context({**STYLE, "font.sans-serif": ["DejaVu Sans"]}):  # short in every text
        rows = len(MAPS) // COLUMNS * max(1, len(shown))
        figure, axes = pyplot.subplots(
            rows, COLUMNS, figsize=(2.6 * COLUMNS, 1.8 * rows), squeeze=False, layout="constrained"
        )
        panels = [(name, grid, each) for name, grid in shown.items() for each in MAPS]
        for (name, grid, each), axis in zip(panels, axes.flat, strict=False):
            _draw(axis, each, grid)
            if each in MAPS[::COLUMNS]:
                axis.set_ylabel(f"{NAMES.get(name, name)}\nbatch size")
        for axis in axes[-1]:
            axis.set_xlabel("epoch")
        save(figure, path)


def _draw(axis: Any, shown: Map, grid: Grid) -> None:
    sizes = sorted({spot.batch_size for spot in grid.members})
    epochs = sorted({spot.epoch for spot in grid.members})
    values = {
        (sizes.index(spot.batch_size), epochs.index(spot.epoch)): shown.value(grid, spot)
        for spot in grid.members
    }
    colours = {place: shown.colour(value) for place, value in values.items()}
    low, high = shown.ends or (lowest(list(colours.values())), max(colours.values()))
    rows = [[colours.get((y, x), math.nan) for x in range(len(epochs))] for y in range(len(sizes))]
    axis.imshow(rows, cmap=MAP_COLORS, vmin=low, vmax=high, aspect="auto")
    axis.set_xticks(range(len(epochs)), [str(epoch) for epoch in epochs])
    axis.set_yticks(range(len(sizes)), [str(size) for size in sizes])
    axis.set_title(shown.title)
    axis.grid(visible=False)
    for (y, x), value in values.items():
        ink = "black" if colours[y, x] > (low + high) / 2 else "white"
        text = format(value, shown.form)
        axis.text(x, y, text, ha="center", va="center", fontsize=7, color=ink)
    if not shown.star:
        return
    y, x = max(values, key=lambda place: values[place])
    axis.plot(x + 0.33, y - 0.33, "*", color=STAR_COLOR, markeredgecolor="#5A3A00", markersize=6)


def lowest(colours: Sequence[float]) -> float:
    """Return where a panel's colours end: its median less twice what lies above it.

    Teachers that have hardly begun would take all colours.
    """
    middle, top = statistics.median(colours), max(colours)
    return max(min(colours), middle - 2 * (top - middle))
