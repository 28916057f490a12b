"""Strips drawn as SVG: bars that divide a whole, side by side for each row.

A part is named inside where the name fits, so that it is known without its colour; the parts stand
in the legend's order in every bar.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from goodteacher.report.chart import Strips

ROW_HEIGHT = 24
_BAR_HEIGHT = 18
_STYLES = (0, 1, 2, 3, 5)
_GAP = 3.0
"""Per cent of the width between two columns."""
_NARROWEST = 290
"""Pixels of all columns on the narrowest screen, by which it is judged whether a name fits."""
_CHARACTER = 6.6


def part_styles(figure: Strips) -> tuple[int | None, ...]:
    """Return the number of the colour of each part; None for the rest, which is quiet."""
    count = len(figure.names)
    styles: list[int | None] = [_STYLES[place % len(_STYLES)] for place in range(count)]
    if figure.rest:
        styles[-1] = None
    return tuple(styles)


def room_of_names(figure: Strips) -> float:
    """Return the room that the names of the rows need left of the bars, in pixels."""
    return 16 + 7.2 * max(len(figure.down), *(len(row) + 2 for row in figure.rows))


def drawn_strips(figure: Strips) -> list[Markup]:
    """Draw the bars, with a name before each row and a title above each column."""
    columns = len(figure.columns)
    width = (100 - _GAP * (columns - 1)) / columns
    parts = [*_names(figure)]
    for across, title in enumerate(figure.columns):
        x = across * (width + _GAP)
        parts.append(_text(title, f"{x:.2f}%", -8, "title", "start"))
        for down, row in enumerate(figure.shares):
            where = f"{figure.down} {figure.rows[down]}, {title}"
            y = down * ROW_HEIGHT + (ROW_HEIGHT - _BAR_HEIGHT) / 2
            parts += _bar(figure, row[across], where, (x, y, width))
    return parts


def _names(figure: Strips) -> Iterator[Markup]:
    yield _text(figure.down, "-8", -8, "title", "end")
    for place, name in enumerate(figure.rows):
        chosen = place == figure.marked
        kind, shown = ("tick chosen", f"★ {name}") if chosen else ("tick", name)
        yield _text(shown, "-8", place * ROW_HEIGHT + ROW_HEIGHT / 2 + 4, kind, "end")


def _bar(
    figure: Strips, shares: Sequence[float], where: str, place: tuple[float, float, float]
) -> Iterator[Markup]:
    """Yield the parts of one bar, each with its name where that fits."""
    x, y, width = place
    for share, name, style in zip(shares, figure.names, part_styles(figure), strict=True):
        if share <= 0:
            continue
        part = width * share
        rect = Markup(
            '<g class="{}"><rect class="part" x="{:.2f}%" y="{:.1f}" width="{:.2f}%" height="{}">'
            "<title>{}</title></rect></g>"
        )
        kind = "rest" if style is None else f"s{style}"
        note = f"{where}: {name} {100 * share:.2f} %"
        yield rect.format(kind, x, y, part, _BAR_HEIGHT, note)
        said = _fitting(name, part * _NARROWEST / 100)
        if said and style is not None:
            yield _text(said, f"{x + part / 2:.2f}%", y + 13, "on-part", "middle")
        x += part


def _fitting(name: str, pixels: float) -> str:
    """Return the name, or as much of it as fits; nothing where too little does."""
    room = int((pixels - 6) / _CHARACTER)
    if len(name) <= room:
        return name
    return f"{name[: room - 1]}…" if room >= 5 else ""


def _text(words: str, x: str, y: float, kind: str, anchor: str) -> Markup:
    return Markup('<text class="{}" x="{}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        kind, x, y, anchor, words
    )
