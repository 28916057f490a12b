"""The page of a comparison, and plots as a notebook shows them, in a real browser."""

import pytest

from goodteacher.report import compare, curves_plot, gains_plot, map_plot
from tests.report.browsing import SIZES, needs_browser
from tests.report.build import data_summary, finish_study, settings, sweet_spot, write_study
from tests.report.test_browser import EVIL
from tests.report.test_comparison import HALF, MORE, made

pytestmark = needs_browser
LONG = "a-folder-with-a-rather-long-name-of-a-study"
JUPYTER = '<body data-jp-theme-light="{}" style="background: {}">'
CODE = '<body class="vscode-{}" style="background: {}">'


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Two studies whose names and data are hostile, and one that has not finished."""
    folder = tmp_path_factory.mktemp("compared")
    data, config = data_summary((EVIL, "b", "c")), settings(data=EVIL)
    made(folder / LONG, right=HALF, data=data, config=config, answer=sweet_spot(answer="yes"))
    made(folder / "<b>two", right=MORE, data=data, config=config)
    write_study(folder / "three", config=settings(epochs=8))
    return [folder / LONG, folder / "<b>two", folder / "three"]


@pytest.fixture(scope="module")
def report(studies, tmp_path_factory):
    """The page of all of them."""
    return compare(*studies).write(tmp_path_factory.mktemp("page") / "compare.html")


@pytest.fixture
def opened(opened_at):
    """A function that opens a page of a path."""

    def open_page(path, size="desk", **settings):
        return opened_at(path.as_uri(), *SIZES[size], **settings)

    return open_page


CUT = """[...document.querySelectorAll(".plot")].filter((p) => p.offsetWidth).flatMap((plot) => {
  const outer = plot.getBoundingClientRect();
  return [...plot.querySelectorAll("text")].filter((text) => {
    const box = text.getBoundingClientRect();
    return box.left < outer.left - 1 || box.right > outer.right + 1
      || box.bottom > outer.bottom + 1 || box.top < outer.top - 1;
  }).map((text) => text.textContent);
})"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_fits_its_screen_and_no_text_is_cut(opened, report, size, theme):
    page = opened(report, size, color_scheme=theme)
    assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
    assert page.evaluate(CUT) == []
    assert page.locator(".view:not([hidden]) svg.chart").count() == 2
    assert page.locator("h1").inner_text().startswith("Distill: yes in 1 of 3")
    assert page.title() == "comparison - goodteacher"


def test_names_and_numbers_beside_intervals_do_not_overlap_on_a_phone(opened, report):
    page = opened(report, "phone")
    overlaps = page.evaluate(
        """[...document.querySelectorAll("#gains .view:not([hidden]) g")].filter((row) => {
             const [name, value] = [".name", ".value"].map((kind) => row.querySelector(kind));
             return name && name.getBoundingClientRect().right > value.getBoundingClientRect().left;
           }).map((row) => row.textContent)"""
    )
    assert overlaps == []


def test_another_reference_is_selected(opened, report):
    page = opened(report)
    shown = page.locator("#gains .view:not([hidden])")
    assert "over the sweet" not in shown.inner_text()
    page.select_option("#gains select", label="over the converged teacher")
    assert shown.count() == 1
    assert "-2.00 [-2.50" in shown.locator("svg.chart").inner_html()


def test_hostile_names_are_text(opened, report):
    page = opened(report)
    assert page.locator("main img, header img, tbody b").count() == 0
    assert EVIL in page.locator("#answer table").first.inner_text()
    assert page.title() == "comparison - goodteacher"


def test_no_serious_finding_of_axe(opened, report):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for theme in ("light", "dark"):
        page = opened(report, color_scheme=theme)
        for details in page.locator("details").all():
            details.evaluate("(element) => { element.open = true; }")
        found = axe.run(page).response["violations"]
        assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []


@pytest.mark.parametrize(
    ("body", "is_dark"),
    [
        (JUPYTER.format("true", "#fff"), False),
        (JUPYTER.format("false", "#111"), True),
        (CODE.format("light", "#fff"), False),
        (CODE.format("dark", "#1e1e1e"), True),
    ],
)
@pytest.mark.parametrize("system", ["light", "dark"])
def test_a_plot_takes_the_notebooks_theme_whatever_the_systems(
    opened, tmp_path, body, is_dark, system
):
    store = write_study(tmp_path / "study")
    finish_study(store)
    parts = [make(store).html() for make in (gains_plot, map_plot, curves_plot)]
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><meta charset=utf-8>{body}<p id=own>own</p>{''.join(parts)}")
    page = opened(path, "phone", color_scheme=system)
    ground = page.locator(".goodteacher-plot").first.evaluate(
        "e => getComputedStyle(e)['background-color']"
    )
    ink = page.locator(".chart .name").first.evaluate("e => getComputedStyle(e).fill")
    assert (ground == "rgb(22, 25, 29)") is is_dark
    assert (ink == "rgb(230, 230, 230)") is is_dark
    assert page.evaluate(CUT) == []
    assert page.locator("svg.chart").count() == 3
    own = page.locator("#own").evaluate("e => getComputedStyle(e).color")
    assert own == "rgb(0, 0, 0)"  # what surrounds it keeps its style


def test_a_saved_svg_is_drawn_as_a_picture(opened, tmp_path):
    store = write_study(tmp_path / "study")
    finish_study(store)
    for name, dark in (("light", False), ("dark", True)):
        map_plot(store).save(tmp_path / f"{name}.svg", dark=dark)
    (tmp_path / "page.html").write_text('<img src="light.svg"><img src="dark.svg">')
    page = opened(tmp_path / "page.html")
    sizes = page.evaluate("[...document.images].map((i) => [i.naturalWidth, i.naturalHeight])")
    assert sizes[0] == sizes[1]
    assert sizes[0][0] == 760
    assert sizes[0][1] > 150
