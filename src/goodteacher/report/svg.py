"""Figures drawn as SVG, without a library and without a script.

Places across are percentages and places down are pixels, so a figure fits any width while its text
keeps its size. Colours are classes of the style sheet. What is written from data is escaped.
"""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from goodteacher.report.chart import (
    Axis,
    Cell,
    Figure,
    Interval,
    Intervals,
    Lines,
    Matrix,
    Point,
    Series,
    Step,
    Strips,
    Waterfall,
)
from goodteacher.report.scales import Scale, number_on, scale_of
from goodteacher.report.strips import ROW_HEIGHT, drawn_strips, part_styles, room_of_names
from goodteacher.report.theme import cell_colors

NUM_STYLES = 6
"""Colours and symbols after which they begin again."""

_SYMBOLS = (
    "M-4.5,0a4.5,4.5 0 1,0 9,0a4.5,4.5 0 1,0 -9,0",
    "M-4,-4H4V4H-4Z",
    "M0,-5.5L5.5,0L0,5.5L-5.5,0Z",
    "M0,-5.5L5,4H-5Z",
    "M-5,-1.7H-1.7V-5H1.7V-1.7H5V1.7H1.7V5H-1.7V1.7H-5Z",
    "M0,5.5L5,-4H-5Z",
)
_STAR = "M0,-8L2.1,-2.8L7.6,-2.5L3.4,1.1L4.7,6.5L0,3.5L-4.7,6.5L-3.4,1.1L-7.6,-2.5L-2.1,-2.8Z"
_MOST_COLUMNS_WITH_TEXT = 12
_LONGEST_NAME = 18
_MOST_NAMES = 14
_CHARACTERS_ACROSS = 28
"""Of names side by side on the narrowest screen."""

_WORDS, _PLOT = 20, 24
"""Of a row of intervals, the height of its words and of what is drawn below them, in pixels."""

_WORDS_ACROSS = 46
"""Characters of a name and of its numbers that fit side by side on the narrowest screen."""

_NAME_ACROSS = 11
"""Characters of a line below a bar."""


@dataclass(frozen=True)
class Key:
    """An entry of the legend.

    Attributes:
        symbol: The symbol as SVG.
        name: What it stands for.
    """

    symbol: Markup
    name: str


@dataclass(frozen=True)
class Drawing:
    """A figure as the page holds it.

    Attributes:
        parts: The figure's elements; places across are percentages of the plot's width.
        height: Of the plot, in pixels.
        margins: Room for axes and names around it, in pixels: top, right, bottom, left.
        legend_title: Stands before the legend.
        legend: What its symbols stand for; none where they speak for themselves.
    """

    parts: Markup
    height: int
    margins: tuple[int, int, int, int]
    legend_title: str = ""
    legend: tuple[Key, ...] = ()

    @property
    def svg(self) -> Markup:
        """The figure as wide as its place; its own box is the plot, axes stand in its margins."""
        top, right, bottom, left = self.margins
        width = f"calc(100% - {left + right}px)"
        margins = f"margin: {top}px {right}px {bottom}px {left}px; width: {width}"
        opened = Markup(
            '<svg class="chart" height="{}" style="{}" aria-hidden="true" focusable="false">'
        )
        return opened.format(self.height, margins) + self.parts + Markup("</svg>")


def draw(figure: Figure) -> Drawing:
    """Draw a figure."""
    if isinstance(figure, Lines):
        return _draw_lines(figure)
    if isinstance(figure, Intervals):
        return _draw_intervals(figure)
    if isinstance(figure, Waterfall):
        return _draw_waterfall(figure)
    if isinstance(figure, Strips):
        return _draw_strips(figure)
    return _draw_matrix(figure)


def _draw_strips(figure: Strips) -> Drawing:
    part = Markup('<path class="part" d="M-7,-6H7V6H-7Z"/>')
    keys = zip(part_styles(figure), figure.names, strict=True)
    return _framed(
        drawn_strips(figure),
        left=room_of_names(figure),
        height=ROW_HEIGHT * len(figure.rows),
        top=26,
        right=4,
        bottom=6,
        legend=tuple(Key(_key(style, part), name) for style, name in keys),
    )


def _draw_lines(figure: Lines) -> Drawing:
    points = [point for series in figure.series for point in series.points]
    ends = [end for point in points for end in point.interval or ()]
    zeros = [0.0] if figure.zero else []
    across = scale_of(figure.x, (point.x for point in points))
    up = scale_of(figure.y, (*(point.y for point in points), *ends, *zeros))
    height = figure.height

    def down(value: float) -> float:
        return height * (1 - up.share(value))

    left = _room([number_on(tick, up) for tick in up.ticks])
    parts = [
        *_grid(up, down),
        *_ticks_across(across, height),
        *_titles(figure.x.title, figure.y.title, left, height),
    ]
    if figure.zero:
        parts.append(_rule(0, down(0), 100, down(0), "zero"))
    parts += [_series(series, across, down) for series in figure.series]
    if figure.star is not None:
        x, y = figure.star
        parts.append(
            _placed(100 * across.share(x), down(y), Markup(f'<path class="star" d="{_STAR}"/>'))
        )
    shown = tuple(Key(_key_symbol(s), s.name) for s in figure.series if s.name)
    legend = shown if len(shown) > 1 or figure.legend else ()
    return _framed(parts, left=left, height=height, title=figure.legend, legend=legend)


def _series(series: Series, across: Scale, down: Callable[[float], float]) -> Markup:
    places = [(100 * across.share(point.x), down(point.y)) for point in series.points]
    parts = []
    if series.joined:
        kind = "line dashed" if series.dashed else "line"
        parts += [_rule(*start, *end, kind) for start, end in itertools.pairwise(places)]
    for point, (x, y) in zip(series.points, places, strict=True):
        if point.interval is not None:
            parts += _whisker(x, down(point.interval[0]), down(point.interval[1]))
        if series.marked:
            parts.append(_placed(x, y, _symbol(series.style), point.note))
        if point.label:
            parts.append(_beside(point, x, y))
    return _group(_class_of(series.style), parts)


def _beside(point: Point, x: float, y: float) -> Markup:
    """Write a label beside a point, on the side where there is room."""
    anchor, gap = ("end", -8) if x > 80 else ("start", 8)
    return _text(point.label, f"{x:.2f}%", y - 7, "label", anchor, dx=gap)


def _draw_intervals(figure: Intervals) -> Drawing:
    ends = [end for row in figure.rows for pair in (row.inner, row.outer) for end in pair or ()]
    scale = scale_of(Axis(figure.title), [0.0, *ends, *(row.mean for row in figure.rows)])
    height = (_WORDS + _PLOT) * len(figure.rows)
    parts = [*_ticks_across(scale, height), *_titles(figure.title, "", 0, height)]
    for place, row in enumerate(figure.rows):
        top = place * (_WORDS + _PLOT)
        parts += _rules_of_row(scale, top + _WORDS, top + _WORDS + _PLOT)
        parts.append(_interval(row, scale, top))
    return _framed(parts, left=14, height=height, top=4, right=14)


def _rules_of_row(scale: Scale, top: float, bottom: float) -> list[Markup]:
    """Draw the grid and the line at zero through a row, but not through its words."""
    lines = [(100 * scale.share(tick), "grid") for tick in scale.ticks if tick]
    lines.append((100 * scale.share(0), "zero"))
    return [_rule(x, top, x, bottom, kind) for x, kind in lines]


def _interval(row: Interval, scale: Scale, top: float) -> Markup:
    middle, room = top + _WORDS + _PLOT / 2, max(_WORDS_ACROSS - len(row.shown), 8)
    name = _text(_short(row.name, room), "0", top + 14, "name", "start", note=row.name)
    parts = [name, _text(row.shown, "100%", top + 14, "value", "end")]
    if row.outer is not None:
        low, high = (100 * scale.share(end) for end in row.outer)
        parts.append(_rule(low, middle, high, middle, "whisker"))
        parts += [_rule(x, middle - 5, x, middle + 5, "whisker") for x in (low, high)]
    if row.inner is not None:
        low, high = (100 * scale.share(end) for end in row.inner)
        parts.append(_rule(low, middle, high, middle, "thick"))
    note = f"{row.name}: {row.shown}"
    parts.append(_placed(100 * scale.share(row.mean), middle, _symbol(0), note))
    return _group(_class_of(0), parts)


def _draw_waterfall(figure: Waterfall) -> Drawing:
    values = [v for s in figure.steps for v in (s.start, s.end, *s.interval)]
    up = scale_of(Axis(figure.title), [0.0, *values])
    height, width = figure.height, 100 / len(figure.steps)

    def down(value: float) -> float:
        return height * (1 - up.share(value))

    left = _room([number_on(tick, up) for tick in up.ticks])
    parts = [*_grid(up, down), *_titles("", figure.title, left, height)]
    parts.append(_rule(0, down(0), 100, down(0), "zero"))
    for place, step in enumerate(figure.steps):
        parts.append(_step(step, (place + 0.5) * width, 0.6 * width, down))
        parts += _lines_of_name(step.name, (place + 0.5) * width, height + 16)
        if place + 1 < len(figure.steps):
            ends = ((place + 0.8) * width, (place + 1.2) * width)
            parts.append(_rule(ends[0], down(step.end), ends[1], down(step.end), "link"))
    used = sorted({step.style for step in figure.steps})
    legend = tuple(Key(_box(style), figure.kinds[style]) for style in used)
    return _framed(parts, left=left, height=height, bottom=52, legend=legend)


def _step(step: Step, middle: float, width: float, down: Callable[[float], float]) -> Markup:
    top, bottom = sorted((down(step.start), down(step.end)))
    bar = Markup(
        '<rect class="bar" x="{:.2f}%" y="{:.1f}" width="{:.2f}%" height="{:.1f}">{}</rect>'
    ).format(middle - width / 2, top, width, max(bottom - top, 1.0), _note(step.note))
    high = min(top, down(step.interval[1]), down(step.interval[0]))
    parts = [bar, *_whisker(middle, *(down(end) for end in step.interval))]
    parts.append(_text(step.shown, f"{middle:.2f}%", high - 7, "value", "middle"))
    return _group(_class_of(step.style), parts)


def _draw_matrix(figure: Matrix) -> Drawing:
    known = [cell.value for row in figure.cells for cell in row if cell.value is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    low, high = figure.limits or (low, high)
    if figure.diverging:
        high = max(abs(low), abs(high)) or 1.0
        low = -high
    height, width = figure.row_height * len(figure.rows), 100 / max(len(figure.columns), 1)
    left = _room([_short(name) for name in figure.rows])
    roomy = len(figure.columns) <= _MOST_COLUMNS_WITH_TEXT
    parts: list[Markup] = []
    for down, row in enumerate(figure.cells):
        for across, cell in enumerate(row):
            box = (across * width, down * figure.row_height, width, figure.row_height)
            share = None if cell.value is None else (cell.value - low) / ((high - low) or 1.0)
            parts += _cell(cell, box, share, diverging=figure.diverging, roomy=roomy)
    if figure.diverging:
        parts = [_group("diverging", parts)]
    parts += [_rule(0, y, 100, y, "break") for y in (p * figure.row_height for p in figure.breaks)]
    parts += _outline(figure, width)
    for place, name in enumerate(figure.rows):
        middle = (place + 0.5) * figure.row_height + 4
        parts.append(_text(_short(name), "-8", middle, "tick", "end", note=name))
    names, room = _column_names(figure.columns, width, height)
    parts += [*names, *_titles(figure.across, figure.down, left, height, below=room + 16)]
    return _framed(parts, left=left, height=height, bottom=round(room) + 26)


def _cell(
    cell: Cell,
    box: tuple[float, float, float, float],
    share: float | None,
    *,
    diverging: bool,
    roomy: bool,
) -> list[Markup]:
    x, y, width, height = box
    kind, fill, ink = "cell" if roomy else "cell dense", "", ""
    if share is None:
        kind += " empty"
    else:
        color, ink = cell_colors(share, diverging=diverging)
        fill = f' fill="{color}"'
    rect = Markup(
        '<rect class="{}" x="{:.2f}%" y="{:.1f}" width="{:.2f}%" height="{:.1f}"{}>{}</rect>'
    )
    parts = [rect.format(kind, x, y, width, height, Markup(fill), _note(cell.note))]
    if roomy or share is None:
        lines = cell.text.split("\n")
        first = y + height / 2 + 4.5 - 8 * (len(lines) - 1)
        parts += [
            _text(line, f"{x + width / 2:.2f}%", first + 16 * number, "inside", "middle", fill=ink)
            for number, line in enumerate(lines)
            if line
        ]
    return parts


def _outline(figure: Matrix, width: float) -> list[Markup]:
    if figure.outlined is None:
        return []
    row, column = figure.outlined
    return [
        Markup(
            f'<rect class="outline" x="{column * width:.2f}%" y="{row * figure.row_height:.1f}" '
            f'width="{width:.2f}%" height="{figure.row_height:.1f}"/>'
        )
    ]


def _column_names(names: Sequence[str], width: float, height: float) -> tuple[list[Markup], float]:
    """Write names below their columns, upright where they would run into each other.

    Returns:
        The names, and the height that they take.
    """
    every = math.ceil(len(names) / _MOST_NAMES)
    shown = [(place, name) for place, name in enumerate(names) if place % every == 0]
    if max(map(len, names), default=0) * len(shown) <= _CHARACTERS_ACROSS:
        return [
            _text(name, f"{(place + 0.5) * width:.2f}%", height + 16, "tick", "middle")
            for place, name in shown
        ], 22
    upright = [
        _placed(
            (place + 0.5) * width + 0.5,
            height + 8,
            Markup(
                '<text class="tick" transform="rotate(-90)" text-anchor="end" y="3">{}{}</text>'
            ).format(_short(name), _note(name)),
        )
        for place, name in shown
    ]
    return upright, _room([_short(name) for _, name in shown])


def _grid(up: Scale, down: Callable[[float], float]) -> list[Markup]:
    lines = [_rule(0, down(tick), 100, down(tick), "grid") for tick in up.ticks]
    return [
        *lines,
        *(_text(number_on(t, up), "-8", down(t) + 4, "tick", "end") for t in up.ticks),
    ]


def _ticks_across(scale: Scale, height: float) -> list[Markup]:
    """Write numbers below the plot, fewer of them where they would run into each other."""
    shown: list[Markup] = []
    last = -100.0
    for tick in scale.ticks:
        place = 100 * scale.share(tick)
        if place - last >= 7:
            shown.append(
                _text(number_on(tick, scale), f"{place:.2f}%", height + 18, "tick", "middle")
            )
            last = place
    return shown


def _titles(across: str, up: str, left: float, height: float, *, below: float = 38) -> list[Markup]:
    found = []
    if across:
        found.append(_text(across, "50%", height + below, "title", "middle"))
    if up:
        found.append(_text(up, f"{4 - left:.0f}", -12, "title", "start"))
    return found


def _framed(
    parts: Iterable[Markup],
    *,
    left: float,
    height: float,
    top: int = 30,
    right: int = 12,
    bottom: int = 48,
    title: str = "",
    legend: tuple[Key, ...] = (),
) -> Drawing:
    """Put parts into a figure, with room for its axes."""
    margins = (top, right, bottom, round(left))
    return Drawing(Markup("").join(parts), round(height), margins, title, legend)


def _whisker(x: float, start: float, end: float) -> list[Markup]:
    stroke = _rule(x, start, x, end, "whisker")
    caps = (_placed(x, y, Markup('<path class="whisker" d="M-4,0H4"/>')) for y in (start, end))
    return [stroke, *caps]


def _lines_of_name(name: str, x: float, y: float) -> list[Markup]:
    return [
        _text(line, f"{x:.2f}%", y + 14 * number, "bar-name", "middle")
        for number, line in enumerate(textwrap.wrap(name, _NAME_ACROSS, break_long_words=False))
    ]


def _rule(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return Markup(
        f'<line class="{kind}" x1="{x1:.2f}%" y1="{y1:.1f}" x2="{x2:.2f}%" y2="{y2:.1f}"/>'
    )


def _placed(x: float, y: float, content: Markup, note: str = "") -> Markup:
    return Markup('<svg x="{:.2f}%" y="{:.1f}" overflow="visible">{}{}</svg>').format(
        x, y, content, _note(note)
    )


def _text(
    words: str,
    x: str,
    y: float,
    kind: str,
    anchor: str,
    *,
    dx: float = 0,
    fill: str = "",
    note: str = "",
) -> Markup:
    shift = Markup(f' dx="{dx:g}"') if dx else ""
    color = Markup(f' style="fill: {fill}"') if fill else ""
    said = _note(note) if note != words else ""
    return Markup('<text class="{}" x="{}" y="{:.1f}" text-anchor="{}"{}{}>{}{}</text>').format(
        kind, x, y, anchor, shift, color, words, said
    )


def _note(note: str) -> Markup:
    return Markup("<title>{}</title>").format(note) if note else Markup("")


def _group(kind: str, parts: Iterable[Markup]) -> Markup:
    return Markup('<g class="{}">{}</g>').format(kind, Markup("").join(parts))


def _symbol(style: int | None) -> Markup:
    return Markup('<path class="point" d="{}"/>').format(_SYMBOLS[(style or 0) % NUM_STYLES])


def _key_symbol(series: Series) -> Markup:
    kind = "line dashed" if series.dashed else "line"
    line = Markup(f'<path class="{kind}" d="M-11,0H11"/>') if series.joined else Markup("")
    return _key(series.style, line + (_symbol(series.style) if series.marked else ""))


def _box(style: int) -> Markup:
    return _key(style, Markup('<path class="bar" d="M-7,-6H7V6H-7Z"/>'))


def _key(style: int | None, content: Markup) -> Markup:
    opened = Markup(
        '<svg class="key {}" width="24" height="14" viewBox="-12 -7 24 14" aria-hidden="true">'
    )
    return opened.format(_class_of(style)) + content + Markup("</svg>")


def _class_of(style: int | None) -> str:
    return "quiet" if style is None else f"s{style % NUM_STYLES}"


def _room(names: Sequence[str]) -> float:
    """Return the room that names need left of the plot, in pixels."""
    return 16 + 7.2 * max(map(len, names), default=0)


def _short(name: str, most: int = _LONGEST_NAME) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
