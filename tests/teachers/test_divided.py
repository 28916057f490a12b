"""One teacher trained over several processes: recorded as one process would, and what can fail."""

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from dataclasses import replace
from functools import partial

import loky
import psutil
import pytest
import torch
from torch import nn

from goodteacher.config import Optimization, Run, RuntimeConfig, StudyConfig, parse
from goodteacher.data import DataNote, Dataset, prepare
from goodteacher.engines import LocalEngine, engine_of
from goodteacher.engines.processes import ProcessesEngine
from goodteacher.errors import ConfigError, RunError
from goodteacher.networks import Network, Preparations
from goodteacher.networks.preparation import Identity
from goodteacher.records import Checkpoint
from goodteacher.studies import Context, DataKey, Store, helped, helpers, processes_of
from goodteacher.studies.helpers import HelperError, LostHelperError
from goodteacher.studies.local_helpers import LocalHelpers, _Process
from goodteacher.teachers import running
from goodteacher.teachers.plan import AverageTask, CooldownTask, RecordPoint, TrajectoryTask
from goodteacher.teachers.recording import load_response, recorded
from goodteacher.teachers.running import load_teacher
from goodteacher.training import ALONE, Group, Machine
from tests.made import dataset
from tests.test_study_views import pictures
from tests.watching import Noting

CPU = torch.device("cpu")


def context_of(folder, *, workers=1, data=None):
    data = prepare(data or dataset())
    config = parse(StudyConfig, data="made", student="mlp:3", teacher="mlp:8")
    machine = Machine(CPU, teacher_workers=workers)
    return Context(data, Preparations(data), Store.create(folder, config), machine, Noting())


def task_of(context, *, teacher="mlp:8", epochs=(1, 2, 4), ema=0.5, data=None, **plan):
    steps = -(-len(context.data.training) // 32)
    key = DataKey(
        fingerprint=context.data.fingerprint,
        selection_fraction=0.1,
        transfer_fraction=1.0,
        split_seed=0,
        normalization="auto",
        **(data or {}),
    )
    return TrajectoryTask(
        run=Run(name="batch 32"),
        data=key,
        teacher=teacher,
        teacher_seed=0,
        optimization=Optimization(
            **{"optimizer": "sgd", "learning_rate": 0.05, "batch_size": 32, **plan}
        ),
        points=tuple(RecordPoint(epoch=e, step=e * steps) for e in epochs),
        temperatures=(1.0,),
        ema_epochs=ema,
    )


def train(context, task):
    LocalEngine(context).run("teachers", [task])
    return recorded(context.store, task.key)


OTHERS = set()
"""Processes that the tests before have left: those of the engine stay for a while."""


@pytest.fixture(autouse=True)
def _others():
    OTHERS.clear()
    OTHERS.update(children())


def children():
    """Those that do some work: loky has others that count resources, and they stay."""
    found = psutil.Process().children(recursive=True)
    return {child.pid for child in found if helps(child)} - OTHERS


def helps(process):
    try:
        return "loky.backend.popen_loky_posix" in process.cmdline()
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def one(tmp_path):
    return context_of(tmp_path / "one")


@pytest.fixture
def two(tmp_path):
    return context_of(tmp_path / "two", workers=2)


def assert_same_teachers(one, two, task, tolerance=1e-4, views=1):
    expected, found = (recorded(context.store, task.key) for context in (one, two))
    assert [record.epoch for record in found] == [record.epoch for record in expected]
    for mine, other in zip(found, expected, strict=True):
        assert mine.training_loss == pytest.approx(other.training_loss, rel=tolerance)
        assert mine.optimal_temperature == pytest.approx(other.optimal_temperature, rel=0.01)
        checkpoint = Checkpoint(run=task.run.name, epoch=mine.epoch)
        for name, view in [("selection", 0), *(("transfer", view) for view in range(views))]:
            split = getattr(one.data, name)
            logits = [
                load_response(c.store, task.key, checkpoint, split, name=name, view=view)
                for c in (one, two)
            ]
            torch.testing.assert_close(*logits, rtol=tolerance, atol=tolerance)


def test_a_teacher_over_two_processes_is_recorded_as_that_of_one(one, two):
    task, before = task_of(one), children()
    train(one, task)
    train(two, task)
    assert_same_teachers(one, two, task)
    assert two.progress.units == one.progress.units == task.work
    assert two.progress.notes == []
    assert children() <= before, "the other process has ended"
    assert not torch.distributed.is_initialized()
    files = [{str(path.relative_to(c.store.root)) for path in c.store.root.rglob("*.*")}
             for c in (one, two)]  # fmt: skip
    assert files[0] == files[1]
    cooldown = CooldownTask(trunk=task, epoch=1, steps=7)
    ends = [
        (train(context, cooldown), load_teacher(context, cooldown, 1))[1] for context in (one, two)
    ]
    torch.testing.assert_close(*(e.state_dict() for e in ends), rtol=1e-4, atol=1e-5)


class Shown(Noting):
    """A watcher that belongs to its process, as one with a display and a thread does."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


def test_whoever_watches_need_not_be_sent(two):
    train(two.watched_by(Shown()), task := task_of(two, epochs=(1,)))
    assert [record.epoch for record in recorded(two.store, task.key)] == [1]


def test_those_who_share_out_the_machine_are_told_how_many_processes_a_task_takes(one, two):
    task = task_of(one)
    cooldown, average = CooldownTask(trunk=task, epoch=1, steps=7), AverageTask(trunk=task, epoch=1)
    assert [processes_of(each, two.machine) for each in (task, cooldown, average)] == [2, 2, 1]
    assert processes_of(task, one.machine) == 1


def test_views_of_pictures_and_batch_norm_are_those_of_one_process(tmp_path):
    data = Dataset("pictures", pictures(150, 0), pictures(30, 1), ("a", "b", "c"))
    one, two = (context_of(tmp_path / str(n), workers=n, data=data) for n in (1, 2))
    views = {"augment": ("flip", "crop:1", "mixup:0.2"), "views": 2}
    task = task_of(one, teacher="resnet:8", epochs=(1,), data=views)
    train(one, task)
    train(two, task)
    assert_same_teachers(one, two, task, tolerance=1e-3, views=2)


def test_tasks_of_several_processes_have_helpers_of_their_own(one, tmp_path):
    two = context_of(tmp_path / "two", workers=2)
    tasks = [task_of(one, teacher=spec, epochs=(1,), ema=None) for spec in ("mlp:8", "mlp:6")]
    for task in tasks:
        train(one, task)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataNote)
        ProcessesEngine(two, workers=2, threads=1).run("teachers", tasks)
    for task in tasks:
        assert_same_teachers(one, two, task)


@pytest.mark.parametrize("each", [1, 2, 64])
def test_by_default_teachers_of_several_processes_are_fewer(two, each):
    config = parse(RuntimeConfig, engine="processes", teacher_workers=each)
    engine, cores = engine_of(config, two), loky.cpu_count()
    share = engine.pool.share
    assert share.processes == max(1, cores // each)
    assert share.threads == max(1, cores // share.processes)


class Killer(threading.Thread):
    """Kills the helping process as soon as a study has its first record."""

    def __init__(self, context, task):
        super().__init__(daemon=True)
        self.context, self.task, self.killed = context, task, 0.0

    def run(self):
        while not recorded(self.context.store, self.task.key):
            time.sleep(0.01)
        for child in children():
            os.kill(child, signal.SIGKILL)
        self.killed = time.monotonic()


def test_a_study_goes_on_after_one_of_the_processes_was_killed(one, two):
    task = task_of(one, epochs=(1, 400), optimizer="adamw", learning_rate=1e-3)
    killer = Killer(two, task)
    killer.start()
    with pytest.raises(RunError, match=r"One of the 2 processes .* died") as error:
        train(two, task)
    assert time.monotonic() - killer.killed < 10
    assert "fewer --teacher-workers" in str(error.value)
    assert not children()
    assert [record.epoch for record in recorded(two.store, task.key)] == [1]
    alone = replace(two, machine=replace(two.machine, teacher_workers=1))
    train(alone, short := task_of(one, epochs=(1, 400), optimizer="adamw", learning_rate=1e-3))
    assert short.key == task.key, "how many processes there are is no matter of what it is"
    train(one, task)
    assert_same_teachers(one, two, task, tolerance=0.01)  # after 2,800 steps


def among(context, size):
    return replace(context, machine=replace(context.machine, teacher_workers=size))


def _second_fails(context, group, *, how):
    """Have the steps of a group, until the second process fails in some way."""
    for step in range(1000):
        if step == 3 and group.rank == 1:
            how()
        group.mean(torch.ones(1))
    return "went on to the end"


def _raises(error):
    raise error


def _dies():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        (partial(_raises, ValueError("odd")), HelperError, r"^ValueError: odd\n(.|\n)*_raises"),
        (_dies, RunError, "One of the 3 processes"),
    ],
)
def test_what_ends_one_process_is_what_is_told(how, error, words, one):
    work = partial(_second_fails, how=how)
    with pytest.raises(error, match=words), helped(work, among(one, 3)) as group:
        work(one, group)
    assert not children()


def test_an_error_of_this_process_ends_the_others(two):
    hook = sys.excepthook
    with pytest.raises(RunError, match="disk"), helped(_second_fails_never, two):
        raise RunError("the disk is full")
    assert not children()
    assert sys.excepthook is hook
    assert not torch.distributed.is_initialized()


def _second_fails_never(context, group):
    _second_fails(context, group, how=lambda: None)


def test_what_cannot_be_sent_is_named_and_nothing_is_left(two):
    with (
        pytest.raises(ConfigError, match=r"cannot be sent to other processes.*teacher_workers=1"),
        helped(partial(_second_fails_never, threading.Lock()), two),
    ):
        pytest.fail("nobody can help")
    assert not children()


def _told(when, **said):
    return helpers.Told(
        **{"when": when, "error": None, "out_of_memory": False, "trace": "", **said}
    )


class Line:
    """A process that has said something, or died: then None."""

    def __init__(self, said):
        self.line, self.other = multiprocessing.Pipe()
        if said is None:
            self.other.close()
        else:
            self.other.send(said)

    says = _Process.says


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ((_told(2.0, trace="E: lost"), _told(1.0, trace="E: cause")), HelperError, "E: cause"),
        ((_told(1.0, trace="E: lost"), None), LostHelperError, "One of the 3 processes"),
        ((_told(1.0, error=ConfigError("no")), _told(2.0, trace="E: lost")), ConfigError, "no"),
        ((_told(2.0, trace="E: lost"), _told(1.0, out_of_memory=True)), MemoryError, "not enough"),
    ],
)
def test_the_first_cause_is_told_and_not_what_came_of_it(said, kind, words):
    cause = helpers.cause_of_end(LocalHelpers([Line(each) for each in said], None), 3)
    assert type(cause) is kind
    assert words in str(cause)


def test_memory_that_runs_out_elsewhere_makes_smaller_pieces(two, one, monkeypatch):
    asked = []

    @contextlib.contextmanager
    def short_of_memory(work, context):
        asked.append(work.args[-1])
        if len(asked) < 3:
            raise MemoryError("not enough memory in one of 2 processes")
        yield ALONE  # two pieces of eight, by this process

    monkeypatch.setattr(running, "helped", short_of_memory)
    task = task_of(one, epochs=(1,))
    train(two, task)
    assert asked == [32, 16, 8]
    assert "continues in pieces of 8 (same gradient" in two.progress.notes[-1]
    train(one, task)
    assert_same_teachers(one, two, task)


def test_memory_for_less_than_one_example_each_ends_the_run(two, one, monkeypatch):
    @contextlib.contextmanager
    def short_of_memory(work, context):
        raise MemoryError("not enough memory")
        yield

    monkeypatch.setattr(running, "helped", short_of_memory)
    with pytest.raises(RunError, match="not enough memory for one example"):
        train(two, task_of(one))


SCRIPT = """
import sys
from tests.teachers.test_divided import context_of, task_of, train

context = context_of(sys.argv[1], workers=2)
train(context, task_of(context, epochs=(1, 100_000)))
"""


@pytest.mark.parametrize(("to_all", "sign"), [(True, signal.SIGINT), (False, signal.SIGKILL)])
def test_all_processes_end_with_the_first(tmp_path, to_all, sign):
    """Ctrl-C reaches all of them at once; a kill the first alone."""
    first = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "s")],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not list(tmp_path.glob("s/teachers/*/trajectory.jsonl")):
            assert first.poll() is None, first.stderr.read()
            time.sleep(0.05)
        others = psutil.Process(first.pid).children(recursive=True)
        assert any(map(helps, others))
        (os.killpg if to_all else os.kill)(first.pid, sign)
        _, said = first.communicate(timeout=60)
    finally:
        first.kill()
    assert psutil.wait_procs(others, timeout=30)[1] == []
    if to_all:
        assert said.rstrip().endswith("KeyboardInterrupt")
        assert "[rank0]" not in said


class Falling(nn.Sequential):
    """Has dropout."""

    def __init__(self):
        super().__init__(nn.Linear(6, 8), nn.Dropout(0.2), nn.ReLU(), nn.Linear(8, 4))


def test_dropout_in_several_processes_is_told(one, two, monkeypatch):
    @contextlib.contextmanager
    def two_of_them(work, context):
        group = Group()
        group.size = 2
        monkeypatch.setattr(group, "part", lambda count: slice(count))
        yield group

    monkeypatch.setattr(running, "helped", two_of_them)
    monkeypatch.setattr(running, "network_of", lambda context, task: Network(Identity(), Falling()))
    train(two, task_of(one, epochs=(1,)))
    assert "dropout draws other numbers in 2 processes than in one" in two.progress.notes[0]


def test_a_teacher_that_diverges_does_so_in_all_processes(one, two):
    task = task_of(one, epochs=(1, 2, 4), learning_rate=1e30)
    (record,) = train(two, task)
    assert record.status == "diverged"
    assert two.progress.units == task.work
    assert not children()
