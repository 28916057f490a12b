"""What a figure shows, before it is drawn: numbers, names and notes, frozen.

Five kinds cover the page: lines (and points) over numbers, intervals of differences, the steps of
a waterfall, a matrix of coloured cells, and strips that divide a whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from goodteacher.records import Pair


@dataclass(frozen=True)
class Axis:
    """An axis of numbers.

    Attributes:
        title: What it shows, with its unit.
        ticks: Where numbers stand; by default round ones.
        log: Whether it is logarithmic; all positions are positive then.
    """

    title: str
    ticks: tuple[float, ...] = ()
    log: bool = False


@dataclass(frozen=True)
class Point:
    """A point of a series.

    Attributes:
        x: Its place across.
        y: Its place up.
        note: What it says where a pointer rests on it.
        label: What stands beside it.
        interval: Ends of its whisker, up and down; None for no whisker.
    """

    x: float
    y: float
    note: str = ""
    label: str = ""
    interval: Pair | None = None


@dataclass(frozen=True)
class Series:
    """Points that belong together.

    Attributes:
        name: What the legend calls them; nothing keeps them out of it.
        points: In the order in which a line joins them.
        style: Number of their colour and symbol; None for the quiet one of references.
        joined: Whether a line joins them.
        marked: Whether each has a symbol.
        dashed: Whether the line is dashed.
    """

    name: str
    points: tuple[Point, ...]
    style: int | None = 0
    joined: bool = True
    marked: bool = True
    dashed: bool = False


@dataclass(frozen=True)
class Lines:
    """Series over numbers.

    Attributes:
        x: The axis across.
        y: The axis up.
        series: What is drawn, in this order.
        height: Of the plot, in pixels; the width is the reader's.
        legend: Title of the legend.
        star: Where a star stands, the sweet spot's place.
        zero: Whether a dashed line marks y = 0.
    """

    x: Axis
    y: Axis
    series: tuple[Series, ...]
    height: int = 250
    legend: str = ""
    star: Pair | None = None
    zero: bool = False


@dataclass(frozen=True)
class Interval:
    """A difference with its intervals.

    Attributes:
        name: Of what.
        mean: Its estimate.
        inner: Its interval, drawn thick; None where there is none.
        outer: Its joint interval, drawn thin with caps.
        shown: What is written beside the name.
    """

    name: str
    mean: float
    inner: Pair | None
    outer: Pair | None
    shown: str


@dataclass(frozen=True)
class Intervals:
    """Differences below each other, beside a line at zero.

    Attributes:
        title: Of the axis, with its unit.
        rows: From top to bottom.
    """

    title: str
    rows: tuple[Interval, ...]


@dataclass(frozen=True)
class Step:
    """A bar of a waterfall.

    Attributes:
        name: What it adds.
        start: Where it begins.
        end: Where it ends.
        interval: Of its end.
        style: Number of its colour.
        shown: What is written above it.
        note: What it says where a pointer rests on it.
    """

    name: str
    start: float
    end: float
    interval: Pair
    style: int
    shown: str
    note: str


@dataclass(frozen=True)
class Waterfall:
    """Steps that begin where the one before ended.

    Attributes:
        title: Of the axis up, with its unit.
        steps: From left to right.
        kinds: What each style stands for.
        height: Of the plot, in pixels.
    """

    title: str
    steps: tuple[Step, ...]
    kinds: tuple[str, ...]
    height: int = 280


@dataclass(frozen=True)
class Cell:
    """A cell of a matrix.

    Attributes:
        value: What the colour shows; None where there is nothing to show.
        text: What the cell says, lines apart by a line break.
        note: What it says at length, where a pointer rests on it.
    """

    value: float | None
    text: str
    note: str


@dataclass(frozen=True)
class Matrix:
    """Coloured cells.

    Attributes:
        across: Title of the columns.
        down: Title of the rows.
        columns: Names of the columns.
        rows: Names of the rows.
        cells: One row of cells for each row.
        unit: Of the values.
        diverging: Whether 0 is in the middle of the colours rather than at their end.
        outlined: Row and column of the cell that stands out.
        breaks: Places of rows before which a line separates.
        row_height: In pixels.
        limits: Ends of the colours; by default the lowest and the highest value.
    """

    across: str
    down: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]
    unit: str = ""
    diverging: bool = False
    outlined: tuple[int, int] | None = None
    breaks: tuple[int, ...] = ()
    row_height: int = 44
    limits: Pair | None = None


@dataclass(frozen=True)
class Strips:
    """Bars that divide a whole, one for each row and column.

    Attributes:
        down: Title of the rows.
        rows: Names of the rows.
        columns: Titles of the columns.
        names: What the parts of a bar stand for, from left to right.
        shares: For each row and column the share of each part, which sum to 1.
        marked: Place of the row that stands out.
        rest: Whether the last part is all that has no part of its own.
    """

    down: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    names: tuple[str, ...]
    shares: tuple[tuple[tuple[float, ...], ...], ...]
    marked: int | None = None
    rest: bool = False


Figure = Lines | Intervals | Waterfall | Matrix | Strips
"""Anything that can be drawn."""
