"""Moving averages of a teacher's weights: a second teacher at each recorded epoch.

The trajectory keeps the average as it trains; here it becomes a teacher. Its batch-norm statistics
are taken from training examples as the trajectory saw them last, augmented where that was; then it
responds and is measured as any checkpoint is. *Ours*: 10,000 examples, in batches of about 256,
whatever the batch size of the trajectory.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from torch import Tensor, nn

from goodteacher.arms import TeacherVariant
from goodteacher.recording import ema_file
from goodteacher.results import TrajectoryRecord
from goodteacher.tasks import Context
from goodteacher.training.averaging import refresh_batch_norm
from goodteacher.training.loop import example_order, steps_per_epoch
from goodteacher.trajectories import BranchTask, RecordPoint, TrajectoryTask, fresh_view

MOST_EXAMPLES, _BATCH = 10_000, 256
"""Examples that batch-norm statistics are taken from, and how many at once."""


class EmaTask(BranchTask):
    """The average at one recorded epoch; ``points`` holds that epoch and its step."""

    @property
    def variant(self) -> TeacherVariant:
        """Which kind of checkpoint the task records."""
        return "ema"

    @property
    def work(self) -> float:
        """Size of the task, in teachers."""
        return 1.0

    def run(self, context: Context) -> None:
        """Take batch-norm statistics for the averaged weights, respond and measure."""
        (point,) = self.points
        started = time.perf_counter()
        network = self._averaged(context)
        refresh_batch_norm(network, self._batches(context))
        context.machine.wait()
        seconds = time.perf_counter() - started
        measured = self.respond(context, network, point.epoch)
        healthy = measured.optimal_temperature is not None
        (base,) = (r for r in self.trunk.records(context.store) if r.epoch == point.epoch)
        changes = {
            "variant": self.variant,
            "seconds": seconds,
            "training_loss": None,
            "status": "ok" if healthy else "diverged",
            "stopped": False,
            **dict(measured),
        }
        record: TrajectoryRecord = base.model_copy(update=changes)
        context.store.write_records(f"{self._folder}/trajectory.jsonl", [record])
        context.progress.advance(self.work)

    def _averaged(self, context: Context) -> nn.Module:
        """Return the averaged weights in the checkpoint's network, whose statistics do not fit."""
        epoch = self.points[0].epoch
        network = self.trunk.load_teacher(context, epoch)
        weights = context.store.read_tensors(ema_file(self.trunk.key, epoch))
        network.load_state_dict(weights, strict=False)
        return network

    def _batches(self, context: Context) -> Iterator[Tensor]:
        examples = self.training_examples(context)
        epoch = (self.points[0].step - 1) // steps_per_epoch(len(examples), self.batch_size)
        order = example_order(len(examples), self.teacher_seed, epoch)[:MOST_EXAMPLES]
        for positions in order.tensor_split(-(-len(order) // _BATCH)):
            yield examples.inputs(positions, fresh_view(epoch))


def ema_task(trunk: TrajectoryTask, epoch: int) -> EmaTask:
    """Return the average at one recorded epoch of a trajectory that keeps one.

    Args:
        trunk: The trajectory.
        epoch: The recorded epoch.
    """
    (step,) = (point.step for point in trunk.points if point.epoch == epoch)
    return EmaTask(
        data=trunk.data,
        teacher=trunk.teacher,
        teacher_seed=trunk.teacher_seed,
        optimization=trunk.optimization,
        points=(RecordPoint(epoch=epoch, step=step),),
        temperatures=trunk.temperatures,
        trunk=trunk,
    )
