"""Trajectories: one teacher run at one batch size, recorded along the way.

At every recorded epoch the teacher's weights, its response on the transfer set and on the selection
split, and what those responses say (:class:`~goodteacher.results.Measurement`) are written. One run
gives every epoch's teacher, so only batch sizes multiply runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from goodteacher.arms import TeacherVariant
from goodteacher.config import Frozen, Optimization, TeacherConfig, digest_of
from goodteacher.data import Examples
from goodteacher.errors import RunError
from goodteacher.models import build_model
from goodteacher.recording import branch_key, checkpoint_file, ema_file, record_teacher
from goodteacher.results import Measured, TrajectoryRecord
from goodteacher.store import Store, load_weights
from goodteacher.tasks import Context, DataKey
from goodteacher.training.loop import Segment, Trainer, steps_per_epoch
from goodteacher.training.memory import unless_memory_runs_out

TEACHER_STREAM = 1
"""Streams of augmentation from here on are teachers'; 0 is that of a study's fixed views."""

_STEP_OVERHEAD = 64
"""A step costs about as much as this many examples beside its own; for the time left only."""


class RecordPoint(Frozen):
    """A recorded epoch and the step at which it is reached."""

    epoch: int
    step: int


class Loan(Frozen):
    """Where the same run has been recorded before: a study's folder, and the run's key there."""

    folder: str
    key: str


@dataclass(frozen=True)
class _Reached:
    """A teacher at the point of recording, and what it took to get there from the beginning."""

    network: nn.Module
    learning_rate: float
    seconds: float
    loss: float | None
    average: Mapping[str, Tensor] | None


class TrajectoryTask(Frozen):
    """One teacher run at one batch size."""

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
    loan: Loan | None = None
    """A record of the same run, whose teachers are taken over instead of trained again."""

    @property
    def variant(self) -> TeacherVariant:
        """Which kind of checkpoint the task records."""
        return "raw"

    @property
    def batch_size(self) -> int:
        """The teacher's batch size."""
        return self.optimization.batch_size

    @property
    def key(self) -> str:
        """Name of the task and of its folder below ``teachers/``."""
        # Parts of one run share its folder, so where a part ends has no place in the name; nor has
        # where its teachers come from, since they are the same.
        fields = self.model_dump(mode="json", exclude={"until", "loan"})
        if self.ema_epochs is None:  # runs without an average keep the name they always had
            del fields["ema_epochs"]
        return f"batch-{self.batch_size:05d}-{digest_of(fields)[:8]}"

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.points[-1].step

    @property
    def work(self) -> float:
        """Size of the task, in examples."""
        return self._work_of(self._wanted[-1].step)

    @property
    def _wanted(self) -> tuple[RecordPoint, ...]:
        until = self.points[-1].epoch if self.until is None else self.until
        return tuple(point for point in self.points if point.epoch <= until)

    def _work_of(self, steps: int) -> float:
        return float(steps * (self.batch_size + _STEP_OVERHEAD))

    def done(self, store: Store) -> bool:
        """Say whether the run has reached the task's end, was stopped, or diverged."""
        records = self.records(store)
        if not records:
            return False
        last = records[-1]
        return last.stopped or last.status == "diverged" or last.steps >= self._wanted[-1].step

    def records(self, store: Store) -> list[TrajectoryRecord]:
        """Return what has been recorded so far."""
        return recorded(store, self.key)

    def run(self, context: Context) -> None:
        """Train on from the last recorded epoch to the end, in smaller pieces if memory runs out.

        Raises:
            RunError: Memory does not hold a single example.
        """
        context.progress.advance(self._work_of(self._steps_behind(context.store)))
        if self.loan is not None:
            self._take_over(context, Store.open(self.loan.folder), self.loan.key)
        if self.done(context.store):
            return
        piece = self.optimization.micro_batch_size or self.batch_size
        while (last := unless_memory_runs_out(partial(self._go_on, context, piece))) is None:
            piece = self._halved(context, piece)
        decayed = self.optimization.schedule != "constant" and last.steps == self.total_steps
        if last.status == "diverged" or decayed:  # no longer run goes on from here
            context.store.remove(self._resume_file(last.epoch))

    def stop(self, store: Store, *, outdone_by: int | None = None) -> None:
        """Note that the run ends with its last record, once and for all, and for whom.

        Args:
            store: The study's.
            outdone_by: Batch size of the cheaper trajectory that did as well, if that is why.
        """
        *earlier, last = self.records(store)
        stopped = last.model_copy(update={"stopped": True, "outdone_by": outdone_by})
        store.write_records(f"{self._folder}/trajectory.jsonl", [*earlier, stopped])
        store.remove(self._resume_file(last.epoch))

    def _steps_behind(self, store: Store) -> int:
        records = self.records(store)
        return records[-1].steps if records else 0

    def _halved(self, context: Context, piece: int) -> int:
        if piece == 1:
            raise RunError(
                f"Memory does not hold one example of teacher {self.teacher} on "
                f"{context.machine.device}. Take a smaller teacher, or free memory."
            )
        half = -(-piece // 2)
        context.progress.note(
            f"out of memory: teacher at batch size {self.batch_size} goes on in pieces of {half} "
            "(same gradient; batch normalisation sees each piece alone)"
        )
        return half

    def _go_on(self, context: Context, piece: int) -> TrajectoryRecord:
        """Train from the last record to the end, and return the last record then."""
        records = self.records(context.store)
        trainer = self._trainer(context, piece)
        if records and not context.store.exists(self._resume_file(records[-1].epoch)):
            records = []  # were taken over from a study that is not named any more
        if records:
            state = context.store.read_tensors(self._resume_file(records[-1].epoch))
            trainer.load(state, records[-1].steps)
        for point in self._wanted[len(records) :]:
            segment = self._train_until(context, trainer, point.step)
            reached = _Reached(
                trainer.network,
                learning_rate=trainer.optimizer.param_groups[0]["lr"],
                seconds=segment.seconds + (records[-1].seconds if records else 0.0),
                loss=float(segment.mean_loss),
                average=None if trainer.average is None else trainer.average.state(),
            )
            record = self._record(context, reached, point)
            records.append(record)
            self._save(context.store, trainer, records)
            if record.status == "diverged":
                context.progress.note(f"teacher at batch size {self.batch_size} diverged")
                context.progress.advance(self._work_of(self._wanted[-1].step - trainer.step))
                break
        return records[-1]

    def _take_over(self, context: Context, lender: Store, key: str) -> None:
        """Record the lender's teachers here: their weights, and their responses to these data.

        Where the run is to be longer than the lender's, the state that it goes on from comes along.
        """
        records = self.records(context.store)
        theirs = {record.epoch: record for record in recorded(lender, key)}
        lent = [point for point in self._wanted[len(records) :] if point.epoch in theirs]
        for point in lent:
            if lender.exists(resume_file(key, point.epoch)):
                state = lender.read_tensors(resume_file(key, point.epoch))
                context.store.write_tensors(resume_file(self.key, point.epoch), state)
            reached = self._lent(context, lender, key, theirs[point.epoch])
            taken = point.step - (records[-1].steps if records else 0)
            records.append(self._record(context, reached, point))
            context.store.write_records(f"{self._folder}/trajectory.jsonl", records)
            context.progress.advance(self._work_of(taken))

    def _lent(
        self, context: Context, lender: Store, key: str, record: TrajectoryRecord
    ) -> _Reached:
        network, epoch = self._network(context), record.epoch
        name = checkpoint_file(key, epoch)
        load_weights(network, lender.read_tensors(name), lender.path(name))
        kept = None if self.ema_epochs is None else lender.read_tensors(ema_file(key, epoch))
        return _Reached(
            network.to(context.machine.device),
            learning_rate=record.learning_rate,
            seconds=record.seconds,
            loss=record.training_loss,
            average=kept,
        )

    def _train_until(self, context: Context, trainer: Trainer, step: int) -> Segment:
        """Train to a step, an epoch at a time, so that whoever watches sees it move."""
        begun, seconds, loss = trainer.step, 0.0, torch.zeros(())
        while trainer.step < step:
            before = trainer.step
            segment = trainer.run_until(min(step, before + trainer.steps_per_epoch))
            taken = segment.step - before
            seconds += segment.seconds
            loss = loss + segment.mean_loss.cpu() * taken / (step - begun)
            context.progress.advance(self._work_of(taken))
        return Segment(trainer.step, seconds, loss)

    def load_teacher(self, context: Context, epoch: int) -> nn.Module:
        """Return the teacher at a recorded epoch."""
        network = self._network(context)
        name = checkpoint_file(self.key, epoch)
        load_weights(network, context.store.read_tensors(name), context.store.path(name))
        return network.to(context.machine.device)

    def training_examples(self, context: Context) -> Examples:
        """Return what the teacher trains on."""
        stream = TEACHER_STREAM + self.teacher_seed
        return context.examples(context.data.training, self.data.augmentation, stream=stream)

    @property
    def _folder(self) -> str:
        return f"teachers/{self.key}"

    def _resume_file(self, epoch: int) -> str:
        return resume_file(self.key, epoch)

    def _network(self, context: Context) -> nn.Module:
        return build_model(
            self.teacher,
            num_classes=context.data.num_classes,
            input_shape=context.data.input_shape,
            seed=self.teacher_seed,
        )

    def _trainer(self, context: Context, piece: int) -> Trainer:
        examples = self.training_examples(context)
        per_epoch = steps_per_epoch(len(examples), self.batch_size)

        def cross_entropy(logits: Tensor, positions: Tensor, view: int) -> Tensor:
            labels = examples.labels(positions, view, num_classes=logits.shape[-1])
            return F.cross_entropy(logits, labels)

        return Trainer(
            self._network(context),
            cross_entropy,
            examples,
            plan=self.optimization.model_copy(update={"micro_batch_size": piece}),
            total_steps=self.total_steps,
            order_seed=self.teacher_seed,
            machine=context.machine,
            view_of=fresh_view,
            average_window=None if self.ema_epochs is None else self.ema_epochs * per_epoch,
        )

    def _record(self, context: Context, reached: _Reached, point: RecordPoint) -> TrajectoryRecord:
        measured = self.respond(context, reached.network, point.epoch)
        healthy = measured.optimal_temperature is not None
        if healthy and reached.average is not None:
            context.store.write_tensors(ema_file(self.key, point.epoch), reached.average)
        return TrajectoryRecord(
            batch_size=self.batch_size,
            epoch=point.epoch,
            variant=self.variant,
            steps=point.step,
            passes=point.step * self.batch_size / len(context.data.training),
            seconds=reached.seconds,
            learning_rate=reached.learning_rate,
            training_loss=reached.loss if healthy else None,
            status="ok" if healthy else "diverged",
            **dict(measured),
        )

    def respond(self, context: Context, network: nn.Module, epoch: int) -> Measured:
        """Record a network as the task's teacher at an epoch: weights, responses, measurements."""
        return record_teacher(
            context,
            network,
            key=self.key,
            epoch=epoch,
            teacher=self.teacher,
            data=self.data,
            temperatures=self.temperatures,
        )

    def _save(self, store: Store, trainer: Trainer, records: list[TrajectoryRecord]) -> None:
        # The record goes last: whoever finds it also finds the state it can go on from.
        store.write_tensors(self._resume_file(records[-1].epoch), trainer.state())
        store.write_records(f"{self._folder}/trajectory.jsonl", records)
        if len(records) > 1:
            store.remove(self._resume_file(records[-2].epoch))


class BranchTask(TrajectoryTask):
    """A variant from one recorded epoch of a trajectory, the first of ``points``."""

    trunk: TrajectoryTask

    @property
    def key(self) -> str:
        """Name of the task and of its folder below the trunk's."""
        return branch_key(self.trunk.key, self.variant, self.points[0].epoch)


def resume_file(key: str, epoch: int) -> str:
    """Return where the state is from which a trajectory goes on after its last recorded epoch."""
    return f"teachers/{key}/resume-epoch-{epoch:05d}.safetensors"


def recorded(store: Store, key: str) -> list[TrajectoryRecord]:
    """Return what a study has recorded of the trajectory of a key; nothing if it has none."""
    return store.read_records(f"teachers/{key}/trajectory.jsonl", TrajectoryRecord)


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
    """Return one task for each batch size.

    Args:
        config: The teacher's settings.
        key: The data and its split.
        num_examples: Training examples of the teacher.
        temperatures: Where responses are measured, beside 1 and the best one.
    """
    return tuple(
        TrajectoryTask(
            data=key,
            teacher=config.teacher,
            teacher_seed=config.teacher_seed,
            optimization=config.teacher_optimization(batch_size),
            points=record_points(config, num_examples=num_examples, batch_size=batch_size),
            temperatures=temperatures,
            ema_epochs=config.ema_epochs if "ema" in config.variants else None,
        )
        for batch_size in config.batch_sizes
    )


def fresh_view(epoch: int) -> int:
    """Return a view that no other epoch sees, and never the plain one."""
    return epoch + 1
