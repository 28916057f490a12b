"""Figures outside the page: their numbers, as SVG and as HTML, light and dark."""

from xml.etree import ElementTree

import pytest

from goodteacher.errors import ConfigError, StudyError
from goodteacher.report import (
    Plot,
    curves_plot,
    front_plot,
    gains_plot,
    ladder_plot,
    map_plot,
    students_plot,
    teachers_plot,
    temperatures_plot,
)
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
    Strips,
    Waterfall,
)
from goodteacher.report.parts import Table, View
from goodteacher.report.plots import rows_of
from goodteacher.report.standalone import figure_rules, palettes
from goodteacher.studies import FRONT_FILE, Store
from tests.report.build import data_summary, finish_study, write_study
from tests.report.test_front import front  # noqa: F401
from tests.report.test_ladder import verdict  # noqa: F401
from tests.report.test_page import Page
from tests.report.test_theme import luminance

EVIL = '<img src=x onerror="alert(1)">'
OF_A_STUDY = (
    gains_plot,
    map_plot,
    teachers_plot,
    curves_plot,
    students_plot,
    temperatures_plot,
    ladder_plot,
)


def view(label="", name="a", mean=1.5):
    rows = (Interval(name, mean, (1.0, 2.0), None, f"{mean:+.2f}"),)
    table = Table("", ("study", "points"), ((name, f"{mean:+.2f}"),))
    return View(label, Intervals("gain, points", rows), f"One study, {name}.", table)


def tree_of(text):
    return ElementTree.fromstring(text)


@pytest.fixture
def judged(store, verdict):  # noqa: F811
    """A finished study with a verdict."""
    store.write_json("verdict.json", verdict)
    return store


# Numbers


def test_a_matrix_has_a_row_for_each_cell():
    cells = ((Cell(1.0, "1.00\n★", ""), Cell(None, "not tried", "")),)
    figure = Matrix("epoch", "batch size", ("1", "2"), ("16",), cells)
    assert list(rows_of(figure)) == [
        {"batch size": "16", "epoch": "1", "value": 1.0, "text": "1.00 ★"},
        {"batch size": "16", "epoch": "2", "value": None, "text": "not tried"},
    ]


def test_lines_have_a_row_for_each_point():
    points = (Point(1.0, 2.0, "", "four", (1.5, 2.5)), Point(2.0, 3.0))
    figure = Lines(Axis("T"), Axis("accuracy"), (Series("kl", points),))
    assert list(rows_of(figure)) == [
        {"series": "kl", "T": 1.0, "accuracy": 2.0, "low": 1.5, "high": 2.5, "label": "four"},
        {"series": "kl", "T": 2.0, "accuracy": 3.0, "low": None, "high": None, "label": ""},
    ]


def test_a_waterfall_has_the_interval_of_each_step_itself():
    steps = (Step("similar", 1.0, 3.0, (2.5, 4.5), 1, "+2.00", ""),)
    figure = Waterfall("gain", steps, ("regularization", "knowledge"))
    assert list(rows_of(figure)) == [
        {"step": "similar", "kind": "knowledge", "points": 2.0, "low": 1.5, "high": 3.5}
    ]


def test_strips_have_a_row_for_each_part_of_a_bar():
    figure = Strips("epoch", ("1",), ("T = 1",), ("3", "8"), (((0.75, 0.25),),))
    assert list(rows_of(figure)) == [
        {"epoch": "1", "column": "T = 1", "part": "3", "share": 0.75},
        {"epoch": "1", "column": "T = 1", "part": "8", "share": 0.25},
    ]


def test_intervals_have_joint_ends_where_any_has():
    rows = (
        Interval("a", 1.0, (0.5, 1.5), (0.0, 2.0), ""),
        Interval("b", 0.0, None, None, "the same students"),
    )
    first, second = rows_of(Intervals("points", rows))
    assert (first["joint low"], first["joint high"]) == (0.0, 2.0)
    assert second == {
        "name": "b",
        "points": 0.0,
        "low": None,
        "high": None,
        "joint low": None,
        "joint high": None,
    }


# Views


def test_another_view_is_shown_by_its_name():
    plot = Plot("Gains", (view("first"), view("second", "b", 2.5)))
    assert plot.labels == ("first", "second")
    assert plot.rows()[0]["name"] == "a"
    other = plot.view("second")
    assert other.rows()[0]["gain, points"] == 2.5
    assert other.caption == "One study, b."
    assert "Gains: second" in other.svg()
    assert plot.rows()[0]["name"] == "a"  # it stays as it was
    with pytest.raises(ConfigError, match=r"no view 'third'\. Its views are 'first', 'second'"):
        plot.view("third")


def test_a_title_that_asks_needs_no_colon():
    assert str(Plot("Which?", (view("one"),))).startswith("Which? one\n")
    assert str(Plot("This", (view(),))).startswith("This\nOne study, a.")


# SVG


@pytest.mark.parametrize("dark", [False, True])
def test_svg_stands_alone_with_its_own_ground_and_colours(dark):
    plot = Plot("Gains", (view(),))
    text = plot.svg(dark=dark)
    tree = tree_of(text)
    colors = palettes()[dark]
    assert tree.get("width") == "760"
    assert "var(" not in text
    assert tree.find("{*}rect").get("fill") == colors["--surface"]
    assert f"fill: {colors['--ink']}" in text
    assert "One study, a." in tree.find("{*}desc").text


def test_themes_are_readable_and_differ():
    light, dark = palettes()
    assert light.keys() == dark.keys()
    assert light["--surface"] != dark["--surface"]
    for colors in (light, dark):
        for name in ("--ink", "--quiet", "--accent"):
            assert contrast(colors[name], colors["--surface"]) > 4.5
        for number in range(6):
            assert contrast(colors[f"--c{number}"], colors["--surface"]) > 3


def contrast(one, other):
    """How much two colours differ, from 1 to 21, as the rules for contrast define it."""
    low, high = sorted(luminance(_whole(color)) + 0.05 for color in (one, other))
    return high / low


def _whole(color):
    return color if len(color) == 7 else "#" + "".join(2 * digit for digit in color[1:])


def test_all_rules_of_figures_are_taken_over_and_none_of_the_page():
    rules = figure_rules()
    for name in (".chart", ".legend", ".grid", ".zero", ".whisker", ".thick", ".outline", ".star"):
        assert name in rules
    for name in (".facts", ".scroll", ".gallery", "@media"):
        assert name not in rules


def test_long_titles_and_legends_begin_new_lines():
    series = tuple(Series(f"a rather long name {n}", (Point(n, n),)) for n in range(6))
    figure = Lines(Axis("x"), Axis("y"), series, legend="batch size")
    shown = View("", figure, "Caption.", Table("", (), ()))
    title = "What the response of a teacher holds beyond smoothing of equal confidence"
    wide, narrow = (tree_of(Plot(title, (shown,)).svg(width=width)) for width in (1200, 320))
    headings = [len(tree.findall("{*}text[@class='heading']")) for tree in (wide, narrow)]
    assert headings[0] == 1
    assert headings[1] > 1
    assert int(narrow.get("height")) > int(wide.get("height")) + 60
    entries = narrow.findall(".//{*}text[@class='entry']")
    assert [each.text for each in entries] == ["batch size", *(s.name for s in series)]
    assert len({each.get("y") for each in entries}) > 3


def test_a_width_that_shows_nothing_is_refused():
    with pytest.raises(ConfigError, match="at least 300 pixels, but is 100"):
        Plot("Gains", (view(),)).svg(width=100)


# HTML


def test_html_has_the_figure_its_caption_its_numbers_and_its_other_views():
    plot = Plot("Gains", (view("first"), view("second")))
    page = Page(plot.html())
    assert "Gains: first" in page.text
    assert "One study, a." in page.text
    assert "Other views, for .view(label) : second" in page.text
    assert ("div", {"class": "plot", "role": "img", "aria-label": "Gains: first"}) in page.tags
    assert [tag for tag, _ in page.tags].count("svg") > 1
    assert "script" not in [tag for tag, _ in page.tags]
    assert "Other views" not in Plot("Gains", (view(),)).html()


def test_html_follows_the_themes_of_notebooks_and_touches_nothing_else():
    text = Plot("Gains", (view(),)).html()
    style = text.partition("<style>")[2].partition("</style>")[0]
    light, dark = palettes()
    assert style.count(f"--surface: {light['--surface']};") == 1
    assert style.count(f"--surface: {dark['--surface']};") == 2
    for selector in ('[data-jp-theme-light="false"]', ".vscode-dark", "prefers-color-scheme: dark"):
        assert selector in style
    outer = [line for line in style.splitlines() if line and not line.startswith((" ", "}"))]
    rules = figure_rules().strip().splitlines()
    assert all(".goodteacher-plot" in line or "@media" in line or line in rules for line in outer)
    before, _, inside = style.partition("padding: 0.8rem")
    assert rules[0] in inside  # nested in the plot's own rule
    assert rules[0] not in before


def test_what_comes_from_data_is_escaped_everywhere():
    plot = Plot(EVIL, (view(EVIL, EVIL), view(f"other {EVIL}")))
    for text in (plot.html(), plot.svg()):
        assert EVIL not in text
        assert "&lt;img src=x" in text
    assert tree_of(plot.svg()).get("aria-label") == f"{EVIL}: {EVIL}"


def test_notebooks_are_given_both_kinds():
    plot = Plot("Gains", (view(),))
    assert plot._repr_html_() == plot.html()
    assert plot._repr_svg_() == plot.svg()


# Files


def test_a_plot_is_saved_as_what_its_name_says(tmp_path):
    plot = Plot("Gains", (view(),))
    assert plot.save(tmp_path / "new" / "a.svg") == tmp_path / "new" / "a.svg"
    assert (tmp_path / "new/a.svg").read_text() == plot.svg()
    plot.save(tmp_path / "b.SVG", dark=True)
    assert (tmp_path / "b.SVG").read_text() == plot.svg(dark=True)
    plot.save(str(tmp_path / "c.html"))
    page = Page((tmp_path / "c.html").read_text())
    assert [tag for tag, _ in page.tags][:2] == ["html", "head"]
    assert "Gains - goodteacher" in page.text
    with pytest.raises(ConfigError, match=r"d\.pdf names no kind .* \.svg or \.html"):
        plot.save(tmp_path / "d.pdf")
    assert {path.name for path in tmp_path.iterdir()} == {"new", "b.SVG", "c.html"}


def test_a_plot_is_saved_at_a_url():
    plot = Plot("Gains", (view(),))
    place = plot.save("memory://plots/a.svg")
    assert place == "memory://plots/a.svg"
    assert Store("memory://plots").read_text("a.svg") == plot.svg()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="cannot be written"):
        Plot("Gains", (view(),)).save(tmp_path / "file" / "a.svg")


# Of a study


@pytest.mark.parametrize("make", OF_A_STUDY, ids=lambda make: make.__name__)
def test_each_plot_of_a_study_is_drawn_with_its_numbers(judged, make):
    plot = make(judged)
    for label in plot.labels:
        shown = plot.view(label)
        assert shown.caption
        rows = shown.rows()
        assert rows
        assert len({tuple(row) for row in rows}) == 1
        assert tree_of(shown.svg()).find("{*}svg") is not None
        Page(shown.html())


def test_plots_show_what_the_report_shows(judged):
    cells = [row["value"] for row in map_plot(judged).rows() if row["text"].endswith("★")]
    assert cells == [pytest.approx(90.15)]
    gains = {row["name"]: row for row in gains_plot(judged).rows()}
    assert gains["label smoothing"]["sweet spot minus reference, points"] == pytest.approx(0.5)
    assert [row["step"] for row in ladder_plot(judged).rows()][-1] == "total gain"
    learned = [row for row in temperatures_plot(judged).rows() if row["series"].startswith("kl")]
    assert {row["temperature T"] for row in learned} == {1.0, 2.0}


def test_hostile_class_names_reach_no_plot_unescaped(tmp_path):
    store = write_study(tmp_path / "study", data=data_summary((EVIL, "b", "c")))
    finish_study(store)
    for make in (gains_plot, map_plot, curves_plot):
        assert EVIL not in make(store).html()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (gains_plot, "no sweet spot yet"),
        (ladder_plot, "no verdict yet.*goodteacher verify"),
        (map_plot, "no trained student yet"),
        (students_plot, "no trained student yet"),
        (temperatures_plot, "no trained student yet"),
        (front_plot, f"no {FRONT_FILE}"),
    ],
)
def test_what_is_not_there_yet_is_named_with_what_to_do(unfinished, make, words):
    with pytest.raises(StudyError, match=words):
        make(unfinished)


def test_without_teachers_there_is_no_map_of_them(tmp_path):
    store = write_study(tmp_path / "new", records=[])
    for make in (teachers_plot, curves_plot):
        with pytest.raises(StudyError, match="no teacher that can be used yet"):
            make(store)


def test_teachers_of_an_unfinished_study_are_drawn(unfinished):
    assert len(teachers_plot(unfinished).rows()) == 6
    assert {row["series"] for row in curves_plot(unfinished).rows()} == {"32", "128"}


def test_a_front_has_views_for_parameters_and_each_latency(tmp_path, front):  # noqa: F811
    store = Store(tmp_path)
    store.write_json(FRONT_FILE, front)
    plot = front_plot(store)
    assert plot.labels == ("Accuracy over parameters", "one example", "a batch of 128")
    names = [row["label"] for row in plot.rows() if row["series"] != "front"]
    assert sorted(names) == ["mlp:16", "mlp:32", "mlp:8"]
    assert "latency" in "".join(plot.view("one example").rows()[0])
