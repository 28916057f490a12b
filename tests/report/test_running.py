"""When the report of a running study is drawn, and what it says then."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from goodteacher.config import VerifyConfig, parse
from goodteacher.errors import StudyError
from goodteacher.records import StudentRow
from goodteacher.report import drawn, write_report
from goodteacher.report.findings import Judgement, Verified
from goodteacher.report.going import Going, Stage
from goodteacher.report.page import study_page, verified_page
from goodteacher.report.running import APART_SECONDS, FIRST_SECONDS, MOST_SHARE, Drawn
from tests.report.build import CHOSEN, data_summary, environment, search_rows, settings
from tests.report.test_ladder import verdict  # noqa: F401 - a fixture
from tests.report.test_page import Page
from tests.watching import Noting

BEGUN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TEACHERS = Stage("teachers, to epoch 4", 3.0, 4.0)


def going(what="search", *, stages=(TEACHERS,), after=200, stopped=False):
    """Work that began some seconds ago."""
    return Going(what, stages, BEGUN, BEGUN + timedelta(seconds=after), stopped)


class Clock:
    """A clock that a test moves."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Drawer:
    """Remembers what was drawn; each page takes as long as it is told."""

    def __init__(self, clock, seconds=0.0):
        self.clock, self.seconds, self.pages = clock, seconds, []

    def __call__(self, going):
        self.clock.now += self.seconds
        self.pages.append(going)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def drawer(clock):
    return Drawer(clock)


@pytest.fixture
def drawing(clock, drawer):
    return Drawn("search", Noting(), drawer, clock)


def test_every_stage_is_drawn_once_the_study_runs_for_a_while(drawing, drawer, clock):
    drawing.begin("teachers", 4.0)
    assert drawer.pages == []
    clock.now = FIRST_SECONDS
    for number, stage in enumerate(("students, round 1", "students, round 2"), start=1):
        drawing.begin(stage, 2.0)
        assert len(drawer.pages) == number
        assert drawer.pages[-1].stages[-1].name == stage


def test_a_long_stage_is_drawn_again_and_again_but_not_at_every_step(drawing, drawer, clock):
    drawing.begin("teachers", 1000.0)
    for second in range(100):
        clock.now = float(second)
        drawing.advance(1.0)
    assert len(drawer.pages) == pytest.approx((100 - FIRST_SECONDS) / APART_SECONDS, abs=1)


@pytest.mark.parametrize("seconds", [0.5, 3.0])
def test_drawing_takes_a_small_share_of_the_time(clock, seconds):
    drawer = Drawer(clock, seconds)
    drawing = Drawn("search", Noting(), drawer, clock)
    drawing.begin("teachers", 1e6)
    while clock.now < 2000:
        clock.now += 1.0
        drawing.advance(1.0)
        drawing.begin("teachers", 1.0)
    assert len(drawer.pages) > 1
    assert seconds * (len(drawer.pages) - 1) <= MOST_SHARE * clock.now


def test_stages_are_counted_and_passed_on(drawing, drawer, clock):
    clock.now = FIRST_SECONDS
    drawing.begin("teachers", 4.0)
    drawing.begin("students", 2.0)
    drawing.advance(1.0)
    drawing.advance(3.0, "teachers")
    drawing.begin("teachers", 2.0)
    assert drawer.pages[-1].stages == (Stage("students", 1.0, 2.0), Stage("teachers", 3.0, 6.0))
    assert drawing.watcher.units == 4.0
    drawing.note("read this")
    assert drawing.watcher.notes == ["read this"]


def test_a_page_that_cannot_be_drawn_is_told_once_and_ends_nothing(clock, caplog):
    def fail(going):
        raise OSError("no space left")

    drawing = Drawn("search", Noting(), fail, clock)
    for second in range(10, 100, 10):
        clock.now = float(second)
        drawing.begin("teachers", 1.0)
    (note,) = drawing.watcher.notes
    assert note == (
        "the report of the running study cannot be drawn: no space left. The work continues."
    )
    assert caplog.records[0].levelname == "WARNING"
    drawing.stopped()


def interrupted(store):
    """Work that is stopped in its first stage."""
    with drawn(store, "search", Noting(), write_report) as watcher:
        watcher.begin("teachers", 4.0)
        watcher.advance(1.0)
        raise KeyboardInterrupt


def test_whoever_stops_the_work_leaves_a_page_that_says_so(unfinished):
    with pytest.raises(KeyboardInterrupt):
        interrupted(unfinished)
    page = Page(unfinished.read_text("report.html"))
    assert "Stopped: there is no answer yet." in page.text
    assert "Teachers (25 % done)." in page.text
    assert "Run the same goodteacher search again to continue." in page.text


def test_what_is_refused_before_any_stage_leaves_the_report_as_it_is(store):
    write_report(store)
    before = store.read_text("report.html")
    with (
        pytest.raises(StudyError, match="refused"),
        drawn(store, "verification", Noting(), write_report),
    ):
        raise StudyError("refused")
    assert store.read_text("report.html") == before


def test_a_running_search_is_no_answer(unfinished):
    rows = search_rows(settings(), [CHOSEN])
    unfinished.write_table("students/search-0-seed-0-x/rows.parquet", rows, StudentRow)
    page = Page(write_report(unfinished, going()).read_text(encoding="utf-8"))
    title = page.text.partition("Running: ")[2]
    assert title.startswith("unfinished - goodteacher")
    assert "Running: there is no answer yet." in page.text
    assert "Teachers, to epoch 4 (75 % done)." in page.text
    assert "6 of 6 teacher checkpoints are recorded, and 18 students have been trained." in (
        page.text
    )
    assert "2026-01-02 03:07:25 UTC, 3 min after the search began" in page.text
    assert "Distill:" not in page.text
    assert "Star and outline" not in page.text
    headings = [text for text in page.texts if text.endswith(", so far")]
    assert "All arms, so far" in headings
    labels = [attrs["aria-label"] for _, attrs in page.tags if attrs.get("class") == "plot"]
    assert len(labels) > 5
    assert all(", so far" in label for label in labels)  # what a downloaded figure is called


def test_settings_and_data_are_not_so_far(unfinished):
    page = Page(write_report(unfinished, going()).read_text(encoding="utf-8"))
    assert {"Settings", "Data", "Environment"} <= set(page.texts)


def test_a_study_of_which_nobody_knows_whether_it_runs_is_not_finished(unfinished):
    page = Page(write_report(unfinished).read_text(encoding="utf-8"))
    assert "Not finished: there is no answer yet." in page.text
    assert "Run the same command again" in page.text
    assert "Running" not in page.text


def test_a_finished_study_says_nothing_of_running(store):
    text = write_report(store).read_text(encoding="utf-8")
    assert not [text for text in Page(text).texts if text.endswith(", so far")]
    assert "Running" not in Page(text).text
    assert 'class="banner"' not in text


@pytest.mark.parametrize("judged", [False, True])
def test_a_verification_runs_beside_the_answer_of_the_search(
    findings,
    verdict,  # noqa: F811
    judged,
):
    if judged:
        findings = dataclasses.replace(findings, judgement=Judgement(verdict, None))
    page = study_page(findings, going("verification"))
    assert page.answer.startswith("Distill:")
    assert page.banner.startswith("A verification is running. Stage: teachers, to epoch 4 (75 %")
    assert ("There is no verdict yet." in page.banner) is not judged
    assert ("The verdict below is an earlier one, and may change." in page.banner) is judged


def test_a_search_that_trains_on_says_that_its_answer_is_the_one_before(findings):
    page = study_page(findings, going())
    assert "The answer below is an earlier one, and may change." in page.banner


def test_stage_names_all_that_go_on():
    stages = (Stage("teachers", 4.0, 4.0), Stage("probes", 1.0, 3.0), Stage("tuning", 0.0, 2.0))
    assert going(stages=stages).stage == "probes (33 % done), tuning (0 % done)"
    assert going(stages=stages[:1]).stage == "teachers (100 % done)"
    assert going(stages=()).stage == "getting ready"


def test_stopped_verification_says_how_to_go_on(findings):
    page = study_page(findings, going("verification", stopped=True))
    assert "The verification was stopped at 2026-01-02 03:07:25 UTC" in page.banner
    assert "Run the same goodteacher verify again to continue." in page.banner


def test_a_verification_of_a_response_has_no_verdict_before_its_end(verdict):  # noqa: F811
    config = parse(VerifyConfig, data="digits", student="mlp:8")
    verified = Verified("study", config, data_summary(), (environment(),), None)
    page = verified_page(verified, going("verification"))
    assert page.answer == "Running: there is no answer yet."
    judged = dataclasses.replace(verified, judgement=Judgement(verdict, None))
    assert "earlier one" in verified_page(judged, going("verification")).banner
    assert verified_page(judged).banner == ""
