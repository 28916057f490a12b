"""The teachers of a search: trajectories, what branches off them, and means of their responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from goodteacher.config import StudyConfig, shown_attribute
from goodteacher.data import Split
from goodteacher.errors import RunError
from goodteacher.records import BlendRecord, Checkpoint, Predictor, TrajectoryRecord
from goodteacher.responses import Response, concatenated
from goodteacher.students import tell
from goodteacher.studies import Context, DataKey, Engine, Flow, Needs, Place
from goodteacher.teachers import (
    MEANS,
    AverageTask,
    BlendTask,
    Branch,
    CooldownTask,
    RecordedTeachers,
    TakenTask,
    TrajectoryTask,
    blends_of,
    logits_on_test,
    plan_branch,
    plan_taken,
    plan_teachers,
    predictor_of,
    recorded,
    take_branches,
)

BRANCHES: dict[Branch, str] = {"ema": "moving averages", "cooldown": "cooldowns"}
"""The variants that each checkpoint has a task for, and what progress calls them."""


@dataclass(frozen=True)
class TeacherRuns:
    """The teachers of one study.

    Attributes:
        config: The study's settings.
        context: Its data, folder and machine.
        engine: Where tasks run.
    """

    config: StudyConfig
    context: Context
    engine: Engine

    @cached_property
    def _planned(self) -> tuple[DataKey, tuple[TrajectoryTask, ...]]:
        return plan_teachers(self.config, self.context)

    @property
    def data(self) -> DataKey:
        """What results depend on besides their settings."""
        return self._planned[0]

    @property
    def trajectories(self) -> tuple[TrajectoryTask, ...]:
        """One task for each run."""
        return self._planned[1]

    @cached_property
    def taken(self) -> tuple[TakenTask, ...]:
        """One task for each run that was recorded elsewhere."""
        return plan_taken(self.config, self.context, self.data)

    @property
    def runs(self) -> tuple[TrajectoryTask | TakenTask, ...]:
        """Every run: those trained here, then those recorded elsewhere."""
        return (*self.trajectories, *self.taken)

    @property
    def keys(self) -> tuple[tuple[str, str], ...]:
        """Every run, as tasks of students name them: (run, task key)."""
        return tuple((task.run.name, task.key) for task in self.runs)

    def take(self) -> None:
        """Take the runs that were recorded elsewhere, and say what may be wrong with them."""
        if not self.taken:
            return
        self.engine.run("recorded runs", self.taken)
        branches = [name for name in BRANCHES if name in self.config.variants]
        if branches:
            self.context.note(
                f"{', '.join(branches)}: available only for runs that are trained here. Recorded "
                "runs contain responses, and these variants need weights."
            )
        for task in self.taken:
            self._examine(task)

    def _examine(self, task: TakenTask) -> None:
        """Say of a run's last teacher what its response shows: classes mixed up, labels seen."""
        healthy = [record for record in self.records(task) if record.status == "ok"]
        if not healthy:
            return
        asked = RecordedTeachers(self.context.store, dict(self.keys))
        splits = {"transfer": self.context.data.transfer, "selection": self.context.data.selection}
        said = [asked.response(healthy[-1].source, s, name=n) for n, s in splits.items()]
        ids = torch.cat([split.ids for split in splits.values()])
        tell(self.context, Response(concatenated(said), ids), name=f"run {task.run.name}")

    def predictor(self, run: str) -> Predictor | None:
        """Return what is known of a teacher that was asked once; None of a run that has epochs.

        Args:
            run: Its name.
        """
        found = (predictor_of(self.context.store, t) for t in self.taken if t.run.name == run)
        return next(found, None)

    @property
    def gave_labels(self) -> bool:
        """Whether the labels are the answers of a teacher that was asked."""
        found = (predictor_of(self.context.store, task) for task in self.taken)
        return any(predictor is not None and predictor.labels for predictor in found)

    def records(
        self, task: TrajectoryTask | TakenTask | AverageTask | CooldownTask
    ) -> list[TrajectoryRecord]:
        """Return what a task has recorded so far."""
        return recorded(self.context.store, task.key)

    def healthy(self) -> list[TrajectoryRecord]:
        """Return every record of the runs that did not diverge.

        Raises:
            RunError: Every teacher diverged before its first record.
        """
        records = [record for task in self.runs for record in self.records(task)]
        healthy = [record for record in records if record.status == "ok"]
        if not healthy and not self.trajectories:
            raise RunError(
                "every recorded epoch of every recorded run diverged. Record other runs."
            )
        if not healthy:
            rates = ", ".join(map(shown_attribute, self.config.learning_rates))
            raise RunError(
                "every teacher diverged before its first recorded epoch. Lower learning_rates "
                f"(now {rates}) or set precision to float32."
            )
        return healthy

    def branches(self, variant: Branch) -> tuple[AverageTask | CooldownTask, ...]:
        """Return a task for each record of a trajectory; none unless ``variants`` asks for them."""
        if variant not in self.config.variants:
            return ()
        return tuple(
            self._branch(task, variant, record.epoch)
            for task in self.trajectories
            for record in self.records(task)
            if record.status == "ok"
        )

    def branching(self, trunk: TrajectoryTask, siblings: Sequence[Place] = ()) -> Flow[None]:
        """Make what ``variants`` asks for of each checkpoint of a run.

        Args:
            trunk: The run, trained.
            siblings: Studies that may have made them before.
        """
        for variant, stage in BRANCHES.items():
            tasks = tuple(t for t in self.branches(variant) if t.trunk.key == trunk.key)
            take_branches(self.context.store, siblings, tasks)
            if tasks:
                yield Needs(stage, tasks)

    def branched(self) -> list[TrajectoryRecord]:
        """Return what was made of checkpoints and did not diverge."""
        tasks = [task for variant in BRANCHES for task in self.branches(variant)]
        found = [record for task in tasks for record in self.records(task)]
        return [record for record in found if record.status == "ok"]

    def mix(self, records: Sequence[TrajectoryRecord]) -> list[BlendRecord]:
        """Return the averages and the blend that ``variants`` asks for."""
        if not MEANS.keys() & set(self.config.variants):
            return []
        task = BlendTask(
            data=self.data,
            teachers=self.keys,
            checkpoints=tuple(record.checkpoint for record in records),
            variants=self.config.variants,
            temperatures=self.config.temperatures,
        )
        self.engine.run("blends", [task])
        return blends_of(self.context.store, task)

    def test_logits(self, test: Split, checkpoint: Checkpoint) -> Tensor | None:
        """Return what a teacher says about the test split; None where that was not recorded.

        Args:
            test: The test split, open.
            checkpoint: A teacher trained here, or one that was recorded elsewhere.
        """
        keys = dict(self.keys)
        return logits_on_test(self.context, keys, self.config.teacher, checkpoint, test)

    def _branch(
        self, trunk: TrajectoryTask, variant: Branch, epoch: int
    ) -> AverageTask | CooldownTask:
        count = len(self.context.data.training)
        return plan_branch(self.config, trunk, variant, epoch, num_examples=count)
