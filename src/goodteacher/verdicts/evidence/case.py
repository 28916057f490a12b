"""What every piece of evidence starts from: the teacher, its students, and paired comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from torch import Tensor

from goodteacher.config import Recipe, Training, VerifyConfig
from goodteacher.data import Split
from goodteacher.maths.statistics import Interval, accuracy_interval, simultaneous
from goodteacher.records import Arm, Estimate, FileSource, JointEffect, TeacherSource
from goodteacher.responses import Logits
from goodteacher.students import (
    Correct,
    Predicted,
    Students,
    StudentTask,
    by_arm,
    predicted_by_arm,
    target_of,
    target_request,
)
from goodteacher.studies import Context
from goodteacher.verdicts.rule import RUNGS

PLAIN, CONSTANT, CONFIDENT, ALIKE, FULL = RUNGS
"""The rungs by role: labels, constant smoothing, own confidence, class similarity, response."""


@dataclass(frozen=True)
class Teachers:
    """What two teachers predict on a split.

    Attributes:
        own: Classes that the judged teacher predicts, int64 [N]; None where they are not known.
        independent: The same of a teacher that the students never learned from.
        independent_name: What the report calls it.
        missing: Why one of them is not there.
        on_test: Asks the same of the test split, once it is open; None where nobody can be asked.
    """

    own: Tensor | None = None
    independent: Tensor | None = None
    independent_name: str | None = None
    missing: str | None = None
    on_test: Callable[[Split], Teachers] | None = None


@dataclass(frozen=True)
class Case:
    """A verification that has been judged.

    Attributes:
        context: Data, folder and machine.
        config: Its settings.
        source: The response that was judged.
        arms: The arms of the verdict by name.
        tasks: Their finished tasks.
        students: How further students are made.
        teachers: What teachers predict on the selection split.
    """

    context: Context
    config: VerifyConfig
    source: TeacherSource | FileSource
    arms: Mapping[str, Arm]
    tasks: Sequence[StudentTask]
    students: Students
    teachers: Teachers = Teachers()

    @property
    def recipe(self) -> Recipe:
        """How the students of the full response learned."""
        return self.arms[FULL].recipe

    @property
    def training(self) -> Training:
        """How the students of the full response trained."""
        (task, place), *_ = by_arm(self.tasks)[self.arms[FULL]]
        return task.training_of(task.arms[place])

    @property
    def num_seeds(self) -> int:
        """Seeds of the verdict."""
        return len({task.seed for task in self.tasks})

    @cached_property
    def test(self) -> Split:
        """The test split, opened once."""
        return self.context.data.test.open("every choice is made: gather evidence")

    @cached_property
    def labels(self) -> npt.NDArray[np.int64]:
        """Classes of the test examples, [N]."""
        return np.asarray(self.test.labels.numpy(), dtype=np.int64)

    @cached_property
    def predicted(self) -> Mapping[str, Predicted]:
        """What the verdict's students predict on the test split, int32 [S, N] by arm."""
        found = predicted_by_arm(self.context, self.tasks, self.test, "test")
        return {name: found[arm] for name, arm in self.arms.items()}

    def correct(self, name: str) -> Correct:
        """Say which of an arm's students are right on which test examples, bool [S, N]."""
        return np.asarray(self.predicted[name] == self.labels)

    @cached_property
    def response(self) -> Logits:
        """The judged response to the plain view of the transfer set, raw logits [N, C]."""
        return target_of(target_request(self.tasks[0], self.context), self.source)[0]

    def train(
        self,
        arms: Iterable[Arm],
        stage: str,
        *,
        omit_class: int | None = None,
        num_seeds: int | None = None,
    ) -> tuple[StudentTask, ...]:
        """Train further arms with the first of the verdict's seeds.

        Args:
            arms: What the students learn from; those without a training of their own train as the
                full response's.
            stage: What a watcher calls it.
            omit_class: A class that the students never see.
            num_seeds: How many seeds; by default ``evidence_seeds``.
        """
        first = min(task.seed for task in self.tasks)
        count = num_seeds or self.config.evidence_seeds or self.config.seeds
        seeds = range(first, first + count)
        tasks = self.students.tasks(
            arms, self.training, stage="verify", seeds=seeds, omit_class=omit_class
        )
        return self.students.train(stage, tasks)


def joint_effects(intervals: Sequence[Interval], *, level: float) -> list[JointEffect]:
    """Return differences that are read together, each with its own and its joint interval.

    Args:
        intervals: All of a family.
        level: Level of each and of all together.
    """
    joint = simultaneous(intervals, level=level)
    return [joint_effect(one, wide) for one, wide in zip(intervals, joint, strict=True)]


def joint_effect(single: Interval, joint: Interval) -> JointEffect:
    """Return a difference with its own interval, and the one that holds for its whole family."""
    return JointEffect(
        mean=single.mean,
        interval=(single.low, single.high),
        adjusted_interval=(joint.low, joint.high),
    )


def estimate(hits: npt.NDArray[np.bool_], *, level: float) -> Estimate:
    """Return the share of hits with its interval.

    Args:
        hits: bool [S, N], N at least 2.
        level: Level of the interval.
    """
    interval = accuracy_interval(hits, level=level)
    return Estimate(mean=interval.mean, interval=(interval.low, interval.high))
