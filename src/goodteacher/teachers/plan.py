"""Teachers, described: trajectories, and the branches that leave them.

A :class:`TrajectoryTask` is one run of the teacher, recorded along the way: one run gives every
epoch's teacher, so only batch sizes, learning rates and seeds multiply runs. From each
recorded epoch a branch may leave: the moving average of the weights, or a short decay of the
learning rate. `running`, `averages` and `cooldowns` do the work, `recording` reads what it left.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from goodteacher.config import Frozen, Optimization, Run, StudyConfig, TeacherConfig
from goodteacher.records import TeacherVariant
from goodteacher.studies import Context, DataKey
from goodteacher.teachers.recording import branch_key
from goodteacher.training import steps_per_epoch

_STEP_OVERHEAD = 64
"""A step costs about as much as this many examples beside its own; for the time left only."""


class RecordPoint(Frozen):
    """A recorded epoch and the step at which it is reached."""

    epoch: int
    step: int


class Reused(Frozen):
    """Where the same run has been recorded before: a study's folder, and the run's key there."""

    folder: str
    key: str


class TrajectoryTask(Frozen):
    """One run of the teacher."""

    runner: ClassVar[str] = "goodteacher.teachers.running:TrajectoryRunner"
    divided: ClassVar[bool] = True

    run: Run
    """What the study calls it."""
    data: DataKey
    teacher: str
    teacher_seed: int
    optimization: Optimization
    points: tuple[RecordPoint, ...]
    temperatures: tuple[float, ...]
    until: int | None = None
    """Recorded epoch at which this task ends; the run may go on from there in another task."""
    ema_epochs: float | None = None
    """Epochs that a moving average of the weights spans; None keeps none."""
    reused: Reused | None = None
    """A record of the same run, whose teachers are taken over instead of trained again."""

    @property
    def batch_size(self) -> int:
        """The teacher's batch size."""
        return self.optimization.batch_size

    @property
    def key(self) -> str:
        """Name of the task and of its folder below ``teachers/``."""
        # Parts of one run share its folder, so where a part ends has no place in the name; nor has
        # where its teachers come from, since they are the same, nor what this study calls the run.
        return f"batch-{self.batch_size:05d}-{self.digest(but=('until', 'reused', 'run'))}"

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.points[-1].step

    @property
    def work(self) -> float:
        """Size of the task, in examples."""
        return work_of(self.wanted[-1].step, self.batch_size)

    @property
    def wanted(self) -> tuple[RecordPoint, ...]:
        """The recorded epochs of this part of the run and of those before it."""
        until = self.points[-1].epoch if self.until is None else self.until
        return tuple(point for point in self.points if point.epoch <= until)


class AverageTask(Frozen):
    """The moving average of a trajectory's weights at one recorded epoch."""

    runner: ClassVar[str] = "goodteacher.teachers.averages:AverageRunner"
    variant: ClassVar[TeacherVariant] = "ema"

    trunk: TrajectoryTask
    epoch: int

    @property
    def key(self) -> str:
        """Name of the task and of its folder below the trunk's."""
        return branch_key(self.trunk.key, self.variant, self.epoch)

    @property
    def work(self) -> float:
        """Size of the task, in teachers."""
        return 1.0


class CooldownTask(Frozen):
    """A branch from one recorded epoch, on which the learning rate decays to zero."""

    runner: ClassVar[str] = "goodteacher.teachers.cooldowns:CooldownRunner"
    divided: ClassVar[bool] = True
    variant: ClassVar[TeacherVariant] = "cooldown"

    trunk: TrajectoryTask
    epoch: int
    steps: int

    @property
    def key(self) -> str:
        """Name of the task and of its folder below the trunk's."""
        return branch_key(self.trunk.key, self.variant, self.epoch)

    @property
    def work(self) -> float:
        """Size of the task, in examples."""
        return work_of(self.steps, self.trunk.batch_size)


TeacherTask = TrajectoryTask | AverageTask | CooldownTask
"""Whatever records teachers."""

Branch = Literal["ema", "cooldown"]
"""The kinds of branch."""


def work_of(steps: int, batch_size: int) -> float:
    """Return the size of some steps of training, in examples."""
    return float(steps * (batch_size + _STEP_OVERHEAD))


def plan_branch(
    config: StudyConfig, trunk: TrajectoryTask, variant: Branch, epoch: int, *, num_examples: int
) -> AverageTask | CooldownTask:
    """Return a branch from one recorded epoch of a trajectory.

    Args:
        config: The study's settings; ``cooldown_epochs`` is a cooldown's length.
        trunk: The trajectory; for ``ema`` one that keeps an average.
        variant: Which branch.
        epoch: The recorded epoch.
        num_examples: Training examples of the teacher.
    """
    if variant == "ema":
        return AverageTask(trunk=trunk, epoch=epoch)
    steps = config.cooldown_epochs * steps_per_epoch(num_examples, trunk.batch_size)
    return CooldownTask(trunk=trunk, epoch=epoch, steps=steps)


def record_points(
    config: TeacherConfig, *, num_examples: int, batch_size: int
) -> tuple[RecordPoint, ...]:
    """Return when a trajectory is recorded, under the setting ``budget``.

    ``epochs``: epoch e is reached after e passes, whatever the batch size. ``steps``: it is reached
    after as many steps as ``reference_batch_size`` takes in e passes.

    Args:
        config: The teacher's settings.
        num_examples: Training examples of the teacher.
        batch_size: The trajectory's batch size.
    """
    counted = batch_size if config.budget == "epochs" else config.reference_batch_size
    per_epoch = steps_per_epoch(num_examples, counted)
    return tuple(
        RecordPoint(epoch=epoch, step=epoch * per_epoch) for epoch in config.recorded_epochs
    )


def plan_trajectories(
    config: TeacherConfig, key: DataKey, *, num_examples: int, temperatures: tuple[float, ...]
) -> tuple[TrajectoryTask, ...]:
    """Return one task for each run.

    Args:
        config: The teacher's settings.
        key: The data and its split.
        num_examples: Training examples of the teacher.
        temperatures: Where responses are measured, beside 1 and the best one.
    """
    teacher = config.teacher
    if teacher is None:
        return ()
    return tuple(
        TrajectoryTask(
            run=planned.run,
            data=key,
            teacher=teacher,
            teacher_seed=planned.seed,
            optimization=config.teacher_optimization(planned.batch_size, planned.learning_rate),
            points=record_points(config, num_examples=num_examples, batch_size=planned.batch_size),
            temperatures=temperatures,
            ema_epochs=config.ema_epochs if "ema" in config.variants else None,
        )
        for planned in config.runs
    )


def plan_teachers(
    config: StudyConfig, context: Context
) -> tuple[DataKey, tuple[TrajectoryTask, ...]]:
    """Return what the results of a study depend on besides its settings, and its trajectories.

    Args:
        config: The study's settings.
        context: Its data.
    """
    key = DataKey.of(config, context.data)
    count = len(context.data.training)
    return key, plan_trajectories(config, key, num_examples=count, temperatures=config.temperatures)
