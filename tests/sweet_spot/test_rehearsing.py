"""How long tasks take: arithmetic on planted times, and short copies of tasks that are run."""

import pytest
import torch

from goodteacher.config import StudyConfig, parse
from goodteacher.public import planning
from goodteacher.records import Arm, Checkpoint
from goodteacher.students import StudentTask, WidthTask
from goodteacher.studies import Store
from goodteacher.sweet_spot.calibrating import (
    Part,
    StudentTimes,
    TeacherTimes,
    sizes_to_try,
    time_students,
    time_teacher,
)
from goodteacher.sweet_spot.pretending import AT_MOST, LIKELY
from goodteacher.sweet_spot.rehearsing import (
    Costs,
    Size,
    between,
    measure_costs,
    no_time,
    noted_times,
    size_of,
)
from goodteacher.teachers import TrajectoryTask, recorded
from goodteacher.training import steps_per_epoch
from tests.made import SETTINGS, dataset

TUNED = {**SETTINGS, "student_epochs": None, "rungs": 2, "patience": 1, "extend": True}


def teacher(size, step=0.0, recording=0.0, fixed=0.0, **more):
    return TeacherTimes(size, step, recording, fixed, **{"num_bytes": 0, "resume_bytes": 0, **more})


def student(width, step=0.0, point=0.0, fixed=0.0, size=32, **more):
    sizes = {"num_bytes": 0.0, "state_bytes": 0.0, **more}
    return StudentTimes(size, width, step, point, fixed, **sizes)


@pytest.fixture(scope="module")
def begun():
    with planning._begun(parse(StudyConfig, data="made", **TUNED), dataset(), None) as begun:
        yield begun


@pytest.fixture(scope="module")
def tasks(begun):
    return [each.task for each in begun.rehearsed("all", "likely", no_time, None).simulated]


def of(kind, tasks):
    return [task for task in tasks if isinstance(task, kind)]


@pytest.mark.parametrize(
    ("width", "step"),
    [(1, 1.0), (4, 1.0), (10, 2.0), (16, 3.0), (28, 5.0)],
)
def test_times_lie_on_lines_between_those_measured_and_beyond(width, step):
    known = [student(4, step=1.0), student(16, step=3.0)]
    assert between(known, width, "width") == student(width, step=step)


def test_wider_stacks_are_never_faster_however_a_trial_went():
    known = [student(4, step=3.0), student(16, step=2.0)]
    assert between(known, 100, "width").step == 2.0


def test_one_trial_stands_for_all():
    assert between([teacher(32, step=0.5)], 512, "batch_size").step == 0.5


def test_the_batch_sizes_that_are_tried_are_few_and_have_the_ends_among_them():
    tried = sizes_to_try(range(1, 100))
    assert len(tried) == 4
    assert (tried[0], tried[-1]) == (1, 99)
    assert sizes_to_try([]) == ()


def test_a_part_of_a_run_costs_the_steps_that_it_takes_on(begun, tasks, tmp_path):
    first, second = [t for t in of(TrajectoryTask, tasks) if t.until in (1, 2)][:2]
    run = next(t for t in of(TrajectoryTask, tasks) if t.until == 2)
    costs = Costs(begun.context, [teacher(run.batch_size, step=0.5, recording=2.0, fixed=10.0)])
    per_epoch = run.points[0].step
    nothing = Store(tmp_path)
    assert costs.seconds("teachers", run, nothing) == 10.0 + 2 * 2.0 + 2 * per_epoch * 0.5
    assert {first.batch_size, second.batch_size} <= {16, 64}


def test_a_run_that_goes_on_costs_only_what_is_left(begun, tasks):
    run = next(t for t in of(TrajectoryTask, tasks) if t.until == 2)
    with_one = begun.rehearsed("again", "at_least", no_time, None).context.store
    done = recorded(with_one, run.key)
    assert [record.epoch for record in done] == [1, 2]
    whole = run.model_copy(update={"until": 4})
    steps = whole.points[-1].step - run.wanted[-1].step
    assert size_of(whole, with_one) == Size(steps, 1)
    assert size_of(run, with_one) == Size()


def test_students_cost_their_steps_points_and_what_is_fixed(begun, tasks, tmp_path):
    task = next(t for t in of(StudentTask, tasks) if t.stage == "search")
    size, width = task.optimization.batch_size, len(task.arms)
    costs = Costs(begun.context, students={size: [student(width, 0.5, 3.0, 7.0, size=size)]})
    steps = task.student_epochs * steps_per_epoch(len(begun.context.data.transfer), size)
    expected = 7.0 + 0.5 * steps + 3.0 * 8
    assert costs.seconds("students", task, Store(tmp_path)) == pytest.approx(expected)


def test_bytes_of_students_hold_their_weights_where_these_are_kept(begun, tasks, tmp_path):
    task = next(t for t in of(StudentTask, tasks) if t.stage == "confirm")
    assert task.keep_state
    size, count = task.optimization.batch_size, len(task.arms)
    known = student(count, size=size, num_bytes=10.0, state_bytes=100.0)
    costs = Costs(begun.context, students={size: [known]})
    assert costs.num_bytes(task, Store(tmp_path)) == 110.0 * count
    without = task.model_copy(update={"keep_state": False})
    assert costs.num_bytes(without, Store(tmp_path)) == 10.0 * count


def test_bytes_of_a_run_hold_what_it_goes_on_from_once(begun, tasks, tmp_path):
    run = next(t for t in of(TrajectoryTask, tasks) if t.until == 2)
    known = teacher(run.batch_size, num_bytes=10.0, resume_bytes=1000.0)
    costs = Costs(begun.context, [known])
    assert costs.num_bytes(run, Store(tmp_path)) == 20.0
    whole = run.model_copy(update={"until": None})
    assert costs.num_bytes(whole, Store(tmp_path)) == 30.0 + 1000.0


def test_widths_that_are_measured_cost_four_steps_each(begun, tasks, tmp_path):
    task = next(t for t in of(StudentTask, tasks) if len(t.arms) > 4)
    width = WidthTask(students=task, machine="here")
    size = task.optimization.batch_size
    costs = Costs(begun.context, students={size: [student(4, step=1.0, fixed=2.0, size=size)]})
    tried = {w for w in (1, 4, 16, 64) if w < len(task.arms)} | {len(task.arms)}
    assert costs.seconds("widths", width, Store(tmp_path)) == len(tried) * 5.0


def test_noted_times_are_those_of_the_stage_and_the_task(tmp_path):
    store = Store(tmp_path)
    store.log("task_done", stage="a", task="one", seconds=2.0)
    store.log("task_done", stage="b", task="one", seconds=3.0)
    clock = noted_times(store)

    class Named:
        key = "one"

    assert [clock(stage, Named(), store) for stage in ("a", "b", "c")] == [2.0, 3.0, 0.0]


def test_short_copies_of_tasks_are_timed_and_scaled_to_all_of_the_data(begun, tasks, tmp_path):
    part = Part(begun.context, tmp_path)
    run = of(TrajectoryTask, tasks)[0]
    found = time_teacher(run, part)
    assert found.batch_size == run.batch_size
    assert min(found.step, found.recording, found.num_bytes, found.resume_bytes) > 0
    widest = max(of(StudentTask, tasks), key=lambda task: len(task.arms))
    stack = time_students(widest, 3, part)
    assert stack.width == 3
    assert min(stack.step, stack.num_bytes, stack.state_bytes) > 0
    assert {p.name.partition("-")[0] for p in tmp_path.iterdir()} == {"teachers", "students"}


def test_a_part_of_the_data_has_examples_from_all_of_it(begun, tmp_path):
    whole = begun.context.data.training
    few = Part(begun.context, tmp_path).context("few", 10).data.training
    assert len(few) == 10
    assert few.ids.tolist() == whole.ids[torch.arange(10) * len(whole) // 10].tolist()


def test_every_task_of_a_search_has_a_time(begun, tasks, tmp_path):
    costs = measure_costs(tasks, begun.context, tmp_path / "copies")
    again = begun.rehearsed("timed", "likely", costs.seconds, None)
    assert len(again.simulated) == len(tasks)
    assert all(each.seconds > 0 for each in again.simulated)


def test_blends_averages_and_cooldowns_are_pretended_and_timed(tmp_path):
    settings = {**SETTINGS, "variants": ("raw", "ema", "cooldown", "average", "blend")}
    with planning._begun(parse(StudyConfig, data="made", **settings), dataset(), None) as begun:
        engine = begun.rehearsed("all", "likely", no_time, None)
        stages = [each.stage for each in engine.simulated]
        recorded_epochs = 3 * len(settings["batch_sizes"])
        assert stages.count("moving averages") == stages.count("cooldowns") == recorded_epochs
        assert stages.count("blends") == 1
        costs = measure_costs(
            [each.task for each in engine.simulated], begun.context, tmp_path / "copies"
        )
        blend = next(each for each in engine.simulated if each.stage == "blends")
        assert costs.seconds("blends", blend.task, engine.context.store) > 0


def test_gains_are_counted_for_each_third_and_shorter_trainings_lose():
    assert LIKELY.gains(0.5, taught=True) == {"much": 0.5, "little": 0.0}
    assert LIKELY.gains(2.0, taught=False) == {"much": 1.0, "little": 0.0}
    assert AT_MOST.gains(5.0, taught=False)["much"] == 5.0


def test_pretended_students_of_a_known_study_go_on_from_what_it_reached(begun, tasks):
    first = begun.rehearsed("known", "likely", no_time, None)
    before = {each.task.key for each in first.simulated}
    again = begun.rehearsed("replayed", "likely", no_time, first.context.store)
    assert {each.task.key for each in again.simulated} == before
    arms = {arm for task in of(StudentTask, tasks) for arm in task.arms}
    assert any(isinstance(arm, Arm) and isinstance(arm.source, Checkpoint) for arm in arms)
