"""A cluster of Ray: what is special about it; what all engines do is in the contract."""

import contextlib
import errno
import gc
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from tests import object_stores
from tests.contracts.test_engines import context_of
from tests.made import SETTINGS, dataset
from tests.ray_clusters import one_node, until
from tests.watching import Noting

from goodteacher import search
from goodteacher.config import RuntimeConfig, StudyConfig, parse
from goodteacher.data import DataNote
from goodteacher.engines import engine_of
from goodteacher.errors import ConfigError, PackageError, RunError, StudyError
from goodteacher.studies.progress import Silent
from goodteacher.studies.store import Store

ray = pytest.importorskip("ray", reason="goodteacher[ray] is not installed")

from goodteacher.engines import ray_cluster, ray_engine  # noqa: E402
from goodteacher.engines.ray_cluster import Resources  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """One node, which knows of a server of S3's protocol if that can be started here."""
    with contextlib.ExitStack() as stack:
        if find_spec("s3fs") and find_spec("moto"):
            stack.enter_context(object_stores.served())
        stack.enter_context(one_node())
        yield


@dataclass(frozen=True)
class Saying:
    """A task that tells what it sees of the process it is in."""

    runner: ClassVar[str] = f"{__name__}:Sayer"
    number: int
    fails: str = ""

    @property
    def key(self):
        return f"say-{self.number}"

    @property
    def work(self):
        return float(self.number)


def _full(store, key):
    with store.writing(f"{key}.txt"), Path("/dev/full").open("w") as file:
        file.write("x" * 10_000)


class Sayer:
    def done(self, task, store):
        return store.exists(f"{task.key}.txt")

    def run(self, task, context):
        match task.fails:
            case "no package":
                raise PackageError("It needs the package x: pip install 'goodteacher[x]'")
            case "full":
                _full(context.store, task.key)
            case "too large":
                torch.empty(2**50, dtype=torch.uint8)
            case "done elsewhere":
                return
        context.note(f"note of {task.number}")
        context.warn(f"warning of {task.number}")
        context.warned_of.add(f"student {task.number}")
        warnings.warn("the same in each", DataNote, stacklevel=1)
        for _ in range(4):
            context.progress.advance(task.work / 4)
        subnormal = torch.full((1,), torch.finfo(torch.float32).tiny) / 2
        mapped = type(context.data.transfer.inputs).__name__
        said = [os.getpid(), torch.get_num_threads(), context.machine.sharing, bool(subnormal)]
        context.store.write_text(f"{task.key}.txt", " ".join(map(str, (*said, mapped))))


def said(context):
    return [path.read_text().split() for path in sorted(context.store.root.glob("say-*.txt"))]


def engine_for(context, **settings):
    return engine_of(parse(RuntimeConfig, engine="ray", **{"workers": 2, **settings}), context)


@pytest.fixture
def quietly():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataNote)
        yield


TASKS = [Saying(1), Saying(2), Saying(3)]


def test_tasks_run_elsewhere_with_their_share_of_the_machine(tmp_path, quietly):
    context = context_of(tmp_path / "s")
    engine_for(context, threads=1).run("says", TASKS)
    processes, threads, sharing, subnormal, _ = zip(*said(context), strict=True)
    assert str(os.getpid()) not in processes
    assert set(threads) == {"1"}
    assert set(sharing) == {"2"}
    here = bool(torch.full((1,), torch.finfo(torch.float32).tiny) / 2)
    assert set(subnormal) == {str(here)}, "small numbers are treated as here"


def test_a_task_alone_stays_here_unless_a_cluster_is_named(tmp_path, quietly):
    here, there = context_of(tmp_path / "a"), context_of(tmp_path / "b")
    engine_for(here).run("says", [Saying(1)])
    engine_for(there, address="auto").run("says", [Saying(1)])
    ((ours, *_),), ((theirs, *_),) = said(here), said(there)
    assert int(ours) == os.getpid()
    assert int(theirs) != os.getpid()


def test_notes_warnings_and_logs_reach_whoever_began_it(tmp_path, caplog):
    watching = Noting()
    context = context_of(tmp_path / "s", watching)
    with caplog.at_level(logging.INFO, logger="goodteacher"), pytest.warns(DataNote) as caught:
        engine_for(context).run("says", TASKS[:2])
    told = sorted(f"{kind} of {n}" for kind in ("note", "warning") for n in (1, 2))
    assert sorted(watching.notes) == told, "and each of them once"
    assert watching.units == 3.0
    levels = {record.getMessage(): record.levelno for record in caplog.records}
    assert levels["note of 1"] == logging.INFO
    assert levels["warning of 2"] == logging.WARNING
    assert [str(each.message) for each in caught] == ["the same in each"]
    assert context.warned_of == {"student 1", "student 2"}


def test_arrays_go_by_path_and_are_gone_with_the_engine(tmp_path, quietly, monkeypatch):
    context, sent, put = context_of(tmp_path / "s"), [], ray.put

    def putting(value):
        sent.append(value)
        return put(value)

    monkeypatch.setattr(ray, "put", putting)
    engine = engine_for(context)
    engine.run("says", TASKS)
    (packed,) = sent
    (arrays,) = context.store.path(".shared").glob("*.arrays")
    whole = context.data.transfer.inputs
    assert whole.numpy().tobytes() not in packed.objects
    assert arrays.stat().st_size > whole.nbytes
    assert len(packed.objects) < 20_000
    del engine
    deadline = time.monotonic() + 5
    while arrays.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not arrays.exists()


def test_a_study_at_a_url_needs_no_disk_that_nodes_share(tmp_path, quietly):
    object_stores.packages()
    context = context_of(f"{object_stores.bucket()}/study")
    engine = engine_for(context, address="auto")
    engine.run("says", TASKS)
    store = context.store
    assert [store.read_text(f"say-{n}.txt").split()[1:3] for n in (1, 2, 3)] == 3 * [["1", "2"]]
    done = [event["task"] for event in store.events() if event["event"] == "task_done"]
    assert sorted(done) == [task.key for task in TASKS]
    assert len(store.matching(".shared/*.arrays")) == 1
    del engine
    gc.collect()
    until(lambda: not store.matching(".shared/*.arrays"), seconds=10, what="that they are gone")


def test_what_a_killed_process_left_is_removed(tmp_path, quietly):
    context = context_of(tmp_path / "s")
    left = context.store.path(".shared", "abc.arrays")
    left.parent.mkdir()
    left.write_bytes(b"x")
    engine_for(context).run("says", TASKS)
    assert not left.exists()


def test_what_cannot_go_to_other_processes_is_said(tmp_path, quietly):
    context = context_of(tmp_path / "s")
    context.networks.hindrance = threading.Lock()
    engine = engine_for(context)
    with pytest.raises(ConfigError, match=r"cannot be sent .* cannot pickle .*lock.*engine=local"):
        engine.run("says", TASKS)
    assert not list(context.store.path(".shared").glob("*"))
    del context.networks.hindrance
    engine.run("says", TASKS)
    assert len(said(context)) == 3


@pytest.mark.parametrize(
    ("kind", "error", "text"),
    [
        ("no package", PackageError, r"pip install 'goodteacher\[x\]'"),
        ("full", StudyError, r"say-9.txt cannot be written: No space left .* Free some space"),
        ("too large", RunError, r"in the task say-9: RuntimeError: .*alloc"),
    ],
)
def test_what_goes_wrong_on_a_node_is_said_and_the_study_goes_on(
    kind, error, text, tmp_path, quietly
):
    context = context_of(tmp_path / "s")
    with pytest.raises(error, match=text):
        engine_for(context).run("says", [Saying(1), Saying(9, fails=kind)])
    assert not context.store.exists("say-9.txt")
    engine_for(context).run("says", [Saying(1), Saying(9)])
    assert len(said(context)) == 2


def test_a_node_that_writes_elsewhere_is_said(tmp_path, quietly, monkeypatch):
    monkeypatch.setattr(ray_engine, "_SEEN_WITHIN", 0.3)
    context = context_of(tmp_path / "s")
    with pytest.raises(RunError, match=r"say-9, but its output is not in .* mount the same"):
        engine_for(context).run("says", [Saying(1), Saying(9, fails="done elsewhere")])


def test_arrays_that_a_node_does_not_see_are_said(tmp_path, quietly):
    context = context_of(tmp_path / "s")
    engine = engine_for(context)
    engine.pool.ready_for(2)
    (arrays,) = context.store.path(".shared").glob("*.arrays")
    arrays.rename(arrays.with_suffix(".gone"))
    node = rf"node {socket.gethostname()} \(\w+\)"
    words = rf"{node} does not have the data: {arrays} cannot be read there"
    with pytest.raises(StudyError, match=words):
        engine.run("says", TASKS)
    arrays.write_bytes(b"half")  # as on a disk that is not the same one
    with pytest.raises(StudyError, match=r"sees 4 of the \d+ bytes"):
        engine.run("says", TASKS)


def test_modules_that_a_node_lacks_are_said(tmp_path, quietly, monkeypatch):
    (tmp_path / "only_here.py").write_text("class Here:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import only_here

    context = context_of(tmp_path / "s")
    context.networks.given_here = only_here.Here()
    (tmp_path / "only_here.py").unlink()
    with pytest.raises(
        StudyError, match="does not have the module only_here, which a network or function"
    ):
        engine_for(context).run("says", TASKS)


ADDRESSES = {
    "127.0.0.1:1": r"at 127.0.0.1:1: Connection refused. .* ray start --head --port=1",
    "no-such-host.invalid:6379": r"no Ray cluster at no-such-host.invalid:6379",
    "127.0.0.1:99999999": r"no Ray cluster at",
    "ray://127.0.0.1:10001": r"give host:port.* Ray's client \(ray://\) is not supported",
    "localhost": r"give host:port",
    "": r"address = '' is not allowed",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_cluster_at_an_address_is_said_at_once(address, monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    began = time.monotonic()
    with pytest.raises(ConfigError, match=ADDRESSES[address]):
        ray_cluster.join(address, cpus=1)
    assert time.monotonic() - began < 10


def test_another_server_at_an_address_is_said(monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer():
            line, _ = server.accept()
            with line:
                line.recv(100)
                line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ConfigError, match="another kind of server answers"):
            ray_cluster.join(f"127.0.0.1:{port}", cpus=1)
        thread.join()


def test_a_cluster_of_ray_answers():
    ray_cluster._check_answers(ray.get_runtime_context().gcs_address)


def test_a_process_is_connected_with_one_cluster(tmp_path):
    with pytest.raises(ConfigError, match=r"connected to the cluster at .* ray.shutdown\(\)"):
        ray_cluster.join("10.0.0.1:6379", cpus=1)
    ray_cluster.join(ray.get_runtime_context().gcs_address, cpus=1)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"threads": 1000}, "needs 1000 CPUs: the largest node has 2 CPUs"),
        ({"gpus_per_task": 0.5}, "needs 1 CPU, 0.5 GPU: the largest node has"),
        ({"memory_gib": 1e6}, r"needs 1 CPU, 1e\+06 GiB of memory"),
    ],
)
def test_tasks_that_no_node_has_room_for_are_said(settings, text, tmp_path):
    engine = engine_for(context_of(tmp_path / "s"), address="auto", **settings)
    with pytest.raises(ConfigError, match=text):
        engine.run("says", TASKS)


def test_versions_of_nodes_are_compared_and_named(tmp_path, monkeypatch, quietly):
    here = ray_cluster.versions_here()
    assert here["ray"] == ray.__version__
    assert here["Python"] == sys.version.partition(" ")[0]
    context = context_of(tmp_path / "s")
    engine_for(context, address="auto").run("says", TASKS)
    monkeypatch.setattr(ray_cluster, "versions_here", lambda: {**here, "goodteacher": "9.9"})
    known = rf"goodteacher {here['goodteacher']} instead of 9.9"
    words = rf"The node {socket.gethostname()} \(\w+\) .* {known}"
    with pytest.raises(ConfigError, match=words):
        engine_for(context, address="auto").run("says", [Saying(8)])


def test_what_a_node_lacks_is_said():
    here = {"ray": "2.0", "goodteacher": "1.0"}
    with pytest.raises(ConfigError, match=r"node far .* it has no goodteacher. Use the same"):
        ray_cluster.check_versions(here, {"ray": "2.0", "goodteacher": None}, "far")
    ray_cluster.check_versions(here, dict(here), "far")


ANOTHER_RAY = """
import sys, ray
sys.path.insert(0, {tests!r})
ray.__version__ = "1.0.0"
from goodteacher.engines.ray_cluster import join
from goodteacher.errors import ConfigError
try:
    join(sys.argv[1], cpus=1)
except ConfigError as error:
    print(error)
"""


def test_another_version_of_ray_at_the_address_is_named():
    address = ray.get_runtime_context().gcs_address
    script = ANOTHER_RAY.format(tests=str(Path.cwd()))
    made = subprocess.run(
        [sys.executable, "-c", script, address], capture_output=True, text=True, check=True
    )
    assert f"The Ray cluster at {address} has other versions" in made.stdout
    assert "1.0.0" in made.stdout
    assert ray.__version__ in made.stdout


@pytest.mark.parametrize(
    ("needs", "resources", "count"),
    [
        (Resources(1, 0.0, 0), {"CPU": 8.0}, 8),
        (Resources(3, 0.0, 0), {"CPU": 8.0}, 2),
        (Resources(1, 0.1, 0), {"CPU": 80.0, "GPU": 0.3}, 3),
        (Resources(1, 1.0, 0), {"CPU": 8.0}, 0),
        (Resources(1, 0.0, 2**30), {"CPU": 8.0, "memory": 2.5 * 2**30}, 2),
    ],
)
def test_how_many_tasks_a_node_has_room_for(needs, resources, count):
    assert needs.fit_on(resources) == count


def test_settings_say_what_a_task_needs(tmp_path):
    context = context_of(tmp_path / "s")
    pool = engine_for(context, threads=3, gpus_per_task=0.25, memory_gib=2).pool
    assert pool.where.wanted == Resources(3, 0.25, 2**31)
    assert engine_for(context, address="auto").pool.where.wanted == Resources(1, 0.0, 0)
    assert engine_of(parse(RuntimeConfig, address="a:1"), context).pool.where.address == "a:1"
    with pytest.raises(ConfigError, match=r"engine = processes does not use one"):
        parse(RuntimeConfig, address="a:1", engine="processes")


def test_how_it_runs_is_no_part_of_a_study():
    """A study that was begun on a laptop goes on on a cluster."""
    from goodteacher.config import RUNTIME_SETTINGS

    assert {"engine", "address", "workers", "gpus_per_task"} <= RUNTIME_SETTINGS
    assert {"address", "gpus_per_task"} <= set(StudyConfig.model_fields)


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(PackageError, match=r"engine = 'ray' needs .* 'goodteacher\[ray\]'"):
        engine_for(context_of(tmp_path / "s"))


def test_disks_without_room_are_known_by_what_an_error_came_from():
    from goodteacher.engines.ray_working import disk_is_full

    cause, told = OSError(errno.ENOSPC, "No space left"), StudyError("cannot be written")
    told.__cause__ = cause
    assert disk_is_full(told)
    assert not disk_is_full(StudyError("cannot be written"))
    assert not disk_is_full(OSError(errno.EIO, "broken"))


def rows_of(study):
    return [row.model_copy(update={"student_seconds": 0.0}) for row in study.students()]


def test_a_study_that_was_begun_in_one_process_goes_on_on_a_cluster(tmp_path):
    def network(num_classes):
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(num_classes))

    class EnoughError(Exception):
        """Stops a search in the middle."""

    class Stopping(Silent):
        def begin(self, stage, total):
            if "student" in stage:
                raise EnoughError

    asked = {**SETTINGS, "student": network, "stack_width": 4, "threads": 1}
    with pytest.raises(EnoughError):
        search(dataset(), out=tmp_path / "s", progress=Stopping(), **asked)
    begun = [e["task"] for e in Store(tmp_path / "s").events() if e["event"] == "task_done"]
    study = search(dataset(), out=tmp_path / "s", address="auto", **asked)
    assert rows_of(study) == rows_of(search(dataset(), out=tmp_path / "alone", **asked))
    done = [e for e in Store(tmp_path / "s").events() if e["event"] == "task_done"]
    assert begun
    assert len({e["task"] for e in done}) == len(done) > len(begun)
    assert {e["environment"] for e in done} == {0}, "the same machine"
    assert all("node" in e for e in done[len(begun) :])
