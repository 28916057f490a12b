"""Groups of students: the arms of one seed, trained as a stack.

A :class:`StudentTask` trains one student for each arm from the same initial weights on the same
order of examples, so the arms of a seed differ by what they learn from - and, where that was tuned,
by how fast they learn - and by nothing else. Arms that train for other numbers of epochs, or in
other batches, are tasks of their own.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from goodteacher.arms import Arm, SmoothingSource
from goodteacher.calibration import calibrated_nll
from goodteacher.config import (
    DistillConfig,
    Frozen,
    Optimization,
    StudyConfig,
    Training,
    digest_of,
)
from goodteacher.data import Examples, Split
from goodteacher.errors import RunError
from goodteacher.models import build_model
from goodteacher.results import LearningPoint, Stage, StudentRow
from goodteacher.store import Store
from goodteacher.student_targets import TargetRequest, target_of
from goodteacher.tasks import Context, DataKey, Engine
from goodteacher.training.evaluate import compute_logits, compute_predictions
from goodteacher.training.loop import Trainer, steps_per_epoch
from goodteacher.training.memory import stack_memory, unless_memory_runs_out
from goodteacher.training.objective import StackObjective
from goodteacher.training.stacking import Stack, stack_networks
from goodteacher.training.width import WidthChoice, even_groups, fastest_width, widest_stack

_TIMED_STEPS, _WORTH_MEASURING = 3, 400
"""Steps that a trial of a width is timed for, and steps of a task from which on it is tried: all
trials of a task then take about a hundredth of its time."""


class StudentTask(Frozen):
    """Students of one seed, one for each arm, trained to the end."""

    data: DataKey
    student: str
    optimization: Optimization
    student_epochs: int
    seed: int
    arms: tuple[Arm, ...]
    teachers: tuple[tuple[int, str], ...] = ()
    stage: Stage
    rung: int = 0
    keep_state: bool
    memory_gib: float | None = None
    stack_width: int | None = None
    omit_class: int | None = None

    @property
    def key(self) -> str:
        """Name of the task and of its folder below ``students/``."""
        # How wide a stack may be changes the grouping, never what is trained.
        fields = self.model_dump(mode="json", exclude={"memory_gib", "stack_width"})
        return f"{self.stage}-{self.rung}-seed-{self.seed}-{digest_of(fields)[:8]}"

    @property
    def work(self) -> float:
        """Size of the task, in student-epochs."""
        return float(len(self.arms) * self.student_epochs)

    def done(self, store: Store) -> bool:
        """Say whether the task's rows exist."""
        return store.exists(rows_file(self.key))

    def rows(self, store: Store) -> list[StudentRow]:
        """Return one row for each arm, in the order of ``arms``."""
        return store.read_table(rows_file(self.key), StudentRow)

    def predictions(self, store: Store, split: str) -> Tensor:
        """Return predicted classes on ``selection`` or ``test``, int16 [S, N]."""
        return store.read_tensors(self._file(f"{split}.safetensors"))["predictions"]

    def has_predictions(self, store: Store, split: str) -> bool:
        """Say whether the students have been run on a split."""
        return store.exists(self._file(f"{split}.safetensors"))

    def run(self, context: Context) -> None:
        """Train the students; write predictions, state and, last, their rows."""
        store, context = context.store, self._seen(context)
        parts = list(self._train_all(context))
        predictions = torch.cat([part.predictions for part in parts])
        store.write_tensors(self._file("selection.safetensors"), {"predictions": predictions})
        if self.keep_state:
            store.write_tensors(self._file("state.safetensors"), _joined([p.state for p in parts]))
        rows = [row for part in parts for row in part.rows]
        store.write_table(rows_file(self.key), rows, StudentRow)

    def drop_state(self, store: Store) -> None:
        """Remove the students' weights, once they have been asked all that they will be."""
        store.remove(self._file("state.safetensors"))

    def predict(self, context: Context, split: Split, name: str) -> None:
        """Run the trained students on another split and keep their predictions."""
        stacks = self._trained(context)
        parts = [self._predictions(context, stack, split) for stack in stacks]
        tensors = {"predictions": torch.cat(parts)}
        context.store.write_tensors(self._file(f"{name}.safetensors"), tensors)

    def logits(self, context: Context, split: Split) -> Tensor:
        """Run the trained students on a split and return their logits, float32 [S, N, C]."""
        examples, size = context.examples(split), self.optimization.batch_size
        stacks = self._trained(context)
        parts = [compute_logits(stack, examples, batch_size=size) for stack in stacks]
        return torch.cat(parts)

    def load_student(self, context: Context, arm: Arm) -> nn.Module:
        """Return the trained student of an arm as a plain network in evaluation mode."""
        state = self._state(context.store, [self.arms.index(arm)])
        stack = self._stack(context, 1)
        stack.load_state_dict(_network_part(state))
        network = self._network(context)
        network.load_state_dict(stack.state_dict_of(0))
        network.eval()
        return network

    def _file(self, name: str) -> str:
        return f"students/{self.key}/{name}"

    def _network(self, context: Context) -> nn.Module:
        return build_model(
            self.student,
            num_classes=context.data.num_classes,
            input_shape=context.data.input_shape,
            seed=self.seed,
        )

    def _stack(self, context: Context, num_students: int) -> Stack:
        network = self._network(context)
        stack = stack_networks([network] * num_students, example_input=_sample(context))
        return stack.to(context.machine.device)

    def _chunks(self, context: Context) -> Iterator[list[int]]:
        width = self._choose_width(context).width
        yield from (list(group) for group in even_groups(len(self.arms), width))

    def _choose_width(self, context: Context) -> WidthChoice:
        """Return how many students to train at once: as recorded in the folder, or chosen now.

        Stacks of other widths agree but for rounding, so a study that goes on keeps its widths.
        """
        if context.store.exists(self._width_file):
            return context.store.read_json(self._width_file, WidthChoice)
        limit = min(len(self.arms), self.stack_width or self._memory_limit(context))
        steps = self.student_epochs * self._steps_per_epoch(context)
        if self.stack_width or limit == 1 or steps < _WORTH_MEASURING:
            choice = WidthChoice(width=limit)
        else:
            choice = fastest_width(lambda width: self._seconds(context, width), limit=limit)
        if choice.trials or limit < len(self.arms):
            self._keep_width(context, choice)
        return choice

    def _keep_width(self, context: Context, choice: WidthChoice) -> None:
        context.progress.note(f"{self.student} students train in {choice}")
        context.store.log("stack_width", student=self.student, **choice.model_dump(mode="json"))
        context.store.write_json(self._width_file, choice)

    @property
    def _width_file(self) -> str:
        """Where the width of stacks like this one is kept: of about as many such students."""
        cap = 4 ** math.ceil(math.log(len(self.arms), 4))
        optimization = self.optimization.model_dump(mode="json")
        kind = digest_of([self.student, optimization, self.data.model_dump(mode="json")])[:8]
        return f"students/width-{kind}-{cap}.json"

    def _memory_limit(self, context: Context) -> int:
        return widest_stack(
            self._network(context),
            _sample(context),
            batch_size=self.optimization.batch_size,
            memory_bytes=stack_memory(context.machine.device, self.memory_gib),
        )

    def _seconds(self, context: Context, width: int) -> float | None:
        """Measure a step of a stack of the first students; None if it does not fit."""

        def measured() -> float:
            trainer = self._trainer(context, self.arms[:width])
            trainer.run_until(1)  # allocates
            return min(trainer.run_until(trainer.step + 1).seconds for _ in range(_TIMED_STEPS))

        return unless_memory_runs_out(measured)

    def _steps_per_epoch(self, context: Context) -> int:
        return steps_per_epoch(len(context.data.transfer), self.optimization.batch_size)

    def _trained(self, context: Context) -> Iterator[Stack]:
        """Yield the trained students, a stack after another."""
        for chunk in self._chunks(context):
            stack = self._stack(context, len(chunk))
            stack.load_state_dict(_network_part(self._state(context.store, chunk)))
            yield stack

    def _seen(self, context: Context) -> Context:
        """Return the context with the transfer set that these students see.

        Without the omitted class; unlabelled examples could be of it, so they are left out too.
        """
        if self.omit_class is None:
            return context
        transfer = context.data.transfer
        kept = (transfer.labels != self.omit_class) & (transfer.labels >= 0)
        data = dataclasses.replace(context.data, transfer=transfer.subset(kept.nonzero()[:, 0]))
        return dataclasses.replace(context, data=data)

    def _state(self, store: Store, chunk: Sequence[int]) -> dict[str, Tensor]:
        """Return the tensors of some of this task's own students."""
        return select_students(store.read_tensors(self._file("state.safetensors")), chunk)

    def _train_all(self, context: Context) -> Iterator[_Trained]:
        """Train every student, in smaller stacks where memory runs out."""
        done, width = 0, self._choose_width(context).width
        while done < len(self.arms):
            group = next(even_groups(len(self.arms) - done, width))
            chunk = [done + i for i in group]
            part = unless_memory_runs_out(partial(self._train, context, chunk))
            if part is None:
                width = self._narrower(context, len(chunk))
                continue
            yield part
            done += len(chunk)

    def _narrower(self, context: Context, width: int) -> int:
        if width == 1:
            raise RunError(
                f"Memory does not hold one student {self.student} at a batch size of "
                f"{self.optimization.batch_size} on {context.machine.device}. Lower "
                "student_batch_size, take a smaller student, or free memory."
            )
        context.progress.note(f"out of memory with {width} students at once: halving")
        choice = WidthChoice(width=-(-width // 2))
        self._keep_width(context, choice)
        return choice.width

    def _trainer(self, context: Context, arms: Sequence[Arm]) -> Trainer:
        transfer = self.target_request(context).examples
        return Trainer(
            self._stack(context, len(arms)),
            self._objective(context, arms, transfer),
            transfer,
            plan=self.optimization,
            total_steps=self.student_epochs * self._steps_per_epoch(context),
            order_seed=self.seed,
            machine=context.machine,
            view_of=lambda epoch: epoch % self.data.views,
            learning_rates=torch.tensor(
                [self.training_of(arm).learning_rate for arm in arms], dtype=torch.float64
            ),
        )

    def training_of(self, arm: Arm) -> Training:
        """Return how one of the task's arms trains."""
        return arm.training or Training(
            epochs=self.student_epochs,
            batch_size=self.optimization.batch_size,
            learning_rate=self.optimization.learning_rate,
        )

    def _train(self, context: Context, chunk: list[int]) -> _Trained:
        arms = [self.arms[i] for i in chunk]
        trainer, per_epoch = self._trainer(context, arms), self._steps_per_epoch(context)
        stack, points = cast(Stack, trainer.network), curve_epochs(self.student_epochs)
        seconds, curves, loss = 0.0, [], torch.full((len(arms),), torch.nan)
        for epoch in range(1, self.student_epochs + 1):
            segment = trainer.run_until(epoch * per_epoch)
            seconds, loss = seconds + segment.seconds, segment.mean_loss
            if epoch in points:
                curves.append(self._points(context, stack, epoch, loss))
            context.progress.advance(len(arms))
        predictions = curves[-1].predictions
        healthy = (loss.isfinite() & finite_students(stack).to(loss.device)).cpu()
        rows = [
            self._row(arm, tuple(curve), bool(ok), seconds / len(arms))
            for arm, curve, ok in zip(
                arms, zip(*(each.points for each in curves), strict=True), healthy, strict=True
            )
        ]
        return _Trained(predictions, trainer.state() if self.keep_state else {}, rows)

    def _points(self, context: Context, stack: Stack, epoch: int, loss: Tensor) -> _Measured:
        """Measure the students on the selection split, on their way or at their end."""
        selection = context.data.selection
        logits = compute_logits(
            stack, context.examples(selection), batch_size=self.optimization.batch_size
        )
        predictions = logits.argmax(-1).to(torch.int16)
        accuracies = accuracy_of(predictions, selection.labels)
        held_out = calibrated_nll(logits, selection.labels).tolist()
        points = [
            LearningPoint(epoch=epoch, accuracy=float(a), nll=_finite(n), training_loss=_finite(x))
            for a, n, x in zip(accuracies, held_out, loss.tolist(), strict=True)
        ]
        return _Measured(predictions, points)

    def target_request(self, context: Context) -> TargetRequest:
        """Return whose targets :func:`~goodteacher.student_targets.target_of` shall give."""
        return TargetRequest(self._seen(context), self.data, dict(self.teachers), self.seed)

    def _objective(
        self, context: Context, arms: Sequence[Arm], transfer: Examples
    ) -> StackObjective:
        sources = list(dict.fromkeys(arm.source for arm in arms))
        request = self.target_request(context)
        return StackObjective(
            [target_of(request, source) for source in sources],
            [sources.index(arm.source) for arm in arms],
            [arm.recipe for arm in arms],
            transfer,
            labelled_only=[isinstance(arm.source, SmoothingSource) for arm in arms],
            device=context.machine.device,
        )

    def _predictions(self, context: Context, stack: Stack, split: Split) -> Tensor:
        examples = context.examples(split)
        return compute_predictions(stack, examples, batch_size=self.optimization.batch_size)

    def _row(
        self, arm: Arm, curve: tuple[LearningPoint, ...], healthy: bool, seconds: float
    ) -> StudentRow:
        source, last = arm.source, curve[-1]
        return StudentRow(
            task=self.key,
            stage=self.stage,
            rung=self.rung,
            seed=self.seed,
            arm=arm.trained(None).key,
            source=arm.source.kind,
            batch_size=getattr(source, "batch_size", None),
            epoch=getattr(source, "epoch", None),
            variant=getattr(source, "variant", None),
            smoothing=getattr(source, "smoothing", None),
            **arm.recipe.model_dump(),
            student_epochs=self.student_epochs,
            student_batch_size=self.optimization.batch_size,
            student_learning_rate=self.training_of(arm).learning_rate,
            status="ok" if healthy else "diverged",
            training_loss=last.training_loss if healthy else None,
            selection_accuracy=last.accuracy if healthy else 0.0,
            curve=curve,
            student_seconds=seconds,
        )


@dataclass(frozen=True)
class Students:
    """How the students of a folder are made: everything but what they learn from.

    Attributes:
        config: The student and its optimizer, and how it runs.
        context: Data, folder and machine.
        engine: Where they train.
        key: What their results depend on besides their settings.
        teachers: Trajectories, as (batch size, task key).
    """

    config: StudyConfig | DistillConfig
    context: Context
    engine: Engine
    key: DataKey
    teachers: tuple[tuple[int, str], ...] = ()

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
        self.engine.run(name, tasks)
        return tasks


def rows_file(key: str) -> str:
    """Return where the rows of a task of students are."""
    return f"students/{key}/rows.parquet"


def by_arm(tasks: Iterable[StudentTask]) -> dict[Arm, list[tuple[StudentTask, int]]]:
    """Return for each arm the tasks that train it, by seed, and its place in each of them."""
    found: dict[Arm, list[tuple[StudentTask, int]]] = defaultdict(list)
    for task in sorted(tasks, key=lambda task: task.seed):
        for place, arm in enumerate(task.arms):
            found[arm].append((task, place))
    return dict(found)


def rows_by_arm(store: Store, tasks: Iterable[StudentTask]) -> dict[Arm, list[StudentRow]]:
    """Return the rows of each arm, one for each seed."""
    tasks = list(tasks)
    rows = {task.key: task.rows(store) for task in tasks}
    return {
        arm: [rows[task.key][place] for task, place in places]
        for arm, places in by_arm(tasks).items()
    }


def curve_epochs(epochs: int) -> frozenset[int]:
    """Return after which epochs students are measured: each eighth of their training.

    Example:
        >>> sorted(curve_epochs(20)), sorted(curve_epochs(3))
        ([2, 5, 8, 10, 12, 15, 18, 20], [1, 2, 3])
    """
    return frozenset(max(1, round(epochs * eighth / 8)) for eighth in range(1, 9))


def mean_accuracies(store: Store, tasks: Iterable[StudentTask]) -> dict[Arm, float]:
    """Return each arm's selection accuracy, the mean over the tasks' seeds.

    A student that diverged counts as 0: a recipe that fails on one seed is not one to deliver.
    """
    found: dict[Arm, list[float]] = defaultdict(list)
    for task in tasks:
        for arm, row in zip(task.arms, task.rows(store), strict=True):
            found[arm].append(row.selection_accuracy)
    return {arm: math.fsum(values) / len(values) for arm, values in found.items()}


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


def _sample(context: Context) -> Tensor:
    """Return a few examples as a network takes them."""
    few = torch.arange(2)
    # Of a split of their own, lest a GPU be given the whole transfer set for them.
    return context.examples(context.data.transfer.subset(few)).inputs(few).cpu()


def select_students(state: Mapping[str, Tensor], students: Sequence[int]) -> dict[str, Tensor]:
    """Return the part of a stack's state that belongs to some students.

    Args:
        state: Named tensors; all but scalars (an optimizer's step count) lead with axis [S].
        students: Numbers of the students wanted, in the order wanted.
    """
    index = torch.tensor(students)
    return {k: v if v.dim() == 0 else v.index_select(0, index) for k, v in state.items()}


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


def _joined(states: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    first = states[0]
    if len(states) == 1:
        return first
    return {
        k: v if v.dim() == 0 else torch.cat([s[k].cpu() for s in states]) for k, v in first.items()
    }


def _network_part(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")}
