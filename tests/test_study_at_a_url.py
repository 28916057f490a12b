"""A whole study on a server of S3's protocol: the numbers of a folder, whatever happens."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

import goodteacher
from goodteacher.cli import app
from goodteacher.errors import StudyError
from goodteacher.records import StudentRow
from goodteacher.studies import Store, place_of, remote_lock
from goodteacher.studies.progress import Silent
from tests import object_stores
from tests.made import SETTINGS, dataset

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

PLAIN = {**SETTINGS, "search_seeds": 1, "seeds": 2, "student_epochs": 4, "rungs": 1}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return goodteacher.search(dataset(), out=tmp_path_factory.mktemp("own") / "study", **PLAIN)


@pytest.fixture
def url(server, monkeypatch):
    monkeypatch.setattr(remote_lock, "RENEWED", 0.1)
    monkeypatch.setattr(remote_lock, "STALE", 2.0)
    return f"{object_stores.bucket()}/study"


def rows(study):
    """What is said of every student, but for how long that took."""
    left_out = {name for name in StudentRow.model_fields if name.endswith("seconds")}
    return sorted(str(row.model_dump(exclude=left_out)) for row in study.students())


def tasks(study, event):
    return [each["task"] for each in study.store.events() if each["event"] == event]


SEARCH = """
import sys, time, goodteacher
from goodteacher.studies import Store, remote_lock
from tests.made import dataset
from tests.test_study_at_a_url import PLAIN

def log(store, event, **details):
    plain(store, event, **details)
    if event == "task_done" and details["task"].startswith("search"):
        time.sleep(600)

plain, Store.log = Store.log, log
remote_lock.RENEWED = 0.1
goodteacher.search(dataset(), out=sys.argv[1], **PLAIN)
"""


def begun(url):
    """Search in a process of its own, which waits once its first student has been trained."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", SEARCH, url], cwd=Path(__file__).parent.parent, env=environment
    )
    store = Store(url)
    while not any(event.get("task", "").startswith("search") for event in store.events()):
        assert process.poll() is None
        time.sleep(0.1)
    return process


def test_killed_search_goes_on_with_the_same_numbers(alone, url, monkeypatch):
    process = begun(url)
    with monkeypatch.context() as patient:
        patient.setattr(remote_lock, "STALE", 30.0)
        with pytest.raises(StudyError, match=f"in use by .* process {process.pid} on "):
            goodteacher.search(dataset(), out=url, **PLAIN)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = set(tasks(goodteacher.Study(url), "task_done"))
    found = goodteacher.search(dataset(), out=url, **PLAIN)
    assert rows(found) == rows(alone)
    assert found.sweet_spot.summary == alone.sweet_spot.summary
    done = tasks(found, "task_done")
    assert sorted(done) == sorted(set(done)) == sorted(set(tasks(alone, "task_done")))
    assert set() < finished < set(done)


class Interrupting(Silent):
    """Makes the server unreachable for a while as the first students begin."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.server = self.before = None

    def begin(self, stage, total):
        if self.server is None and "student" in stage:
            self.server = object_stores.stopped()
            self.before = time.monotonic()
            threading.Timer(self.seconds, self.server.start).start()


def test_search_waits_for_a_service_that_cannot_be_reached(alone, url):
    seconds = float(os.environ.get("GOODTEACHER_UNREACHABLE_S", "2"))
    watcher = Interrupting(seconds)
    found = goodteacher.search(dataset(), out=url, progress=watcher, **PLAIN)
    assert time.monotonic() - watcher.before > seconds
    assert rows(found) == rows(alone)
    done = tasks(found, "task_done")
    assert sorted(done) == sorted(set(done))


def test_search_in_several_processes_finds_the_same(alone, url):
    found = goodteacher.search(dataset(), out=url, workers=2, engine="processes", **PLAIN)
    assert rows(found) == rows(alone)
    assert sorted(tasks(found, "task_done")) == sorted(set(tasks(alone, "task_done")))
    assert len(found.store.files.names("events")) > 1  # several wrote


def test_finished_study_is_all_there(alone, url, tmp_path):
    found = goodteacher.search(dataset(), out=url, **PLAIN)
    assert goodteacher.Study(url).sweet_spot == found.sweet_spot
    own, theirs = found.student(), alone.student()
    inputs = dataset().test.inputs
    assert own(inputs).tolist() == theirs(inputs).tolist()
    assert found.store.local("report.html").read_text().startswith("<!doctype html>")
    verdict = goodteacher.verify(url, data=dataset(), seeds=3, smoothings=[0.1])
    assert found.verdict == verdict
    copied = found.export(tmp_path / "out", format="safetensors", data=dataset())
    assert copied.files[0].num_bytes > 0
    names = {name.partition("/")[0] for name in Store(url).files.names()}
    local = {path.name for path in alone.folder.iterdir()} - {
        ".lock",
        "events.jsonl",
        ".checksums.jsonl",
    }
    assert local <= names
    assert ".lock" not in names


def test_teachers_of_a_study_at_a_url_are_taken_over(alone, url, tmp_path):
    goodteacher.search(dataset(), out=url, **PLAIN)
    other = {**PLAIN, "student": "mlp:5"}
    trained = goodteacher.search(dataset(), out=tmp_path / "new", **other)
    lent = goodteacher.search(dataset(), out=tmp_path / "lent", teachers_of=url, **other)
    assert rows(lent) == rows(trained)
    assert not any(name.startswith("teachers") for name in tasks(lent, "task_started"))


def test_command_line_takes_a_url(url):
    options = "--teacher mlp:8 --student mlp:2 --batch-sizes 64 --epochs 2 --student-epochs 1"
    options += " --seeds 2 --search-seeds 1 --rungs 1 --threads 1 --out"
    done = CliRunner().invoke(app, ["search", "digits", *options.split(), url])
    assert done.exit_code == 0, done.output
    assert f"{url}/report.html" in done.output.replace("\n", "")
    done = CliRunner().invoke(app, ["report", url, "--json"])
    assert json.loads(done.stdout) == {"report": f"{url}/report.html"}
    done = CliRunner().invoke(app, ["verify", url, "--seeds", "3", "--smoothings", "0.1"])
    assert done.exit_code == 0, done.output
    assert Store(place_of(url)).exists("verdict.json")
