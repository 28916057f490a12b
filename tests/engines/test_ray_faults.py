"""What happens on a cluster of several nodes when something fails: the same numbers, nothing twice.

The nodes are processes of this machine, with a control plane and a scheduler of their own each.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psutil
import pytest
import torch
from tests.contracts.test_engines import context_of
from tests.made import SETTINGS, arrays, dataset
from tests.ray_clusters import NODE, several_nodes, until

from goodteacher import search
from goodteacher.errors import ConfigError, RunError, StudyError
from goodteacher.studies.progress import Silent
from goodteacher.studies.store import Store

ray = pytest.importorskip("ray", reason="goodteacher[ray] is not installed")

from goodteacher.engines import ray_engine  # noqa: E402
from goodteacher.engines.ray_cluster import Resources  # noqa: E402
from goodteacher.engines.ray_engine import RayEngine, Where  # noqa: E402


@pytest.fixture(scope="module")
def cluster():
    with several_nodes(1, 1) as started:
        yield started


@dataclass(frozen=True)
class Waiting:
    """A task that says where it is and waits until it may go on.

    What it does on its first attempt is ``first``, and from then on it computes.
    """

    runner: ClassVar[str] = f"{__name__}:Waiter"
    number: int
    first: str = "wait"

    @property
    def key(self):
        return f"wait-{self.number}"

    @property
    def work(self):
        return float(self.number)


class Waiter:
    def done(self, task, store):
        return store.exists(f"{task.key}.txt")

    def run(self, task, context):
        store = context.store
        attempts = len(list(store.path("begun").glob(f"{task.key}.*")))
        node = ray.get_runtime_context().get_node_id()
        store.write_json(f"begun/{task.key}.{attempts}", {"pid": os.getpid(), "node": node})
        context.progress.advance(task.work / 2)
        if task.first == "die" or (task.first == "die once" and not attempts):
            os.kill(os.getpid(), signal.SIGKILL)
        if task.first == "wait" and not attempts:
            until(lambda: store.exists("go"), what="the word to go on")
            store.write_text(f"going-{task.key}", "")
            time.sleep(1 if store.exists("slowly") else 0)
        context.progress.advance(task.work / 2)
        _compute(task, context)


def _compute(task, context):
    value = torch.linalg.svdvals(context.data.transfer.inputs[:50] * task.number).sum()
    context.store.write_text(f"{task.key}.txt", f"{value.item().hex()}\n")


class Watching(Silent):
    def __init__(self):
        self.units, self.notes = 0.0, []

    def advance(self, units, stage=None):
        self.units += units

    def note(self, text):
        self.notes.append(text)


def engine_for(context, cluster, workers=None, **settings):
    where = Where(cluster.address, workers, Resources(1, 0.0, 0))
    return RayEngine(context, where, **settings)


@contextlib.contextmanager
def running(engine, tasks):
    """Run tasks in another thread while the block does something to them; then let them go on."""
    failed = []

    def run():
        try:
            engine.run("waits", tasks)
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        store = engine.context.store
        until(lambda: store.root.is_dir(), what="the study's folder")
        store.write_text("go", "")
        thread.join(timeout=120)
    assert not thread.is_alive()
    if failed:
        raise failed[0]


def begun(context, count, of=None):
    """Wait until so many attempts have begun, and return where: by task, the last attempt."""

    def found():
        files = sorted(context.store.path("begun").glob("wait-*"))
        here = [f for f in files if of is None or f.name.startswith(f"{of}.")]
        return here if len(here) >= count else None

    files = until(found, what=f"{count} beginnings")
    return {file.name.partition(".")[0]: json.loads(file.read_text()) for file in files}


TASKS = tuple(Waiting(number) for number in (1, 2, 3))


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """What the tasks find in this process, undisturbed."""
    context = context_of(tmp_path_factory.mktemp("alone") / "s")
    for task in TASKS:
        _compute(task, context)
    return numbers(context)


def numbers(context):
    return {path.name: path.read_text() for path in context.store.root.glob("wait-*.txt")}


def counted(context, event):
    return Counter(e["task"] for e in context.store.events() if e["event"] == event)


def check_done_once(context, expected):
    assert numbers(context) == expected
    assert counted(context, "task_done") == {task.key: 1 for task in TASKS}
    assert context.progress.units == sum(task.work for task in TASKS)


def test_a_task_whose_process_is_killed_runs_again(cluster, tmp_path, expected):
    context = context_of(tmp_path / "s", Watching())
    with running(engine_for(context, cluster), TASKS):
        os.kill(begun(context, 2)["wait-3"]["pid"], signal.SIGKILL)
    check_done_once(context, expected)
    assert counted(context, "task_lost") == {"wait-3": 1}
    (note,) = context.progress.notes
    assert "process of the task wait-3 died" in note
    assert "attempt 2 of 4" in note


def test_a_task_whose_process_dies_each_time_is_said(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_engine, "RETRIES", 1)
    context = context_of(tmp_path / "s", Watching())
    with pytest.raises(RunError, match=r"the task wait-9 died 2 times.* give fewer --workers"):
        engine_for(context, cluster).run("waits", [Waiting(9, "die")])
    assert counted(context, "task_lost") == {"wait-9": 1}
    assert not counted(context, "task_done")


def test_tasks_of_a_node_that_is_lost_run_elsewhere(cluster, tmp_path, expected):
    context = context_of(tmp_path / "s", Watching())
    (lost,) = cluster.worker_nodes
    with running(engine_for(context, cluster), TASKS):
        found = begun(context, 2)
        theirs = next(key for key, each in found.items() if each["node"] == lost.node_id)
        cluster.remove_node(lost)
        until(lambda: counted(context, "task_lost") == {theirs: 1}, what="that it is lost")
    try:
        check_done_once(context, expected)
    finally:
        cluster.add_node(num_cpus=1, **NODE)


def test_a_node_that_is_added_gets_tasks(cluster, tmp_path, expected):
    context = context_of(tmp_path / "s", Watching())
    with running(engine_for(context, cluster), TASKS):
        before = {each["node"] for each in begun(context, 2).values()}
        added = cluster.add_node(num_cpus=1, **NODE)
        places = {each["node"] for each in begun(context, 3).values()}
    try:
        assert places - before == {added.node_id}
        check_done_once(context, expected)
    finally:
        cluster.remove_node(added)


def test_a_task_that_runs_out_of_memory_runs_again_on_a_node_of_its_own(
    cluster, tmp_path, expected, monkeypatch
):
    """Its process is killed, as a system without memory does; Ray's own monitor says why."""
    context = context_of(tmp_path / "s", Watching())
    engine, asked = engine_for(context, cluster), []
    attend, whole = engine.pool.attend, ray_engine.whole_node

    def told_why(run, ended):
        if isinstance(ended.exception(), ray.exceptions.WorkerCrashedError):
            ended = Future()
            ended.set_exception(ray.exceptions.OutOfMemoryError("1 worker was killed"))
        attend(run, ended)

    def asking(needs):
        asked.append(whole(needs))
        return asked[-1]

    monkeypatch.setattr(engine.pool, "attend", told_why)
    monkeypatch.setattr(ray_engine, "whole_node", asking)
    engine.run("waits", (Waiting(1, "go"), Waiting(2, "go"), Waiting(3, "die once")))
    assert counted(context, "task_lost") == {"wait-3": 1}
    assert asked == [1]
    assert "because memory ran out. It runs again" in context.progress.notes[0]
    check_done_once(context, expected)


def test_the_smallest_node_on_which_a_task_can_run_is_asked_for_as_a_whole(monkeypatch):
    known = {"a": {"CPU": 1.0}, "b": {"CPU": 8.0}, "c": {"CPU": 4.0}}
    monkeypatch.setattr(ray_engine, "nodes", lambda: known)
    assert ray_engine.whole_node(Resources(1, 0.0, 0)) == 1
    assert ray_engine.whole_node(Resources(2, 0.0, 0)) == 4
    assert ray_engine.whole_node(Resources(16, 0.0, 0)) == 16, "if all such nodes were lost"


@pytest.fixture
def mounted(tmp_path):
    """A study's folder that can go out of reach, as a disk of the network does."""
    (tmp_path / "disk").mkdir()
    place = tmp_path / "mounted"
    place.symlink_to(tmp_path / "disk")

    def out_of_reach():
        place.unlink()
        place.symlink_to(tmp_path / "nowhere")

    def back():
        place.unlink()
        place.symlink_to(tmp_path / "disk")

    return place, out_of_reach, back


def leave_for(seconds, context, mounted):
    """Take a folder away while tasks compute that are to write into it."""
    _, out_of_reach, back = mounted
    begun(context, 2)
    context.store.write_text("slowly", "")
    context.store.write_text("go", "")
    until(lambda: len(list(context.store.root.glob("going-*"))) == 2, what="that both go on")
    out_of_reach()
    time.sleep(seconds)
    back()


def test_a_folder_that_is_out_of_reach_for_a_while_is_awaited(cluster, mounted, expected):
    context = context_of(mounted[0], Watching())
    with running(engine_for(context, cluster, patience=60), TASKS):
        leave_for(3, context, mounted)
    check_done_once(context, expected)


def test_a_folder_that_stays_out_of_reach_is_said(cluster, mounted):
    context = context_of(mounted[0], Watching())
    engine = engine_for(context, cluster, patience=1)
    failed = pytest.raises(
        StudyError, match=r"could not be reached for \d+ seconds on the node .* continues"
    )
    with failed, running(engine, TASKS):
        leave_for(8, context, mounted)


def test_a_node_with_another_goodteacher_is_named(cluster, tmp_path):
    other = tmp_path / "other"
    (other / "goodteacher-9.9.9.dist-info").mkdir(parents=True)
    (other / "goodteacher-9.9.9.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: goodteacher\nVersion: 9.9.9\n"
    )
    node = cluster.add_node(num_cpus=1, env_vars={"PYTHONPATH": str(other)}, **NODE)
    try:
        with pytest.raises(ConfigError, match=rf"\({node.node_id[:8]}\) .* goodteacher 9.9.9 inst"):
            engine_for(context_of(tmp_path / "s"), cluster).run("waits", TASKS)
    finally:
        cluster.remove_node(node)


def rows_of(folder):
    store = Store.open(folder)
    from goodteacher.public.study import Study

    assert store.exists("sweet_spot.json")
    return [row.model_copy(update={"student_seconds": 0.0}) for row in Study(folder).students()]


ASKED = {**SETTINGS, "stack_width": 4, "threads": 1}

DRIVER = """
import sys
from goodteacher import search
from tests.made import arrays
import json
search(arrays(), out=sys.argv[1], **json.loads(sys.argv[2]))
"""


def driver(folder, **asked):
    command = [sys.executable, "-c", DRIVER, str(folder), json.dumps({**ASKED, **asked})]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def done_in(folder):
    events = Store(Path(folder)).events()
    return Counter(e["task"] for e in events if e["event"] == "task_done")


def test_a_driver_that_is_killed_and_begun_again_finds_the_same(cluster, tmp_path):
    first = driver(tmp_path / "s", address=cluster.address)
    until(lambda: sum(done_in(tmp_path / "s").values()) >= 4, seconds=120, what="four tasks")
    with pytest.raises(StudyError, match="in use by another goodteacher process"):
        search(arrays(), out=tmp_path / "s", **ASKED)
    first.kill()
    first.communicate()
    before = done_in(tmp_path / "s")
    second = driver(tmp_path / "s", address=cluster.address)
    told, _ = second.communicate(timeout=180)
    assert second.returncode == 0, told
    search(arrays(), out=tmp_path / "alone", **ASKED)
    assert rows_of(tmp_path / "s") == rows_of(tmp_path / "alone")
    done = done_in(tmp_path / "s")
    assert before.keys() < done.keys()
    assert set(done.values()) == {1}, "nothing finished ran twice"
    assert not list((tmp_path / "s" / ".shared").glob("*"))


def _ended(processes):
    """Say whether a cluster has ended; agents of Ray that only report look on for a while."""
    left = [each for each in processes if each.is_running() and each.status() != "zombie"]
    return all(_name(each) in ("ray::DashboardAgent", "ray::RuntimeEnvAgent", "") for each in left)


def _name(process):
    with contextlib.suppress(psutil.Error):
        return process.name() if process.status() != "zombie" else ""
    return ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_driver_that_ends_leaves_no_cluster_that_it_started(number, tmp_path):
    script = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + DRIVER
    command = [sys.executable, "-c", script, str(tmp_path / "s")]
    asked = {**ASKED, "engine": "ray", "workers": 2, "seeds": 40}
    made = subprocess.Popen([*command, json.dumps(asked)], stderr=subprocess.PIPE, text=True)
    until(lambda: sum(done_in(tmp_path / "s").values()) >= 2, seconds=120, what="two tasks")
    theirs = psutil.Process(made.pid).children(recursive=True)
    assert {"gcs_server", "raylet"} <= {_name(each) for each in theirs}
    made.send_signal(number)
    told = made.communicate(timeout=30)[1]
    until(lambda: _ended(theirs), seconds=30, what="the end of the cluster")
    assert made.returncode != 0
    assert "Traceback" not in told or "KeyboardInterrupt" in told


def test_a_search_on_nodes_that_come_and_go_finds_the_same(cluster, tmp_path):
    search(dataset(), out=tmp_path / "alone", **ASKED)
    folder, found = tmp_path / "s", []

    def find():
        found.append(search(dataset(), out=folder, address=cluster.address, **ASKED))

    thread = threading.Thread(target=find)
    thread.start()
    until(lambda: sum(done_in(folder).values()) >= 3, seconds=120, what="three tasks")
    (lost,) = cluster.worker_nodes
    cluster.remove_node(lost)
    assert not Store(folder).exists("sweet_spot.json"), "it was lost on the way"
    cluster.add_node(num_cpus=1, **NODE)
    thread.join(timeout=180)
    assert found
    assert rows_of(folder) == rows_of(tmp_path / "alone")
    assert set(done_in(folder).values()) == {1}
