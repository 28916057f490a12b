"""Trajectories: one teacher run at one batch size, recorded along the way.

At every recorded epoch the teacher's weights, its response on the transfer set and on the selection
split, and what those responses say (:class:`~goodteacher.results.Measurement`) are written. One run
gives every epoch's teacher, so only batch sizes multiply runs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from goodteacher.calibration import optimal_temperature
from goodteacher.config import Frozen, Optimization, TeacherConfig
from goodteacher.data import Split
from goodteacher.measurement import measure
from goodteacher.models import build_model
from goodteacher.responses import Response, read_response, write_response
from goodteacher.results import Checkpoint, Measurement, TrajectoryRecord
from goodteacher.store import Store
from goodteacher.tasks import Context, DataKey
from goodteacher.training.evaluate import compute_logits
from goodteacher.training.loop import Segment, Trainer, steps_per_epoch

RESPONSE_SPLITS = ("transfer", "selection")

_STEP_OVERHEAD = 64
"""A step costs about as much as this many examples beside its own; for the time left only."""


class RecordPoint(Frozen):
    """A recorded epoch and the step at which it is reached."""

    epoch: int
    step: int


class TrajectoryTask(Frozen):
    """One teacher run at one batch size."""

    data: DataKey
    teacher: str
    teacher_seed: int
    optimization: Optimization
    points: tuple[RecordPoint, ...]
    temperatures: tuple[float, ...]

    @property
    def batch_size(self) -> int:
        """The teacher's batch size."""
        return self.optimization.batch_size

    @property
    def key(self) -> str:
        """Name of the task and of its folder below ``teachers/``."""
        return f"batch-{self.batch_size:05d}-{self.digest()[:8]}"

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.points[-1].step

    @property
    def work(self) -> float:
        """Size of the task, in examples."""
        return self._work_of(self.total_steps)

    def _work_of(self, steps: int) -> float:
        return float(steps * (self.batch_size + _STEP_OVERHEAD))

    def done(self, store: Store) -> bool:
        """Say whether the run has reached its end, or diverged."""
        records = self.records(store)
        return bool(records) and (
            records[-1].status == "diverged" or records[-1].steps == self.total_steps
        )

    def records(self, store: Store) -> list[TrajectoryRecord]:
        """Return what has been recorded so far."""
        return store.read_records(f"{self._folder}/trajectory.jsonl", TrajectoryRecord)

    def run(self, context: Context) -> None:
        """Train on from the last recorded epoch to the end."""
        records = self.records(context.store)
        trainer = self._trainer(context)
        if records:
            state = context.store.read_tensors(self._resume_file(records[-1].epoch))
            trainer.load(state, records[-1].steps)
            context.progress.advance(self._work_of(trainer.step))
        for point in self.points[len(records) :]:
            segment = self._train_until(context, trainer, point.step)
            record = self._record(context, trainer, point, segment, records)
            records.append(record)
            self._save(context.store, trainer, records)
            if record.status == "diverged":
                context.progress.note(f"teacher at batch size {self.batch_size} diverged")
                context.progress.advance(self._work_of(self.total_steps - trainer.step))
                break
        context.store.remove(self._resume_file(records[-1].epoch))

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
        weights = context.store.read_tensors(f"{self._folder}/checkpoints/{_stem(epoch)}")
        network.load_state_dict(weights)
        return network.to(context.machine.device)

    @property
    def _folder(self) -> str:
        return f"teachers/{self.key}"

    def _resume_file(self, epoch: int) -> str:
        return f"{self._folder}/resume-{_stem(epoch)}"

    def _network(self, context: Context) -> nn.Module:
        return build_model(
            self.teacher,
            num_classes=context.data.num_classes,
            input_shape=context.data.input_shape,
            seed=self.teacher_seed,
        )

    def _trainer(self, context: Context) -> Trainer:
        labels = context.data.training.labels.to(context.machine.device)

        def cross_entropy(logits: Tensor, positions: Tensor) -> Tensor:
            return F.cross_entropy(logits, labels[positions])

        return Trainer(
            self._network(context),
            cross_entropy,
            context.data.training.inputs,
            normalization=context.data.normalization,
            plan=self.optimization,
            total_steps=self.total_steps,
            order_seed=self.teacher_seed,
            machine=context.machine,
        )

    def _record(
        self,
        context: Context,
        trainer: Trainer,
        point: RecordPoint,
        segment: Segment,
        earlier: list[TrajectoryRecord],
    ) -> TrajectoryRecord:
        responses = {name: _respond(context, trainer.network, name) for name in RESPONSE_SPLITS}
        loss = float(segment.mean_loss)
        healthy = all(bool(logits.isfinite().all()) for logits in responses.values())
        if healthy:
            self._write_responses(context, trainer, point.epoch, responses)
        best_t, measurements = self._measure(context, responses) if healthy else (None, ())
        return TrajectoryRecord(
            batch_size=self.batch_size,
            epoch=point.epoch,
            steps=point.step,
            passes=point.step * self.batch_size / len(context.data.training),
            seconds=segment.seconds + (earlier[-1].seconds if earlier else 0.0),
            learning_rate=trainer.optimizer.param_groups[0]["lr"],
            training_loss=loss if healthy else None,
            status="ok" if healthy else "diverged",
            optimal_temperature=best_t,
            measurements=measurements,
        )

    def _measure(
        self, context: Context, responses: dict[str, Tensor]
    ) -> tuple[float, tuple[Measurement, ...]]:
        labels = {name: _split(context, name).labels for name in RESPONSE_SPLITS}
        best = optimal_temperature(responses["selection"], labels["selection"])
        temperatures = sorted({1.0, *self.temperatures, best})
        return best, tuple(
            measure(responses[name], labels[name], split=name, temperature=temperature)
            for name in RESPONSE_SPLITS
            for temperature in temperatures
        )

    def _write_responses(
        self, context: Context, trainer: Trainer, epoch: int, responses: dict[str, Tensor]
    ) -> None:
        store = context.store
        weights = trainer.network.state_dict()
        store.write_tensors(f"{self._folder}/checkpoints/{_stem(epoch)}", weights)
        for name, logits in responses.items():
            response = Response(logits=logits, ids=_split(context, name).ids)
            notes = {"split": name, "view": "0", "teacher": self.teacher, "task": self.key}
            path = store.path(response_file(self.key, epoch, name))
            path.parent.mkdir(parents=True, exist_ok=True)
            write_response(path, response, metadata=notes)

    def _save(self, store: Store, trainer: Trainer, records: list[TrajectoryRecord]) -> None:
        # The record goes last: whoever finds it also finds the state it can go on from.
        store.write_tensors(self._resume_file(records[-1].epoch), trainer.state())
        store.write_records(f"{self._folder}/trajectory.jsonl", records)
        if len(records) > 1:
            store.remove(self._resume_file(records[-2].epoch))


def _stem(epoch: int) -> str:
    return f"epoch-{epoch:05d}.safetensors"


def response_file(task_key: str, epoch: int, split: str, view: int = 0) -> str:
    """Return where a trajectory keeps a response, below the study folder."""
    return f"teachers/{task_key}/responses/epoch-{epoch:05d}.{split}.view-{view}.safetensors"


def load_response(
    store: Store, task_key: str, checkpoint: Checkpoint, split: Split, *, name: str = "transfer"
) -> Tensor:
    """Return a checkpoint's response, aligned with a split by id.

    Args:
        store: The study folder.
        task_key: The trajectory that the checkpoint belongs to.
        checkpoint: The recorded epoch.
        split: The examples wanted.
        name: Which of the recorded responses covers them, in ``RESPONSE_SPLITS``.

    Returns:
        Raw logits, float32 [len(split), C].
    """
    path = store.path(response_file(task_key, checkpoint.epoch, name))
    return read_response(path).aligned_to(split.ids)


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
        )
        for batch_size in config.batch_sizes
    )


def _split(context: Context, name: str) -> Split:
    return {"transfer": context.data.transfer, "selection": context.data.selection}[name]


def _respond(context: Context, network: nn.Module, name: str) -> Tensor:
    with torch.inference_mode():
        return compute_logits(
            network,
            _split(context, name).inputs,
            normalization=context.data.normalization,
            machine=context.machine,
        )
