"""Cooldowns: short branches off a trajectory, on which the learning rate decays to zero.

A trajectory keeps a constant rate so that one run gives every epoch's teacher. A teacher at a
constant rate is noisy; a branch of a few epochs with a linear decay takes the noise out and leaves
the trunk as it is. *Ours*: the branch starts from the weights of a recorded checkpoint with a fresh
optimizer, and sees examples in the order of the trunk's first epochs.

Batch-norm statistics need no care: the branch trains on, so they are those of its weights.
"""

from __future__ import annotations

from goodteacher.arms import TeacherVariant
from goodteacher.config import StudyConfig
from goodteacher.tasks import Context
from goodteacher.training.loop import Trainer, steps_per_epoch
from goodteacher.trajectories import BranchTask, RecordPoint, TrajectoryTask


class CooldownTask(BranchTask):
    """A branch from one recorded epoch; ``points`` holds that epoch and the branch's steps."""

    @property
    def variant(self) -> TeacherVariant:
        """Which kind of checkpoint the task records."""
        return "cooldown"

    def _trainer(self, context: Context, piece: int) -> Trainer:
        trainer = super()._trainer(context, piece)
        start = self.trunk.load_teacher(context, self.points[0].epoch)
        trainer.network.load_state_dict(start.state_dict())
        return trainer


def cooldown_task(
    config: StudyConfig, trunk: TrajectoryTask, epoch: int, *, num_examples: int
) -> CooldownTask:
    """Return the branch from one recorded epoch of a trajectory.

    Args:
        config: The study's settings; ``cooldown_epochs`` is the branch's length.
        trunk: The trajectory.
        epoch: The recorded epoch.
        num_examples: Training examples of the teacher.
    """
    steps = config.cooldown_epochs * steps_per_epoch(num_examples, trunk.batch_size)
    return CooldownTask(
        data=trunk.data,
        teacher=trunk.teacher,
        teacher_seed=trunk.teacher_seed,
        optimization=trunk.optimization.model_copy(update={"schedule": "linear"}),
        points=(RecordPoint(epoch=epoch, step=steps),),
        temperatures=trunk.temperatures,
        trunk=trunk,
    )
