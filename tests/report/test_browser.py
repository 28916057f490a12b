"""The page in a real browser: nothing fails, every figure is drawn, and every control works."""

from pathlib import Path

import pytest

from goodteacher.config import Recipe
from goodteacher.records import Arm, Shown, StudentRow
from goodteacher.report import write_report
from goodteacher.studies import EVIDENCE_FILE, EXAMPLES_FILE
from tests.report.browsing import SIZES, needs_browser
from tests.report.build import CHOSEN, data_summary, finish_study, row, write_study
from tests.report.test_alike import record_responses
from tests.report.test_examples import DOT, examples, telling
from tests.report.test_ladder import planted_verdict
from tests.report.test_omitted import NAMES, evidence, omitted

pytestmark = needs_browser
EVIL = '<img src=x onerror="document.title=1">'


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
def many_arms(tmp_path_factory):
    """The report of a study with a thousand arms."""
    store = write_study(tmp_path_factory.mktemp("m") / "study")
    rows = [
        row(Arm(source=CHOSEN, recipe=Recipe(temperature=1 + n / 100)), accuracy=0.5 + n / 3000)
        for n in range(1000)
    ]
    store.write_table("students.parquet", rows, StudentRow)
    return Path(write_report(store))


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


@pytest.mark.parametrize("size", SIZES)
def test_no_words_of_a_figure_lie_on_others_or_on_the_line_at_zero(opened, size):
    page = opened(*SIZES[size])
    crossed = page.evaluate(
        """[...document.querySelectorAll(".view:not([hidden]) svg.chart")].flatMap((svg) => {
             const boxes = (what) => [...svg.querySelectorAll(what)].map(
               (each) => [each.getBoundingClientRect(), each.textContent || "a line"]);
             const meet = ([a], [b]) => a.left < b.right - 1 && b.left < a.right - 1
               && a.top < b.bottom - 3 && b.top < a.bottom - 3;
             const words = boxes(".name, .value, .bar-name, .tick, .title");
             const rest = svg.querySelector(".name") ? [...words, ...boxes(".zero")] : words;
             return words.flatMap((one, place) => rest.slice(place + 1).filter(
               (other) => meet(one, other)).map((other) => `${one[1]} | ${other[1]}`));
           })"""
    )
    assert crossed == []


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


def test_sorting_and_filtering_work_with_the_keyboard_and_are_announced(opened):
    page = opened()
    status = page.locator("#arms [role=status]")
    assert status.inner_text().endswith("rows, by selection, %, descending")
    page.fill("#arms input[type=search]", "hard")
    page.keyboard.press("Tab")  # the table, which scrolls
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "learned from"
    page.keyboard.press("Enter")
    assert page.locator("#arms th[aria-sort]").inner_text().startswith("learned from")
    assert status.inner_text().endswith(", by learned from, ascending")
    page.keyboard.press("Space")
    assert status.inner_text().startswith("1 of ")
    assert status.inner_text().endswith(", by learned from, descending")


def test_nothing_found_is_announced_and_all_come_back(opened):
    page = opened()
    count = page.locator("#arms tbody tr").count()
    page.fill("#arms input[type=search]", "no such arm")
    assert page.locator("#arms [role=status]").inner_text().startswith("0 of ")
    assert page.locator("#arms tbody tr").count() == 0
    page.fill("#arms input[type=search]", "")
    assert page.locator("#arms tbody tr").count() == count


def test_thousands_of_arms_are_sorted_filtered_and_downloaded_and_few_are_in_the_page(
    opened, many_arms, tmp_path
):
    page = opened(at=many_arms.as_uri(), accept_downloads=True)
    table, status = page.locator("#arms table"), page.locator("#arms [role=status]")
    assert table.locator("tbody tr").count() == 200
    assert "1,000 of 1,000 rows, the first 200 shown" in status.inner_text()
    table.locator("thead button", has_text="T").first.click()
    assert table.locator("tbody td").nth(1).inner_text() == "1"
    table.locator("thead button", has_text="T").first.click()
    assert table.locator("tbody td").nth(1).inner_text() == "10.99"
    page.fill("#arms input[type=search]", "10.9")
    assert status.inner_text().startswith("10 of 1,000 rows")
    page.fill("#arms input[type=search]", "")
    page.locator("#arms button", has_text="Show 200 more rows").click()
    assert table.locator("tbody tr").count() == 400
    with page.expect_download() as downloaded:
        page.locator("#arms button[data-download=csv]").click()
    downloaded.value.save_as(tmp_path / "arms.csv")
    assert len((tmp_path / "arms.csv").read_text(encoding="utf-8-sig").splitlines()) == 1001


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


def test_nothing_is_cut_off_on_paper(opened):
    page = opened(width=700)
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    outside = page.evaluate(
        """[...document.querySelectorAll(".scroll, .plot, h1, p, dd")].filter((each) => {
             const style = getComputedStyle(each);
             const hides = style.overflowY !== "visible"
               && each.scrollHeight > each.clientHeight + 1;
             return each.getClientRects().length
               && (hides || each.getBoundingClientRect().right > innerWidth + 1);
           }).map((each) => each.outerHTML.slice(0, 80))"""
    )
    assert outside == []
    tables = page.evaluate(
        """[...document.querySelectorAll("table")].filter((each) => each.getClientRects().length
             && each.getBoundingClientRect().right > innerWidth + 1)
             .map((each) => each.getAttribute("aria-label"))"""
    )
    assert tables == []
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_figures_are_told_apart_without_colour(opened):
    page = opened()
    page.context.new_cdp_session(page).send(
        "Emulation.setEmulatedVisionDeficiency", {"type": "achromatopsia"}
    )
    shapes = page.evaluate(
        """[...document.querySelectorAll(".legend")].map((legend) =>
             [...legend.querySelectorAll(".key")].map((key) => [...key.children].map(
               (mark) => mark.getAttribute("d") + getComputedStyle(mark).strokeDasharray
             ).join()))"""
    )
    assert any(len(each) > 1 for each in shapes)
    bars = [each for each in shapes if "M-7,-6H7V6H-7Z" in "".join(each)]
    for each in shapes:
        assert each in bars or len(set(each)) == len(each)
    empty = page.evaluate(
        """[...document.querySelectorAll(".cell:not(.dense, .empty)")].filter(
             (cell) => !cell.querySelector("title")).length"""
    )
    assert empty == 0


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
