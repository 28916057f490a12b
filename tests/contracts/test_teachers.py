"""What any implementation of the port `Teachers` owes; one passes by being added to the list."""

import shutil
from collections import defaultdict

import pytest
import torch

from goodteacher import Recorder
from goodteacher.config import StudyConfig, parse
from goodteacher.data import Dataset, Split, prepare
from goodteacher.errors import ResponseError, RunError, StudyError
from goodteacher.networks import Preparations
from goodteacher.records import Blend, BlendMember, Checkpoint
from goodteacher.responses import Response, write_response
from goodteacher.studies import RESPONSE_FILE, Context, DataKey, Silent, Store
from goodteacher.teachers import GivenTeacher, RecordedTeachers, plan_taken
from goodteacher.teachers.recording import response_file, write_recorded
from goodteacher.teachers.taking import TakingRunner
from goodteacher.training.machine import choose_machine
from tests.report import build

IDS = torch.tensor([12, 3, 40, 7, 25])
NUM_CLASSES = 3


def _store(folder):
    return Store.create(folder / "study", build.settings())


def _logits(number):
    generator = torch.Generator().manual_seed(number)
    return torch.randn(len(IDS), NUM_CLASSES, generator=generator)


def _write(store, key, records):
    write_recorded(store, key, records)
    for number, record in enumerate(records):
        for name in ("transfer", "selection"):
            file = response_file(key, record.epoch, name)
            path = store.path(file)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_response(path, Response(_logits(number), IDS), metadata={})
            store.files.note(file)


def trained_here(folder):
    """Two runs, a moving average of an epoch of one of them, and a record that diverged."""
    store = _store(folder)
    _write(store, "batch-00032-x", [build.record(32, 1), build.record(32, 4)])
    averaged = build.record(32, 4).model_copy(update={"variant": "ema"})
    _write(store, "batch-00032-x/ema-00004", [averaged])
    _write(store, "batch-00128-y", [build.record(128, 2), build.diverged(128, 4)])
    return RecordedTeachers(store, {"batch 32": "batch-00032-x", "batch 128": "batch-00128-y"})


def recorded_elsewhere(folder):
    """A run of somebody else's trainer, of which nothing is known but what it says."""
    store = _store(folder)
    bare = [
        build.record(32, epoch).model_copy(
            update={
                "run": "night of the 3rd",
                "attributes": {},
                **dict.fromkeys(
                    ("steps", "passes", "seconds", "learning_rate", "training_loss"), None
                ),
            }
        )
        for epoch in (3, 5)
    ]
    _write(store, "night", bare)
    return RecordedTeachers(store, {"night of the 3rd": "night"})


def taken_from_a_recorder(folder):
    """A run that a recorder made, taken into a study."""
    train = Split.from_arrays(torch.zeros(5, 2), [0, 1, 2, 0, 1], ids=IDS)
    held_out = Split.from_arrays(torch.zeros(3, 2), [0, 1, 2], ids=[50, 51, 52])
    data = Dataset("five", train, train, ("a", "b", "c"), validation=held_out)
    recorder = Recorder(folder / "night", data)
    for epoch in (2, 5):
        said = {"transfer": _logits(epoch), "selection": _logits(epoch)[:3]}
        recorder.record(logits=said, epoch=epoch)
    store = _store(folder)
    config = parse(StudyConfig, data="five", student="mlp:2", trajectories=str(folder / "night"))
    parts = prepare(data)
    context = Context(parts, Preparations(parts), store, choose_machine(config), Silent())
    (task,) = plan_taken(config, context, DataKey.of(config, parts))
    TakingRunner().run(task, context)
    shutil.rmtree(folder / "night")
    return RecordedTeachers(store, {task.run.name: task.key})


def given_in_a_file(folder):
    """The response of a file."""
    store = _store(folder)
    store.write_tensors(RESPONSE_FILE, {"logits": _logits(0), "ids": IDS}, content="abc")
    return GivenTeacher(store)


IMPLEMENTATIONS = [trained_here, recorded_elsewhere, taken_from_a_recorder, given_in_a_file]


@pytest.fixture(params=IMPLEMENTATIONS, ids=lambda made: made.__name__)
def teachers(request, tmp_path):
    return request.param(tmp_path)


def split(ids):
    return Split.from_arrays(torch.zeros(len(ids), 2), torch.zeros(len(ids)).long(), ids=ids)


def test_every_known_teacher_answers_with_finite_logits_of_the_right_shape(teachers):
    assert teachers.known()
    for teacher in teachers.known():
        logits = teachers.response(teacher, split(IDS))
        assert logits.dtype == torch.float32
        assert logits.shape == (len(IDS), NUM_CLASSES)
        assert bool(logits.isfinite().all())


def test_answers_are_aligned_by_id(teachers):
    some = torch.tensor([7, 12, 25])
    rows = [IDS.tolist().index(number) for number in some.tolist()]
    for teacher in teachers.known():
        whole = teachers.response(teacher, split(IDS))
        assert torch.equal(teachers.response(teacher, split(some)), whole[rows])


def test_asked_twice_it_says_the_same(teachers):
    for teacher in teachers.known():
        first = teachers.response(teacher, split(IDS))
        assert torch.equal(first, teachers.response(teacher, split(IDS)))


def test_known_epochs_of_a_run_ascend_and_none_is_told_twice(teachers):
    epochs = defaultdict(list)
    for teacher in teachers.known():
        if isinstance(teacher, Checkpoint):
            epochs[teacher.run, teacher.variant].append(teacher.epoch)
    for found in epochs.values():
        assert found == sorted(set(found))
    assert len(set(teachers.known())) == len(teachers.known())


def test_examples_that_it_never_saw_are_refused(teachers):
    for teacher in teachers.known():
        with pytest.raises(ResponseError, match="no row for 1 of 2 examples"):
            teachers.response(teacher, split(torch.tensor([12, 999])))


def test_a_teacher_that_is_not_there_is_refused(teachers):
    with pytest.raises(RunError, match=r"no run 'nobody'|has changed since"):
        teachers.response(Checkpoint(run="nobody", epoch=1), split(IDS))


def test_an_epoch_or_view_that_was_not_recorded_is_refused(teachers):
    for teacher in teachers.known():
        if isinstance(teacher, Checkpoint):
            with pytest.raises(StudyError, match="No such file"):
                teachers.response(teacher.model_copy(update={"epoch": 999}), split(IDS))
            with pytest.raises(StudyError, match="No such file"):
                teachers.response(teacher, split(IDS), view=9)


def test_a_mean_of_its_teachers_lies_between_them(teachers):
    raw = [t for t in teachers.known() if isinstance(t, Checkpoint) and t.variant == "raw"]
    if len(raw) < 2:
        pytest.skip("a single teacher")
    members = tuple(BlendMember(run=t.run, epoch=t.epoch, weight=0.5) for t in raw[:2])
    blend = Blend(variant="blend", members=members)
    one, other = (teachers.response(teacher, split(IDS)).softmax(1) for teacher in raw[:2])
    mean = teachers.response(blend, split(IDS)).softmax(1)
    torch.testing.assert_close(mean, (one + other) / 2)


def test_a_study_knows_its_runs_their_branches_and_nothing_that_diverged(tmp_path):
    assert [str(teacher) for teacher in trained_here(tmp_path).known()] == [
        "batch 32 epoch 1",
        "batch 32 epoch 4",
        "batch 32 epoch 4 ema",
        "batch 128 epoch 2",
    ]
