"""Figures in a real browser, compared with pictures of them that were looked at.

What is compared is what the report draws: lines, symbols, bars, cells, intervals and their colours,
on a phone and a desk, light and dark. Words are left out, since every machine has other fonts, and
pages wrap them elsewhere; where words stand is tested in `test_browser.py` and `test_svg.py`. The
figures are taken out of the page, so that nothing but themselves and the width moves them, and
both pictures are averaged over squares of six pixels, so that another Chromium may smooth edges in
its own way. Drawn with two or three times as many pixels, or moved by a third of one, at most
0.04 % of the squares differ clearly; without the dashed line at zero, the faintest fault planted
below, 0.18 % do. The tolerance lies between (one Chromium, the four pictures).

After a figure was changed on purpose, `python -m tests.report.test_screens` writes the pictures
again; look at them before they are committed.
"""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from goodteacher.report.chart import (
    Axis,
    Cell,
    Interval,
    Intervals,
    Lines,
    Matrix,
    Point,
    Series,
    Step,
    Waterfall,
)
from goodteacher.report.page import render_page
from goodteacher.report.parts import Page, Panel, Section, Table, View
from tests.report.browsing import ARGUMENTS, BROWSER, SIZES, needs_browser

pytestmark = needs_browser

PICTURES = Path(__file__).parent / "screens"
SQUARE = 6
"""Pixels over which pictures are averaged."""

MOST_OFF = 0.001
"""Share of squares that may differ clearly."""

CLEARLY = 16
"""Levels, of 255, by which a square differs clearly."""

ONLY_FIGURES = """() => {
  const grid = document.createElement("div");
  grid.className = "panels columns-2";
  grid.append(...document.querySelectorAll(".plot"));
  document.querySelector("header").remove();
  document.querySelector("main").replaceChildren(grid);
  const style = document.createElement("style");
  style.textContent = ".chart text { visibility: hidden; } main { padding: 8px; }";
  document.head.append(style);
}"""


def lines():
    """Three series: joined, dashed and with whiskers; a star and a line at zero."""
    first = tuple(Point(x, y) for x, y in ((1, 0.2), (2, 0.9), (4, 0.5), (8, -0.2)))
    second = tuple(Point(x, 0.3) for x in (1, 8))
    third = tuple(Point(x, y, interval=(y - 0.2, y + 0.3)) for x, y in ((1, 0.7), (4, 0.1)))
    series = (
        Series("first", first),
        Series("second", second, style=None, marked=False, dashed=True),
        Series("third", third, style=1, joined=False),
    )
    ticks = (1.0, 2.0, 4.0, 8.0)
    axis = Axis("epoch", ticks, log=True)
    return Lines(axis, Axis("gain"), series, star=(2, 0.9), zero=True)


def intervals():
    """Both intervals, one alone, and none."""
    rows = (
        Interval("hard labels", 2.0, (1.0, 3.0), (0.5, 3.5), "+2.00"),
        Interval("label smoothing", -0.5, (-1.5, 0.5), None, "-0.50"),
        Interval("the same", 0.0, None, None, "the same students"),
    )
    return Intervals("points", rows)


def waterfall():
    """Up, down, and the whole."""
    steps = (
        Step("mean smoothing", 0.0, 2.0, (1.0, 3.0), 0, "+2.00", ""),
        Step("full response", 2.0, 1.2, (0.9, 1.6), 1, "-0.80", ""),
        Step("gain in all", 0.0, 1.2, (0.4, 2.0), 2, "+1.20", ""),
    )
    return Waterfall("points", steps, ("regularization", "knowledge", "in all"))


def matrix(size, *, diverging):
    """Cells of every colour, one empty and one outlined."""
    values = np.linspace(-1 if diverging else 0, 1, size * size).reshape(size, size)
    cells = tuple(
        tuple(Cell(None if (i, j) == (1, 2) else float(v), "0", "") for j, v in enumerate(row))
        for i, row in enumerate(values)
    )
    names = tuple(map(str, range(size)))
    height = 200 // size
    return Matrix(
        "across", "down", names, names, cells, "", diverging, (0, 1), (2,), row_height=height
    )


FIGURES = {
    "lines": lines(),
    "intervals": intervals(),
    "waterfall": waterfall(),
    "cells": matrix(5, diverging=False),
    "diverging": matrix(5, diverging=True),
    "dense": matrix(20, diverging=False),
}


def page_of(figures):
    """A page of nothing but figures, one in each panel."""
    table = Table("", ("a",), (("1",),))
    panels = tuple(
        Panel(name, name, (View("", figure, "", table),)) for name, figure in figures.items()
    )
    return Page("s", "t", "a", (), (Section("f", "Figures", (), panels),), ())


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A page with a figure of every kind."""
    path = tmp_path_factory.mktemp("s") / "report.html"
    path.write_text(render_page(page_of(FIGURES)), encoding="utf-8")
    return path


def picture_of(page, density=1):
    """The figures of a page, averaged over squares."""
    page.evaluate(ONLY_FIGURES)
    shot = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    return shot.reduce(SQUARE * density)


def share_off(picture, reference):
    """Share of squares that differ clearly; all of them where the sizes differ."""
    if picture.size != reference.size:
        return 1.0
    arrays = (np.asarray(each, dtype=np.int16) for each in (picture, reference))
    return float((abs(np.subtract(*arrays)).max(axis=2) > CLEARLY).mean())


def reference(size, theme):
    return Image.open(PICTURES / f"{size}-{theme}.png").convert("RGB")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_figures_look_as_they_did(opened, size, theme):
    page = opened(*SIZES[size], color_scheme=theme)
    assert share_off(picture_of(page), reference(size, theme)) <= MOST_OFF


FAULTS = {
    "a line is gone": "document.querySelectorAll('.line').forEach((e) => e.remove())",
    "a symbol has another colour": "document.querySelectorAll('.chart .s1')"
    ".forEach((e) => { e.style.color = 'var(--c3)'; })",
    "whiskers are gone": "document.querySelectorAll('.whisker').forEach((e) => e.remove())",
    "a bar is elsewhere": "document.querySelector('rect.bar').setAttribute('y', '0')",
    "cells are pale": "document.querySelectorAll('.cell').forEach((e) => e.style.opacity = 0.8)",
    "the line at zero is gone": "document.querySelectorAll('.zero').forEach((e) => e.remove())",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_comparison_sees_what_is_wrong(opened, fault):
    page = opened(*SIZES["phone"], color_scheme="light")
    page.evaluate(f"() => {{ {FAULTS[fault]} }}")
    assert share_off(picture_of(page), reference("phone", "light")) > MOST_OFF


def test_the_comparison_does_not_see_how_edges_are_smoothed(opened):
    page = opened(*SIZES["desk"], color_scheme="light", device_scale_factor=2)
    assert share_off(picture_of(page, density=2), reference("desk", "light")) <= MOST_OFF


@pytest.mark.parametrize("font", ["monospace", "serif"])
def test_the_comparison_does_not_see_fonts(opened, font):
    page = opened(*SIZES["phone"], color_scheme="light")
    page.add_style_tag(content=f"body {{ font: 19px/1.9 {font} !important; }}")
    assert share_off(picture_of(page), reference("phone", "light")) <= MOST_OFF


def write_references():
    """Write the pictures that figures are compared with."""
    from playwright.sync_api import sync_playwright

    PICTURES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        for size, (width, height) in SIZES.items():
            for theme in ("light", "dark"):
                viewport = {"width": width, "height": height}
                page = started.new_page(viewport=viewport, color_scheme=theme)
                page.set_content(render_page(page_of(FIGURES)))
                picture_of(page).save(PICTURES / f"{size}-{theme}.png", optimize=True)
        started.close()


if __name__ == "__main__":
    write_references()
