"""One teacher trained over several processes: recorded as one process would, and what can fail."""

import psutil
import pytest
import torch

from goodteacher.config import Optimization, Run, StudyConfig, parse
from goodteacher.data import Dataset, prepare
from goodteacher.engines import LocalEngine
from goodteacher.networks import Preparations
from goodteacher.records import Checkpoint
from goodteacher.studies import Context, DataKey, Silent, Store
from goodteacher.teachers.plan import RecordPoint, TrajectoryTask
from goodteacher.teachers.recording import load_response, recorded
from goodteacher.training import Machine
from tests.made import dataset
from tests.test_study_views import pictures

CPU = torch.device("cpu")


class Noting(Silent):
    def __init__(self):
        self.notes, self.units = [], 0.0

    def advance(self, units):
        self.units += units

    def note(self, text):
        self.notes.append(text)


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


def children():
    """Those of loky that do some work; it has others that count resources, and they stay."""
    found = psutil.Process().children(recursive=True)
    return {child.pid for child in found if "loky.backend.popen_loky_posix" in child.cmdline()}


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


def test_views_of_pictures_and_batch_norm_are_those_of_one_process(tmp_path):
    data = Dataset("pictures", pictures(150, 0), pictures(30, 1), ("a", "b", "c"))
    one, two = (context_of(tmp_path / str(n), workers=n, data=data) for n in (1, 2))
    views = {"augment": ("flip", "crop:1", "mixup:0.2"), "views": 2}
    task = task_of(one, teacher="resnet:8", epochs=(1,), data=views)
    train(one, task)
    train(two, task)
    assert_same_teachers(one, two, task, tolerance=1e-3, views=2)
