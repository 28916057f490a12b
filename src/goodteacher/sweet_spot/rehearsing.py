"""A search rehearsed: its own rules go through all of it, and nothing is trained.

Tasks leave what `pretending` says they would; how long each would take is known by a clock: of
short copies of tasks (`calibrating`), or of what a study has noted of its own.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from goodteacher.students import StudentTask, WidthTask, curve_epochs
from goodteacher.studies import Context, Store, Task
from goodteacher.sweet_spot.calibrating import (
    Part,
    StudentTimes,
    TeacherTimes,
    sizes_to_try,
    time_blend,
    time_students,
    time_teacher,
    timed,
)
from goodteacher.sweet_spot.pretending import AT_LEAST, AT_MOST, LIKELY, Pretending
from goodteacher.teachers import (
    AverageTask,
    BlendTask,
    CooldownTask,
    TakenTask,
    TrajectoryTask,
    recorded,
)
from goodteacher.training import steps_per_epoch

__all__ = [
    "AT_LEAST",
    "AT_MOST",
    "LIKELY",
    "Clock",
    "Costs",
    "Pretending",
    "Rehearsal",
    "Size",
    "measure_costs",
    "no_time",
    "noted_times",
    "size_of",
]

Clock = Callable[[str, Task, Store], float]
"""Says how many seconds a task of some stage takes, in a folder with what was done before it."""


@dataclass(frozen=True)
class Rehearsal:
    """Stands in for the work of a search's tasks; see :mod:`goodteacher.engines.simulating`.

    Attributes:
        pretending: Leaves what tasks would leave.
        clock: Says how long they would take.
    """

    pretending: Pretending
    clock: Clock

    def seconds(self, stage: str, task: Task) -> float:
        """Return what a task would take."""
        return self.clock(stage, task, self.pretending.context.store)

    def leave(self, stage: str, task: Task) -> None:
        """Leave what the task would leave."""
        self.pretending.leave(task)


def no_time(stage: str, task: Task, store: Store) -> float:
    """Return that a task takes no time: for a rehearsal that only asks which tasks there are."""
    return 0.0


def noted_times(store: Store) -> Clock:
    """Return the clock of what a study has noted of its own tasks; those without a note took none.

    Args:
        store: The study.
    """
    noted: dict[tuple[str, str], float] = defaultdict(float)
    for event in store.events():
        if event["event"] == "task_done":
            noted[event["stage"], event["task"]] += event["seconds"]
    return lambda stage, task, _: noted.get((stage, task.key), 0.0)


@dataclass(frozen=True)
class Size:
    """How much work a task is.

    Attributes:
        teacher_steps: Steps of a teacher.
        recordings: Teachers that are recorded.
        student_epochs: Epochs, each student's counted.
    """

    teacher_steps: int = 0
    recordings: int = 0
    student_epochs: int = 0

    def __add__(self, other: Size) -> Size:
        """Return the size of both."""
        return Size(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def size_of(task: Task, store: Store) -> Size:
    """Return how much work a task is.

    Args:
        task: The task.
        store: A folder with what was done before it: a run goes on from its last record.
    """
    match task:
        case TrajectoryTask():
            before = recorded(store, task.key)
            reached = before[-1].epoch if before else 0
            begun = max((p.step for p in task.points if p.epoch <= reached), default=0)
            new = [point for point in task.wanted if point.epoch > reached]
            new = [point for point in new if point.epoch not in _lent(task)]
            steps = task.wanted[-1].step - begun if new else 0
            return Size(steps, len(new))
        case CooldownTask():
            return Size(task.steps, 1)
        case AverageTask():
            return Size(recordings=1)
        case StudentTask():
            return Size(student_epochs=len(task.arms) * task.student_epochs)
        case _:
            return Size()


def _lent(task: TrajectoryTask) -> set[int]:
    """Return the epochs that another study has of a run."""
    if task.reused is None:
        return set()
    return {r.epoch for r in recorded(Store.open(task.reused.folder), task.reused.key)}


@dataclass(frozen=True)
class Costs:
    """How long tasks take here, and how much they write, by short copies of some of them.

    Attributes:
        context: The study.
        teachers: Times of teachers, by ascending batch size.
        students: Times of students, by batch size and ascending width.
        others: Seconds of tasks that were timed one by one, or of all of a kind.
    """

    context: Context
    teachers: Sequence[TeacherTimes] = ()
    students: Mapping[int, Sequence[StudentTimes]] = field(default_factory=dict)
    others: Mapping[str, float] = field(default_factory=dict)

    def seconds(self, stage: str, task: Task, store: Store) -> float:
        """Return how long a task takes; it is a :data:`Clock`."""
        match task:
            case TrajectoryTask() | CooldownTask() | AverageTask():
                return self._of_teacher(task, store)
            case StudentTask():
                times = self._student(task.optimization.batch_size, len(task.arms))
                points = len(curve_epochs(task.student_epochs))
                steps = task.student_epochs * self._per_epoch(task)
                return times.fixed + steps * times.step + points * times.point
            case WidthTask():
                return self._of_width(task)
            case _:
                return self.others.get(task.key, 0.0)

    def num_bytes(self, task: Task, store: Store) -> float:
        """Return how much a task leaves on the disk."""
        match task:
            case TrajectoryTask():
                times = self._teacher(task.batch_size)
                ends = task.wanted[-1] == task.points[-1]
                recordings = size_of(task, store).recordings
                return recordings * times.num_bytes + ends * times.resume_bytes
            case CooldownTask() | AverageTask():
                return self._teacher(task.trunk.batch_size).num_bytes
            case StudentTask():
                times_ = self._student(task.optimization.batch_size, len(task.arms))
                each = times_.num_bytes + task.keep_state * times_.state_bytes
                return len(task.arms) * each
            case _:
                return 0.0

    def _of_teacher(self, task: TrajectoryTask | CooldownTask | AverageTask, store: Store) -> float:
        trunk = task if isinstance(task, TrajectoryTask) else task.trunk
        times, size = self._teacher(trunk.batch_size), size_of(task, store)
        return times.fixed + size.teacher_steps * times.step + size.recordings * times.recording

    def _of_width(self, task: WidthTask) -> float:
        """Return the seconds of four steps at each width that is tried."""
        count, size = len(task.students.arms), task.students.optimization.batch_size
        widths = {4**k for k in range(16) if 4**k < count} | {count}
        each = [self._student(size, width) for width in widths]
        return sum(times.fixed / 2 + 4 * times.step for times in each)

    def _per_epoch(self, task: StudentTask) -> int:
        return steps_per_epoch(len(self.context.data.transfer), task.optimization.batch_size)

    def _teacher(self, batch_size: int) -> TeacherTimes:
        return between(self.teachers, batch_size, "batch_size")

    def _student(self, batch_size: int, width: int) -> StudentTimes:
        nearest = min(self.students, key=lambda size: abs(math.log(size / batch_size)))
        return between(self.students[nearest], width, "width")


TimesT = TypeVar("TimesT", TeacherTimes, StudentTimes)


def between(known: Sequence[TimesT], value: int, by: str) -> TimesT:
    """Return times at some value, on the line through those known at its sides.

    Beyond the last it is the line through the last two, but never falls.

    Args:
        known: At ascending values.
        value: The batch size, or the width.
        by: Which of them: the field that holds it.
    """
    places = [getattr(each, by) for each in known]
    numbers = {
        each.name: _on_line(places, [getattr(one, each.name) for one in known], value)
        for each in fields(known[0])
        if each.type == "float"
    }
    changes: dict[str, Any] = {**numbers, by: value}
    return replace(known[0], **changes)


def _on_line(places: Sequence[int], values: Sequence[float], at: int) -> float:
    if at > places[-1] and len(places) > 1:
        slope = (values[-1] - values[-2]) / (places[-1] - places[-2])
        return values[-1] + max(0.0, slope) * (at - places[-1])
    return float(np.interp(at, places, values))


_SECONDS_OF_STEP = 0.25
"""A stack whose step would take longer is not tried: a narrower one stands for it."""

_WORTH = 0.05
"""Share of the students' work from which on a batch size has a trial of its own."""


def measure_costs(tasks: Sequence[Task], context: Context, folder: Path) -> Costs:
    """Run short copies of some tasks, and return how long tasks take.

    Args:
        tasks: Those that a search has, or may have.
        context: The study.
        folder: Where short copies work; it goes again.
    """
    part = Part(context, folder)
    runs = {task.batch_size: task for task in tasks if isinstance(task, TrajectoryTask)}
    teachers = [time_teacher(runs[size], part) for size in sizes_to_try(runs)]
    students: dict[int, Sequence[StudentTimes]] = {}
    stacks = [task for task in tasks if isinstance(task, StudentTask)]
    for size in _worth_trying(stacks):
        own = [task for task in stacks if task.optimization.batch_size == size]
        students[size] = _student_times(max(own, key=lambda task: len(task.arms)), part)
    taken = part.context("taken", len(context.data.transfer))
    others = {task.key: timed(task, taken) for task in tasks if isinstance(task, TakenTask)}
    blends = {t.key: time_blend(t, part) for t in tasks if isinstance(t, BlendTask)}
    return Costs(context, teachers, students, {**others, **blends})


def _worth_trying(tasks: Iterable[StudentTask]) -> list[int]:
    """Return the batch sizes that most of the students' work is done with."""
    work: dict[int, float] = defaultdict(float)
    for task in tasks:
        work[task.optimization.batch_size] += task.work / task.optimization.batch_size
    least = _WORTH * sum(work.values())
    return sorted(size for size, steps in work.items() if steps >= least)


def _student_times(task: StudentTask, part: Part) -> list[StudentTimes]:
    """Return the times of narrow and of wide stacks of such students."""
    widest = len(task.arms)
    narrow = time_students(task, min(4, widest), part)
    cost = narrow.step / narrow.width
    wide = [w for w in {16, 64, widest} if 4 < w <= widest and cost * w <= _SECONDS_OF_STEP]
    other = max(wide) if wide else 1
    if other == narrow.width:
        return [narrow]
    return sorted([narrow, time_students(task, other, part)], key=lambda times: times.width)
