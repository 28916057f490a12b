"""One teacher over the nodes of a cluster: recorded as one process would, whatever is lost."""

import contextlib
import os
import signal
import threading
import warnings
from dataclasses import replace
from functools import partial

import psutil
import pytest
import torch
from tests.ray_clusters import NODE, several_nodes, until
from tests.teachers.test_divided import (
    HelperError,
    _raises,
    _second_fails,
    assert_same_teachers,
    context_of,
    task_of,
    train,
)

from goodteacher.config import RuntimeConfig, parse
from goodteacher.data import DataNote
from goodteacher.engines import engine_of
from goodteacher.errors import ConfigError, RunError, StudyError
from goodteacher.studies import LostHelperError, helped
from goodteacher.teachers.plan import CooldownTask
from goodteacher.teachers.recording import recorded
from goodteacher.training import Share

ray = pytest.importorskip("ray", reason="goodteacher[ray] is not installed")

from goodteacher.engines import ray_engine, ray_helpers  # noqa: E402
from goodteacher.engines.ray_cluster import Resources  # noqa: E402
from goodteacher.engines.ray_helpers import Places, RayRecruiter  # noqa: E402


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one CPU each, so that no two processes fit on one."""
    with several_nodes(1, 1) as started:
        yield started


@pytest.fixture(autouse=True)
def _quietly():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataNote)
        yield


@pytest.fixture
def one(tmp_path):
    return context_of(tmp_path / "one")


@pytest.fixture
def two(tmp_path):
    return context_of(tmp_path / "two", workers=2)


def engine_for(context, cluster, **settings):
    settings = {"address": cluster.address, "threads": 1, **settings}
    return engine_of(parse(RuntimeConfig, engine="ray", teacher_workers=2, **settings), context)


def others():
    """Processes of this test's clusters that help to train a teacher, by the title they have."""
    found = psutil.Process().children(recursive=True)
    return [child.pid for child in found if _title(child).startswith("ray::_Helper")]


def _title(process):
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def reserved():
    """Places that are reserved now."""
    states = [each["state"] for each in ray.util.placement_group_table().values()]
    return [state for state in states if state != "REMOVED"]


def test_a_teacher_over_two_nodes_is_recorded_as_that_of_one_process(cluster, one, two):
    task = task_of(one)
    train(one, task)
    engine = engine_for(two, cluster)
    engine.run("teachers", [task])
    assert_same_teachers(one, two, task)
    assert two.progress.units == task.work
    until(lambda: not reserved(), what="places that are free again")
    cooldown = CooldownTask(trunk=task, epoch=1, steps=7)
    train(one, cooldown)
    engine.run("teachers", [cooldown])
    (ours,), (theirs,) = (recorded(each.store, cooldown.key) for each in (one, two))
    assert theirs.training_loss == pytest.approx(ours.training_loss, rel=1e-4)


def test_teachers_do_not_wait_for_one_another(cluster, one, two):
    """Each wants both CPUs: two that had one each would never end."""
    tasks = [task_of(one, teacher=spec, epochs=(1,), ema=None) for spec in ("mlp:8", "mlp:6")]
    engine_for(two, cluster).run("teachers", tasks)
    for task in tasks:
        train(one, task)
        assert_same_teachers(one, two, task)


def test_a_teacher_goes_on_from_its_last_epoch_when_a_process_is_lost(cluster, one, two):
    task = task_of(one, epochs=(1, 400), optimizer="adamw", learning_rate=1e-3)
    with training(two, cluster, task) as process:
        os.kill(process, signal.SIGKILL)
    assert [record.epoch for record in recorded(two.store, task.key)] == [1, 400]
    lost = [each for each in two.store.events() if each["event"] == "task_lost"]
    assert [each["error"] for each in lost] == ["LostHelperError"]
    assert "runs again, attempt 2" in " ".join(two.progress.notes)
    train(one, task)
    assert_same_teachers(one, two, task, tolerance=0.01)  # after 2,800 steps


@contextlib.contextmanager
def training(context, cluster, task):
    """Train in another thread; give the number of the process that helps, once it does."""
    failed = []

    def run():
        try:
            engine_for(context, cluster).run("teachers", [task])
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: recorded(context.store, task.key), what="the first epoch")
    (helper,) = until(others, what="a process that helps")
    yield helper
    thread.join(timeout=120)
    assert not thread.is_alive()
    if failed:
        raise failed[0]


def test_a_teacher_moves_when_a_node_is_lost(cluster, one, two):
    task = task_of(one, epochs=(1, 300), optimizer="adamw", learning_rate=1e-3)
    (lost,) = cluster.worker_nodes
    with training(two, cluster, task):
        cluster.remove_node(lost)
        cluster.add_node(num_cpus=1, **NODE)
    assert [record.epoch for record in recorded(two.store, task.key)] == [1, 300]
    train(one, task)
    assert_same_teachers(one, two, task, tolerance=0.01)


def test_a_cluster_without_room_for_all_processes_is_said(cluster, tmp_path):
    context = context_of(tmp_path / "s", workers=3)
    engine = engine_for(context, cluster)
    with pytest.raises(
        ConfigError, match=r"teacher_workers = 3 needs room .* 1 CPU, but .* have room for 2\."
    ):
        engine.run("teachers", [task_of(context), task_of(context, teacher="mlp:3")])


@pytest.fixture
def recruiter(cluster, two):
    """Starts processes from this one, which is no task of Ray's."""
    engine = engine_for(two, cluster)
    engine.pool.ready_for(1)
    share = Share.of_host(processes=1, threads=1)
    places = Places.reserved(Resources(1, 0.0, 0), 2, name="made")
    made = RayRecruiter(engine.pool._study, share, places)
    yield made
    places.leave()


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        (partial(_raises, ValueError("odd")), HelperError, r"^ValueError: odd\n(.|\n)*_raises"),
        (partial(_raises, RunError("the disk is full")), RunError, "^the disk is full"),
        (partial(os._exit, 3), LostHelperError, "One of the 2 processes"),
    ],
)
def test_what_ends_one_process_is_what_is_told(recruiter, two, how, error, words):
    work, context = partial(_second_fails, how=how), replace(two, recruiter=recruiter)
    with pytest.raises(error, match=words), helped(work, context) as group:
        work(context, group)
    until(lambda: not others(), what="the end of all processes")
    assert not torch.distributed.is_initialized()


def test_a_process_that_cannot_read_the_study_is_said(recruiter, two):
    study = replace(recruiter.study, token="another", size=1)
    context = replace(two, recruiter=replace(recruiter, study=study))
    work = partial(_second_fails, how=partial(_raises, ValueError("odd")))
    with (
        pytest.raises(StudyError, match=r"sees .* of the 1 bytes"),
        helped(work, context),
    ):
        pytest.fail("nobody can help")
    until(lambda: not others(), what="the end of all processes")


def test_a_process_that_waits_for_a_lost_one_ends_itself(monkeypatch):
    """A machine that is cut off closes no connection, and the others would wait for hours."""
    ended = []
    monkeypatch.setattr(ray_helpers.ray, "wait", lambda ends, timeout: (ends, []))
    monkeypatch.setattr(ray_helpers, "_said", lambda reference: None)
    monkeypatch.setattr(ray_helpers.os, "_exit", ended.append)
    monkeypatch.setattr(ray_helpers, "_GRACE", 0.1)
    over = ray_helpers.threading.Event()
    ray_helpers._watch(["lost"], over)
    assert ended == [1]
    over.set()
    ray_helpers._watch(["lost"], over)
    assert ended == [1], "this process has noticed"


@pytest.mark.parametrize("said", [None, "an error"])
def test_a_process_that_says_how_it_failed_is_not_lost(said, monkeypatch):
    monkeypatch.setattr(ray_helpers.ray, "wait", lambda ends, timeout: (ends, []))
    monkeypatch.setattr(ray_helpers, "_said", lambda reference: said)
    monkeypatch.setattr(ray_helpers, "_GRACE", 0.0)
    ended = []
    monkeypatch.setattr(ray_helpers.os, "_exit", ended.append)
    ray_helpers._watch(["ended"], ray_helpers.threading.Event())
    assert ended == ([1] if said is None else [])


def test_settings_reserve_what_each_process_needs(two):
    settings = {"address": "auto", "threads": 3, "gpus_per_task": 0.5, "memory_gib": 2.0}
    config = parse(RuntimeConfig, engine="ray", teacher_workers=2, **settings)
    where = engine_of(config, two).pool.where
    assert (where.together, where.wanted) == (2, Resources(3, 0.5, 2 * 2**30))


def test_a_cluster_that_is_started_here_has_room_for_all_processes(monkeypatch):
    asked = []
    monkeypatch.setattr(ray_engine, "join", lambda address, cpus: asked.append(cpus))
    ray_engine.Where(None, None, Resources(2, 0.0, 0), together=3).join()
    ray_engine.Where(None, 5, Resources(2, 0.0, 0), together=3).join()
    assert asked == [6, 10]


def test_gpus_of_this_machine_are_not_counted_for_a_cluster(monkeypatch):
    from goodteacher.training import machine

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    cuda = torch.device("cuda")
    machine._check_several(parse(RuntimeConfig, teacher_workers=4, address="auto"), cuda)
    machine._check_several(parse(RuntimeConfig, teacher_workers=4, engine="ray"), cuda)
    with pytest.raises(ConfigError, match="needs as many GPUs"):
        machine._check_several(parse(RuntimeConfig, teacher_workers=4), cuda)
