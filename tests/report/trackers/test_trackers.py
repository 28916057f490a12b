"""Each tracker, offline: what was logged is read back through its own library."""

import json
import shutil
import socket
import time

import pytest

import goodteacher
from goodteacher.report import tell_trackers
from goodteacher.report.trackers.told import told_of
from goodteacher.studies import Store
from tests.made import SETTINGS, dataset

QUICK = {**SETTINGS, "seeds": 2, "search_seeds": 1, "student_epochs": 4, "rungs": 1}
CURVE = "teachers/batch 16/accuracy"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return goodteacher.search(dataset(), out=tmp_path_factory.mktemp("told") / "mine", **QUICK)


@pytest.fixture
def store(study, tmp_path, monkeypatch):
    """A copy of a finished study, where nothing but this machine can be reached."""
    shutil.copytree(study.folder, tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    plain = socket.socket.connect

    def connect(self, address):
        assert self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "localhost", "::1")
        return plain(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    return Store(tmp_path / "mine")


@pytest.mark.filterwarnings("ignore")
def test_mlflow_has_a_run_in_its_local_store(store, tmp_path, monkeypatch):
    pytest.importorskip("mlflow", reason="needs goodteacher[mlflow]")
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    for _ in range(2):
        tell_trackers(["mlflow"], store.root)
    client, told = MlflowClient(uri), told_of(store)
    experiment = client.get_experiment_by_name("goodteacher")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "mine"
    assert run.info.status == "FINISHED"
    assert run.data.params["teacher"] == "mlp:12"
    assert run.data.metrics["test accuracy"] == told.results["test accuracy"]
    assert run.data.tags["answer"] == told.words["answer"]
    history = client.get_metric_history(run.info.run_id, CURVE)
    assert [(point.step, point.value) for point in history] == list(told.curves[CURVE])
    names = {artifact.path for artifact in client.list_artifacts(run.info.run_id)}
    assert {"report.html", "sweet_spot.json"} <= names
    client.delete_run(run.info.run_id)
    tell_trackers(["mlflow"], store.root)
    (again,) = client.search_runs([experiment.experiment_id])
    assert again.info.run_id != run.info.run_id
    assert again.data.metrics["test accuracy"] == told.results["test accuracy"]


@pytest.mark.filterwarnings("ignore")
def test_tensorboard_has_each_point_once(store):
    pytest.importorskip("tensorboard", reason="needs goodteacher[tensorboard]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def read():
        found = EventAccumulator(str(store.path("tensorboard")))
        found.Reload()
        return found

    for _ in range(2):
        tell_trackers(["tensorboard"], store.root)
    events, told = read(), told_of(store)
    assert set(events.Tags()["scalars"]) == {*told.curves, *told.results}
    points = [(event.step, event.value) for event in events.Scalars(CURVE)]
    assert points == [(step, pytest.approx(value)) for step, value in told.curves[CURVE]]
    (accuracy,) = events.Scalars("test accuracy")
    assert accuracy.value == pytest.approx(told.results["test accuracy"])
    assert "settings/text_summary" in events.Tags()["tensors"]
    shutil.rmtree(store.path("tensorboard"))
    for _ in range(2):
        tell_trackers(["tensorboard"], store.root)
    assert len(read().Scalars(CURVE)) == len(points), "told anew, and once"


@pytest.mark.filterwarnings("ignore")
def test_weights_and_biases_has_an_offline_run(store, monkeypatch, caplog):
    pytest.importorskip("wandb", reason="needs goodteacher[wandb]")
    for name in ("WANDB_MODE", "WANDB_DIR", "WANDB_PROJECT", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    tell_trackers(["wandb"], store.root)
    assert not [record.message for record in caplog.records if record.name == "goodteacher"]
    first = list(store.root.glob("wandb/offline-run-*/*.wandb"))
    assert len(first) == 1
    history, summary, settings = read_offline(first[0])
    told = told_of(store)
    assert settings["teacher"] == "mlp:12"
    assert [(row["step"], row[CURVE]) for row in history if CURVE in row] == list(
        told.curves[CURVE]
    )
    assert summary["test accuracy"] == told.results["test accuracy"]
    assert summary["answer"] == told.words["answer"]
    tell_trackers(["wandb"], store.root)
    ids = {path.stem for path in store.root.glob("wandb/offline-run-*/*.wandb")}
    assert len(ids) == 1, "the same run"
    later = [p for p in store.root.glob("wandb/offline-run-*/*.wandb") if p not in first]
    assert not [row for path in later for row in read_offline(path)[0]], "nothing is told twice"


def read_offline(path):
    """Return the history, the summary and the configuration in the file of an offline run."""
    history, summary, settings = [], {}, {}
    for record in finished(path):
        if record.HasField("history"):
            history.append(plain(record.history.item))
        summary |= plain(record.summary.update)
        settings |= plain(record.config.update) | plain(record.run.config.update)
    return history, summary, settings


def finished(path):
    """Return the records of a run that was closed: another process writes them, a little later."""
    from wandb.proto.wandb_internal_pb2 import Record

    for _ in range(300):
        found = [Record.FromString(content) for content in records(path.read_bytes())]
        if any(record.HasField("exit") for record in found):
            return found
        time.sleep(0.1)
    raise AssertionError(f"{path} was not closed within 30 s")


def plain(items):
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def records(content, *, block=32768, header=7):
    """Yield the records of a log as LevelDB writes it: in blocks, a long one in several pieces."""
    place, whole = header, b""
    while place + header <= len(content):
        if block - place % block < header:
            place += block - place % block
            continue
        size, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        whole += content[place + header : place + header + size]
        place += header + size
        if kind in (1, 4):  # whole, or its last piece
            yield whole
            whole = b""
