"""Cooldowns: short branches off a trajectory, on which the learning rate decays to zero.

A trajectory keeps a constant rate so that one run gives every epoch's teacher. A teacher at a
constant rate is noisy; a branch of a few epochs with a linear decay takes the noise out and leaves
the trunk as it is. *Ours*: the branch starts from the weights of a recorded checkpoint with a fresh
optimizer, and sees examples in the order of the trunk's first epochs.

Batch-norm statistics need no care: the branch trains on, so they are those of its weights.
"""

from __future__ import annotations

from goodteacher.studies import Context, Store
from goodteacher.teachers.plan import CooldownTask, RecordPoint
from goodteacher.teachers.recording import recorded
from goodteacher.teachers.running import load_teacher, train_branch


class CooldownRunner:
    """Trains a branch to its end and records that."""

    def done(self, task: CooldownTask, store: Store) -> bool:
        """Say whether the branch's end has been recorded."""
        return bool(recorded(store, task.key))

    def run(self, task: CooldownTask, context: Context) -> None:
        """Train the branch from the recorded epoch's weights."""
        trunk = task.trunk
        train_branch(
            context,
            task,
            trunk,
            load_teacher(context, trunk, task.epoch),
            trunk.optimization.model_copy(update={"schedule": "linear"}),
            RecordPoint(epoch=task.epoch, step=task.steps),
        )
