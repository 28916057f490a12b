"""Several processes: what is special about them; what all engines do is in the contract."""

import logging
import os
import signal
import threading
import time
import warnings
from dataclasses import dataclass
from typing import ClassVar

import loky
import pytest
import torch
from tests.contracts.test_engines import context_of
from tests.made import SETTINGS, dataset
from tests.watching import Noting

from goodteacher import search
from goodteacher.config import RuntimeConfig, parse
from goodteacher.data import DataNote
from goodteacher.engines import LocalEngine, engine_of
from goodteacher.engines.processes import Processes, ProcessesEngine
from goodteacher.errors import ConfigError, RunError


@dataclass(frozen=True)
class Saying:
    """A task that tells what it sees of the process it is in."""

    runner: ClassVar[str] = f"{__name__}:Sayer"
    number: int
    dies: bool = False

    @property
    def key(self):
        return f"say-{self.number}"

    @property
    def work(self):
        return float(self.number)


class Sayer:
    def done(self, task, store):
        return store.exists(f"{task.key}.txt")

    def run(self, task, context):
        if task.dies:
            os.kill(os.getpid(), signal.SIGKILL)
        context.note(f"note of {task.number}")
        context.warn(f"warning of {task.number}")
        context.warned_of.add(f"student {task.number}")
        warnings.warn("the same in each", DataNote, stacklevel=1)
        for _ in range(4):
            context.progress.advance(task.work / 4)
        subnormal = torch.full((1,), torch.finfo(torch.float32).tiny) / 2
        said = [os.getpid(), torch.get_num_threads(), context.machine.sharing, bool(subnormal)]
        context.store.write_text(f"{task.key}.txt", " ".join(map(str, said)))


def said(context):
    return [path.read_text().split() for path in sorted(context.store.root.glob("say-*.txt"))]


def several(context, *, threads=1):
    return ProcessesEngine(context, workers=2, threads=threads)


def test_tasks_run_elsewhere_with_their_share_of_the_machine(tmp_path):
    context = context_of(tmp_path / "s")
    with pytest.warns(DataNote):
        several(context).run("says", [Saying(1), Saying(2), Saying(3)])
    processes, threads, sharing, subnormal = zip(*said(context), strict=True)
    assert str(os.getpid()) not in processes
    assert set(threads) == {"1"}
    assert set(sharing) == {"2"}
    here = bool(torch.full((1,), torch.finfo(torch.float32).tiny) / 2)
    assert set(subnormal) == {str(here)}, "small numbers are treated as here"


def test_no_more_processes_are_started_than_there_are_tasks(tmp_path, monkeypatch):
    asked, start = [], loky.get_reusable_executor

    def noting(max_workers, **settings):
        asked.append(max_workers)
        return start(max_workers=max_workers, **settings)

    monkeypatch.setattr(loky, "get_reusable_executor", noting)
    context = context_of(tmp_path / "s")
    engine = ProcessesEngine(context, workers=100, threads=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataNote)
        for numbers, started in (([1, 2], {2}), ([3, 4, 5], {3}), ([6, 7], {3})):
            engine.run("says", [Saying(number) for number in numbers])
            assert set(asked) == started, "and those of an earlier stage stay"
            asked.clear()
    assert {sharing for _, _, sharing, _ in said(context)} == {"100"}


def test_a_task_alone_stays_here(tmp_path):
    context, before = context_of(tmp_path / "s"), torch.get_num_threads()
    with pytest.warns(DataNote):
        several(context, threads=2).run("says", [Saying(1)])
    ((process, threads, *_),) = said(context)
    assert int(process) == os.getpid()
    assert threads == "2", "as a task elsewhere would have"
    assert torch.get_num_threads() == before


def test_notes_warnings_and_logs_reach_whoever_began_it(tmp_path, caplog):
    watching = Noting()
    context = context_of(tmp_path / "s", watching)
    with caplog.at_level(logging.INFO, logger="goodteacher"), pytest.warns(DataNote) as caught:
        several(context).run("says", [Saying(1), Saying(2)])
    told = {f"{kind} of {n}" for kind in ("note", "warning") for n in (1, 2)}
    assert set(watching.notes) == told
    assert watching.units == 3.0
    levels = {record.getMessage(): record.levelno for record in caplog.records}
    assert levels["note of 1"] == logging.INFO
    assert levels["warning of 2"] == logging.WARNING
    assert [str(each.message) for each in caught] == ["the same in each"]


def test_what_loky_says_of_its_idle_processes_is_passed_over(tmp_path, monkeypatch):
    reports = Processes.reports

    def ending(pool):
        warnings.warn("A worker stopped while some jobs were given to it.", stacklevel=1)
        return reports(pool)

    monkeypatch.setattr(Processes, "reports", ending)
    context = context_of(tmp_path / "s")
    with pytest.warns(DataNote) as caught:
        several(context).run("says", [Saying(1), Saying(2)])
    assert [each.category for each in caught] == [DataNote]


def test_a_warning_of_several_tasks_is_issued_once_in_a_study(tmp_path):
    engine = several(context_of(tmp_path / "s"))
    with pytest.warns(DataNote):
        engine.run("says", [Saying(1), Saying(2)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        engine.run("says again", [Saying(3), Saying(4)])
        several(context_of(tmp_path / "another")).run("says", [Saying(1), Saying(2)])
    assert [str(each.message) for each in caught] == ["the same in each"], "the other study's"


def test_of_what_tasks_elsewhere_have_warned_a_task_here_knows(tmp_path):
    context = context_of(tmp_path / "s")
    with pytest.warns(DataNote):
        several(context).run("says", [Saying(1), Saying(2)])
    assert context.warned_of == {"student 1", "student 2"}


def test_what_cannot_go_to_other_processes_is_said(tmp_path):
    context = context_of(tmp_path / "s")
    context.networks.hindrance = threading.Lock()
    engine = several(context)
    with pytest.raises(ConfigError, match=r"cannot be sent .* cannot pickle .*lock.* workers=1"):
        engine.run("says", [Saying(1), Saying(2)])
    del context.networks.hindrance
    with pytest.warns(DataNote):
        engine.run("says", [Saying(1), Saying(2)])
    assert len(said(context)) == 2


def test_what_was_handed_over_and_cannot_be_read_is_a_failure_of_the_task(tmp_path):
    context = context_of(tmp_path / "s")
    engine = several(context)
    (engine.pool._handed.folder / "objects.pickle").write_bytes(b"")
    with pytest.raises(RunError, match=r"objects\.pickle is not what was written there"):
        engine.run("says", [Saying(1), Saying(2)])


def test_a_warning_that_is_an_error_here_ends_the_stage(tmp_path):
    context = context_of(tmp_path / "s")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataNote, match="the same in each"):
            several(context).run("says", [Saying(1), Saying(2)])


def test_a_process_that_dies_is_said_and_the_rest_goes_on_later(tmp_path):
    context = context_of(tmp_path / "s")
    tasks = [Saying(1), Saying(2), Saying(3, dies=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataNote)
        with pytest.raises(RunError, match=r"a process died .* give fewer --workers"):
            several(context).run("says", tasks)
    with pytest.warns(DataNote):
        several(context).run("says", [Saying(1), Saying(2), Saying(3)])
    assert len(said(context)) == 3


def test_what_was_handed_over_goes_with_the_engine(tmp_path):
    context = context_of(tmp_path / "s")
    engine = several(context)
    with pytest.warns(DataNote):
        engine.run("says", [Saying(1), Saying(2)])
    folder = engine.pool._handed.folder
    assert folder.exists()
    del engine
    deadline = time.monotonic() + 5
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("settings", "kind", "workers"),
    [
        ({}, LocalEngine, None),
        ({"workers": 1}, LocalEngine, None),
        ({"workers": 3}, ProcessesEngine, 3),
        ({"workers": 3, "engine": "local"}, LocalEngine, None),
        ({"workers": 1, "engine": "processes"}, ProcessesEngine, 1),
        ({"engine": "processes", "threads": 5}, ProcessesEngine, ...),
    ],
)
def test_settings_say_which_engine_it_is(settings, kind, workers, tmp_path):
    engine = engine_of(parse(RuntimeConfig, **settings), context_of(tmp_path / "s"))
    assert type(engine) is kind
    if isinstance(workers, int):
        assert engine.pool.share.processes == workers
    if "threads" in settings:
        assert engine.pool.share.threads == settings["threads"]


def rows_of(study):
    return [row.model_copy(update={"student_seconds": 0.0}) for row in study.students()]


def test_a_whole_search_in_two_processes_finds_the_same_to_the_last_bit(tmp_path):
    def network(num_classes):
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(num_classes))

    asked = {**SETTINGS, "student": network, "stack_width": 4, "threads": 1, "rungs": 2}
    alone = search(dataset(), out=tmp_path / "alone", **asked)
    both = search(dataset(), out=tmp_path / "both", workers=2, **asked)
    assert rows_of(both) == rows_of(alone)
    same = {"cost": None}
    ours, theirs = (study.sweet_spot.model_copy(update=same) for study in (alone, both))
    assert ours == theirs
