"""What a study's commands cost for each task, counted: files opened, notes read, folders listed."""

import os
from pathlib import Path

import pytest

from goodteacher.config import StudyConfig, parse
from goodteacher.studies import Store, checksums, health_of, require_whole


class Counts:
    """How often something was done since it was last asked."""

    def __init__(self, monkeypatch):
        self.counted = dict.fromkeys(("opened", "listed", "notes read"), 0)
        self._watch(monkeypatch, Path, "open", "opened")
        self._watch(monkeypatch, os, "scandir", "listed")
        self._watch(monkeypatch, checksums, "read_note", "notes read")

    def _watch(self, monkeypatch, where, name, what):
        plain = getattr(where, name)

        def counted(*arguments, **named):
            self.counted[what] += 1
            return plain(*arguments, **named)

        monkeypatch.setattr(where, name, counted)

    def of(self, function, *arguments):
        before = dict(self.counted)
        function(*arguments)
        return {what: count - before[what] for what, count in self.counted.items()}


def study(folder, tasks):
    store = Store.create(
        folder, parse(StudyConfig, data="digits", teacher="mlp:8", student="mlp:4")
    )
    for number in range(tasks):
        store.write_text(f"students/task-{number}/rows.parquet", f"rows {number}")
        store.write_text(f"students/task-{number}/test.safetensors", f"test {number}")
    return store


@pytest.fixture
def forgetful(monkeypatch):
    """As in a new process: nothing has been read yet."""

    def forget():
        checksums._folder_notes.cache_clear()
        checksums._digests.clear()

    return forget


SMALL, LARGE = 10, 40
MORE = LARGE - SMALL


@pytest.mark.parametrize(
    ("command", "most"),
    [
        # A file of notes and two of the task; two walks; the notes of both files and the folder
        (health_of, {"opened": 3, "listed": 2, "notes read": 4}),
        (lambda place: require_whole(Store(place)), {"opened": 1, "listed": 2, "notes read": 4}),
    ],
)
def test_each_task_costs_the_same_however_many_there_are(
    command, most, tmp_path, monkeypatch, forgetful
):
    for name, tasks in (("small", SMALL), ("large", LARGE)):
        study(tmp_path / name, tasks)
    counts = Counts(monkeypatch)
    forgetful()
    small = counts.of(command, tmp_path / "small")
    forgetful()
    large = counts.of(command, tmp_path / "large")
    for what, number in most.items():
        assert 0 < large[what] - small[what] <= number * MORE, what


def test_what_has_not_changed_is_not_read_again(tmp_path, monkeypatch):
    place = study(tmp_path / "study", SMALL).root
    health_of(place)
    again = Counts(monkeypatch).of(health_of, place)
    assert (again["opened"], again["notes read"]) == (0, 0)


def test_a_task_more_reads_only_its_own_notes(tmp_path, monkeypatch):
    store = study(tmp_path / "study", LARGE)
    health_of(store.root)
    store.write_text("students/more/rows.parquet", "more")
    again = Counts(monkeypatch).of(health_of, store.root)
    assert again["opened"] <= 3
    assert again["notes read"] <= 4


def test_taking_the_lock_reads_no_notes_of_tasks(tmp_path, monkeypatch, forgetful):
    store = study(tmp_path / "study", LARGE)
    forgetful()

    def hold():
        with store.lock():
            pass

    assert Counts(monkeypatch).of(hold)["opened"] <= 2
