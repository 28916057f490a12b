"""Moving averages of a teacher's weights: a second teacher at each recorded epoch.

The trajectory keeps the average as it trains; here it becomes a teacher. Its batch-norm statistics
are taken from training examples as the trajectory saw them last, augmented where that was; then it
responds and is measured as any checkpoint is. *Ours*: 10,000 examples, in batches of about 256,
whatever the batch size of the trajectory.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from torch import nn

from goodteacher.networks import Batch
from goodteacher.studies import Context, Store
from goodteacher.teachers.plan import AverageTask
from goodteacher.teachers.recording import ema_file, record_teacher, recorded, write_recorded
from goodteacher.teachers.running import fresh_view, load_teacher, training_examples
from goodteacher.training import example_order, refresh_batch_norm, steps_per_epoch

MOST_EXAMPLES, _BATCH = 10_000, 256
"""Examples that batch-norm statistics are taken from, and how many at once."""


class AverageRunner:
    """Makes a teacher of the average that a trajectory kept."""

    def done(self, task: AverageTask, store: Store) -> bool:
        """Say whether the average has been recorded."""
        return bool(recorded(store, task.key))

    def run(self, task: AverageTask, context: Context) -> None:
        """Take batch-norm statistics for the averaged weights, respond and measure."""
        trunk, started = task.trunk, time.perf_counter()
        network = _averaged(task, context)
        refresh_batch_norm(network, _batches(task, context))
        context.machine.wait()
        seconds = time.perf_counter() - started
        measured = record_teacher(
            context,
            network,
            key=task.key,
            epoch=task.epoch,
            teacher=trunk.teacher,
            data=trunk.data,
            temperatures=trunk.temperatures,
        )
        healthy = measured.optimal_temperature is not None
        (base,) = (r for r in recorded(context.store, trunk.key) if r.epoch == task.epoch)
        changes = {
            "variant": task.variant,
            "seconds": seconds,
            "training_loss": None,
            "status": "ok" if healthy else "diverged",
            "stopped": False,
            **dict(measured),
        }
        write_recorded(context.store, task.key, [base.model_copy(update=changes)])
        context.progress.advance(task.work)


def _averaged(task: AverageTask, context: Context) -> nn.Module:
    """Return the averaged weights in the checkpoint's network, whose statistics do not fit."""
    network = load_teacher(context, task.trunk, task.epoch).module
    weights = context.store.read_tensors(ema_file(task.trunk.key, task.epoch))
    network.load_state_dict(weights, strict=False)
    return network


def _batches(task: AverageTask, context: Context) -> Iterator[Batch]:
    trunk, examples = task.trunk, training_examples(context, task.trunk)
    (step,) = (point.step for point in trunk.points if point.epoch == task.epoch)
    epoch = (step - 1) // steps_per_epoch(len(examples), trunk.batch_size)
    order = example_order(len(examples), trunk.teacher_seed, epoch)[:MOST_EXAMPLES]
    parts = order.tensor_split(-(-len(order) // _BATCH))
    return examples.each(parts, fresh_view(epoch))
