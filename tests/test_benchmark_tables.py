"""The tables of docs/benchmarks.md are those of the results beside the benchmarks."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.delitem(sys.modules, "tables", raising=False)
    import tables

    return tables


def test_page_holds_the_results_tables(tables):
    page = tables.PAGE.read_text()
    assert tables.page_of(page) == page, "run python benchmarks/tables.py"


def test_every_table_has_a_place_and_every_place_a_table(tables):
    places = {place[1] for place in tables._PLACE.finditer(tables.PAGE.read_text())}
    assert places == set(tables.TABLES)


def test_result_that_is_missing_is_said_to_be_not_measured(tables, monkeypatch, tmp_path):
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    assert tables.rendered("scaling") == "<!-- scaling -->\n*Not measured.*\n<!-- end -->"
