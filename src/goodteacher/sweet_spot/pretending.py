"""Pretended tasks: what they would leave in a study's folder, under an assumption, and no work.

A search decides on its way what it does next. To say beforehand what it will do, its own rules go
through the whole of it over such outputs (`rehearsing`). *Ours*: winners lie within what is tried
but for two numbers, and an :class:`Assumption` says where these lie, for how many epochs students
gain, and when teachers stop.
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

_REACHED, _OFF = 0.3, 0.002
"""Accuracy of pretended students that train as long as at first; and what they lose for each
doubling or halving of a number away from the best one: more than what the rules call a
difference."""

Gain = Literal["much", "little"]
_LITTLE = 0.0015
"""A gain that makes a longer training the winner, but is too little to try a still longer one."""

_RATES = {"inside": 1.0, "on_edge": 2.0, "beyond": 4.0}
"""Best learning rate of label smoothing, as a multiple of that of labels."""

_FALLING = 0.1
"""Nats by which the negative log-likelihood of students falls that are not trained enough."""


@dataclass(frozen=True)
class Assumption:
    """What is assumed of what nobody knows before a search.

    Attributes:
        taught: What students of teachers gain by three times as many epochs, again and again.
        labels: The same of students of labels alone.
        goes_on: Whether all students gain without end.
        edges: Where the best temperature, and the best learning rate of label smoothing, lie:
            ``inside`` of those tried first, ``on_edge``, so that further ones are tried, or
            ``beyond``.
        teachers: Teachers stop as ``early`` as they may; or those that cost more than others stop
            as soon as they may, since they are ``outdone``; or ``never`` before their end.
    """

    taught: tuple[Gain, ...] = ()
    labels: tuple[Gain, ...] = ()
    goes_on: bool = False
    edges: Literal["inside", "on_edge", "beyond"] = "inside"
    teachers: Literal["early", "outdone", "never"] = "outdone"

    def gains(self, thirds: float, *, taught: bool) -> dict[Gain, float]:
        """Return how often students gain much, and little, over those that train as at first.

        Args:
            thirds: How often their epochs are three times as many; below 0 of shorter trainings.
            taught: Whether they learn from a teacher.

        Example:
            >>> LIKELY.gains(3.0, taught=True)
            {'much': 1.0, 'little': 1.0}
            >>> LIKELY.gains(-0.5, taught=False)
            {'much': -0.5, 'little': 0.0}
        """
        found: dict[Gain, float] = {"much": 0.0, "little": 0.0}
        if thirds < 0 or self.goes_on:
            return {**found, "much": thirds}
        for number, gain in enumerate(self.taught if taught else self.labels):
            found[gain] += min(1.0, max(0.0, thirds - number))
        return found


AT_LEAST = Assumption(teachers="early")
LIKELY = Assumption(taught=("much", "little"), labels=("much",), edges="on_edge")
AT_MOST = Assumption(goes_on=True, edges="beyond", teachers="never")


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
        reached = [self._accuracy(task, arm, little=_LITTLE) for arm in task.arms]
        # A little is less than an example, so it is no difference between what they predict.
        right = [round(self._accuracy(task, arm, little=0.0) * len(labels)) for arm in task.arms]
        wrong = torch.remainder(labels + 1, self.context.data.num_classes)
        places = torch.arange(len(labels))
        said = [torch.where(places < count, labels, wrong) for count in right]
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

    def _accuracy(self, task: StudentTask, arm: Arm, *, little: float) -> float:
        """Return what the students of an arm reach on the selection split."""
        if task.stage == "probe" and isinstance(arm.source, Checkpoint):
            return self._of_probe(arm.source)
        first = self.config.first_training(len(self.context.data.transfer))
        training = task.training_of(arm)
        taught = isinstance(arm.source, Checkpoint | Blend)
        thirds = math.log(training.epochs / first.epochs, LONGER)
        smoothed = isinstance(arm.source, SmoothingSource)
        rate = first.learning_rate * (_RATES[self.assumption.edges] if smoothed else 1.0)
        off = [
            (training.learning_rate, rate),
            (training.batch_size, first.batch_size),
        ]
        if taught:
            off.append((arm.recipe.temperature, self._best_temperature))
            off.append((arm.recipe.alpha, _alpha(self.config.alphas)))
        if isinstance(arm.source, SmoothingSource):
            off.append((arm.source.smoothing, _middle(self.config.smoothings)))
        lost = sum(abs(math.log2(value / best)) for value, best in off)
        gains = self.assumption.gains(thirds, taught=taught)
        gain = gains["much"] * self._much + gains["little"] * little
        return min(1.0, max(0.0, self.reached + gain - _OFF * lost))

    @property
    def _best_temperature(self) -> float:
        match self.assumption.edges:
            case "inside":
                return _middle(self.config.temperatures)
            case "on_edge":
                return max(self.config.temperatures)
            case "beyond":
                return 2 * max(self.config.temperatures)

    @property
    def _much(self) -> float:
        """What the rules take for more than chance, with so few examples to tell by."""
        return max(0.02, 4 / len(self.context.data.selection))

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
            store.take_over(task.file, lender, task.file)
        case StudentTask():
            for name in ("rows.parquet", "selection.safetensors"):
                file = f"students/{task.key}/{name}"
                if lender.exists(file):
                    store.take_over(file, lender, file)
        case AverageTask() | CooldownTask() | BlendTask() | TakenTask():
            folder = f"teachers/{task.key}"
            for pattern in (f"{folder}/*", f"{folder}/*/*"):
                for file in lender.matching(pattern):
                    store.take_over(file, lender, file)
        case _:
            pass
