"""Searches and verifications whose reports are looked at while they run."""

import pytest

from goodteacher import search, verify
from goodteacher.report import running
from tests.made import SETTINGS, dataset
from tests.report.test_page import Page
from tests.watching import Noting

QUICK = {
    **SETTINGS,
    "epochs": 2,
    "record_epochs": (1, 2),
    "student_epochs": 2,
    "temperatures": (4.0,),
    "alphas": (1.0,),
    "smoothings": (0.1,),
    "search_seeds": 1,
    "seeds": 2,
    "rungs": 1,
    "patience": 0,
}


@pytest.fixture(autouse=True)
def _always_cheap(monkeypatch):
    """Drawing counts as cheap from the first moment on."""
    monkeypatch.setattr(running, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(running, "MOST_SHARE", 1e9)


class Reading(Noting):
    """Reads the report whenever a stage begins, after it was drawn for the one before."""

    def __init__(self, folder):
        super().__init__()
        self.report, self.pages = folder / "report.html", {}

    def begin(self, stage, total):
        if self.report.exists():
            self.pages[stage] = Page(self.report.read_text(encoding="utf-8"))


def test_a_search_shows_how_far_it_is_and_no_answer_before_its_end(tmp_path):
    watcher = Reading(tmp_path / "s")
    search(dataset(), out=tmp_path / "s", progress=watcher, **QUICK)
    assert watcher.pages.keys() >= {"students, round 1", "confirmation"}
    for page in watcher.pages.values():
        assert "Running: there is no answer yet." in page.text
        assert "Distill:" not in page.text
    last = watcher.pages["confirmation"]
    assert "Students, round 1 (" in last.text
    assert "4 of 4 teacher checkpoints are recorded" in last.text
    assert "map-teachers" in last.attributes("id")
    final = Page(watcher.report.read_text(encoding="utf-8"))
    assert "Distill:" in final.text
    assert "Running" not in final.text
    assert watcher.notes == [note for note in watcher.notes if "report" not in note]


def test_a_verification_runs_beside_the_answer(tmp_path):
    watcher = Reading(tmp_path / "s")
    search(dataset(), out=tmp_path / "s", **QUICK)
    verify(tmp_path / "s", data=dataset(), seeds=3, progress=watcher)
    page = next(page for stage, page in watcher.pages.items() if stage.startswith("verification"))
    assert "Distill:" in page.text
    final = Page(watcher.report.read_text(encoding="utf-8"))
    assert "A verification is running" not in final.text
    assert "Knowledge or regularization?" in final.text


def test_a_page_that_cannot_be_drawn_ends_no_search(tmp_path, monkeypatch):
    from goodteacher.public import searching

    write = searching.write_report

    def fail(store, going=None, tables=None):
        if going is not None:
            raise ZeroDivisionError("planted")
        return write(store)

    monkeypatch.setattr(searching, "write_report", fail)
    watcher = Noting()
    study = search(dataset(), out=tmp_path / "s", progress=watcher, **QUICK)
    assert study.sweet_spot.summary
    told = [note for note in watcher.notes if "cannot be drawn: planted" in note]
    assert len(told) == 1
    assert "Distill:" in Page(study.report.read_text(encoding="utf-8")).text


def test_several_students_have_a_page_that_leads_to_each(tmp_path):
    watcher = Reading(tmp_path / "s")
    students = ["mlp:2", "mlp:3"]
    own = {name: value for name, value in QUICK.items() if name != "student"}
    search(dataset(), student=students, out=tmp_path / "s", progress=watcher, **own)
    second = [page for stage, page in watcher.pages.items() if "(2 of 2)" in stage]
    assert "The search has ended for 1 of 2 students." in second[-1].text
    assert "mlp-2/report.html" in second[-1].attributes("href")
    final = Page(watcher.report.read_text(encoding="utf-8"))
    assert "On the front of accuracy over parameters" in final.text
