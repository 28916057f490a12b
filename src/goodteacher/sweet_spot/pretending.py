"""Pretended tasks: what they would leave in a study's folder, under an assumption, and no work.

A search decides on its way what it does next. To say beforehand what it will do, its own rules go
through the whole of it over such outputs (`rehearsing`). *Ours*: winners lie within what is tried,
and an :class:`Assumption` says for how many epochs students gain, and when teachers stop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatchmethod
from typing import Literal

import torch

from goodteacher.config import StudyConfig
from goodteacher.records import (
    Arm,
    Blend,
    BlendRecord,
    Checkpoint,
    LearningPoint,
    Measurement,
    SmoothingSource,
    TrajectoryRecord,
)
from goodteacher.students import (
    LONGER,
    Shelf,
    StudentTask,
    WidthTask,
    curve_epochs,
    row_of,
)
from goodteacher.studies import Context, Store, Task, is_done, runner_of
from goodteacher.teachers import (
    AverageTask,
    BlendTask,
    CooldownTask,
    TakenTask,
    TrajectoryTask,
    equal_means,
    recorded,
    write_blends,
    write_recorded,
)
from goodteacher.training import WidthChoice

_REACHED, _GAIN, _OFF = 0.6, 0.02, 0.002
"""Accuracy of pretended students that train as long as at first; what they gain by three times as
many epochs while they gain; and what they lose for each doubling or halving of a number away from
the best one, which is more than what the rules call a difference."""

_FALLING = 0.1
"""Nats by which the negative log-likelihood of students falls that are not trained enough."""


@dataclass(frozen=True)
class Assumption:
    """What is assumed of what nobody knows before a search.

    Attributes:
        taught: What students of teachers gain by three times as many epochs, again and again.
        labels: The same of students of labels alone.
        goes_on: Whether all students gain without end.
        teachers: Teachers stop as ``early`` as they may; or those that cost more than others stop
            as soon as they may, since they are ``outdone``; or ``never`` before their end.
    """

    taught: tuple[float, ...] = ()
    labels: tuple[float, ...] = ()
    goes_on: bool = False
    teachers: Literal["early", "outdone", "never"] = "outdone"

    def gain(self, thirds: float, *, taught: bool) -> float:
        """Return what students gain over those that train as long as at first.

        Args:
            thirds: How often their epochs are three times as many; below 0 of shorter trainings.
            taught: Whether they learn from a teacher.

        Example:
            >>> round(Assumption(taught=(0.02, 0.003)).gain(3, taught=True), 4)
            0.023
        """
        if thirds < 0 or self.goes_on:
            return _GAIN * thirds
        gains = self.taught if taught else self.labels
        return sum(gain * min(1.0, max(0.0, thirds - n)) for n, gain in enumerate(gains))


AT_LEAST = Assumption(teachers="early")
LIKELY = Assumption(taught=(_GAIN, 0.003), labels=(_GAIN,))
"""The second gain is one that is taken, but not enough to try still more epochs."""
AT_MOST = Assumption(goes_on=True, teachers="never")


@dataclass
class Pretending:
    """Leaves what tasks would leave.

    Attributes:
        config: The study's settings.
        context: Its data, and a folder that goes again.
        assumption: What is assumed.
        known: A study that has done some of the tasks: what it has is taken from there.
        reached: Accuracy of students that train as long as at first.
    """

    config: StudyConfig
    context: Context
    assumption: Assumption = LIKELY
    known: Store | None = None
    reached: float = _REACHED

    def leave(self, task: Task) -> None:
        """Leave what a task leaves: what is known of it, or what is assumed."""
        if self.known is None or not is_done(task, self.known):
            self._pretend(task)
            return
        take_known(task, self.known, self.context.store)
        if isinstance(task, StudentTask) and task.stage != "probe":
            found = [row.selection_accuracy for row in Shelf(self.known, task.key).rows()]
            self.reached = max(self.reached, *found)

    @singledispatchmethod
    def _pretend(self, task: Task) -> None:
        # A run that was recorded elsewhere is there, and to take it needs no training.
        runner_of(task).run(task, self.context)

    @_pretend.register
    def _(self, task: TrajectoryTask) -> None:
        store, before = self.context.store, recorded(self.context.store, task.key)
        reached = {record.epoch for record in before}
        new = [self._record(task, p.epoch, p.step) for p in task.wanted if p.epoch not in reached]
        write_recorded(store, task.key, [*before, *new])

    @_pretend.register(AverageTask)
    @_pretend.register(CooldownTask)
    def _(self, task: AverageTask | CooldownTask) -> None:
        record = self._record(task.trunk, task.epoch, step=0)
        made = record.model_copy(update={"variant": task.variant})
        write_recorded(self.context.store, task.key, [made])

    @_pretend.register
    def _(self, task: BlendTask) -> None:
        measured = self._measurements(0.5, 1.0)
        records = [
            BlendRecord(source=each, optimal_temperature=1.0, measurements=measured)
            for each in equal_means(task)
        ]
        write_blends(self.context.store, task, records)

    @_pretend.register
    def _(self, task: WidthTask) -> None:
        choice = WidthChoice(width=len(task.students.arms))
        self.context.store.write_json(task.file, choice)

    @_pretend.register
    def _(self, task: StudentTask) -> None:
        shelf, labels = Shelf(self.context.store, task.key), self.context.data.selection.labels
        reached = [self._accuracy(task, arm) for arm in task.arms]
        wrong = torch.remainder(labels + 1, self.context.data.num_classes)
        places = torch.arange(len(labels))
        said = [torch.where(places < round(a * len(labels)), labels, wrong) for a in reached]
        shelf.write_predictions("selection", torch.stack(said).int())
        shelf.write_rows(
            row_of(task, arm, self._curve(task, accuracy), healthy=True, seconds=0.0)
            for arm, accuracy in zip(task.arms, reached, strict=True)
        )

    def _record(self, task: TrajectoryTask, epoch: int, step: int) -> TrajectoryRecord:
        """Return a healthy teacher: more accurate with time, its likelihood best on the way."""
        done = epoch / task.points[-1].epoch
        return TrajectoryRecord(
            run=task.run.name,
            attributes=task.run.attributes,
            epoch=epoch,
            steps=step,
            seconds=0.0,
            optimal_temperature=1.0,
            measurements=self._measurements(0.5 + 0.4 * done, 1.0 + abs(done - 0.5)),
        )

    def _measurements(self, accuracy: float, nll: float) -> tuple[Measurement, ...]:
        same = dict.fromkeys(_MEASURES, accuracy)
        return tuple(
            Measurement.model_validate(
                {**same, "split": split, "temperature": temperature, "nll": nll}
            )
            for split in ("transfer", "selection")
            for temperature in sorted({1.0, *self.config.temperatures})
        )

    def _accuracy(self, task: StudentTask, arm: Arm) -> float:
        """Return what the students of an arm reach on the selection split."""
        if task.stage == "probe" and isinstance(arm.source, Checkpoint):
            return self._of_probe(arm.source)
        first = self.config.first_training(len(self.context.data.transfer))
        training = task.training_of(arm)
        taught = isinstance(arm.source, Checkpoint | Blend)
        thirds = math.log(training.epochs / first.epochs, LONGER)
        off = [
            (training.learning_rate, first.learning_rate),
            (training.batch_size, first.batch_size),
        ]
        if taught:
            off.append((arm.recipe.temperature, _middle(self.config.temperatures)))
            off.append((arm.recipe.alpha, _alpha(self.config.alphas)))
        if isinstance(arm.source, SmoothingSource):
            off.append((arm.source.smoothing, _middle(self.config.smoothings)))
        lost = sum(abs(math.log2(value / best)) for value, best in off)
        gain = self.assumption.gain(thirds, taught=taught)
        return min(1.0, max(0.0, self.reached + gain - _OFF * lost))

    def _of_probe(self, teacher: Checkpoint) -> float:
        """Return what probe students of a recorded epoch reach: by this, teachers stop or go on."""
        recorded_before = sum(e < teacher.epoch for e in self.config.recorded_epochs)
        runs = {run.name for run in self.config.runs}
        dear = len(self.config.cheaper_than(teacher.run)) if teacher.run in runs else 0
        match self.assumption.teachers:
            case "early":
                return _REACHED - _OFF * recorded_before
            case "outdone":
                return _REACHED + _OFF * recorded_before
            case "never":
                return _REACHED + _OFF * (recorded_before + dear)

    def _curve(self, task: StudentTask, accuracy: float) -> tuple[LearningPoint, ...]:
        falling = _FALLING if self.assumption.goes_on else 0.0
        return tuple(
            LearningPoint(
                epoch=epoch,
                accuracy=accuracy,
                nll=1.0 - falling * epoch / task.student_epochs,
                training_loss=1.0,
            )
            for epoch in sorted(curve_epochs(task.student_epochs))
        )


_MEASURES = (
    "accuracy",
    "brier",
    "ace",
    "similarity",
    "class_part",
    "instance_part",
    "effective_classes",
    "share_one_hot",
    "off_class_mass",
    "entropy",
    "wrong_class_variance",
    "cmi",
)


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _alpha(values: Sequence[float]) -> float:
    """Return the best alpha: the end of the scale where it is tried, since no axis passes it."""
    return 1.0 if 1.0 in values else _middle([value for value in values if value > 0])


def take_known(task: Task, lender: Store, store: Store) -> None:
    """Take over what another folder has of a task, as far as later tasks are chosen by it.

    Args:
        task: The task, done there.
        lender: The other folder.
        store: The folder.
    """
    match task:
        case TrajectoryTask():
            wanted = {point.epoch for point in task.wanted}
            found = [r for r in recorded(lender, task.key) if r.epoch in wanted]
            # Whether it stopped is found out again, by the same rules.
            plain = [r.model_copy(update={"stopped": False, "outdone_by": None}) for r in found]
            write_recorded(store, task.key, plain)
        case WidthTask() if lender.exists(task.file):
            store.take_over(task.file, lender.path(task.file))
        case StudentTask():
            for path in sorted(lender.path("students", task.key).iterdir()):
                if path.name in ("rows.parquet", "selection.safetensors"):
                    store.take_over(f"students/{task.key}/{path.name}", path)
        case AverageTask() | CooldownTask() | BlendTask() | TakenTask():
            folder = lender.path("teachers", task.key)
            for path in sorted(p for p in folder.rglob("*") if p.is_file()):
                store.take_over(str(path.relative_to(lender.root)), path)
        case _:
            pass
