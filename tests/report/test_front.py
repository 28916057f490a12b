"""The page of several students, made of front.json alone."""

from datetime import UTC, datetime

import pytest

from goodteacher.records import Front, summarize_front, with_fronts
from goodteacher.report import write_front_report, write_report
from goodteacher.report.front import draw_front, front_page, front_table, points_of
from goodteacher.report.going import Going, Stage
from goodteacher.report.page import render_page
from goodteacher.studies import FRONT_FILE, STUDENTS_FILE, Store, StudentsRecord
from tests.records.test_front import row
from tests.report.build import finish_study, settings, write_study
from tests.report.test_page import Page

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def front():
    rows = with_fronts(
        [
            row("mlp:32", 0.95, 3200, seconds=(2e-3, 3e-2)),
            row("mlp:8", 0.9, 800, seconds=(1e-3, 2e-2), answer="no", delivered="cross_entropy"),
            row("mlp:16", 0.89, 1600, seconds=(3e-3, 4e-2), gain_interval=None),
        ]
    )
    return Front(
        rows=rows,
        level=0.05,
        machine="cpu float32 (a processor, PyTorch 2)",
        teacher_seconds=60.0,
        teacher_seconds_apart=150.0,
        summary=summarize_front(rows, level=0.05),
    )


def page_of(front):
    return front_page(front, name="all", teacher="mlp:256", data="mnist")


def test_table_has_what_each_student_gains_and_costs(front):
    table = front_table(front)
    cells = {r[0]: dict(zip(table.head, r, strict=True)) for r in table.rows}
    assert cells["mlp:8"]["distill"] == "no"
    assert cells["mlp:8"]["delivered student of"] == "hard labels"
    assert cells["mlp:8"]["parameters"] == "800"
    assert cells["mlp:8"]["on the front"] == "P, L1, L128"
    assert cells["mlp:16"]["on the front"] == "-"
    assert cells["mlp:16"]["gain over hard labels, points"] == "+2.00"
    assert cells["mlp:32"]["one example, ms"].startswith("2 [1.8,")
    assert cells["mlp:32"]["a batch of 128, ms"].startswith("30 [27,")


def test_caption_says_n_spread_and_machine(front):
    caption = front_table(front).caption
    assert "on the test split (n = 1,000 examples)" in caption
    assert "mean of 3 seeds; brackets: 95 % intervals" in caption
    assert "median of 200 repetitions, brackets: quartiles" in caption
    assert "on cpu float32 (a processor, PyTorch 2), one thread" in caption


def test_figures_show_every_student_and_the_front(front):
    students = points_of(front, lambda r: r.parameters, lambda r: r.on_front)
    assert [point.name for point in students] == ["mlp:8", "mlp:16", "mlp:32"]
    line, on_front, beaten = draw_front(students, title="parameters").series
    assert [point.x for point in line.points] == [800, 3200, 3200]
    assert [point.y for point in line.points] == pytest.approx([90.0, 90.0, 95.0])
    assert [point.label for point in on_front.points] == ["mlp:8", "mlp:32"]
    assert [point.label for point in beaten.points] == ["mlp:16"]
    assert on_front.points[0].interval == pytest.approx((89.0, 91.0))


def test_page_is_whole_and_links_to_each_students_own(front):
    text = render_page(page_of(front))
    page = Page(text)
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert {"mlp-8/report.html", "mlp-16/report.html", "mlp-32/report.html"} <= set(links)
    assert "3 students of mlp:256 on mnist" in page.text
    assert front.summary in page.text
    assert "undecided" not in page.text
    assert "The teachers trained for 60.0 s. With a separate search for each student" in page.text
    assert not [link for link in page.attributes("href") + page.attributes("src") if ":" in link]


def test_what_is_undecided_is_told_first(front):
    open_one = front.rows[1].model_copy(update={"answer": "undecided"})
    page = page_of(front.model_copy(update={"rows": (front.rows[0], open_one)}))
    assert page.notes[0].startswith("Whether to distill is undecided for mlp:8. The reports")


def test_names_cannot_bring_markup_of_their_own(front):
    rows = (front.rows[0].model_copy(update={"student": "<b>x", "folder": "<i>x"}),)
    text = render_page(page_of(front.model_copy(update={"rows": rows})))
    assert "<i>x" not in text
    assert '<th scope="row"><b>' not in text


@pytest.fixture
def unfinished(tmp_path):
    """Two students are searched for: one is finished, the other not begun."""
    configs = [settings(), settings(student="mlp:16")]
    store = Store(tmp_path)
    store.write_text(STUDENTS_FILE, StudentsRecord.of(configs).to_toml())
    finish_study(write_study(tmp_path / "mlp-8"))
    write_report(Store(tmp_path / "mlp-8"))
    return store


def test_a_search_that_has_not_finished_says_which_students_are_done(unfinished):
    page = Page(write_front_report(unfinished).read_text(encoding="utf-8"))
    assert "Not finished: there is no answer yet." in page.text
    assert "The search has ended for 1 of 2 students." in page.text
    assert "mlp:16 is not finished not written yet" in page.text
    assert "mlp-8/report.html" in page.attributes("href")
    assert "mlp-16/report.html" not in page.attributes("href")


def test_a_front_that_is_there_is_not_shown_while_another_student_is_searched_for(
    unfinished, front
):
    unfinished.write_json(FRONT_FILE, front)
    shown = Page(write_front_report(unfinished).read_text(encoding="utf-8"))
    assert "On the front" in shown.text
    going = Going("search", (Stage("student 2 of 2, mlp:16: teachers", 1.0, 4.0),), NOW, NOW)
    page = Page(write_front_report(unfinished, going).read_text(encoding="utf-8"))
    assert "Running: there is no answer yet." in page.text
    assert "Student 2 of 2, mlp:16: teachers (25 % done)." in page.text
    assert "On the front" not in page.text
