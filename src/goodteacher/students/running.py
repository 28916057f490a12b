"""Training the students of a task: one stack after another, measured along the way."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor

from goodteacher.maths.calibration import calibrated_nll
from goodteacher.records import Arm, LearningPoint, SmoothingSource, StudentRow, TeacherSource
from goodteacher.students.halfway import Halfway
from goodteacher.students.kept import Shelf
from goodteacher.students.plan import StudentTask, WidthTask
from goodteacher.students.stacks import Stacks
from goodteacher.students.targets import TargetRequest, target_of
from goodteacher.studies import Context, Store
from goodteacher.teachers import RecordedTeachers
from goodteacher.training import (
    Stack,
    StackObjective,
    Trainer,
    compute_logits,
    even_groups,
    most_probable,
    target_memory,
    unless_memory_runs_out,
)

_TIMED_STEPS = 3
"""Steps that a trial of a width is timed for."""


class StudentRunner:
    """Trains students; writes predictions, weights and, last, their rows."""

    def done(self, task: StudentTask, store: Store) -> bool:
        """Say whether the task's rows exist."""
        return Shelf(store, task.key).finished

    def run(self, task: StudentTask, context: Context) -> None:
        """Train the task's students."""
        shelf, parts = Shelf(context.store, task.key), list(_Group(task, context).train())
        shelf.write_predictions("selection", torch.cat([part.predictions for part in parts]))
        if task.keep_state:
            shelf.write_state([part.state for part in parts])
        shelf.write_rows(row for part in parts for row in part.rows)
        shelf.drop_parts()


class WidthRunner:
    """Measures how wide stacks of students train fastest."""

    def done(self, task: WidthTask, store: Store) -> bool:
        """Say whether a width is kept, or was never needed since the students are there."""
        return store.exists(task.file) or Shelf(store, task.students.key).finished

    def run(self, task: WidthTask, context: Context) -> None:
        """Try widths, and keep the fastest."""
        _Group(task.students, context).measure_width()


def target_request(task: StudentTask, context: Context) -> TargetRequest:
    """Return whose targets :func:`~goodteacher.students.targets.target_of` shall give."""
    seen, teachers = _seen(task, context), RecordedTeachers(context.store, dict(task.teachers))
    return TargetRequest(seen, task.student, task.data, teachers, task.seed)


def _seen(task: StudentTask, context: Context) -> Context:
    """Return the context with the transfer set that these students see.

    Without the omitted class; unlabelled examples could be of it, so they are left out too.
    """
    if task.omit_class is None:
        return context
    transfer = context.data.transfer
    kept = (transfer.labels != task.omit_class) & (transfer.labels >= 0)
    data = dataclasses.replace(context.data, transfer=transfer.subset(kept.nonzero()[:, 0]))
    return dataclasses.replace(context, data=data)


@dataclass(frozen=True)
class _Measured:
    """What the students of a stack predict on the selection split, and a point for each."""

    predictions: Tensor
    points: list[LearningPoint]


@dataclass(frozen=True)
class _Trained:
    """What one stack leaves behind."""

    predictions: Tensor
    state: dict[str, Tensor]
    rows: list[StudentRow]


class _Group:
    """The students of one task on their way."""

    def __init__(self, task: StudentTask, context: Context) -> None:
        self.task = task
        self.request = target_request(task, context)
        self.context = self.request.context
        self.stacks = Stacks(task, self.context)

    def train(self) -> Iterator[_Trained]:
        """Train every student, in smaller stacks where memory runs out."""
        count, done = len(self.task.arms), 0
        width = self.stacks.width()
        while done < count:
            chunk = [done + i for i in next(even_groups(count - done, width))]
            part = unless_memory_runs_out(partial(self._train, chunk))
            if part is None:
                width = self.stacks.narrower(len(chunk))
                continue
            yield part
            done += len(chunk)

    def measure_width(self) -> None:
        """Choose the width of stacks of such students by trying some."""
        self.stacks.measure_width(self._seconds)

    def _seconds(self, width: int) -> float | None:
        """Measure a step of a stack of the first students; None if it does not fit."""

        def measured() -> float:
            trainer = self._trainer(self.task.arms[:width])
            trainer.run_until(1)  # allocates
            steps = (partial(trainer.run_until, 2 + number) for number in range(_TIMED_STEPS))
            return min(self.context.machine.seconds_of(step) for step in steps)

        return unless_memory_runs_out(measured)

    def _trainer(self, arms: Sequence[Arm]) -> Trainer:
        task, transfer, machine = self.task, self.request.examples, self.context.machine
        sources = list(dict.fromkeys(arm.source for arm in arms))
        objective = StackObjective(
            [target_of(self.request, source) for source in sources],
            [sources.index(arm.source) for arm in arms],
            [arm.recipe for arm in arms],
            transfer,
            labelled_only=[isinstance(arm.source, SmoothingSource) for arm in arms],
            device=machine.device,
            room=target_memory(machine.device, task.memory_gib, sharing=machine.sharing),
        )
        learning_rates = [task.training_of(arm).learning_rate for arm in arms]
        return Trainer(
            self.stacks.new(len(arms)),
            objective,
            transfer,
            plan=task.optimization,
            total_steps=task.student_epochs * self.stacks.steps_per_epoch,
            order_seed=task.seed,
            machine=machine,
            view_of=lambda epoch: epoch % task.data.views,
            learning_rates=torch.tensor(learning_rates, dtype=torch.float64),
        )

    def _train(self, chunk: list[int]) -> _Trained:
        task, arms = self.task, [self.task.arms[i] for i in chunk]
        trainer, per_epoch = self._trainer(arms), self.stacks.steps_per_epoch
        stack, points = cast(Stack, trainer.network), curve_epochs(task.student_epochs)
        halfway = Halfway(Shelf(self.context.store, task.key), chunk)
        done, seconds, curves = halfway.resume(trainer, per_epoch)
        self.context.progress.advance(done * len(arms))
        for epoch in range(done + 1, task.student_epochs + 1):
            segment = trainer.run_until(epoch * per_epoch)
            seconds, loss = seconds + segment.seconds, segment.mean_loss
            if epoch in points:
                measured = self._points(stack, epoch, loss)
                curves.append(measured.points)
            self.context.progress.advance(len(arms))
            if epoch < task.student_epochs:
                halfway.keep(trainer, epoch, seconds, curves)
        healthy = (loss.isfinite() & finite_students(stack).to(loss.device)).cpu()
        rows = [
            row_of(task, arm, tuple(curve), healthy=bool(ok), seconds=seconds / len(arms))
            for arm, curve, ok in zip(arms, zip(*curves, strict=True), healthy, strict=True)
        ]
        return _Trained(measured.predictions, trainer.state() if task.keep_state else {}, rows)

    def _points(self, stack: Stack, epoch: int, loss: Tensor) -> _Measured:
        """Measure the students on the selection split, on their way or at their end."""
        selection, size = self.context.data.selection, self.task.optimization.batch_size
        examples = self.context.examples(self.task.student, selection)
        logits = compute_logits(stack, examples, batch_size=size)
        predictions = most_probable(logits)
        accuracies = accuracy_of(predictions, selection.labels)
        held_out = calibrated_nll(logits, selection.labels).tolist()
        points = [
            LearningPoint(epoch=epoch, accuracy=float(a), nll=_finite(n), training_loss=_finite(x))
            for a, n, x in zip(accuracies, held_out, loss.tolist(), strict=True)
        ]
        return _Measured(predictions, points)


def row_of(
    task: StudentTask,
    arm: Arm,
    curve: tuple[LearningPoint, ...],
    *,
    healthy: bool,
    seconds: float,
) -> StudentRow:
    """Return what is kept of a trained student.

    Args:
        task: The task that it is of.
        arm: What it learned from.
        curve: What was measured along its training, the end last.
        healthy: Whether it did not diverge.
        seconds: Its share of the training time.
    """
    source, last = arm.source, curve[-1]
    return StudentRow(
        task=task.key,
        stage=task.stage,
        rung=task.rung,
        seed=task.seed,
        arm=arm.trained(None).key,
        source=arm.source.kind,
        teacher=str(source) if isinstance(source, TeacherSource) else None,
        run=getattr(source, "run", None),
        epoch=getattr(source, "epoch", None),
        variant=getattr(source, "variant", None),
        smoothing=getattr(source, "smoothing", None),
        **arm.recipe.model_dump(),
        student_epochs=task.student_epochs,
        student_batch_size=task.optimization.batch_size,
        student_learning_rate=task.training_of(arm).learning_rate,
        status="ok" if healthy else "diverged",
        training_loss=last.training_loss if healthy else None,
        selection_accuracy=last.accuracy if healthy else 0.0,
        curve=curve,
        student_seconds=seconds,
    )


def curve_epochs(epochs: int) -> frozenset[int]:
    """Return after which epochs students are measured: each eighth of their training.

    Example:
        >>> sorted(curve_epochs(20)), sorted(curve_epochs(3))
        ([2, 5, 8, 10, 12, 15, 18, 20], [1, 2, 3])
    """
    return frozenset(max(1, round(epochs * eighth / 8)) for eighth in range(1, 9))


def finite_students(stack: Stack) -> Tensor:
    """Say for each student whether all of its weights are finite, bool [S]."""
    checks = [p.detach().isfinite().flatten(1).all(1) for p in stack.parameters()]
    return torch.stack(checks).all(0)


def accuracy_of(predictions: Tensor, labels: Tensor) -> Tensor:
    """Return the share of right predictions.

    Args:
        predictions: Class numbers [S, N].
        labels: Class numbers [N].

    Returns:
        Accuracies in [0, 1], float64 [S].
    """
    return (predictions == labels.to(predictions.dtype)).double().mean(-1)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
