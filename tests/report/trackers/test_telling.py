"""What trackers are told, when, and that none of them can end the work."""

import logging
import sys

import pytest

import goodteacher
from goodteacher.errors import ConfigError, PackageError, StudyError
from goodteacher.report import tell_trackers, tracked
from goodteacher.report.trackers import TRACKERS, telling
from goodteacher.report.trackers.told import Sent, Told, told_of
from goodteacher.studies import Silent, Store
from tests.made import SETTINGS, dataset

QUICK = {**SETTINGS, "seeds": 2, "search_seeds": 1, "student_epochs": 4, "rungs": 1}

NOTHING = Told({}, {}, {}, {}, {})


class Listens:
    """A tracker that keeps what it is told, of every study, by the name of its run."""

    heard, number, failing, refusing = [], 0, False, False

    def __init__(self, store):
        self.store = store

    def begin(self, run):
        if self.failing:
            raise OSError("no route to the server\nand more")
        if run is None:
            type(self).number += 1
        return run or f"run {self.number}"

    def tell(self, news):
        if self.refusing:
            raise ValueError("no such metric")
        self.heard.append(news)

    def end(self):
        self.heard.append("end")


@pytest.fixture
def listens(monkeypatch):
    monkeypatch.setattr(Listens, "heard", [])
    monkeypatch.setattr(Listens, "failing", False)
    monkeypatch.setattr(Listens, "refusing", False)
    here = f"{__name__}:Listens"
    monkeypatch.setattr(telling, "TRACKERS", dict.fromkeys(TRACKERS, here))
    return Listens


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return goodteacher.search(dataset(), out=tmp_path_factory.mktemp("told") / "s", **QUICK)


@pytest.fixture
def store(study, tmp_path):
    import shutil

    shutil.copytree(study.folder, tmp_path / "s")
    return Store(tmp_path / "s")


def test_everything_that_was_found_is_told(study):
    told = told_of(study.store)
    assert told.settings["teacher"] == "mlp:12"
    assert told.settings["temperatures"] == "1.0,4.0"
    curve = told.curves["teachers/batch 16/accuracy"]
    own = [record for record in study.trajectories() if record.run == "batch 16"]
    assert curve == tuple((record.epoch, record.selection_accuracy) for record in own)
    spot = study.sweet_spot
    assert told.results["test accuracy"] == spot.student.test_accuracy
    difference = spot.references.label_smoothing
    assert told.results["gain over label smoothing"] == difference.difference
    assert told.words["answer"] == spot.answer
    assert {"report.html", "sweet_spot.json"} <= told.files.keys()
    ((_, best),) = told.curves["students/best selection accuracy"]
    rows = [row for row in study.students() if row.stage == "search"]
    assert best == max(row.selection_accuracy for row in rows)  # one seed each


def test_only_what_is_new_is_told_again(study):
    told = told_of(study.store)
    sent = told.added_to(Sent(run="r"))
    again = told.new_to(sent)
    assert again == NOTHING
    earlier = sent.model_copy(
        update={
            "steps": {**sent.steps, "teachers/batch 16/nll": 1},
            "results": {**sent.results, "test accuracy": 0.1},
            "files": {**sent.files, "report.html": "older"},
        }
    )
    news = told.new_to(earlier)
    assert [step for step, _ in news.curves["teachers/batch 16/nll"]] == [2, 4]
    assert list(news.curves) == ["teachers/batch 16/nll"]
    assert list(news.results) == ["test accuracy"]
    assert list(news.files) == ["report.html"]


def test_a_search_tells_as_it_goes_and_closes_the_run(tmp_path, listens):
    made = goodteacher.search(dataset(), out=tmp_path / "s", tracker="mlflow", **QUICK)
    assert listens.heard[-1] == "end"
    news = listens.heard[:-1]
    assert news[0].settings["tracker"] == "mlflow"
    assert not news[0].results, "the first is told before anything is found"
    curves = [one for one in news if one.curves and not one.results]
    assert curves, "teachers are told before the answer"
    results = [one for one in news if "test accuracy" in one.results]
    assert len(results) == 1
    assert "report.html" in results[0].files
    points = [
        p for one in news for name, c in one.curves.items() for p in ((name, s) for s, _ in c)
    ]
    assert len(points) == len(set(points)), "no point is told twice"
    assert made.config.tracker == ("mlflow",)


def test_a_study_that_goes_on_tells_the_same_run_what_is_new(store, listens):
    tell_trackers(["wandb"], store.root)
    first = listens.number
    listens.heard.clear()
    tell_trackers(["wandb"], store.root)
    assert listens.number == first, "no other run is begun"
    (news, _) = listens.heard
    assert news == NOTHING
    (store.root / "trackers.json").unlink()
    tell_trackers(["wandb"], store.root)
    assert listens.number == first + 1
    assert listens.heard[-2].settings


def test_each_tracker_has_notes_of_its_own(store, listens):
    tell_trackers(["mlflow", "wandb"], store.root)
    notes = store.read_json("trackers.json", telling.Notes)
    assert notes.sent.keys() == {"mlflow", "wandb"}
    assert notes.sent["mlflow"].run != notes.sent["wandb"].run


def test_verdict_and_distillation_are_told(tmp_path, listens):
    import numpy as np

    data = dataset()
    logits = 3.0 * np.eye(4)[data.train.labels.numpy()]
    few = {k: SETTINGS[k] for k in ("selection_fraction", "precision", "device", "student")}
    common = {**few, "student_epochs": 2, "responses": logits, "tracker": ("wandb",)}
    goodteacher.distill(data, out=tmp_path / "d", **common)
    assert any("gain over hard labels" in one.results for one in listens.heard[:-1])
    listens.heard.clear()
    verdict = goodteacher.verify(data, out=tmp_path / "v", seeds=3, **common)
    told = {k: v for one in listens.heard[:-1] for k, v in one.words.items()}
    assert told["verdict"] == verdict.verdict
    assert any("verdict/knowledge low" in one.results for one in listens.heard[:-1])


def test_a_tracker_that_fails_is_left_out_and_the_way_on_is_told(store, listens, caplog):
    listens.failing = True
    with caplog.at_level(logging.WARNING, "goodteacher"), tracked(["mlflow"], store.root, Silent()):
        pass
    (record,) = caplog.records
    assert "the tracker mlflow failed" in record.message
    assert "no route to the server. Once" in record.message
    assert "goodteacher.track(folder, 'mlflow')" in record.message
    assert not store.exists("trackers.json")


def test_a_run_of_which_something_cannot_be_told_is_closed_and_told_later(store, listens):
    listens.refusing = True
    with tracked(["mlflow", "wandb"], store.root, Silent()):
        pass
    assert listens.heard == ["end", "end"]
    listens.refusing = False
    tell_trackers(["mlflow"], store.root)
    assert listens.heard[-2].settings, "nothing counts as told"


def test_work_that_fails_closes_the_run(store, listens):
    def work():
        with tracked(["mlflow"], store.root, Silent()) as progress:
            progress.begin("teachers", 1.0)
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        work()
    assert listens.heard[-1] == "end"


def test_nobody_is_told_where_nobody_is_named(tmp_path):
    watcher = Silent()
    with tracked((), tmp_path / "s", watcher) as progress:
        assert progress is watcher


@pytest.mark.parametrize(
    ("name", "package"), [("mlflow", "mlflow"), ("tensorboard", "tensorboard"), ("wandb", "wandb")]
)
def test_missing_package_is_named_before_anything_is_done(tmp_path, monkeypatch, name, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PackageError, match=rf"pip install 'goodteacher\[{name}\]'"):
        goodteacher.search(dataset(), out=tmp_path / "s", tracker=name, **QUICK)
    assert not (tmp_path / "s").exists()


def test_unknown_tracker_and_folder_are_said(study, tmp_path):
    with pytest.raises(ConfigError, match=r"tracker.*'mlflow', 'tensorboard' or 'wandb'"):
        goodteacher.track(study, "neptune")
    with pytest.raises(StudyError, match="is not a study"):
        goodteacher.track(tmp_path, "mlflow")


def test_asking_for_no_tracker_imports_none():
    import subprocess

    code = (
        "import sys, goodteacher.report, goodteacher.public.searching\n"
        "sys.exit(any(name in sys.modules for name in ('mlflow', 'tensorboard', 'wandb')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
