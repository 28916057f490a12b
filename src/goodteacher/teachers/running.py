"""Training teachers: a trajectory from one recorded epoch to the next.

At every recorded epoch the teacher's weights, its response on the transfer set and on the selection
split, and what those responses say (a `Measurement`) are written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.dropout import _DropoutNd

from goodteacher.config import Optimization, in_words
from goodteacher.errors import RunError
from goodteacher.networks import Examples, Network
from goodteacher.records import TeacherVariant, TrajectoryRecord
from goodteacher.studies import Context, GroupWork, Store, helped, load_weights
from goodteacher.teachers.plan import RecordPoint, TeacherTask, TrajectoryTask, work_of
from goodteacher.teachers.recording import (
    checkpoint_file,
    ema_file,
    record_teacher,
    recorded,
    recorded_keys,
    responses_of,
    resume_file,
    take_recorded,
    write_recorded,
)
from goodteacher.training import (
    ALONE,
    Group,
    Segment,
    Trainer,
    steps_per_epoch,
    unless_memory_runs_out,
)

TEACHER_STREAM = 1
"""Streams of augmentation from here on are teachers'; 0 is that of a study's fixed views."""


class TrajectoryRunner:
    """Trains a teacher, or takes it over from a study that has trained the same one."""

    def done(self, task: TrajectoryTask, store: Store) -> bool:
        """Say whether the run has reached the task's end, was stopped, or diverged."""
        records = recorded(store, task.key)
        if not records:
            return False
        last = records[-1]
        return last.stopped or last.status == "diverged" or _steps(records) >= task.wanted[-1].step

    def run(self, task: TrajectoryTask, context: Context) -> None:
        """Train on from the last recorded epoch to the end, in smaller pieces if memory runs out.

        Raises:
            RunError: Memory does not hold a single example.
        """
        records = recorded(context.store, task.key)
        context.progress.advance(work_of(_steps(records), task.batch_size))
        run = _Run(context, task, task.key, "raw", task.optimization, task.wanted, task.total_steps)
        if task.reused is not None:
            run.take_over(Store.open(task.reused.folder), task.reused.key)
        if not self.done(task, context.store):
            run.to_the_end()


def stop_run(
    task: TrajectoryTask, store: Store, *, outdone_by: str | None = None, keep_state: bool = False
) -> None:
    """Note that a run ends with its last record, once and for all, and for whom.

    Args:
        task: The run.
        store: The study's.
        outdone_by: The cheaper run that did as well, if that is why.
        keep_state: Keep what the run goes on from where another student asks for more of it;
            :func:`forget_states` removes it.
    """
    *earlier, last = recorded(store, task.key)
    stopped = last.model_copy(update={"stopped": True, "outdone_by": outdone_by})
    write_recorded(store, task.key, [*earlier, stopped])
    if not keep_state:
        store.remove(resume_file(task.key, last.epoch))


def forget_states(store: Store) -> None:
    """Remove what stopped runs of a study would go on from."""
    for key in recorded_keys(store):
        last = recorded(store, key)[-1]
        if last.stopped:
            store.remove(resume_file(key, last.epoch))


def train_branch(
    context: Context,
    task: TeacherTask,
    trunk: TrajectoryTask,
    start: Network,
    optimization: Optimization,
    point: RecordPoint,
) -> None:
    """Train from a recorded teacher's weights to the end of a branch, and record that.

    Args:
        context: The study.
        task: The branch.
        trunk: The trajectory that it leaves.
        start: The network it starts from.
        optimization: How it trains.
        point: Its end: the epoch that names it, and its steps.
    """
    run = _Run(context, trunk, task.key, "cooldown", optimization, (point,), point.step, start)
    run.to_the_end()


def network_of(context: Context, task: TrajectoryTask) -> Network:
    """Return a trajectory's network as it is before training."""
    return context.network(task.teacher, seed=task.teacher_seed)


def load_teacher(context: Context, task: TeacherTask, epoch: int) -> Network:
    """Return the teacher that a task has recorded at an epoch."""
    trunk = task if isinstance(task, TrajectoryTask) else task.trunk
    return loaded(context, trunk.teacher, context.store, checkpoint_file(task.key, epoch))


def loaded(context: Context, spec: str, store: Store, name: str) -> Network:
    """Return the network of a specification with the weights of a file, on the machine's device.

    Args:
        context: The study.
        spec: The specification.
        store: Where the file is.
        name: The file, below it.
    """
    network = context.network(spec, seed=0)
    load_weights(network.module, store.read_tensors(name), store.root / name)
    return network.to(context.machine.device)


def training_examples(context: Context, task: TrajectoryTask) -> Examples:
    """Return what a teacher trains on."""
    stream = TEACHER_STREAM + task.teacher_seed
    training, augmentation = context.data.training, task.data.augmentation
    return context.examples(task.teacher, training, augmentation, stream=stream)


def fresh_view(epoch: int) -> int:
    """Return a view that no other epoch sees, and never the plain one."""
    return epoch + 1


def _steps(records: Sequence[TrajectoryRecord]) -> int:
    """Return how many steps a run has behind it."""
    return (records[-1].steps or 0) if records else 0


@dataclass(frozen=True)
class _Reached:
    """A teacher at the point of recording, and what it took to get there from the beginning."""

    network: nn.Module
    learning_rate: float | None
    seconds: float | None
    loss: float | None
    average: Mapping[str, Tensor] | None


@dataclass(frozen=True)
class _Run:
    """A training that is recorded along the way: a trajectory's, or a branch's own.

    Attributes:
        context: The study.
        trunk: The trajectory, or the one that a branch leaves.
        key: Names the folder below ``teachers/``.
        variant: Which kind of checkpoint is recorded.
        optimization: How it trains.
        points: The epochs to record, and their steps.
        total_steps: Steps of the whole run, for the schedule.
        start: Weights to start from; by default those of the trajectory's seed.
    """

    context: Context
    trunk: TrajectoryTask
    key: str
    variant: TeacherVariant
    optimization: Optimization
    points: tuple[RecordPoint, ...]
    total_steps: int
    start: Network | None = None

    @property
    def batch_size(self) -> int:
        """Examples of a step."""
        return self.optimization.batch_size

    @property
    def average_epochs(self) -> float | None:
        """Epochs that the moving average spans; branches keep none."""
        return self.trunk.ema_epochs if self.variant == "raw" else None

    def to_the_end(self) -> None:
        """Train on from the last recorded epoch, in smaller pieces if memory runs out."""
        piece = self.optimization.micro_batch_size or self.batch_size
        while (last := unless_memory_runs_out(partial(self._go_on, piece))) is None:
            piece = self._halved(piece)
        decayed = self.optimization.schedule != "constant" and last.steps == self.total_steps
        if last.status == "diverged" or decayed:  # no longer run goes on from here
            self.context.store.remove(resume_file(self.key, last.epoch))

    def take_over(self, lender: Store, key: str) -> None:
        """Record another study's teachers here: their weights, and their responses to these data.

        Where the run is to be longer than that one, the state that it goes on from comes along; if
        none was kept, nothing does, since the run starts over. A task of the same key has the same
        responses, too, so that these are taken over as they are.

        Args:
            lender: The other study.
            key: The run's key there.
        """
        store, records = self.context.store, recorded(self.context.store, self.key)
        same = key == self.key
        # A diverged teacher has left no weights, of which other responses could be made.
        theirs = {r.epoch: r for r in recorded(lender, key) if same or r.status == "ok"}
        if not self._gains_by(lender, key, theirs):
            return
        for point in self.points[len(records) :]:
            if point.epoch not in theirs:
                continue
            state = resume_file(key, point.epoch)
            if lender.exists(state):
                store.take_over(resume_file(self.key, point.epoch), lender, state)
            if same:
                record = self._taken_as_is(lender, theirs[point.epoch])
            else:
                record = self._record(self._taken(lender, key, theirs[point.epoch]), point)
            steps = point.step - _steps(records)
            records.append(record)
            write_recorded(store, self.key, records)
            self._advance(steps)
            if record.status == "diverged":
                self._end_diverged(point.step)
                return

    def _gains_by(self, lender: Store, key: str, theirs: Mapping[int, TrajectoryRecord]) -> bool:
        """Say whether taking over spares training: not where the run would start over after it."""
        if not theirs:
            return False
        last = max(theirs)
        ends = last >= self.points[-1].epoch or theirs[last].status == "diverged"
        return ends or lender.exists(resume_file(key, last))

    def _taken_as_is(self, lender: Store, record: TrajectoryRecord) -> TrajectoryRecord:
        """Take over files and measurements; what the run is called, and its end, are our own."""
        take_recorded(self.context.store, lender, self.key, record, views=self.trunk.data.views)
        own = {"run": self.trunk.run.name, "attributes": self.trunk.run.attributes}
        return record.model_copy(update={**own, "stopped": False, "outdone_by": None})

    def _end_diverged(self, step: int) -> None:
        self.context.warn(f"teacher of {in_words(self.trunk.run.name)} diverged")
        self._advance(self.points[-1].step - step)

    def _advance(self, steps: int) -> None:
        self.context.progress.advance(work_of(steps, self.batch_size))

    def _halved(self, piece: int) -> int:
        if piece <= self.context.machine.teacher_workers:
            raise RunError(
                f"There is not enough memory for one example of teacher {self.trunk.teacher} on "
                f"{self.context.machine.device}. Use a smaller teacher, or free memory."
            )
        half = -(-piece // 2)
        self.context.note(
            f"out of memory: the teacher with batch size {self.batch_size} continues in pieces of "
            f"{half} (same gradient, but batch normalisation sees each piece separately)"
        )
        return half

    def _go_on(self, piece: int) -> TrajectoryRecord:
        """Train from the last record to the end, and return the last record then."""
        machine = self.context.machine
        if machine.teacher_workers == 1:
            return self._join(ALONE, piece)[-1]
        with helped(self._for_others(piece), self.context) as group:
            return self._join(group, piece)[-1]

    def _for_others(self, piece: int) -> GroupWork:
        """Return what the other processes do: the same run, of a study as they have it.

        The weights that it starts from need not travel: who trains together begins with the
        leading process's.
        """
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        return partial(_take_part, {**own, "context": None, "start": None}, piece)

    def _join(self, group: Group, piece: int) -> list[TrajectoryRecord]:
        context = replace(self.context, machine=group.machine(self.context.machine))
        return replace(self, context=context)._take_part(group, piece)

    def _take_part(self, group: Group, piece: int) -> list[TrajectoryRecord]:
        """Train from the last record to the end as one of a group, the first of which records."""
        store, records = self.context.store, recorded(self.context.store, self.key)
        trainer = self._trainer(piece, group)
        if records and not store.exists(resume_file(self.key, records[-1].epoch)):
            records = []  # were taken over from a study that is not named any more
        if records:
            state = store.read_tensors(resume_file(self.key, records[-1].epoch))
            trainer.load(state, _steps(records))
        elif group.size > 1 and any(isinstance(m, _DropoutNd) for m in trainer.network.modules()):
            self.context.note(
                f"dropout draws other numbers in {group.size} processes than in one, so the "
                "teacher differs as with another seed"
            )
        for point in self.points[len(records) :]:
            segment = self._train_until(trainer, point.step)
            if not group.leads:
                if self._responds(trainer.network, group):
                    continue
                break
            reached = _Reached(
                trainer.network,
                learning_rate=trainer.optimizer.param_groups[0]["lr"],
                seconds=segment.seconds + ((records[-1].seconds or 0.0) if records else 0.0),
                loss=float(segment.mean_loss),
                average=None if trainer.average is None else trainer.average.state(),
            )
            records.append(self._record(reached, point, group))
            self._save(trainer, records)
            if records[-1].status == "diverged":
                self._end_diverged(trainer.step)
                break
        return records

    def _responds(self, network: nn.Module, group: Group) -> bool:
        """Compute this process's share of the responses, and say whether they are finite."""
        trunk = self.trunk
        shares = responses_of(
            self.context, network, teacher=trunk.teacher, data=trunk.data, group=group
        )
        return shares is not None

    def _taken(self, lender: Store, key: str, record: TrajectoryRecord) -> _Reached:
        epoch = record.epoch
        keeps = self.average_epochs is not None
        return _Reached(
            loaded(self.context, self.trunk.teacher, lender, checkpoint_file(key, epoch)).module,
            learning_rate=record.learning_rate,
            seconds=record.seconds,
            loss=record.training_loss,
            average=lender.read_tensors(ema_file(key, epoch)) if keeps else None,
        )

    def _train_until(self, trainer: Trainer, step: int) -> Segment:
        """Train to a step, an epoch at a time, so that whoever watches sees it move."""
        begun, seconds, loss = trainer.step, 0.0, torch.zeros(())
        while trainer.step < step:
            before = trainer.step
            segment = trainer.run_until(min(step, before + trainer.steps_per_epoch))
            taken = segment.step - before
            seconds += segment.seconds
            loss = loss + segment.mean_loss.cpu() * taken / (step - begun)
            self._advance(taken)
        return Segment(trainer.step, seconds, loss)

    def _trainer(self, piece: int, group: Group) -> Trainer:
        examples = training_examples(self.context, self.trunk)
        per_epoch, span = steps_per_epoch(len(examples), self.batch_size), self.average_epochs

        def cross_entropy(logits: Tensor, positions: Tensor, view: int) -> Tensor:
            labels = examples.labels(positions, view, num_classes=logits.shape[-1])
            return F.cross_entropy(logits, labels)

        network = network_of(self.context, self.trunk)
        if self.start is not None:
            network.module.load_state_dict(self.start.module.state_dict())
        return Trainer(
            network.module,
            cross_entropy,
            examples,
            plan=self.optimization.model_copy(update={"micro_batch_size": piece}),
            total_steps=self.total_steps,
            order_seed=self.trunk.teacher_seed,
            machine=self.context.machine,
            view_of=fresh_view,
            average_window=None if span is None else span * per_epoch,
            group=group,
        )

    def _record(
        self, reached: _Reached, point: RecordPoint, group: Group = ALONE
    ) -> TrajectoryRecord:
        store = self.context.store
        measured = record_teacher(
            self.context,
            reached.network,
            key=self.key,
            epoch=point.epoch,
            teacher=self.trunk.teacher,
            data=self.trunk.data,
            temperatures=self.trunk.temperatures,
            group=group,
        )
        healthy = measured.optimal_temperature is not None
        if healthy and reached.average is not None:
            store.write_tensors(ema_file(self.key, point.epoch), reached.average)
        return TrajectoryRecord(
            run=self.trunk.run.name,
            attributes=self.trunk.run.attributes,
            epoch=point.epoch,
            variant=self.variant,
            steps=point.step,
            passes=point.step * self.batch_size / len(self.context.data.training),
            seconds=reached.seconds,
            learning_rate=reached.learning_rate,
            training_loss=reached.loss if healthy else None,
            status="ok" if healthy else "diverged",
            **dict(measured),
        )

    def _save(self, trainer: Trainer, records: Sequence[TrajectoryRecord]) -> None:
        # The record goes last: whoever finds it also finds the state it can go on from.
        store = self.context.store
        store.write_tensors(resume_file(self.key, records[-1].epoch), trainer.state())
        write_recorded(store, self.key, records)
        if len(records) > 1:
            store.remove(resume_file(self.key, records[-2].epoch))


def _take_part(run: Mapping[str, Any], piece: int, context: Context, group: Group) -> None:
    """Train a run in another process than the one that records it."""
    _Run(**{**run, "context": context})._join(group, piece)
