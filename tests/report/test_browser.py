"""The page in a real browser: nothing fails, every figure is drawn, and every control works."""

import os
import shutil
from pathlib import Path

import pytest

from goodteacher.records import Shown
from goodteacher.report import write_report
from goodteacher.studies import EVIDENCE_FILE, EXAMPLES_FILE
from tests.report.build import data_summary, finish_study, write_study
from tests.report.test_alike import record_responses
from tests.report.test_examples import DOT, examples, telling
from tests.report.test_ladder import planted_verdict
from tests.report.test_omitted import NAMES, evidence, omitted

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium is installed: apt-get install chromium"
)

EVIL = '<img src=x onerror="document.title=1">'
SIZES = {"phone": (390, 844), "desk": (1280, 900)}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """The report of a finished study whose class names are hostile."""
    names = (EVIL, "b", "c")
    store = write_study(tmp_path_factory.mktemp("b") / "study", data=data_summary(names))
    finish_study(store)
    record_responses(store)
    cells = ((EVIL, EVIL), *((f"column {number}", "1.5") for number in range(20)))
    shown = (Shown(picture=DOT), Shown(text=EVIL * 4), Shown(cells=cells, remark=EVIL))
    told = [telling(n, label=n, shown=each) for n, each in enumerate(shown)]
    store.write_json(EXAMPLES_FILE, examples(*told))
    store.write_json("verdict.json", planted_verdict())
    found = evidence(omitted(class_name="b")).model_copy(update={"class_names": NAMES})
    store.write_json(EVIDENCE_FILE, found)
    return Path(write_report(store))


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        # Root, as in containers, has no sandbox.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        launched = playwright.chromium.launch(executable_path=BROWSER, args=arguments)
        yield launched
        launched.close()


@pytest.fixture
def opened(browser, report):
    """A function that opens the report; whatever goes wrong there fails the test."""
    told, contexts = [], []

    def open_page(width=1280, height=900, **settings):
        context = browser.new_context(viewport={"width": width, "height": height}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", lambda request: told.append(request.url) if _is_foreign(request) else 0)
        page.goto(report.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert told == []


def _is_foreign(request):
    return not request.url.startswith(("file:", "data:", "blob:"))


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_figure_is_drawn_inside_the_page(opened, size, theme):
    page = opened(*SIZES[size], color_scheme=theme)
    assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
    boxes = page.evaluate(
        """[...document.querySelectorAll(".view:not([hidden]) svg.chart")].map((svg) => {
             const box = svg.getBoundingClientRect();
             return [box.width, box.height, svg.querySelectorAll("path, rect, line").length];
           })"""
    )
    assert len(boxes) > 10
    for width, height, marks in boxes:
        assert width > 150
        assert height > 40  # two bars
        assert marks > 2


@pytest.mark.parametrize("size", SIZES)
def test_no_text_of_a_figure_is_cut_off(opened, size):
    page = opened(*SIZES[size])
    cut = page.evaluate(
        """[...document.querySelectorAll(".view:not([hidden]) .plot")].flatMap((plot) => {
             const outer = plot.getBoundingClientRect();
             return [...plot.querySelectorAll("text")].filter((text) => {
               const box = text.getBoundingClientRect();
               return box.left < outer.left - 1 || box.right > outer.right + 1
                 || box.bottom > outer.bottom + 1 || box.top < outer.top - 1;
             }).map((text) => `${plot.getAttribute("aria-label")}: ${text.textContent}`);
           })"""
    )
    assert cut == []


def test_themes_differ_and_text_stands_out(opened):
    grounds = {}
    for theme in ("light", "dark"):
        page = opened(color_scheme=theme)
        style = "getComputedStyle(document.querySelector('{}')).{}"
        ground = page.evaluate(style.format("body", "backgroundColor"))
        assert ground != page.evaluate(style.format(".chart .tick", "fill"))
        grounds[theme] = ground
    assert grounds["light"] != grounds["dark"]


def test_selecting_shows_another_view_with_its_caption(opened):
    page = opened()
    shown = page.locator("#map-teachers .view:not([hidden]) .caption")
    before = shown.inner_text()
    page.select_option("#map-teachers select", "2")
    assert page.locator("#map-teachers .view:not([hidden])").count() == 1
    assert shown.inner_text() != before


def test_figures_and_tables_are_downloaded(opened, tmp_path):
    page = opened(accept_downloads=True)
    panel = page.locator("#map-students .view:not([hidden])")
    panel.locator("summary").click()
    for kind, begin in (("svg", b"<svg"), ("png", b"\x89PNG"), ("csv", '\ufeff"batch'.encode())):
        with page.expect_download() as downloaded:
            panel.locator(f"button[data-download={kind}]").click()
        saved = tmp_path / f"figure.{kind}"
        downloaded.value.save_as(saved)
        assert downloaded.value.suggested_filename == f"map-students.{kind}"
        assert saved.read_bytes().startswith(begin)
    assert b"class=" not in (tmp_path / "figure.svg").read_bytes()  # it carries its own colours


def test_arms_are_sorted_and_filtered(opened):
    page = opened()
    table = page.locator("#arms table")
    column = table.locator("thead button", has_text="selection, %")
    values = "[...document.querySelectorAll('#arms tbody tr')].map((r) => +r.cells[8].textContent)"
    column.click()
    ascending = page.evaluate(values)
    assert ascending == sorted(ascending)
    column.click()
    assert page.evaluate(values) == ascending[::-1]
    assert table.locator("th[aria-sort=descending]").count() == 1
    page.fill("#arms input[type=search]", "label smoothing")
    visible = table.locator("tbody tr:visible")
    assert visible.count() == 2
    assert "2 of" in page.locator("#arms [role=status]").inner_text()


def test_tables_that_scroll_are_reached_by_keyboard(opened):
    page = opened(*SIZES["phone"])
    region = page.locator("#answer .scroll").first
    region.focus()
    page.keyboard.press("ArrowRight")
    for _ in range(50):  # scrolling is smooth
        if moved := region.evaluate("(element) => element.scrollLeft"):
            break
        page.wait_for_timeout(20)
    assert moved > 0


def test_names_from_data_are_text(opened):
    page = opened()
    assert page.locator("#examples img").count() == 1
    assert page.locator("img:not([src^='data:image/png;base64,'])").count() == 0
    assert EVIL in page.locator("#example-101 blockquote").inner_text()
    assert EVIL in page.locator("#example-102 .cells").inner_text()
    assert page.title() == "study - goodteacher"
    assert EVIL in page.locator("#data").inner_text()


def test_cards_show_their_example_and_their_numbers(opened):
    page = opened()
    card = page.locator("#example-100")
    box = card.locator("img").bounding_box()
    assert box["width"] > 60
    assert EVIL in card.locator("img").get_attribute("alt")
    card.locator("summary").focus()
    page.keyboard.press("Enter")
    assert card.locator("td", has_text="50.00").first.is_visible()


@pytest.mark.parametrize("size", SIZES)
def test_bars_fill_their_columns(opened, size):
    page = opened(*SIZES[size])
    widths = page.evaluate(
        """[...document.querySelectorAll("#example-100 svg.chart")].map((svg) => {
             const whole = svg.getBoundingClientRect().width;
             const parts = [...svg.querySelectorAll("rect.part")];
             const drawn = parts.reduce((sum, part) => sum + part.getBoundingClientRect().width, 0);
             return drawn / whole;
           })"""
    )
    assert widths == [pytest.approx(3 * 0.97, abs=0.06)]  # three epochs, 3 % between columns


def test_row_of_many_columns_scrolls_by_keyboard(opened):
    page = opened()
    region = page.locator("#example-102 .cells")
    region.focus()
    page.keyboard.press("End")
    for _ in range(50):
        if moved := region.evaluate("(element) => element.scrollTop"):
            break
        page.wait_for_timeout(20)
    assert moved > 0


def test_page_without_scripts_shows_every_view(opened):
    page = opened(java_script_enabled=False)
    hidden = page.locator(".view >> visible=false").count()
    assert hidden == 0


def test_paper_shows_what_is_folded(opened):
    page = opened()
    assert page.locator("#settings table").is_hidden()
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#settings table").is_visible()
    assert page.locator("#map-students .tools").first.is_hidden()
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("#settings table").is_hidden()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_accessibility_checker_finds_nothing_serious(opened, theme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not there")
    page = opened(color_scheme=theme)
    for details in page.locator("details").all():
        details.evaluate("(element) => { element.open = true; }")
    found = axe.Axe().run(page).response["violations"]
    serious = [
        (each["id"], [node["html"][:200] for node in each["nodes"][:3]])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
    assert serious == []
