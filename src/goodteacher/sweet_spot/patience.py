"""Training teachers with patience: one recorded epoch after another, while students gain by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from goodteacher.config import Training
from goodteacher.students import StudentTask
from goodteacher.sweet_spot.probing import has_declined, outdone_by, probe_task, probed
from goodteacher.sweet_spot.teachers import TeacherRuns
from goodteacher.teachers import TrajectoryTask, stop_run


@dataclass(frozen=True)
class Patience:
    """Probe students that say when a teacher has been trained enough.

    Attributes:
        teachers: The teachers of a search.
        training: Says how probe students train; asked for when the first is needed.
        keep_states: Whether stopped runs may go on for another student.
    """

    teachers: TeacherRuns
    training: Callable[[], Training]
    keep_states: bool = False

    def train(self, tasks: Sequence[TrajectoryTask]) -> None:
        """Train from one recorded epoch to the next those that their probe students speak for.

        Args:
            tasks: The trajectories.
        """
        config, store = self.teachers.config, self.teachers.context.store
        reached: dict[str, list[float]] = {task.run.name: [] for task in tasks}
        going = list(tasks)
        for number, epoch in enumerate(config.recorded_epochs):
            parts = [task.model_copy(update={"until": epoch}) for task in going]
            self.teachers.engine.run(f"teachers, to epoch {epoch}", parts)
            probe = self.probe_at(number)
            if epoch == config.epochs or not probe.arms:
                return
            self.teachers.engine.run(f"probe students, epoch {epoch}", [probe])
            accuracies = probed(store, probe)
            for checkpoint, accuracy in accuracies.items():
                reached[checkpoint.run].append(accuracy)
            runs = {checkpoint.run for checkpoint in accuracies}
            healthy = [task for task in going if task.run.name in runs]
            going = [task for task in healthy if not self._stops(task, epoch, reached)]

    def probes(self) -> tuple[StudentTask, ...]:
        """Return the probe students of the epochs recorded so far."""
        epochs = self.teachers.config.recorded_epochs
        found = (self.probe_at(number) for number in range(len(epochs) - 1))
        return tuple(probe for probe in found if probe.arms)

    def probe_at(self, number: int) -> StudentTask:
        """Return the probe students of every healthy teacher recorded at an epoch.

        Args:
            number: Which of the recorded epochs, from 0.
        """
        teachers, epoch = self.teachers, self.teachers.config.recorded_epochs[number]
        checkpoints = [
            record.checkpoint
            for task in teachers.trajectories
            for record in teachers.records(task)
            if record.epoch == epoch and record.status == "ok"
        ]
        return probe_task(
            teachers.config,
            teachers.data,
            checkpoints,
            number=number,
            training=self.training(),
            teachers=teachers.keys,
        )

    def _stops(
        self, task: TrajectoryTask, epoch: int, reached: Mapping[str, Sequence[float]]
    ) -> bool:
        """Stop a trajectory that has declined, or that a cheaper one has outdone."""
        config, own = self.teachers.config, reached[task.run.name]
        cheaper = {run: reached[run] for run in config.cheaper_than(task.run.name)}
        rival = outdone_by(own, cheaper, config.lead_after)
        declined = has_declined(own, config.patience)
        if not declined and rival is None:
            return False
        self._stop(task, epoch, None if declined else rival)
        return True

    def _stop(self, task: TrajectoryTask, epoch: int, rival: str | None) -> None:
        store = self.teachers.context.store
        last = self.teachers.records(task)[-1]
        if last.stopped or last.epoch != epoch:
            return  # it ended before, perhaps under other rules
        store.log("teacher_stopped", run=task.run.name, epoch=epoch, outdone_by=rival)
        stop_run(task, store, outdone_by=rival, keep_state=self.keep_states)
