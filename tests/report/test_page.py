import dataclasses
import re
from html.parser import HTMLParser

import pytest

from goodteacher.records.results import StudentRow
from goodteacher.report import write_report
from goodteacher.report.chart import Lines, Matrix
from goodteacher.report.findings import read_findings
from goodteacher.report.page import notes, render, sections
from tests.report.build import (
    CHOSEN,
    data_summary,
    diverged,
    finish_study,
    record,
    search_rows,
    settings,
    sweet_spot,
    write_study,
)

VOID = {"meta", "link", "img", "br", "hr", "input", "source"}


class Page(HTMLParser):
    """What a browser would see: elements, visible text, and what each script holds."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.texts, self.stack = [], {}, [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.stack.pop()[0] == tag, f"unbalanced </{tag}>"

    def handle_data(self, data):
        tag, attrs = self.stack[-1] if self.stack else ("", {})
        if tag == "script":
            name = attrs.get("id", "")
            self.scripts[name] = self.scripts.get(name, "") + data
        elif tag != "style":
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def attributes(self, name):
        return [attrs[name] for _, attrs in self.tags if name in attrs]


@pytest.fixture
def page(store):
    return Page(write_report(store).read_text(encoding="utf-8"))


def test_report_is_written_into_the_study_and_its_path_returned(store):
    path = write_report(store)
    assert path == store.path("report.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert not list(store.root.glob(".*.part"))


def test_writing_twice_gives_the_same_page(store):
    first = write_report(store).read_bytes()
    assert write_report(store).read_bytes() == first


def test_page_loads_nothing(page, store):
    assert page.attributes("src") == []
    assert all(link.startswith("#") for link in page.attributes("href"))
    assert not [tag for tag, _ in page.tags if tag in {"link", "img", "iframe", "object", "base"}]
    style = re.search(r"<style>(.*?)</style>", store.path("report.html").read_text(), re.S)
    assert "url(" not in style[1]
    assert "@import" not in style[1]


def test_page_forbids_the_browser_to_load_anything(page):
    policy = next(content for content in page.attributes("content") if "default-src" in content)
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_page_is_small(store):
    assert write_report(store).stat().st_size < 500_000


def test_links_and_selectors_lead_somewhere(page):
    identifiers = page.attributes("id")
    assert len(identifiers) == len(set(identifiers))
    targets = [link.removeprefix("#") for link in page.attributes("href")]
    described = page.attributes("aria-describedby")
    named = [*page.attributes("data-panel"), *page.attributes("aria-labelledby")]
    assert {*targets, *described, *named} <= set(identifiers)


def test_every_view_has_a_figure_a_caption_and_its_numbers(page, findings):
    panels = [panel for section in sections(findings) for panel in section.panels]
    count = sum(len(panel.views) for panel in panels)
    assert sum(attrs.get("class") == "view" for _, attrs in page.tags) == count
    assert sum(attrs.get("class") == "chart" for _, attrs in page.tags) == count
    assert page.attributes("data-download").count("svg") == count
    assert page.attributes("data-download").count("png") == count


def test_every_table_can_be_downloaded_and_reached_by_keyboard(page):
    tables = sum(tag == "table" for tag, _ in page.tags)
    assert page.attributes("data-download").count("csv") == tables
    scrolling = [attrs for _, attrs in page.tags if "scroll" in attrs.get("class", "").split()]
    assert len(scrolling) == tables
    for attrs in scrolling:
        assert (attrs["tabindex"], attrs["role"]) == ("0", "region")
        assert attrs["aria-label"].endswith(": table")


def test_every_axis_has_a_title(findings):
    panels = [panel for section in sections(findings) for panel in section.panels]
    for figure in (view.figure for panel in panels for view in panel.views):
        if isinstance(figure, Lines):
            assert figure.x.title
            assert figure.y.title
        elif isinstance(figure, Matrix):
            assert figure.across
            assert figure.down
        else:
            assert figure.title


def test_page_says_the_answer_and_the_numbers(page):
    for part in (
        "Distill: undecided. The distilled student is right on 92.00 % of the test split, "
        "+3.00 [+1.00, +5.00] points compared with one trained on hard labels.",
        "The teacher of batch size 128 after epoch 2, 91.25 % on the test split.",
        "The sweet spot's students reach 92.00 % on the test split.",
        "+3.00 [+2.00, +4.00]",
        "90.15 ★",
        "0.116 ★",
        "12.5 % of the 960",
        "Vats & Crandall (arXiv 2112.10047)",
    ):
        assert part in page.text


def test_sections_come_in_reading_order(findings):
    keys = [section.key for section in sections(findings)]
    assert keys == [
        "answer",
        "examples",
        "map",
        "curves",
        "students",
        "arms",
        "cost",
        "settings",
        "data",
        "environment",
    ]


def test_tables_have_as_many_cells_as_titles(findings):
    parts = sections(findings)
    views = [view for part in parts for panel in part.panels for view in panel.views]
    for table in [*(t for part in parts for t in part.tables), *(view.table for view in views)]:
        assert {len(row) for row in table.rows} <= {len(table.head)}


def test_unfinished_study_says_so_and_shows_its_teachers(unfinished):
    page = Page(write_report(unfinished).read_text(encoding="utf-8"))
    assert "Not finished: there is no answer yet." in page.text
    assert "6 of 6 teacher checkpoints are recorded" in page.text
    assert "No student of the first round has been trained yet." in page.text
    assert "map-teachers" in page.attributes("id")
    assert "map-students" not in page.attributes("id")


def test_unfinished_study_shows_the_students_it_has(unfinished):
    rows = search_rows(settings(), [CHOSEN])
    unfinished.write_table("students/search-0-seed-0-x/rows.parquet", rows, StudentRow)
    page = Page(write_report(unfinished).read_text(encoding="utf-8"))
    assert "the best teacher of the first round so far" in page.text
    assert "map-students" in page.attributes("id")


def test_study_without_teachers_is_a_page_too(tmp_path):
    store = write_study(tmp_path / "s", records=[])
    page = Page(write_report(store).read_text(encoding="utf-8"))
    assert "No teacher that can be used has been recorded yet." in page.text


def test_one_batch_size_is_enough(tmp_path):
    store = write_study(tmp_path / "s", config=settings(batch_sizes=[128]))
    finish_study(store)
    page = Page(write_report(store).read_text(encoding="utf-8"))
    assert "90.15 ★" in page.text


def test_diverged_teacher_is_a_note_not_a_crash(tmp_path):
    records = [record(128, 1), record(128, 2), record(128, 4), diverged(32, 1)]
    store = write_study(tmp_path / "s", records=records)
    finish_study(store)
    page = Page(write_report(store).read_text(encoding="utf-8"))
    assert "The teacher of batch size 32 diverged before epoch 1." in page.text


def test_diverged_students_are_counted(findings):
    lost = findings.students[0].model_copy(update={"status": "diverged"})
    found = dataclasses.replace(findings, students=(lost, *findings.students[1:]))
    assert f"1 of {len(found.students)} trainings of students diverged" in notes(found)[0]


def test_small_selection_split_is_named(findings):
    small = findings.data.model_copy(update={"selection": 1_000})
    (note,) = notes(dataclasses.replace(findings, data=small))
    assert "1,000 examples, so two students must differ by about 2.0 points" in note


def test_two_classes_have_no_similarity_by_definition(findings):
    found = dataclasses.replace(findings, data=data_summary(("no", "yes")))
    assert "S and its parts are 0 by definition" in notes(found)[0]
    assert notes(findings) == ()


def test_one_confirmation_seed_is_a_warning(findings):
    student = findings.sweet_spot.student.model_copy(update={"num_seeds": 1})
    found = dataclasses.replace(findings, sweet_spot=sweet_spot(student=student))
    assert notes(found) == (
        "The answer was confirmed with one seed only; another seed may give another answer.",
    )


def test_names_from_the_user_are_escaped(tmp_path):
    evil = "</script><script>alert(1)</script><b>&"
    config = settings(data=evil, teacher=f"python:{evil}")
    store = write_study(tmp_path / "a<i>&b", config=config, data=data_summary((evil, "b", "c")))
    finish_study(store, sweet_spot(summary=evil))
    page = Page(write_report(store).read_text(encoding="utf-8"))
    assert "alert(1)" not in " ".join(page.scripts.values())
    assert not [tag for tag, _ in page.tags if tag in {"b", "i"}]
    assert page.text.count(evil) >= 4


def test_rendering_touches_no_file(store):
    before = sorted(store.root.rglob("*"))
    render(read_findings(store))
    assert sorted(store.root.rglob("*")) == before
