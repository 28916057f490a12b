"""Tasks of students: who trains together, and what a task is named by."""

from types import SimpleNamespace

import pytest
import torch

from goodteacher.config import Recipe, StudyConfig, Training, parse
from goodteacher.records.arms import CROSS_ENTROPY, Arm, Checkpoint, smoothing_arm
from goodteacher.students.kept import select_students
from goodteacher.students.plan import Students, WidthTask, by_arm
from goodteacher.studies.tasks import DataKey

TEACHER = Arm(source=Checkpoint(run="batch 32", epoch=1), recipe=Recipe(temperature=2.0))
TRAINING = Training(epochs=5, batch_size=32, learning_rate=0.01)
KEY = DataKey(
    fingerprint="f" * 16,
    selection_fraction=0.1,
    transfer_fraction=1.0,
    split_seed=0,
    normalization="auto",
)


class Engine:
    def __init__(self):
        self.ran = []

    def together(self, flow):
        try:
            while True:
                needs = next(flow)
                self.ran.append((needs.stage, needs.tasks))
        except StopIteration as ended:
            return [ended.value]


def students(**changes):
    settings = {"data": "digits", "teacher": "mlp:8", "student": "mlp:4", **changes}
    config = parse(StudyConfig, **settings)
    transfer = range(1000)
    context = SimpleNamespace(machine="cpu float32", data=SimpleNamespace(transfer=transfer))
    return Students(config=config, context=context, engine=Engine(), key=KEY)


def tasks(arms, seeds=(0,), made=None, **options):
    return (made or students()).tasks(
        arms, TRAINING, **{"stage": "search", "seeds": seeds, **options}
    )


def test_arms_that_train_alike_are_one_task_for_each_seed():
    found = tasks([TEACHER, CROSS_ENTROPY], seeds=[3, 1])
    assert [(task.seed, task.arms) for task in found] == [
        (3, (TEACHER, CROSS_ENTROPY)),
        (1, (TEACHER, CROSS_ENTROPY)),
    ]
    assert {task.student_epochs for task in found} == {5}


def test_arm_that_is_given_twice_is_trained_once():
    (task,) = tasks([TEACHER, CROSS_ENTROPY, TEACHER])
    assert task.arms == (TEACHER, CROSS_ENTROPY)


def test_other_epochs_or_batches_are_tasks_of_their_own_and_other_rates_are_not():
    longer = CROSS_ENTROPY.trained(TRAINING.model_copy(update={"epochs": 15}))
    smaller = CROSS_ENTROPY.trained(TRAINING.model_copy(update={"batch_size": 8}))
    faster = CROSS_ENTROPY.trained(TRAINING.model_copy(update={"learning_rate": 0.5}))
    found = tasks([CROSS_ENTROPY, longer, smaller, faster])
    assert [task.arms for task in found] == [(CROSS_ENTROPY, faster), (longer,), (smaller,)]
    assert [task.optimization.batch_size for task in found] == [32, 32, 8]
    assert [task.student_epochs for task in found] == [5, 15, 5]
    assert found[0].training_of(faster).learning_rate == 0.5
    assert found[0].training_of(CROSS_ENTROPY) == TRAINING


def test_work_is_counted_in_epochs_of_students():
    (task,) = tasks([TEACHER, CROSS_ENTROPY, smoothing_arm(0.1)])
    assert task.work == 15.0


@pytest.mark.parametrize(
    "options",
    [
        {"seeds": [1]},
        {"stage": "confirm"},
        {"rung": 1},
        {"keep_state": False},
        {"omit_class": 2},
        {"made": students(student="mlp:5")},
        {"made": students(student_optimizer="sgd")},
        {"made": students(student_weight_decay=0.1)},
    ],
)
def test_whatever_changes_the_students_changes_the_name_of_their_task(options):
    (plain,), (other,) = tasks([TEACHER]), tasks([TEACHER], **options)
    assert plain.key != other.key
    assert other.key.startswith(f"{other.stage}-{other.rung}-seed-{other.seed}-")


@pytest.mark.parametrize("options", [{"memory_gib": 3}, {"stack_width": 2}, {"threads": 7}])
def test_what_only_moves_the_work_changes_no_name(options):
    (plain,), (other,) = tasks([TEACHER]), tasks([TEACHER], made=students(**options))
    assert plain.key == other.key


def test_order_of_arms_is_part_of_the_name():
    """Rows and weights of a task stand in this order."""
    one, other = tasks([TEACHER, CROSS_ENTROPY]), tasks([CROSS_ENTROPY, TEACHER])
    assert one[0].key != other[0].key


def test_training_runs_the_tasks_under_a_name_and_gives_them_back():
    made = students()
    planned = tasks([TEACHER], made=made)
    assert made.train("a round", planned) == planned
    assert made.engine.ran == [("a round", planned)]


LONG = TRAINING.model_copy(update={"epochs": 13})  # of 32 steps each: more than 400


def planned_widths(made, *arms, seeds=(0, 1)):
    options = {"stage": "search", "seeds": seeds}
    planned = made.tasks(arms, LONG, **options)
    made.train("a round", planned)
    ((stage, *_),) = made.engine.ran[-1:]
    assert stage == "a round", "last, when the widths are there"
    return planned, made.engine.ran[:-1]


def test_widths_of_long_tasks_are_measured_before_once_for_all_alike():
    planned, before = planned_widths(students(), TEACHER, CROSS_ENTROPY)
    ((stage, (width,)),) = before
    assert stage == "how many students to train at once"
    assert width.students == planned[0]
    assert len(planned) == 2


def test_each_batch_size_and_about_each_number_of_students_has_its_width():
    smaller = CROSS_ENTROPY.trained(LONG.model_copy(update={"batch_size": 8}))
    many = [smoothing_arm(0.01 * k) for k in range(1, 6)]
    _, ((_, widths),) = planned_widths(students(), TEACHER, smaller, *many)
    assert len({width.key for width in widths}) == 2
    one, six = (
        width.key.rpartition("-")[2] for width in sorted(widths, key=lambda w: len(w.students.arms))
    )
    assert (one, six) == ("1", "16")


def test_another_machine_has_widths_of_its_own():
    made = students()
    (task,) = made.tasks([TEACHER], LONG, stage="search", seeds=(0,))
    keys = {WidthTask(students=task, machine=name).key for name in ("cpu float32", "cuda:0")}
    assert len(keys) == 2


def test_a_width_that_is_set_is_not_measured():
    assert planned_widths(students(stack_width=4), TEACHER)[1] == []


def test_places_of_an_arm_are_in_the_order_of_seeds():
    planned = tasks([TEACHER, CROSS_ENTROPY], seeds=[5, 2, 9])
    found = by_arm(planned)
    assert [(task.seed, place) for task, place in found[CROSS_ENTROPY]] == [(2, 1), (5, 1), (9, 1)]
    assert [(task.seed, place) for task, place in found[TEACHER]] == [(2, 0), (5, 0), (9, 0)]


def test_some_students_of_a_stack_are_taken_in_the_order_wanted():
    state = {"network.w": torch.arange(6.0).view(3, 2), "step": torch.tensor(7)}
    found = select_students(state, [2, 0])
    assert found["network.w"].tolist() == [[4.0, 5.0], [0.0, 1.0]]
    assert found["step"] == 7, "a count is common to all"
