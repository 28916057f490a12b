"""What every engine must do, whatever it runs on: one passes by being in ``ENGINES``."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from goodteacher import search
from goodteacher.config import DistillConfig, RuntimeConfig, parse
from goodteacher.data import prepare
from goodteacher.engines import ENGINES
from goodteacher.errors import ConfigError, RunError
from goodteacher.networks import Preparations
from goodteacher.studies.environment import enter
from goodteacher.studies.progress import Silent
from goodteacher.studies.store import Store
from goodteacher.studies.tasks import Context, Needs, Until
from goodteacher.training.machine import Machine
from tests.made import SETTINGS, dataset
from tests.ray_clusters import one_node

pytestmark = pytest.mark.parametrize("engine", sorted(ENGINES), scope="module")


@pytest.fixture(scope="module", autouse=True)
def ready(engine):
    """Start what an engine uses once, and not for each test."""
    if engine != "ray":
        yield
        return
    pytest.importorskip("ray", reason="goodteacher[ray] is not installed")
    with one_node():
        yield


@dataclass(frozen=True)
class Squaring:
    """A task that writes a number's square; it fails while a file of its name lies there."""

    runner: ClassVar[str] = f"{__name__}:Squarer"
    number: int

    @property
    def key(self):
        return f"square-{self.number}"

    @property
    def work(self):
        return float(self.number)


FAILURES = {
    "unforeseen": IndexError("too far.\nat line 3"),
    "foreseen": ConfigError("cannot be"),
    "interrupted": KeyboardInterrupt(),
}


class Squarer:
    """Does it, in two pieces."""

    def done(self, task, store):
        return store.exists(f"{task.key}.txt")

    def run(self, task, context):
        store = context.store
        for name, failure in FAILURES.items():
            if store.exists(f"{task.key}.{name}"):
                raise failure
        for _ in range(2):
            context.progress.advance(task.work / 2)
        mean = float(context.data.transfer.inputs.mean())
        store.write_text(f"{task.key}.txt", f"{task.number**2} {mean}\n")


class Watching(Silent):
    def __init__(self):
        self.stages, self.units = [], 0.0

    def begin(self, stage, total):
        self.stages.append((stage, total))

    def advance(self, units, stage=None):
        self.units += units


def context_of(folder, progress=None):
    config = parse(DistillConfig, data="made", student="mlp:3")
    store = Store.create(folder, config)
    machine = Machine(torch.device("cpu"))
    number, _ = enter(store, str(machine))
    data = prepare(dataset())
    networks = Preparations(data, normalization="auto", tfidf_features=None)
    return Context(data, networks, store, machine, progress or Silent(), number)


def engine_for(name, context):
    return ENGINES[name](parse(RuntimeConfig, workers=2), context)


@pytest.fixture(scope="module")
def found_in_one_process(tmp_path_factory):
    return search(dataset(), out=tmp_path_factory.mktemp("one") / "s", engine="local", **ASKED)


ASKED = {**SETTINGS, "stack_width": 4, "threads": 1, "rungs": 2}


def found_of(study):
    rows = [row.model_copy(update={"student_seconds": 0.0}) for row in study.students()]
    return rows, study.sweet_spot.model_copy(update={"cost": None})


def test_a_search_finds_the_same_to_the_last_bit_and_does_nothing_twice(
    engine, tmp_path, found_in_one_process
):
    study = search(dataset(), out=tmp_path / "s", engine=engine, workers=2, **ASKED)
    assert found_of(study) == found_of(found_in_one_process)
    events = Store(tmp_path / "s").events()
    done = [event["task"] for event in events if event["event"] == "task_done"]
    assert len(done) == len(set(done)) > 5


TASKS = tuple(Squaring(number) for number in (1, 2, 3, 4))


def results(context):
    return {path.name: path.read_text() for path in context.store.root.glob("square-*.txt")}


def keys_of(context, event):
    return [each["task"] for each in context.store.events() if each["event"] == event]


def test_all_tasks_are_done_when_it_returns(engine, tmp_path):
    context = context_of(tmp_path / "s")
    engine_for(engine, context).run("squares", TASKS)
    assert {name: text.split()[0] for name, text in results(context).items()} == {
        "square-1.txt": "1",
        "square-2.txt": "4",
        "square-3.txt": "9",
        "square-4.txt": "16",
    }


def test_only_what_is_missing_is_run(engine, tmp_path):
    context = context_of(tmp_path / "s")
    engine_for(engine, context).run("squares", TASKS[:2])
    context.store.write_text("square-1.txt", "kept\n")
    engine_for(engine, context).run("squares", TASKS)
    assert context.store.path("square-1.txt").read_text() == "kept\n"
    assert sorted(keys_of(context, "task_done")) == [task.key for task in TASKS]


def test_results_do_not_depend_on_the_order(engine, tmp_path):
    forwards, backwards = context_of(tmp_path / "a"), context_of(tmp_path / "b")
    engine_for(engine, forwards).run("squares", TASKS)
    engine_for(engine, backwards).run("squares", TASKS[::-1])
    assert len(results(forwards)) == len(TASKS)
    assert results(forwards) == results(backwards)


def test_progress_adds_up_to_the_work_that_was_announced(engine, tmp_path):
    first, second = Watching(), Watching()
    engine_for(engine, context_of(tmp_path / "s", first)).run("squares", TASKS[:2])
    engine_for(engine, context_of(tmp_path / "s", second)).run("squares", TASKS)
    assert (first.stages, first.units) == ([("squares", 3.0)], 3.0)
    assert (second.stages, second.units) == ([("squares", 10.0)], 10.0), "what was done counts"


def test_no_tasks_are_no_work(engine, tmp_path):
    watching = Watching()
    engine_for(engine, context_of(tmp_path / "s", watching)).run("squares", [])
    assert (watching.stages, watching.units) == ([("squares", 0.0)], 0.0)


def test_each_task_done_says_how_long_and_in_which_environment(engine, tmp_path):
    context = context_of(tmp_path / "s")
    engine_for(engine, context).run("squares", TASKS)
    done = [event for event in context.store.events() if event["event"] == "task_done"]
    assert {event["environment"] for event in done} == {0}
    assert {event["stage"] for event in done} == {"squares"}
    assert all(event["seconds"] >= 0 for event in done)


def test_an_unforeseen_failure_names_the_task_and_the_study_goes_on(engine, tmp_path):
    context = context_of(tmp_path / "s")
    hindrance = Path(context.store.path("square-3.unforeseen"))
    hindrance.touch()
    with pytest.raises(RunError, match=r"squares failed in the task square-3: IndexError: too far"):
        engine_for(engine, context).run("squares", TASKS)
    assert keys_of(context, "task_failed") == ["square-3"]
    assert "square-3" not in keys_of(context, "task_done")
    hindrance.unlink()
    engine_for(engine, context).run("squares", TASKS)
    assert len(results(context)) == len(TASKS)


def test_what_goodteacher_foresaw_passes_as_it_is(engine, tmp_path):
    context = context_of(tmp_path / "s")
    context.store.path("square-2.foreseen").touch()
    with pytest.raises(ConfigError, match="cannot be"):
        engine_for(engine, context).run("squares", TASKS)


def test_an_interrupt_passes_through_and_what_was_done_stays(engine, tmp_path):
    context = context_of(tmp_path / "s")
    context.store.path("square-4.interrupted").touch()
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        engine_for(engine, context).run("squares", TASKS)
    assert "square-4.txt" not in results(context)
    context.store.path("square-4.interrupted").unlink()
    engine_for(engine, context).run("squares", TASKS)
    assert len(results(context)) == len(TASKS)


def squares(*numbers, name="squares"):
    yield Needs(name, tuple(Squaring(number) for number in numbers))
    return sum(number**2 for number in numbers)


def test_flows_return_what_they_found_in_their_order(engine, tmp_path):
    context = context_of(tmp_path / "s")
    assert engine_for(engine, context).together(squares(1, 2), squares(3), squares()) == [5, 9, 0]
    assert len(results(context)) == 3


def test_no_flows_are_no_work(engine, tmp_path):
    assert engine_for(engine, context_of(tmp_path / "s")).together() == []


def test_a_flow_goes_on_once_its_own_tasks_are_done(engine, tmp_path):
    context = context_of(tmp_path / "s")

    def one_after_another(first, second):
        yield from squares(first)
        assert f"square-{first}.txt" in results(context)
        return (yield from squares(second, name="more"))

    engine = engine_for(engine, context)
    assert engine.together(one_after_another(1, 2), one_after_another(3, 4)) == [4, 16]
    began = [
        (event["stage"], event["task"])
        for event in context.store.events()
        if event["event"] == "task_started"
    ]
    assert sorted(began) == [
        ("more", "square-2"),
        ("more", "square-4"),
        ("squares", "square-1"),
        ("squares", "square-3"),
    ]


def test_a_task_that_several_flows_need_is_done_once(engine, tmp_path):
    context = context_of(tmp_path / "s")
    assert engine_for(engine, context).together(squares(1, 2), squares(2, 3)) == [5, 13]
    assert sorted(keys_of(context, "task_done")) == ["square-1", "square-2", "square-3"]


def test_a_flow_waits_until_another_has_brought_something_about(engine, tmp_path):
    context, said = context_of(tmp_path / "s"), []

    def first():
        yield Until(lambda: "second" in said)
        yield from squares(1)
        said.append("first")

    def second():
        yield from squares(2)
        said.append("second")

    engine_for(engine, context).together(first(), second())
    assert said == ["second", "first"]
    assert keys_of(context, "task_done") == ["square-2", "square-1"]


def test_flows_that_wait_for_one_another_are_an_error(engine, tmp_path):
    def waiting():
        yield Until(lambda: False)

    with pytest.raises(RuntimeError, match="flows wait for one another"):
        engine_for(engine, context_of(tmp_path / "s")).together(waiting(), squares(1))


def test_flows_are_closed_when_a_task_fails(engine, tmp_path):
    context, closed = context_of(tmp_path / "s"), []
    context.store.path("square-2.foreseen").touch()

    def watched(number):
        try:
            yield from squares(number)
        finally:
            closed.append(number)

    with pytest.raises(ConfigError, match="cannot be"):
        engine_for(engine, context).together(watched(2), watched(3))
    assert 2 in closed


def test_an_error_in_a_flow_passes_through(engine, tmp_path):
    context = context_of(tmp_path / "s")

    def failing():
        yield from squares(1)
        raise RunError("nothing is left")

    with pytest.raises(RunError, match="nothing is left"):
        engine_for(engine, context).together(failing(), squares(2, 3))


def test_stages_of_one_name_are_one_to_who_watches(engine, tmp_path):
    watching = Watching()
    context = context_of(tmp_path / "s", watching)
    engine_for(engine, context).together(squares(1), squares(2, 3), squares(4, name="others"))
    assert sorted(watching.stages) == [("others", 4.0), ("squares", 6.0)]
    assert watching.units == 10.0
