import pytest

from goodteacher.report.findings import read_findings
from tests.report.browsing import ARGUMENTS, BROWSER, is_foreign
from tests.report.build import finish_study, write_study


@pytest.fixture
def store(tmp_path):
    """A finished study."""
    store = write_study(tmp_path / "study")
    finish_study(store)
    return store


@pytest.fixture
def findings(store):
    """A finished study, read."""
    return read_findings(store)


@pytest.fixture
def unfinished(tmp_path):
    """A study whose teachers have run and whose students have not."""
    return write_study(tmp_path / "unfinished")


@pytest.fixture(scope="module")
def browser():
    """A Chromium without a window."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def opened_at(browser):
    """A function that opens an address; whatever goes wrong there fails the test."""
    told, contexts = [], []

    def open_page(address, width, height, **settings):
        context = browser.new_context(viewport={"width": width, "height": height}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: told.append(message.text))
        page.on("pageerror", lambda error: told.append(str(error)))
        page.on("request", lambda request: told.append(request.url) if is_foreign(request) else 0)
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert told == []


@pytest.fixture
def opened(opened_at, report):
    """A function that opens the module's report."""

    def open_page(width=1280, height=900, *, at=None, **settings):
        return opened_at(at or report.as_uri(), width, height, **settings)

    return open_page
