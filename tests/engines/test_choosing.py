"""How the cores are divided: the rule on planted times, and when anything is measured at all."""

import math
import multiprocessing

import loky
import pytest
import torch
from tests.contracts.test_engines import context_of
from tests.made import SETTINGS, dataset

import goodteacher.engines as engines
from goodteacher import search, tuned_cpu
from goodteacher.config import DistillConfig, Optimization, parse
from goodteacher.engines import LocalEngine, choosing, engine_of
from goodteacher.engines.choosing import (
    Bounds,
    Division,
    ThreadChoice,
    best_division,
    predicted,
    worth_measuring,
)
from goodteacher.engines.expected import Job, Kind
from goodteacher.engines.processes import ProcessesEngine
from goodteacher.engines.trials import StepTrial
from goodteacher.errors import ConfigError
from goodteacher.studies import Silent, environments
from goodteacher.training import borrowed
from goodteacher.training.machine import Machine


def kind(role="student", batch_size=32):
    return Kind(
        role,
        "mlp:8",
        Optimization(
            optimizer="sgd", learning_rate=0.1, schedule="constant", batch_size=batch_size
        ),
    )


def trial(role="student", *, one=1.0, gain=1.0, threads=2, networks=1, batch_size=32):
    """A step of so many milliseconds, and so many times as fast with all threads."""
    return StepTrial(
        role=role,
        batch_size=batch_size,
        networks=networks,
        threads=threads,
        one=one,
        all=one / gain,
    )


def tasks(count, seconds, of=None):
    """A stage of tasks that take so many seconds each, at a millisecond a step."""
    return (Job(of or kind(), 1000.0 * seconds),) * count


def chosen(stages, *, gain, cores=2, most=None, threads=None, settled=None):
    most = cores if most is None else most
    bounds = Bounds(cores=cores, threads=threads or cores, most=most)
    return best_division(stages, [trial(gain=gain, threads=cores)], bounds, threads=settled)


@pytest.mark.parametrize(
    ("stages", "gain", "cores", "expected"),
    [
        pytest.param([tasks(2, 100)], 1.0, 2, (2, 1), id="a second thread gains nothing"),
        pytest.param([tasks(2, 100)], 0.6, 2, (2, 1), id="a second thread costs"),
        pytest.param([tasks(2, 100)], 1.4, 2, (2, 1), id="a second thread gains little"),
        pytest.param([tasks(2, 100)], 2.0, 2, (1, 2), id="a second thread is worth a process"),
        pytest.param([tasks(1, 100)] * 4, 1.4, 2, (1, 2), id="one task after another"),
        pytest.param([tasks(1, 100)] * 4, 0.8, 2, (1, 1), id="and threads that cost"),
        pytest.param([tasks(2, 2)], 0.7, 2, (1, 1), id="too little for processes, threads cost"),
        pytest.param([tasks(2, 2)], 1.6, 2, (1, 2), id="too little for processes, threads gain"),
        pytest.param([tasks(2, 100)], 1.0, 1, (1, 1), id="one core"),
        pytest.param([tasks(64, 50)], 1.0, 16, (16, 1), id="many tasks, 16 cores"),
        pytest.param([tasks(64, 50)], 4.0, 16, (16, 1), id="and threads that gain something"),
        pytest.param([tasks(64, 50)], 15.0, 16, (1, 16), id="and threads that gain all"),
        pytest.param([tasks(2, 500)], 4.0, 16, (2, 8), id="two tasks, which share the cores"),
        pytest.param([tasks(3, 500)], 0.9, 16, (3, 1), id="no more processes than tasks"),
        pytest.param([tasks(1, 500)], 0.9, 16, (1, 1), id="one task, 16 cores"),
    ],
)
def test_the_division_takes_the_least_time(stages, gain, cores, expected):
    most = min(cores, max(len(stage) for stage in stages))
    assert chosen(stages, gain=gain, cores=cores, most=most) == Division(*expected)


def test_nearly_the_same_time_takes_fewer_processes():
    long_one = (Job(kind(), 100_000.0), Job(kind(), 4000.0))
    assert chosen([long_one], gain=1.0) == Division(1, 1), "two save 4 of 104 seconds, and start"


def test_nearly_the_same_time_takes_fewer_threads():
    assert chosen([tasks(1, 100)], gain=1.03) == Division(1, 1)
    assert chosen([tasks(1, 100)], gain=1.10) == Division(1, 2)


def test_where_processes_are_not_allowed_threads_are_still_chosen():
    assert chosen([tasks(2, 100)], gain=1.4, most=1) == Division(1, 2)
    assert chosen([tasks(2, 100)], gain=0.7, most=1) == Division(1, 1)


def test_threads_that_a_study_has_settled_stay_and_processes_are_chosen_for_them():
    assert chosen([tasks(2, 100)], gain=1.9, settled=1) == Division(2, 1)
    assert chosen([tasks(2, 100)], gain=0.5, settled=2) == Division(1, 2)


def test_threads_of_a_process_stay_within_what_the_host_allows():
    assert chosen([tasks(1, 100)], gain=8.0, cores=16, most=1, threads=4) == Division(1, 4)


def test_the_time_of_a_stage_is_that_of_its_longest_task_or_of_all_divided():
    trials = [trial()]
    one = Division(1, 1)
    assert predicted([tasks(3, 10)], trials, one) == pytest.approx(30)
    both = predicted([tasks(3, 10)], trials, Division(2, 1)) - choosing.START
    assert both == pytest.approx(choosing.CROWDED * 15)
    uneven = (Job(kind(), 40_000.0), *tasks(2, 10))
    both = predicted([uneven], trials, Division(2, 1)) - choosing.START
    assert both == pytest.approx(choosing.CROWDED * 40)


def test_stages_wait_for_one_another_and_a_lone_task_is_not_crowded():
    stages = [tasks(1, 10), tasks(2, 10)]
    both = predicted(stages, [trial()], Division(2, 1)) - choosing.START
    assert both == pytest.approx(10 + choosing.CROWDED * 10)


def test_a_stack_wider_than_the_one_that_was_tried_takes_longer_a_narrower_one_as_long():
    trials = [trial(networks=16)]
    wide, narrow = (Job(kind(), 1000.0, networks) for networks in (64.0, 4.0))
    assert predicted([(wide,)], trials, Division(1, 1)) == pytest.approx(4.0)
    assert predicted([(narrow,)], trials, Division(1, 1)) == pytest.approx(1.0)


def test_a_batch_size_that_was_not_tried_takes_the_nearest():
    trials = [
        trial("teacher", one=1.0, batch_size=32),
        trial("teacher", one=9.0, batch_size=512),
    ]
    near = {
        size: predicted([(Job(kind("teacher", size), 1000.0),)], trials, Division(1, 1))
        for size in (32, 64, 256, 512)
    }
    assert near == {32: 1.0, 64: 1.0, 256: 9.0, 512: 9.0}


def test_what_was_not_tried_counts_for_nothing():
    stages = [tasks(2, 100), tasks(2, 1000, kind("teacher"))]
    assert predicted(stages, [trial()], Division(1, 1)) == pytest.approx(200)


@pytest.mark.parametrize("threads", [1, 2, 5, 16])
def test_between_one_thread_and_all_a_step_takes_what_amdahls_law_says(threads):
    serial, divided = 3.0, 5.0
    measured = trial(threads=16, one=serial + divided, gain=8.0 / (serial + divided / 16))
    assert 1e3 * measured.seconds(threads) == pytest.approx(serial + divided / threads)


def test_every_division_fits_the_cores():
    divisions = list(Bounds(cores=6, threads=6, most=6).divisions())
    assert all(each.workers * each.threads <= 6 for each in divisions)
    assert {each.workers for each in divisions} == {1, 2, 3, 4, 5, 6}
    assert Division(2, 3) in divisions


def test_only_what_takes_most_of_the_steps_is_tried():
    stages = [
        tuple(Job(kind("teacher", size), steps) for size, steps in zip(SIZES, STEPS, strict=True)),
        (Job(kind("student"), 350.0, 5),) * 2,
    ]
    found = worth_measuring(stages, threads=2)
    assert [(each.role, each.plan.batch_size) for each in found] == [
        ("teacher", 32),
        ("teacher", 512),
        ("student", 32),
    ]
    assert found[kind("student")] == 700.0
    assert kind("student") not in worth_measuring(stages, threads=16), "a trial takes longer there"


SIZES, STEPS = (32, 128, 512, 1024), (9000.0, 4500.0, 2200.0, 300.0)


# --- in a study ----------------------------------------------------------------------------------

LONG = {"student_epochs": 1000}
"""Some 14,000 steps a task."""


class Noting(Silent):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(engines, "usable_cores", lambda: 2)
    monkeypatch.setattr(choosing, "free_memory", lambda device: 8 * 2.0**30)


class Asked(ProcessesEngine):
    """An engine of processes that knows with which numbers it was made."""

    def __init__(self, context, *, workers, threads):
        super().__init__(context, workers=workers, threads=threads)
        self.asked = (workers, threads)


@pytest.fixture(autouse=True)
def known_processes(monkeypatch):
    monkeypatch.setattr("goodteacher.engines.processes.ProcessesEngine", Asked)


@pytest.fixture
def timed(monkeypatch):
    """Plants what steps take, and says what was asked."""
    asked = []

    def plant(gain, one=1.0):
        def measure(kinds, context, config, *, threads):
            asked.append((tuple(each.role for each in kinds), threads))
            roles = dict.fromkeys(each.role for each in kinds)
            return tuple(trial(role, one=one, gain=gain, threads=threads) for role in roles)

        monkeypatch.setattr(choosing, "measure", measure)
        return asked

    return plant


@pytest.fixture
def untimed(monkeypatch):
    monkeypatch.setattr(choosing, "measure", lambda *_, **__: pytest.fail("it was measured"))


def settings(**changed):
    asked = {"seeds": 2, **LONG, **changed}
    return parse(DistillConfig, data="made", student="mlp:3", **asked)


def started(context, **changed):
    with tuned_cpu(processes=True):
        return engine_of(settings(**changed), context)


def test_on_the_command_line_processes_are_started_where_they_pay(two_threads, timed, tmp_path):
    asked = timed(gain=1.1)
    engine = started(context_of(tmp_path / "s"))
    assert isinstance(engine, ProcessesEngine)
    assert engine.asked == (2, 1)
    assert torch.get_num_threads() == 1, "this process, too"
    assert asked == [(("student",), 2)]


def test_from_python_threads_are_chosen_and_no_process_is_started(two_threads, timed, tmp_path):
    timed(gain=0.7)
    engine = engine_of(settings(), context_of(tmp_path / "s"))
    assert isinstance(engine, LocalEngine)
    assert torch.get_num_threads() == 1


def test_processes_that_are_asked_for_by_name_are_divided_by_measurement(
    two_threads, timed, tmp_path
):
    timed(gain=1.1)
    engine = engine_of(settings(engine="processes"), context_of(tmp_path / "s"))
    assert isinstance(engine, ProcessesEngine)
    assert engine.asked == (2, 1)


def test_one_process_that_is_asked_for_by_name_stays_one(two_threads, timed, tmp_path):
    timed(gain=1.1)
    engine = started(context_of(tmp_path / "s"), engine="local")
    assert isinstance(engine, LocalEngine)
    assert torch.get_num_threads() == 2, "which is faster, alone"


@pytest.mark.parametrize(
    ("named", "engine"),
    [
        ({"threads": 2}, LocalEngine),
        ({"workers": 1}, LocalEngine),
        ({"workers": 2}, ProcessesEngine),
        ({"engine": "local", "threads": 2}, LocalEngine),
        ({"engine": "processes", "threads": 1}, ProcessesEngine),
    ],
)
def test_what_is_named_holds_and_nothing_is_measured(named, engine, two_threads, untimed, tmp_path):
    found = started(context_of(tmp_path / "s"), **named)
    assert isinstance(found, engine)
    assert torch.get_num_threads() == 2
    if engine is ProcessesEngine:
        assert found.asked == (2, named.get("threads", 1))


def test_processes_with_named_threads_share_the_cores(tmp_path):
    two = engine_of(settings(engine="processes", threads=2), context_of(tmp_path / "s"))
    assert two.asked == (1, 2)


def test_threads_that_the_host_named_hold(two_threads, untimed, tmp_path):
    with tuned_cpu(threads=2):
        engine = engine_of(settings(), context_of(tmp_path / "s"))
    assert isinstance(engine, LocalEngine)
    assert torch.get_num_threads() == 2


def test_a_host_with_one_thread_has_nothing_to_choose(untimed, tmp_path):
    assert torch.get_num_threads() == 1
    context = context_of(tmp_path / "s")
    assert isinstance(engine_of(settings(), context), LocalEngine)
    assert not list(context.store.root.glob("threads-*"))


def test_one_thread_by_the_environment_still_has_processes(timed, tmp_path):
    watching = Noting()
    timed(gain=1.0)
    engine = started(context_of(tmp_path / "s", watching))
    assert engine.asked == (2, 1)
    assert watching.notes == ["2 processes with 1 thread each: PyTorch uses 1 thread"]


def test_a_tiny_study_spends_no_time_on_it(two_threads, untimed, monkeypatch, tmp_path):
    monkeypatch.setattr(engines, "usable_cores", lambda: pytest.fail("loky was imported"))
    context = context_of(tmp_path / "s")
    assert isinstance(started(context, student_epochs=20), LocalEngine)
    assert torch.get_num_threads() == 2
    assert not list(context.store.root.glob("threads-*"))


@pytest.mark.parametrize(
    "machine",
    [Machine(torch.device("meta")), Machine(torch.device("cpu"), compiles=True)],
    ids=["another device", "compiled"],
)
def test_on_a_gpu_and_where_networks_are_compiled_one_process_stays(
    machine, two_threads, untimed, tmp_path
):
    context = context_of(tmp_path / "s")
    object.__setattr__(context, "machine", machine)
    assert isinstance(started(context), LocalEngine)


def test_little_memory_takes_fewer_processes(two_threads, timed, monkeypatch, tmp_path):
    timed(gain=1.1)
    monkeypatch.setattr(choosing, "free_memory", lambda device: 1.5 * 2.0**30)
    assert isinstance(started(context_of(tmp_path / "s")), LocalEngine)


def test_no_memory_for_a_trial_leaves_everything_as_it_is(two_threads, monkeypatch, tmp_path):
    monkeypatch.setattr(choosing, "measure", lambda *_, **__: ())
    context = context_of(tmp_path / "s")
    assert isinstance(started(context), LocalEngine)
    assert torch.get_num_threads() == 2
    assert not list(context.store.root.glob("threads-*"))


# --- what is kept --------------------------------------------------------------------------------


def test_a_study_that_goes_on_keeps_its_threads(two_threads, timed, tmp_path):
    context = context_of(tmp_path / "s")
    asked = timed(gain=0.7)
    engine_of(settings(), context)
    torch.set_num_threads(2)  # as the next call finds it
    timed(gain=9.0)
    again = context_of(tmp_path / "s")
    engine = started(again)
    assert len(asked) == 1, "it was not measured again"
    assert engine.asked == (2, 1), "with processes, now"
    assert torch.get_num_threads() == 1


def test_elsewhere_it_is_measured_again(two_threads, timed, monkeypatch, tmp_path):
    context = context_of(tmp_path / "s")
    asked = timed(gain=0.7)
    engine_of(settings(), context)
    torch.set_num_threads(2)
    monkeypatch.setattr(choosing, "described_machine", lambda device: "another")
    timed(gain=1.9)
    engine_of(settings(), context)
    assert len(asked) == 2
    assert torch.get_num_threads() == 2
    assert len(list(context.store.root.glob("threads-*.json"))) == 2


def test_it_is_said_and_kept_once(two_threads, timed, tmp_path):
    watching = Noting()
    context = context_of(tmp_path / "s", watching)
    timed(gain=0.7)
    started(context)
    torch.set_num_threads(2)
    started(context)
    assert watching.notes == [
        "2 processes with 1 thread each: 2 threads make a student's step 0.7 times as fast as "
        "1 thread"
    ]
    (event,) = (e for e in context.store.events() if e["event"] == "threads_chosen")
    assert (event["workers"], event["threads"]) == (2, 1)
    (file,) = context.store.root.glob("threads-*.json")
    kept = context.store.read_json(file.name, ThreadChoice)
    assert kept.threads == 1
    assert [each.role for each in kept.trials] == ["student"]


def test_what_threads_gain_is_said_of_teachers_and_students():
    trials = (
        trial("teacher", gain=1.1),
        trial("teacher", gain=1.72, batch_size=512),
        trial("student", gain=0.9),
    )
    assert str(ThreadChoice(threads=1, trials=trials)) == (
        "2 threads make a teacher's step 1.1 to 1.7 times as fast and a student's step 0.9 times "
        "as fast as 1 thread"
    )


def test_the_environment_says_with_how_many_threads_tasks_run(two_threads, timed, tmp_path):
    timed(gain=0.7)
    context = context_of(tmp_path / "s")
    engine = engine_of(settings(), context)
    (found,) = environments(context.store)
    assert found.threads == 1
    assert engine.context.environment == 0


def test_the_process_is_given_back_with_the_threads_it_had(two_threads, timed, tmp_path):
    timed(gain=0.7)
    with borrowed():
        engine_of(settings(), context_of(tmp_path / "s"))
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_nothing_of_the_machine_is_in_a_task_that_is_run_with_it(two_threads, timed, tmp_path):
    timed(gain=0.7)
    context = context_of(tmp_path / "s")
    before = context.store.path("study.toml").read_text()
    started(context)
    assert context.store.path("study.toml").read_text() == before


# --- inside other processes ----------------------------------------------------------------------


def test_a_process_that_another_began_starts_none_by_itself(
    two_threads, timed, monkeypatch, tmp_path
):
    timed(gain=1.1)
    monkeypatch.setattr(multiprocessing, "parent_process", object)
    assert isinstance(started(context_of(tmp_path / "s")), LocalEngine)


def _has_a_parent():
    return multiprocessing.parent_process() is not None


def test_a_worker_of_loky_is_known_as_one():
    executor = loky.get_reusable_executor(max_workers=2, timeout=60)
    assert executor.submit(_has_a_parent).result()
    assert not _has_a_parent()


def test_a_daemon_is_told_that_it_cannot_have_processes(monkeypatch, tmp_path):
    class Daemon:
        daemon = True

    monkeypatch.setattr(multiprocessing, "current_process", Daemon)
    context = context_of(tmp_path / "s")
    with pytest.raises(
        ConfigError, match=r"daemon process of multiprocessing.*Leave out engine and workers"
    ):
        engine_of(settings(workers=2), context)
    assert isinstance(engine_of(settings(), context), LocalEngine)


def test_predictions_grow_with_the_work():
    less, more = (predicted([tasks(2, n)], [trial()], Division(2, 1)) for n in (10, 20))
    assert math.isclose(more - less, choosing.CROWDED * 10)


# --- a whole search ------------------------------------------------------------------------------

SHORT = {**SETTINGS, "epochs": 1, "student_epochs": 2, "search_seeds": 1, "rungs": 1}


def rows_of(study):
    return [row.model_copy(update={"student_seconds": 0.0}) for row in study.students()]


def test_every_task_of_a_search_computes_with_the_chosen_threads(
    two_threads, timed, monkeypatch, tmp_path
):
    seen, plain = set(), Machine.arithmetic
    monkeypatch.setattr(
        Machine, "arithmetic", lambda self: seen.add(torch.get_num_threads()) or plain(self)
    )
    timed(gain=0.7)
    monkeypatch.setattr(choosing, "_FEW", 0)
    monkeypatch.setattr(choosing, "_MINOR", 0)
    watching = Noting()
    named = search(dataset(), out=tmp_path / "named", **SHORT, threads=1)
    seen.clear()
    chosen = search(dataset(), out=tmp_path / "chosen", progress=watching, **SHORT)
    assert seen == {1, 2}, "the rehearsal came before the choice"
    assert torch.get_num_threads() == 2
    assert rows_of(chosen) == rows_of(named)
    (place,) = environments(chosen.store)
    assert place.threads == 1
    assert any(
        note.startswith("1 process with 1 thread: 2 threads make") for note in watching.notes
    )
    done = [e["environment"] for e in chosen.store.events() if e["event"] == "task_done"]
    assert set(done) == {0}
