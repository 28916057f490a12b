"""Training teachers with patience: one recorded epoch after another, while students gain by it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from goodteacher.config import Training
from goodteacher.students import StudentTask, is_planned
from goodteacher.studies import Flow, Needs, Until
from goodteacher.sweet_spot.probing import has_declined, outdone_by, probe_task, probed
from goodteacher.sweet_spot.teachers import TeacherRuns
from goodteacher.teachers import TrajectoryTask, stop_run


@dataclass(frozen=True)
class Patience:
    """Probe students that say when a teacher has been trained enough.

    Attributes:
        teachers: The teachers of a search.
        probe_training: Says how probe students train; asked for when the first is needed.
        keep_states: Whether stopped runs may go on for another student.
        reached: Selection accuracies of each run's best probe students, in the order recorded.
        ended: Runs that nothing more is asked of.
    """

    teachers: TeacherRuns
    probe_training: Callable[[], Training]
    keep_states: bool = False
    reached: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    ended: set[str] = field(default_factory=set)

    def training(self, task: TrajectoryTask) -> Flow[None]:
        """Train a run from one recorded epoch to the next while its probe students speak for it.

        It waits for no other run, but for the probe students of those that cost less.

        Args:
            task: The trajectory.
        """
        name, store = task.run.name, self.teachers.context.store
        self.reached.pop(name, None)
        try:
            for number, epoch in enumerate(self.teachers.config.recorded_epochs):
                part = task.model_copy(update={"until": epoch})
                yield Needs(f"teachers, to epoch {epoch}", (part,))
                if epoch == self.teachers.config.epochs:
                    return
                yield Until(lambda: is_planned(store))
                probe = self.probe(task, number)
                if probe is None:
                    return
                yield Needs(f"probe students, epoch {epoch}", (probe,))
                self.reached[name].append(max(probed(store, probe).values()))
                yield Until(partial(self._cheaper_have_reached, name, number))
                if self._stops(task, number):
                    return
        finally:
            self.ended.add(name)

    def probes(self) -> tuple[StudentTask, ...]:
        """Return the probe students of the epochs recorded so far."""
        epochs = self.teachers.config.recorded_epochs
        found = [
            self.probe(task, number)
            for number in range(len(epochs) - 1)
            for task in self.teachers.trajectories
        ]
        return tuple(probe for probe in found if probe is not None)

    def probe(self, task: TrajectoryTask, number: int) -> StudentTask | None:
        """Return the probe students of a run at an epoch; None if it has no healthy teacher there.

        Args:
            task: The trajectory.
            number: Which of the recorded epochs, from 0.
        """
        teachers, epoch = self.teachers, self.teachers.config.recorded_epochs[number]
        checkpoints = [
            record.checkpoint
            for record in teachers.records(task)
            if record.epoch == epoch and record.status == "ok"
        ]
        if not checkpoints:
            return None
        return probe_task(
            teachers.config,
            teachers.data,
            checkpoints,
            number=number,
            training=self.probe_training(),
            teachers=teachers.keys,
        )

    def _cheaper_have_reached(self, run: str, number: int) -> bool:
        """Say whether the runs that cost less have come as far, or ended."""
        config = self.teachers.config
        cheaper = config.cheaper_than(run) if config.lead_after else ()
        return all(len(self.reached[r]) > number or r in self.ended for r in cheaper)

    def _stops(self, task: TrajectoryTask, number: int) -> bool:
        """Stop a trajectory that has declined, or that a cheaper one has outdone."""
        config, own = self.teachers.config, self.reached[task.run.name]
        # The others may be further by now; what they were then decides, whatever ran when.
        cheaper = {
            run: self.reached[run][: number + 1] for run in config.cheaper_than(task.run.name)
        }
        rival = outdone_by(own, cheaper, config.lead_after)
        declined = has_declined(own, config.patience)
        if not declined and rival is None:
            return False
        self._stop(task, config.recorded_epochs[number], None if declined else rival)
        return True

    def _stop(self, task: TrajectoryTask, epoch: int, rival: str | None) -> None:
        store = self.teachers.context.store
        last = self.teachers.records(task)[-1]
        if last.stopped or last.epoch != epoch:
            return  # it ended before, perhaps under other rules
        store.log("teacher_stopped", run=task.run.name, epoch=epoch, outdone_by=rival)
        stop_run(task, store, outdone_by=rival, keep_state=self.keep_states)
