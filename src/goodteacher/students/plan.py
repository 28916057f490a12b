"""Tasks of students, described: the arms of one seed, trained as a stack.

A :class:`StudentTask` is one student for each arm, from the same initial weights, on the same order
of examples, so the arms of a seed differ by what they learn from - and, where that was tuned, by
how fast they learn - and by nothing else. Arms that train for other numbers of epochs, or in other
batches, are tasks of their own. `running` trains them, `kept` reads what they left.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, cast

from goodteacher.config import (
    DistillConfig,
    Frozen,
    Optimization,
    StudyConfig,
    Training,
    digest_of,
)
from goodteacher.records import Arm, Stage
from goodteacher.studies import Context, DataKey, Engine, Flow, Needs
from goodteacher.training import steps_per_epoch


class StudentTask(Frozen):
    """Students of one seed, one for each arm, trained to the end."""

    runner: ClassVar[str] = "goodteacher.students.running:StudentRunner"

    data: DataKey
    student: str
    optimization: Optimization
    student_epochs: int
    seed: int
    arms: tuple[Arm, ...]
    teachers: tuple[tuple[str, str], ...] = ()
    stage: Stage
    rung: int = 0
    keep_state: bool
    memory_gib: float | None = None
    stack_width: int | None = None
    omit_class: int | None = None

    @property
    def key(self) -> str:
        """Name of the task and of its folder below ``students/``."""
        return _name_of(self)

    @property
    def work(self) -> float:
        """Size of the task, in student-epochs."""
        return float(len(self.arms) * self.student_epochs)

    def training_of(self, arm: Arm) -> Training:
        """Return how one of the task's arms trains."""
        return arm.training or Training(
            epochs=self.student_epochs,
            batch_size=self.optimization.batch_size,
            learning_rate=self.optimization.learning_rate,
        )


@lru_cache(maxsize=256)  # asked for with every row, and a digest of many arms takes milliseconds
def _name_of(task: StudentTask) -> str:
    # How wide a stack may be changes the grouping, never what is trained.
    digest = task.digest(but=("memory_gib", "stack_width"))
    return f"{task.stage}-{task.rung}-seed-{task.seed}-{digest}"


class WidthTask(Frozen):
    """How many students like those of a task train in one stack on a machine: to be measured.

    It is a task of its own, before those of the students, so that whichever process trains them
    finds the same width, and stacks of one width agree to the last bit.
    """

    runner: ClassVar[str] = "goodteacher.students.running:WidthRunner"

    students: StudentTask
    machine: str

    @property
    def key(self) -> str:
        """Name of the task: of about as many such students, on such a machine."""
        task = self.students
        cap = 4 ** math.ceil(math.log(len(task.arms), 4))
        alike = [task.student, task.optimization.identity(), task.data.identity(), self.machine]
        return f"width-{digest_of(alike)[:8]}-{cap}"

    @property
    def file(self) -> str:
        """Where the width is kept."""
        return f"students/{self.key}.json"

    @property
    def work(self) -> float:
        """None that would be worth showing."""
        return 0.0


_WORTH_MEASURING = 400
"""Steps of a task from which on widths are tried: all trials then take about a hundredth of it."""


@dataclass(frozen=True)
class Students:
    """How the students of a folder are made: everything but what they learn from.

    Attributes:
        config: The student and its optimizer, and how it runs.
        context: Data, folder and machine.
        engine: Where they train.
        key: What their results depend on besides their settings.
        teachers: Trajectories, as (run, task key).
    """

    config: StudyConfig | DistillConfig
    context: Context
    engine: Engine
    key: DataKey
    teachers: tuple[tuple[str, str], ...] = ()

    def tasks(
        self,
        arms: Iterable[Arm],
        training: Training,
        *,
        stage: Stage,
        seeds: Sequence[int],
        rung: int = 0,
        keep_state: bool = True,
        omit_class: int | None = None,
    ) -> tuple[StudentTask, ...]:
        """Return the tasks that train every arm to the end, with every seed.

        Arms that train alike share a task: one for each seed and each number of epochs and batch
        size.

        Args:
            arms: What students learn from; an arm given twice is trained once.
            training: How an arm trains that has no training of its own.
            stage: What the tasks are for.
            seeds: Student seeds.
            rung: Which round of the stage this is, from 0.
            keep_state: Whether the students' weights are kept.
            omit_class: Number of a class whose examples the students never see.
        """
        groups: dict[tuple[int, int], list[Arm]] = defaultdict(list)
        for arm in dict.fromkeys(arms):
            own = arm.training or training
            groups[own.epochs, own.batch_size].append(arm)
        return tuple(
            StudentTask(
                data=self.key,
                student=self.config.student,
                optimization=self.config.student_optimization(
                    training.model_copy(update={"batch_size": batch_size})
                ),
                student_epochs=epochs,
                seed=seed,
                arms=tuple(members),
                teachers=self.teachers,
                stage=stage,
                rung=rung,
                keep_state=keep_state,
                memory_gib=self.config.memory_gib,
                stack_width=self.config.stack_width,
                omit_class=omit_class,
            )
            for (epochs, batch_size), members in groups.items()
            for seed in seeds
        )

    def train(self, name: str, tasks: tuple[StudentTask, ...]) -> tuple[StudentTask, ...]:
        """Run tasks, and return them.

        Args:
            name: What a watcher calls them.
            tasks: From :meth:`tasks`.
        """
        (done,) = self.engine.together(self.training(name, tasks))
        return cast("tuple[StudentTask, ...]", done)

    def training(self, name: str, tasks: tuple[StudentTask, ...]) -> Flow[tuple[StudentTask, ...]]:
        """Do the same as a flow, beside others; see :meth:`train`."""
        widths = self._widths(tasks)
        if widths:
            yield Needs("how many students to train at once", widths)
        yield Needs(name, tasks)
        return tasks

    def _widths(self, tasks: Iterable[StudentTask]) -> tuple[WidthTask, ...]:
        """Return what is to be measured before tasks are worth starting: one for all alike."""
        machine, count = str(self.context.machine), len(self.context.data.transfer)
        long = [
            WidthTask(students=task, machine=machine)
            for task in tasks
            if not task.stack_width
            and task.student_epochs * steps_per_epoch(count, task.optimization.batch_size)
            >= _WORTH_MEASURING
        ]
        return tuple({task.key: task for task in reversed(long)}.values())[::-1]


def by_arm(tasks: Iterable[StudentTask]) -> dict[Arm, list[tuple[StudentTask, int]]]:
    """Return for each arm the tasks that train it, by seed, and its place in each of them."""
    found: dict[Arm, list[tuple[StudentTask, int]]] = defaultdict(list)
    for task in sorted(tasks, key=lambda task: task.seed):
        for place, arm in enumerate(task.arms):
            found[arm].append((task, place))
    return dict(found)
