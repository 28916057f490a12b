"""Workers that are simulated: when tasks begin and end, by hand and by brute force."""

import itertools
from dataclasses import dataclass
from typing import ClassVar

import pytest

from goodteacher.engines import SimulatedEngine, longest_chain, simulating
from goodteacher.studies import Context, Needs, Silent, Store, Until

pytestmark = pytest.mark.usefixtures("no_overhead")


@pytest.fixture
def no_overhead(monkeypatch):
    monkeypatch.setattr(simulating, "START", 0.0)
    monkeypatch.setattr(simulating, "CROWDED", 1.0)
    monkeypatch.setattr(simulating, "OVERHEAD", 0.0)


@dataclass(frozen=True)
class Lasting:
    """A task that would take some seconds."""

    runner: ClassVar[str] = f"{__name__}:Never"
    key: str
    seconds: float

    @property
    def work(self):
        return self.seconds


class Never:
    def done(self, task, store):
        return store.exists(task.key)

    def run(self, task, context):
        raise AssertionError("a simulation does no work")


class Planted:
    def __init__(self, store):
        self.store = store

    def seconds(self, stage, task):
        return task.seconds

    def leave(self, stage, task):
        self.store.write_text(task.key, "")


def engine(folder, workers=None):
    folder.mkdir(exist_ok=True)
    store = Store(folder)
    context = Context(None, None, store, None, Silent())
    return SimulatedEngine(context, Planted(store), workers=workers)


def tasks(**seconds):
    return tuple(Lasting(key, value) for key, value in seconds.items())


def chain_of(stages, name="stage"):
    """A flow of stages, one after another."""
    for number, stage in enumerate(stages):
        yield Needs(f"{name} {number}", stage)


def times(engine):
    return {each.task.key: (each.begun, each.ended) for each in engine.simulated}


def test_one_worker_does_one_task_after_another_the_longest_first(tmp_path):
    one = engine(tmp_path / "s", 1)
    one.run("some", tasks(a=1.0, b=3.0, c=2.0))
    assert times(one) == {"b": (0.0, 3.0), "c": (3.0, 5.0), "a": (5.0, 6.0)}
    assert one.seconds == 6.0


def test_two_workers_take_the_next_task_when_one_is_free(tmp_path):
    two = engine(tmp_path / "s", 2)
    two.run("some", tasks(a=1.0, b=3.0, c=2.0))
    assert times(two) == {"b": (0.0, 3.0), "c": (0.0, 2.0), "a": (2.0, 3.0)}


def test_tasks_of_earlier_flows_go_first(tmp_path):
    one = engine(tmp_path / "s", 1)
    one.together(chain_of([tasks(a=1.0)]), chain_of([tasks(b=5.0)], "other"))
    assert times(one)["a"] == (0.0, 1.0)


def test_a_stage_waits_for_the_whole_one_before_it_and_flows_do_not_wait(tmp_path):
    many = engine(tmp_path / "s")
    many.together(
        chain_of([tasks(a=1.0, b=4.0), tasks(c=1.0)]), chain_of([tasks(d=2.0), tasks(e=9.0)])
    )
    assert times(many) == {
        "a": (0.0, 1.0),
        "b": (0.0, 4.0),
        "c": (4.0, 5.0),
        "d": (0.0, 2.0),
        "e": (2.0, 11.0),
    }


def test_what_a_task_leaves_is_not_there_before_its_end(tmp_path):
    many = engine(tmp_path / "s")
    seen = []

    def looking():
        yield Needs("short", tasks(short=1.0))
        seen.append(many.context.store.exists("long"))
        yield Until(lambda: many.context.store.exists("long"))
        yield Needs("after", tasks(after=1.0))

    many.together(looking(), chain_of([tasks(long=5.0)]))
    assert seen == [False]
    assert times(many)["after"] == (5.0, 6.0)


def test_the_longest_chain_is_the_planted_one(tmp_path):
    many = engine(tmp_path / "s")
    found = []

    def first():
        yield Needs("x", tasks(x=3.0))
        found.append("x")
        yield Needs("side", tasks(side=1.0))

    def second():
        yield Needs("y", tasks(y=1.0))
        yield Until(lambda: found)
        yield Needs("z", tasks(z=4.0, small=0.5))

    many.together(first(), second())
    many.run("end", tasks(end=2.0))
    assert [each.task.key for each in longest_chain(many.simulated)] == ["x", "z", "end"]
    assert many.seconds == 9.0


def test_nothing_simulated_has_no_chain():
    assert longest_chain([]) == ()


def test_a_task_that_is_there_is_not_done_again(tmp_path):
    many = engine(tmp_path / "s")
    many.context.store.write_text("a", "")
    many.run("some", tasks(a=5.0, b=1.0))
    assert set(times(many)) == {"b"}


def test_several_workers_cost_their_start_and_what_they_take_from_one_another(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(simulating, "START", 5.0)
    monkeypatch.setattr(simulating, "CROWDED", 1.5)
    monkeypatch.setattr(simulating, "OVERHEAD", 0.25)
    for workers, expected in ((1, 4.0), (2, 5.0 + 3.0 + 0.25)):
        some = engine(tmp_path / str(workers), workers)
        some.run("some", tasks(a=2.0, b=2.0))
        assert some.seconds == expected


def least_by_trying_all(seconds, workers):
    """The least time of independent tasks: every division of them among the workers."""
    return min(
        max(sum(s for s, w in zip(seconds, places, strict=True) if w == k) for k in range(workers))
        for places in itertools.product(range(workers), repeat=len(seconds))
    )


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param((5.0, 4.0, 3.0, 3.0, 3.0), id="where the longest first is not best"),
        pytest.param((7.0, 1.0, 1.0, 1.0), id="one long"),
        pytest.param((2.0, 2.0, 2.0, 2.0, 2.0, 2.0), id="equal"),
        pytest.param((9.0, 8.0, 7.0, 3.0, 2.0, 1.0, 1.0), id="mixed"),
    ],
)
def test_the_schedule_is_within_the_known_bound_of_the_best_one(tmp_path, seconds, workers):
    some = engine(tmp_path / "s", workers)
    some.run("some", tasks(**{f"t{n}": value for n, value in enumerate(seconds)}))
    best = least_by_trying_all(seconds, workers)
    # Graham's bound for the longest first.
    assert best <= some.seconds <= (4 / 3 - 1 / (3 * workers)) * best + 1e-9
    busy = sum(ended - begun for begun, ended in times(some).values())
    assert busy == pytest.approx(sum(seconds))
    moments = sorted({begun for begun, _ in times(some).values()})
    at_work = [sum(b <= m < e for b, e in times(some).values()) for m in moments]
    assert max(at_work) <= workers
