"""The served report in a real browser: it follows the study, and keeps the reader's place."""

import threading

import pytest

from goodteacher.report import ReportServer, write_report
from tests.report.browsing import needs_browser
from tests.report.build import finish_study, write_study

pytestmark = needs_browser
LATER = 2500
"""Milliseconds after which the page has asked again."""


@pytest.fixture
def report(tmp_path):
    """Where the report of a study will be, of which nothing is there yet."""
    return tmp_path / "study" / "report.html"


@pytest.fixture
def server(report):
    with ReportServer(report.parent) as started:
        thread = threading.Thread(target=started.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield started
        started.shutdown()
        thread.join()


@pytest.fixture
def page(opened, server):
    """The served page; its clock is the test's."""
    shown = opened(at="about:blank")
    shown.clock.install()
    shown.goto(server.address)
    return shown


def heading(page, text):
    """Wait until the page says something in its heading."""
    page.locator("h1", has_text=text).wait_for(timeout=5000)


def test_a_page_that_waits_shows_each_report_as_it_is_written(page, report):
    heading(page, "Waiting: there is no report in this folder yet.")
    store = write_study(report.parent)
    write_report(store)
    page.clock.fast_forward(LATER)
    heading(page, "Not finished: there is no answer yet.")
    finish_study(store)
    write_report(store)
    page.clock.fast_forward(LATER)
    heading(page, "Distill: undecided.")
    assert page.title() == "study - goodteacher"


def test_readers_stay_where_they_were(page, report):
    store = write_study(report.parent)
    finish_study(store)
    write_report(store)
    page.clock.fast_forward(LATER)
    heading(page, "Distill:")
    page.select_option("#map-teachers select", "2")
    page.locator("#map-teachers .view:not([hidden]) summary").click()
    page.fill("#arms input[type=search]", "label smoothing")
    page.evaluate("scrollTo({ top: 1500, behavior: 'instant' })")
    store.write_text(report.name, report.read_text().replace("Distill:", "Newer:"))
    page.clock.fast_forward(LATER)
    heading(page, "Newer:")
    assert page.locator("#map-teachers select").input_value() == "2"
    assert page.locator("#map-teachers .view:not([hidden]) details[open]").count() == 1
    assert page.locator("#arms [role=status]").inner_text().startswith("2 of")
    assert page.evaluate("scrollY") == pytest.approx(1500, abs=30)


def test_a_report_that_stays_the_same_is_not_loaded_again(page, report):
    write_report(write_study(report.parent))
    page.clock.fast_forward(LATER)
    heading(page, "Not finished")
    page.evaluate("window.planted = true")
    page.clock.fast_forward(LATER)
    page.clock.fast_forward(LATER)
    page.wait_for_timeout(100)
    assert page.evaluate("window.planted") is True


def test_a_reader_learns_that_nobody_serves_any_more(browser, report):
    with ReportServer(report.parent) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        page = browser.new_page()
        page.clock.install()
        page.goto(server.address)
        server.shutdown()
        thread.join()
    page.clock.fast_forward(LATER)
    page.locator(".lost", has_text="goodteacher watch has ended").wait_for(timeout=5000)
    page.close()
