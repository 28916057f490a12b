"""A stack of students that is stopped goes on where it was, and ends as if it never had been."""

import json

import pytest
import torch

from goodteacher import search
from goodteacher.records import LearningPoint
from goodteacher.students import halfway, running
from goodteacher.students.halfway import Halfway
from goodteacher.students.kept import Shelf
from goodteacher.studies import Store
from tests.made import SETTINGS, dataset

QUICK = {
    **SETTINGS,
    "batch_sizes": (32,),
    "epochs": 1,
    "rungs": 1,
    "search_seeds": 1,
    "seeds": 2,
    "temperatures": (1.0,),
    "smoothings": (0.1,),
}


class Net:
    """A trainer as far as keeping goes: it counts what it was loaded with."""

    def __init__(self, value=0.0):
        self.value, self.step = torch.tensor([value, value]), 0

    def state(self):
        return {"network.weight": self.value}

    def load(self, state, step):
        assert set(state) == {"network.weight"}
        self.value, self.step = state["network.weight"], step


@pytest.fixture
def shelf(tmp_path):
    (tmp_path / "study").mkdir()
    return Shelf(Store(tmp_path / "study"), "search-0")


@pytest.fixture
def always(monkeypatch):
    monkeypatch.setattr(halfway, "EVERY", 0.0)
    monkeypatch.setattr(halfway, "AT_MOST", float("inf"))


def point(epoch, accuracy=0.5, nll=1.25, loss=None):
    return LearningPoint(epoch=epoch, accuracy=accuracy, nll=nll, training_loss=loss)


def test_what_was_kept_comes_back(shelf, always):
    points = [[point(1), point(1, 0.25, None, 2.5)], [point(3, loss=0.5), point(3)]]
    Halfway(shelf, [4, 5]).keep(Net(7.0), 3, 12.5, points)
    net = Net()
    assert Halfway(shelf, [4, 5]).resume(net, per_epoch=10) == (3, 12.5, points)
    assert net.step == 30
    assert net.value.tolist() == [7.0, 7.0]


def test_before_anything_is_measured_there_are_no_points(shelf, always):
    Halfway(shelf, [0, 1]).keep(Net(), 2, 1.0, [])
    assert Halfway(shelf, [0, 1]).resume(Net(), per_epoch=10) == (2, 1.0, [])


def test_other_students_go_on_from_nothing(shelf, always):
    Halfway(shelf, [0, 1]).keep(Net(7.0), 3, 1.0, [])
    for others in ([2, 3], [0, 1, 2]):
        net = Net()
        assert Halfway(shelf, others).resume(net, per_epoch=10) == (0, 0.0, [])
        assert (net.step, net.value.tolist()) == (0, [0.0, 0.0])


def test_a_stack_is_kept_once_in_a_while(shelf, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(halfway.time, "monotonic", lambda: now[0])
    kept = Halfway(shelf, [0, 1])
    for now[0], there in ((59.0, False), (61.0, True)):
        kept.keep(Net(), 1, 1.0, [])
        assert shelf.has_part(kept.name) == there
    now[0] = 100.0
    kept.keep(Net(), 2, 1.0, [])
    assert kept.resume(Net(), per_epoch=1)[0] == 1


def test_where_keeping_takes_long_it_is_done_more_rarely(shelf, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(halfway.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(Shelf, "write_part", lambda *_: now.__setitem__(0, now[0] + 30.0))
    kept, starts = Halfway(shelf, [0]), []
    for second in range(0, 2000, 10):
        before = now[0] = max(now[0], float(second))
        kept.keep(Net(), 1, 1.0, [])
        if now[0] > before:
            starts.append(before)
    assert starts[0] == 60.0
    assert starts[1] - starts[0] >= 30.0 / halfway.AT_MOST


def test_nothing_of_it_is_left(shelf, always):
    for students in ([0, 1], [2]):
        Halfway(shelf, students).keep(Net(), 1, 1.0, [])
    shelf.drop_parts()
    assert shelf.store.matching("students/*/halfway-*") == []


def students_of(study):
    rows = study.students()
    return [row.model_dump(exclude={"student_seconds"}) for row in rows]


def test_a_search_that_is_stopped_while_students_train_goes_on_and_ends_the_same(
    tmp_path, monkeypatch, always
):
    whole = search(dataset(), out=tmp_path / "whole", **QUICK)
    trained = []
    plain = running.Trainer.run_until

    def until(trainer, step):
        trained.append(step)
        if len(trained) == stop:
            raise KeyboardInterrupt
        return plain(trainer, step)

    folder, stop = tmp_path / "stopped", 9
    monkeypatch.setattr(running.Trainer, "run_until", until)
    with pytest.raises(KeyboardInterrupt):
        search(dataset(), out=folder, **QUICK)
    (kept,) = Store(folder).matching("students/*/halfway-*")
    steps, stop, trained[:] = trained[-1], 0, []
    found = search(dataset(), out=folder, **QUICK)
    first = next(step for step in trained if step > 1)  # single steps are timed before
    assert first == steps, "it goes on with the very epoch in which it was stopped"
    assert students_of(found) == students_of(whole)
    assert found.sweet_spot.model_dump(exclude={"cost", "savings", "summary"}) == (
        whole.sweet_spot.model_dump(exclude={"cost", "savings", "summary"})
    )
    assert not Store(folder).exists(kept)
    assert json.loads((folder / "sweet_spot.json").read_text())
