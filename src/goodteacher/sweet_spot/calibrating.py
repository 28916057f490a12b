"""How long tasks take here: short copies of them are run, on a part of the data, and timed.

A copy is a task as the search has it, of a few steps, and the code that runs it is the search's. So
all that the task does is timed: steps, the recording of a teacher, the points along a student's
training, reading and writing. Steps then count as often as a task has them; what grows with the
number of examples is scaled to all of them.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from goodteacher.data import Split
from goodteacher.records import Arm, Blend, Checkpoint
from goodteacher.students import Shelf, StudentTask, curve_epochs
from goodteacher.studies import Context, Silent, Store, Task, runner_of
from goodteacher.teachers import BlendTask, TrajectoryTask, branch_key, recorded, write_responses
from goodteacher.training import steps_per_epoch

_SECONDS = 0.5
"""What the timed steps of a copy take, about."""

_FEW, _MANY = 4, 64
"""Steps of a copy: those that show how many more the time allows, and the most."""

_EXAMPLES = 8192
"""Examples that a teacher trains on and is recorded with, at most, in a copy."""

_SIZES = 4
"""Batch sizes of teachers that are tried, at most; steps of others lie on lines between them."""


@dataclass(frozen=True)
class TeacherTimes:
    """How long a teacher's task takes.

    Attributes:
        batch_size: Of its steps.
        step: Seconds of a step.
        recording: Seconds of a recorded epoch.
        fixed: Seconds of a task beside these.
        num_bytes: What a recorded epoch leaves on the disk.
        resume_bytes: What a run keeps beside that, to go on.
    """

    batch_size: int
    step: float
    recording: float
    fixed: float
    num_bytes: float
    resume_bytes: float


@dataclass(frozen=True)
class StudentTimes:
    """How long a task of some number of students takes.

    Attributes:
        batch_size: Of its steps.
        width: The number of students.
        step: Seconds of a step of all of them.
        point: Seconds of a measurement along the training.
        fixed: Seconds of a task beside these.
        num_bytes: What one student leaves on the disk.
        state_bytes: What its weights take, where they are kept.
    """

    batch_size: int
    width: int
    step: float
    point: float
    fixed: float
    num_bytes: float
    state_bytes: float


@dataclass(frozen=True)
class Part:
    """A study with a part of its data, in a folder that goes again.

    Attributes:
        whole: The study.
        folder: Where folders go.
    """

    whole: Context
    folder: Path

    def context(self, name: str, examples: int) -> Context:
        """Return the study with few examples.

        Args:
            name: Of a folder.
            examples: Those of each part of the data, at most.
        """
        data, root = self.whole.data, self.folder / name
        root.mkdir(parents=True, exist_ok=True)
        few = dataclasses.replace(
            data,
            training=_some(data.training, examples),
            transfer=_some(data.transfer, examples),
            selection=_some(data.selection, _EXAMPLES),
        )
        return dataclasses.replace(
            self.whole, data=few, store=Store(root), progress=Silent(), warned_of=set()
        )


def _some(split: Split, count: int) -> Split:
    """Return so many examples, taken evenly from all."""
    if len(split) <= count:
        return split
    return split.subset(torch.arange(count) * len(split) // count)


def sizes_to_try(sizes: Iterable[int]) -> tuple[int, ...]:
    """Return the batch sizes that are tried: the smallest, the largest, and some between them.

    Example:
        >>> sizes_to_try([8, 512, 32, 128, 2, 1024])
        (2, 32, 128, 1024)
    """
    ordered = sorted(set(sizes))
    if len(ordered) <= _SIZES:
        return tuple(ordered)
    places = np.linspace(0, len(ordered) - 1, _SIZES).round().astype(int)
    return tuple(ordered[place] for place in places)


def time_teacher(task: TrajectoryTask, part: Part) -> TeacherTimes:
    """Run a short copy of a run, recorded twice.

    Args:
        task: The run.
        part: The study with a part of its data.
    """
    context = part.context("teachers", _EXAMPLES)
    first = _short_run(task, 2, 4)
    timed(first, context)
    each = (recorded(context.store, first.key)[-1].seconds or 0.0) / 4
    again = _short_run(task, 3, 3 + _steps(each))
    wall = timed(again, context)
    before, after = recorded(context.store, again.key)
    steps = (after.steps or 0) - (before.steps or 0)
    training = (after.seconds or 0.0, before.seconds or 0.0)
    recording = (before.recording_seconds + after.recording_seconds) / 2
    share = _responses(part.whole, task.data.views) / _responses(context, task.data.views)
    weights, responses, resume = _sizes(context.store.path("teachers", again.key))
    return TeacherTimes(
        batch_size=task.batch_size,
        step=(training[0] - training[1]) / steps,
        recording=recording * share,
        fixed=max(0.0, wall - training[0] - 2 * recording),
        num_bytes=(weights + responses * share) / 2,
        resume_bytes=resume,
    )


def _short_run(task: TrajectoryTask, first: int, last: int) -> TrajectoryTask:
    """Return a run of a few steps, recorded after some and after all."""
    point = task.points[0]
    points = tuple(
        point.model_copy(update={"epoch": epoch, "step": step})
        for epoch, step in ((1, first), (2, last))
    )
    return task.model_copy(update={"points": points, "until": None, "reused": None})


def _steps(seconds: float) -> int:
    """Return how many steps of so many seconds are timed."""
    return max(_FEW, min(_MANY, round(_SECONDS / max(seconds, 1e-9))))


def _responses(context: Context, views: int) -> int:
    """Return how many examples a teacher responds to when it is recorded."""
    return len(context.data.transfer) * views + len(context.data.selection)


def _sizes(folder: Path) -> tuple[int, int, int]:
    """Return the bytes of a run's weights, of its responses, and of what it goes on from."""
    found = [0, 0, 0]
    for path in folder.rglob("*.safetensors"):
        kind = {"checkpoints": 0, "responses": 1}.get(path.parent.name, 2)
        found[kind] += path.stat().st_size
    return found[0], found[1], found[2]


def timed(task: Task, context: Context) -> float:
    """Run a task, and return the seconds that it took."""
    began = time.perf_counter()
    runner_of(task).run(task, context)
    context.machine.wait()
    return time.perf_counter() - began


def time_students(task: StudentTask, width: int, part: Part) -> StudentTimes:
    """Run a short copy of a task of students, twice, for one epoch and for more.

    Args:
        task: The task.
        width: How many of its students; fewer steps where these are many.
        part: The study with a part of its data.
    """
    size, name = task.optimization.batch_size, f"students-{task.optimization.batch_size}-{width}"
    few = part.context(f"{name}-few", _FEW * size)
    short = task.model_copy(
        update={"arms": task.arms[:width], "student_epochs": 1, "keep_state": True}
    )
    _responses_for(short, few)
    timed(short, few)
    each = _trained(short, few) / steps_per_epoch(len(few.data.transfer), size)
    context = part.context(name, _steps(each) * size)
    _responses_for(short, context)
    steps = steps_per_epoch(len(context.data.transfer), size)
    epochs = max(3, min(24, round(_SECONDS / max(each * steps, 1e-9))))
    longer = short.model_copy(update={"student_epochs": epochs})
    walls = [timed(each_task, context) for each_task in (short, longer)]
    trained = [_trained(each_task, context) for each_task in (short, longer)]
    rest = [wall - seconds for wall, seconds in zip(walls, trained, strict=True)]
    point = max(0.0, (rest[1] - rest[0]) / (len(curve_epochs(epochs)) - 1))
    selection = len(part.whole.data.selection) / len(context.data.selection)
    left = context.store.path("students", longer.key)
    state = (left / "state.safetensors").stat().st_size
    others = sum(path.stat().st_size for path in left.iterdir()) - state
    return StudentTimes(
        batch_size=size,
        width=len(short.arms),
        step=trained[1] / (epochs * steps),
        point=point * selection,
        fixed=max(0.0, rest[0] - point),
        num_bytes=others / len(short.arms) * selection,
        state_bytes=state / len(short.arms),
    )


def time_blend(task: BlendTask, part: Part) -> float:
    """Measure means of responses, of a part of the data, and return the seconds for all of them.

    Args:
        task: The means.
        part: The study with a part of its data.
    """
    context = part.context("blends", _EXAMPLES)
    _pretend_responses(task.checkpoints, dict(task.teachers), task.data.views, context)
    return timed(task, context) * _responses(part.whole, 1) / _responses(context, 1)


def _trained(task: StudentTask, context: Context) -> float:
    """Return the seconds that the steps of a finished task took."""
    return sum(row.student_seconds for row in Shelf(context.store, task.key).rows())


def _responses_for(task: StudentTask, context: Context) -> None:
    """Write responses that a task's students can learn from."""
    wanted = {each for arm in task.arms for each in _checkpoints(arm)}
    _pretend_responses(wanted, dict(task.teachers), task.data.views, context)


def _pretend_responses(
    checkpoints: Iterable[Checkpoint], keys: Mapping[str, str], views: int, context: Context
) -> None:
    """Write responses as recorded teachers have them, of nobody."""
    drawn = torch.Generator().manual_seed(0)
    data = context.data
    said = {
        name: torch.randn(len(split), data.num_classes, generator=drawn)
        for name, split in (("transfer", data.transfer), ("selection", data.selection))
    }
    responses = {("selection", 0): said["selection"]}
    responses |= {("transfer", view): said["transfer"] for view in range(views)}
    for each in checkpoints:
        key = branch_key(keys[each.run], each.variant, each.epoch)
        write_responses(context, responses, key=key, epoch=each.epoch, teacher="none")


def _checkpoints(arm: Arm) -> Iterator[Checkpoint]:
    if isinstance(arm.source, Checkpoint):
        yield arm.source
    elif isinstance(arm.source, Blend):
        yield from (member.checkpoint for member in arm.source.members)
