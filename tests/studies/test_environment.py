"""A study that goes on elsewhere: nothing is trained again, and it says which numbers are whose."""

import shutil

import pytest

from goodteacher import search
from goodteacher.config import StudyConfig, parse
from goodteacher.errors import StudyError
from goodteacher.studies import environment as module
from goodteacher.studies.environment import enter, enter_anew, environments
from goodteacher.studies.progress import Silent
from goodteacher.studies.store import Store
from goodteacher.training import machine
from tests.made import SETTINGS, dataset

SHORT = {**SETTINGS, "epochs": 2, "student_epochs": 2, "search_seeds": 1, "rungs": 1}


class Notes(Silent):
    def __init__(self):
        self.texts = []

    def note(self, text):
        self.texts.append(text)


@pytest.fixture
def store(tmp_path):
    config = parse(StudyConfig, data="made", teacher="mlp:8", student="mlp:4")
    return Store.create(tmp_path / "s", config)


def finish(store, count, environment):
    for number in range(count):
        store.log("task_done", stage="s", task=f"t{number}", seconds=0.1, environment=environment)


def test_environments_are_listed_in_the_order_in_which_they_were_first_seen(store):
    assert environments(store) == ()
    assert enter(store, "cpu float32") == (0, None)
    assert enter(store, "cuda:0 bfloat16") == (1, None), "no number comes from the first one"
    assert enter(store, "cpu float32") == (0, None)
    assert [each.device for each in environments(store)] == ["cpu float32", "cuda:0 bfloat16"]


def test_going_on_elsewhere_says_which_numbers_come_from_where(store, monkeypatch):
    monkeypatch.setattr(module, "_processor", lambda: "made")
    enter(store, "cpu float32")
    finish(store, 12, 0)
    number, told = enter(store, "cuda:0 bfloat16")
    assert told.startswith("the first 12 tasks ran on cpu float32 (made, PyTorch ")
    assert "further ones run here, on cuda:0 bfloat16 (made, PyTorch " in told
    finish(store, 1, number)
    _, told = enter(store, "cpu float32")
    assert "the first 12 tasks ran on cpu float32 (made" in told
    assert "the next task ran on cuda:0 bfloat16 (made" in told


def test_another_number_of_threads_is_listed_and_not_told(store, monkeypatch):
    enter(store, "cpu float32")
    finish(store, 3, 0)
    monkeypatch.setattr(module.torch, "get_num_threads", lambda: 77)
    assert enter(store, "cpu float32") == (1, None)
    assert [each.threads for each in environments(store)][1] == 77


def threads_are(monkeypatch, count):
    monkeypatch.setattr(module.torch, "get_num_threads", lambda: count)


def test_threads_that_are_chosen_later_take_the_place_of_those_with_which_nothing_ran(
    store, monkeypatch
):
    threads_are(monkeypatch, 2)
    number, _ = enter(store, "cpu float32")
    assert enter_anew(store, number, "cpu float32") == 0, "nothing changed"
    threads_are(monkeypatch, 1)
    assert enter_anew(store, number, "cpu float32") == 0
    assert [each.threads for each in environments(store)] == [1]


def test_a_study_that_goes_on_with_chosen_threads_is_where_it_was(store, monkeypatch):
    threads_are(monkeypatch, 1)
    enter(store, "cpu float32")
    finish(store, 3, 0)
    threads_are(monkeypatch, 2)  # as the next call begins
    number, _ = enter(store, "cpu float32")
    threads_are(monkeypatch, 1)
    assert (number, enter_anew(store, number, "cpu float32")) == (1, 0)
    assert [each.threads for each in environments(store)] == [1]


def test_threads_with_which_something_ran_stay_listed(store, monkeypatch):
    threads_are(monkeypatch, 2)
    number, _ = enter(store, "cpu float32")
    finish(store, 1, number)
    threads_are(monkeypatch, 1)
    assert enter_anew(store, number, "cpu float32") == 1
    assert [each.threads for each in environments(store)] == [2, 1]


def test_damaged_list_of_environments_is_named(store):
    store.write_text("environment.json", '{"python": "3.11"}')
    with pytest.raises(StudyError, match=r"environment\.json does not hold a Environments"):
        enter(store, "cpu float32")


def files_of(folder):
    kept = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in kept}


def test_teachers_are_not_trained_again_where_auto_means_another_precision(tmp_path, monkeypatch):
    """Once, the precision was part of a teacher's name, and the study held both."""
    study = search(dataset(), out=tmp_path / "s", **{**SHORT, "precision": "float32"})
    teachers = files_of(study.folder / "teachers")
    study.store.remove("sweet_spot.json")
    shutil.rmtree(study.folder / "students")
    monkeypatch.setattr(machine, "_multiplies_bfloat16", lambda device: True)
    notes = Notes()
    elsewhere = {**SHORT, "precision": "auto"}
    again = search(dataset(), out=tmp_path / "s", progress=notes, **elsewhere)
    assert files_of(again.folder / "teachers") == teachers
    ran = [event for event in again.store.events() if event["event"] == "task_done"]
    assert {event["environment"] for event in ran if event["stage"] == "teachers"} == {0}
    assert {event["environment"] for event in ran} == {0, 1}
    (told,) = (text for text in notes.texts if "further ones run here" in text)
    assert "on cpu float32" in told
    assert "here, on cpu bfloat16" in told
    report = again.report.read_text()
    assert "cpu float32" in report
    assert "cpu bfloat16" in report
