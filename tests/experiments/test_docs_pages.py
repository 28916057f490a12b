"""Pages that are made of one result file are what it says, and one command makes each."""

import json
from dataclasses import replace

import pytest

import amount_of_data_page
import docs_pages
import omitted_page
import patience_curve_page
import poor_teacher_page
from docs_pages import counted, places, spread, still_to_run
from repeated import Estimate

MODULES = (amount_of_data_page, omitted_page, patience_curve_page, poor_teacher_page)


@pytest.fixture(params=MODULES, ids=lambda module: module.__name__)
def module(request):
    return request.param


def test_page_is_that_of_the_results(module):
    page, command = module.PAGE, f"python experiments/{module.__name__}.py"
    assert page.text(page.found()) == page.page.read_text(), f"run {command}"
    assert command in page.page.read_text(), "it says how it is made"


def test_every_place_is_filled_and_the_figure_is_shown(module):
    text = module.PAGE.page.read_text()
    assert sorted(places(text)) == sorted(module.PAGE.places)
    assert f"](figures/{module.PAGE.figure.name})" in text
    assert module.PAGE.figure.exists()
    assert "*What to see:*" in " ".join(text.split())


def test_one_command_makes_page_and_figure(module, tmp_path):
    figures = pytest.importorskip("figures", reason="needs Matplotlib")
    assert figures
    page = tmp_path / "page.md"
    name = next(iter(module.PAGE.places))
    page.write_text(f"<!-- {name} -->\nold\n<!-- end -->\n")
    made = replace(module.PAGE, page=page, figure=tmp_path / "figure.svg")
    made.write()
    found = made.found()
    assert page.read_text() == f"<!-- {name} -->\n{made.places[name](found)}\n<!-- end -->\n"
    assert "</svg>" in (tmp_path / "figure.svg").read_text()


def test_figure_of_planted_rows_is_drawn_with_all_its_lines(tmp_path):
    pytest.importorskip("figures", reason="needs Matplotlib")
    from tests.experiments.test_amount_of_data_page import GROWING
    from tests.experiments.test_patience_curve_page import MATTERS, NOT, row

    planted = {amount_of_data_page: GROWING, patience_curve_page: [row({1: MATTERS, 4: NOT})]}
    for module, rows in planted.items():
        module.PAGE.draw(rows, tmp_path / "figure.svg")
        svg = (tmp_path / "figure.svg").read_text()
        (panel,) = module.panels_of(rows)
        assert all(words in svg for words in ("MNIST", *(line.label for line in panel.series)))


def test_what_is_read_of_the_file_is_what_places_are_made_of(tmp_path):
    (tmp_path / "found.json").write_text(json.dumps([1, 2]))
    (tmp_path / "page.md").write_text("<!-- sum -->\n<!-- end -->\n<!-- sum -->\n0\n<!-- end -->")
    page = docs_pages.ResultsPage(
        tmp_path / "page.md", tmp_path / "found.json", {"sum": str}, tmp_path, print, read=sum
    )
    assert page.text(page.found()).count("\n3\n") == 2


def test_points_have_their_intervals():
    line = docs_pages.points_series("gain", [1, 2], [Estimate(0.01, 0.0, 0.02)] * 2, "dashed")
    assert (list(line.y), list(line.low), list(line.high)) == ([1.0] * 2, [0.0] * 2, [2.0] * 2)
    assert line.look == "dashed"


def test_words_of_ranges_verdicts_and_what_is_missing():
    assert spread([1.0, 1.04]) == "+1.0", "both ends look the same"
    assert spread([-0.04, 0.04]) == "0.0"
    assert counted([]) == ""
    assert counted(["no_gain", "inconclusive", "no_gain"]) == "no gain 2, inconclusive 1"
    assert still_to_run({}, 2).startswith("0 of 2 runs on MNIST, 0 of 2")
    assert "complete" not in still_to_run({}, 2)
