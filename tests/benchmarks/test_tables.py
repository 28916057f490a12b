"""The tables of the documentation are those of the results beside the benchmarks."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture
def tables(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.delitem(sys.modules, "tables", raising=False)
    import tables

    return tables


def test_pages_hold_the_tables_of_the_results(tables):
    for page in tables.PAGES:
        text = page.read_text()
        assert tables.page_of(text) == text, "run python benchmarks/tables.py"


def test_every_table_has_a_place_and_every_place_a_table(tables):
    texts = [page.read_text() for page in tables.PAGES]
    from pages import places

    found = [name for text in texts for name in places(text)]
    assert sorted(found) == sorted(tables.TABLES)


def test_result_that_is_missing_is_said_to_be_not_measured(tables, monkeypatch, tmp_path):
    monkeypatch.setattr(tables, "RESULTS", tmp_path)
    page = "<!-- scaling -->\nold\n<!-- end -->"
    assert tables.page_of(page) == "<!-- scaling -->\n*Not measured.*\n<!-- end -->"
