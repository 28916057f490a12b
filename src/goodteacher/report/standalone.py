"""A figure without the page around it: as SVG with its own colours, or as a part of a page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import resources

import jinja2
from markupsafe import Markup, escape

from goodteacher.report.parts import View
from goodteacher.report.svg import Drawing, Key, draw

FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'
_OPTION = re.compile(r"--[a-z][a-z-]*[a-z]")
_EDGE = 14
"""Pixels around everything."""
_LINE = 20
_CHARACTER = 7.4
"""Pixels of a character of the legend, on average."""


def template(name: str) -> jinja2.Template:
    """Return a template of the page; what is put into it is escaped."""
    return _environment().get_template(name)


def asset(name: str) -> str:
    """Return a file that pages take over as it is."""
    folder = resources.files("goodteacher.report") / "templates"
    return (folder / name).read_text(encoding="utf-8")


@cache
def palettes() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the colours of the light and of the dark theme by name, from the style sheet."""
    light, dark = (
        dict(re.findall(r"(--\w+): ([^;]+);", block))
        for block in re.findall(r":root \{(.*?)\}", asset("page.css"), re.DOTALL)
    )
    return light, dark


@cache
def figure_rules() -> str:
    """Return the part of the style sheet that figures need."""
    return asset("page.css").partition("in notebooks as well. */")[2].partition("/* End of")[0]


def as_svg(view: View, *, title: str, dark: bool, width: int) -> str:
    """Return a view as the text of an SVG file.

    Args:
        view: The view.
        title: Stands above it.
        dark: Whether it is of the dark theme.
        width: Of all, in pixels.
    """
    drawing, colors = draw(view.figure), palettes()[dark]
    legend, below = _legend(drawing, width)
    lines = list(_broken(title, width))
    head = _EDGE + 22 * len(lines)
    top, right, bottom, left = drawing.margins
    begin = head + below + top
    height = begin + drawing.height + bottom + _EDGE
    opened = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" viewBox="0 0 {0} {1}" '
        'role="img" aria-label="{2}" font-family="{3}">'
    ).format(width, height, title, FONT)
    headings = [
        Markup('<text class="heading" x="{}" y="{}">{}</text>').format(
            _EDGE, _EDGE + 22 * number + 10, line
        )
        for number, line in enumerate(lines)
    ]
    plot = Markup('<svg class="chart" x="{}" y="{}" width="{}" height="{}" overflow="visible">')
    inner = width - left - right - 2 * _EDGE
    return str(
        Markup("").join(
            [
                opened,
                Markup("<desc>{}</desc>").format(view.caption),
                Markup("<style>{}</style>").format(Markup(_resolved(colors))),
                Markup('<rect width="100%" height="100%" fill="{}"/>').format(colors["--surface"]),
                *headings,
                Markup('<g transform="translate({},{})">{}</g>').format(_EDGE, head, legend),
                plot.format(_EDGE + left, begin, inner, drawing.height),
                drawing.parts,
                Markup("</svg></svg>"),
            ]
        )
    )


def as_html(view: View, *, title: str, others: Sequence[str]) -> str:
    """Return a view as a part of a page that brings its own style.

    Args:
        view: The view.
        title: Stands above it.
        others: What further views are called.
    """
    light, dark = palettes()
    return template("plot.html").render(
        view=view,
        title=title,
        others=others,
        drawing=draw(view.figure),
        light=_declared(light),
        dark=_declared(dark),
        rules=figure_rules(),
        font=FONT,
    )


def as_document(part: str, title: str) -> str:
    """Return a part of a page as a page of its own."""
    return str(
        Markup(
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="color-scheme" content="light dark">\n'
            "<title>{} - goodteacher</title>\n</head>\n<body>\n{}\n</body>\n</html>\n"
        ).format(title, Markup(part))
    )


def _resolved(colors: Mapping[str, str]) -> str:
    """Return the rules of a figure with colours in place of their names, as viewers of SVG need."""
    rules = re.sub(r"var\((--\w+)\)", lambda found: colors[found[1]], figure_rules())
    own = f".heading {{ font-size: 15px; font-weight: 600; fill: {colors['--ink']}; }}"
    legend = f".entry {{ font-size: 13px; fill: {colors['--ink']}; }}"
    return f"{rules}\n{own}\n{legend}\n"


def _declared(colors: Mapping[str, str]) -> str:
    return " ".join(f"{name}: {value};" for name, value in colors.items())


def _legend(drawing: Drawing, width: int) -> tuple[Markup, int]:
    """Return the legend and its height; an entry that has no room begins a line."""
    parts: list[Markup] = []
    x, line = 0.0, 0
    title = [(None, drawing.legend_title)] if drawing.legend_title else []
    entries: list[tuple[Key | None, str]] = [*title, *((key, key.name) for key in drawing.legend)]
    for key, name in entries:
        shift = 0 if key is None else 30
        room = shift + _CHARACTER * len(name) + 16
        if x and x + room > width - 2 * _EDGE:
            x, line = 0.0, line + 1
        y = line * _LINE
        if key is not None:
            place = Markup('<g transform="translate({:.0f},{})">{}</g>')
            parts.append(place.format(x, y + 2, key.symbol))
        text = Markup('<text class="entry" x="{:.0f}" y="{}">{}</text>')
        parts.append(text.format(x + shift, y + 13, name))
        x += room
    return Markup("").join(parts), (line + 1) * _LINE + 4 if entries else 0


def _broken(title: str, width: int) -> Iterator[str]:
    """Yield the lines of a title."""
    most, line = int((width - 2 * _EDGE) / 8.4), ""
    for word in title.split():
        if line and len(line) + 1 + len(word) > most:
            yield line
            line = ""
        line = f"{line} {word}".strip()
    yield line


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("goodteacher.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["whole_options"] = _whole_options
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":")}
    return environment


def _whole_options(text: str) -> Markup:
    """Return a text whose options, such as --student-epochs, are not broken at the end of a line.

    Example:
        >>> _whole_options("see --seeds <b>")
        Markup('see <span class="whole">--seeds</span> &lt;b&gt;')
    """
    return Markup(_OPTION.sub(r'<span class="whole">\g<0></span>', str(escape(text))))
