"""The sweet spot: which teacher, at which temperature and alpha, makes the best student.

The search runs in stages, each a list of tasks handed to an engine:

1. the student's own training, tuned on hard labels;
2. trajectories, one for each batch size;
3. a shortlist of teachers by a score; held-out negative log-likelihood at its best temperature is
   *our* choice until a better one is shown;
4. shortlist x recipes, explored on the selection split. The references - plain cross-entropy,
   tuned label smoothing, the converged and the most accurate teacher - are families like the
   shortlist, each with a winner of its own, and all are tuned equally (`families`);
5. confirmation of the winners with fresh paired seeds;
6. only then the test split is opened, once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import nn

from goodteacher.arms import (
    CROSS_ENTROPY,
    Arm,
    Checkpoint,
    TeacherSource,
    TeacherVariant,
    smoothing_arm,
)
from goodteacher.config import ScoreName, StudyConfig, Training
from goodteacher.cooldowns import cooldown_task
from goodteacher.ema import ema_task
from goodteacher.errors import RunError
from goodteacher.families import RECIPE_AXES, Explored, Family, Rules, explore
from goodteacher.loans import with_loans
from goodteacher.mixing import MEANS, BlendTask
from goodteacher.probing import SHORTLIST_EPOCHS, has_declined, outdone_by, probe_task, probed
from goodteacher.results import (
    BlendRecord,
    StudentPlan,
    StudentRow,
    TeacherRecord,
    TrajectoryRecord,
)
from goodteacher.scores import NO_PROBES, SCORES, Probes, probe_accuracies, ranked
from goodteacher.store import Store
from goodteacher.students import Students, StudentTask
from goodteacher.tasks import Context, DataKey, Engine
from goodteacher.trajectories import TrajectoryTask, plan_trajectories
from goodteacher.tuning import plan_student, rules_for

CONFIRM_SEED = 1_000_000
"""Confirmation seeds count from here, search seeds from 0, so that they never meet."""

BRANCHES: Mapping[TeacherVariant, str] = {"ema": "moving averages", "cooldown": "cooldowns"}
"""The variants that each checkpoint has a task for, and what progress calls them."""

FAMILIES: tuple[Family, ...] = (
    "sweet_spot",
    "cross_entropy",
    "label_smoothing",
    "converged_teacher",
    "most_accurate_teacher",
)
"""The sweet spot and its references; each family has a winner."""


@dataclass(frozen=True)
class Found:
    """What the search chose, before anything was confirmed."""

    explored: Explored
    probes: tuple[StudentTask, ...] = ()

    @property
    def winners(self) -> Mapping[Family, Arm]:
        """The best arm of each family."""
        return self.explored.winners

    @property
    def tasks(self) -> tuple[StudentTask, ...]:
        """Every task of the exploration, in order."""
        return tuple(task for each in self.explored.rounds for task in each.tasks)


class Search:
    """The stages of a search, over one study.

    Args:
        config: The study's settings.
        context: Its data, folder and machine.
        engine: Where tasks run.
    """

    def __init__(self, config: StudyConfig, context: Context, engine: Engine) -> None:
        self.config = config
        self.context = context
        self.engine = engine
        self.key = DataKey.of(
            config,
            context.data,
            context.machine,
            augment=config.augment,
            views=config.views,
        )
        self.trajectories = plan_trajectories(
            config,
            self.key,
            num_examples=len(context.data.training),
            temperatures=config.temperatures,
        )

    @cached_property
    def plan(self) -> StudentPlan:
        """How students train first; tuned when it is asked for the first time."""
        return plan_student(self.students)

    @property
    def students(self) -> Students:
        """How students are made."""
        return Students(self.config, self.context, self.engine, self.key, self.teachers)

    @property
    def rules(self) -> Rules:
        """How families are explored."""
        config = self.config
        return rules_for(
            config,
            self.plan,
            num_examples=len(self.context.data.transfer),
            rounds=config.rungs,
            halving=config.halving,
            exhaustive=config.exhaustive,
            grows=frozenset(RECIPE_AXES if config.extend else ()),
        )

    def teach(self) -> list[TrajectoryRecord]:
        """Run the trajectories and return every record that did not diverge.

        Raises:
            RunError: Every teacher diverged before its first record.
        """
        tasks = with_loans(self.config, self.context, self.trajectories)
        if self.config.stops_teachers:
            self._teach_with_patience(tasks, self.config.patience)
        else:
            self.engine.run("teachers", tasks)
        records = [r for task in self.trajectories for r in task.records(self.context.store)]
        healthy = [record for record in records if record.status == "ok"]
        if not healthy:
            raise RunError(
                "every teacher diverged before its first recorded epoch. Lower learning_rate "
                f"(now {self.config.learning_rate:g}) or set precision to float32."
            )
        return healthy

    @property
    def probes(self) -> tuple[StudentTask, ...]:
        """Probe students of the epochs recorded so far; none without ``patience``."""
        if not self.config.stops_teachers:
            return ()
        found = (self.probe_at(number) for number in range(len(self.config.recorded_epochs) - 1))
        return tuple(probe for probe in found if probe.arms)

    def _teach_with_patience(self, tasks: Sequence[TrajectoryTask], patience: int) -> None:
        """Teach from one recorded epoch to the next those that their probe students speak for."""
        store = self.context.store
        reached: dict[int, list[float]] = {task.batch_size: [] for task in tasks}
        going = list(tasks)
        for number, epoch in enumerate(self.config.recorded_epochs):
            parts = [task.model_copy(update={"until": epoch}) for task in going]
            self.engine.run(f"teachers, to epoch {epoch}", parts)
            probe = self.probe_at(number)
            if epoch == self.config.epochs or not probe.arms:
                return
            self.engine.run(f"probe students, epoch {epoch}", [probe])
            accuracies = probed(store, probe)
            for checkpoint, accuracy in accuracies.items():
                reached[checkpoint.batch_size].append(accuracy)
            sizes = {checkpoint.batch_size for checkpoint in accuracies}
            healthy, going = [task for task in going if task.batch_size in sizes], []
            for task in healthy:
                rival = self._rival(task.batch_size, reached)
                if has_declined(reached[task.batch_size], patience):
                    self._stop(task, epoch)
                elif rival is not None:
                    self._stop(task, epoch, rival)
                else:
                    going.append(task)

    def _rival(self, batch_size: int, reached: Mapping[int, Sequence[float]]) -> int | None:
        """Return the cheaper trajectory that has outdone one, if any has."""
        cheaper = {size: reached[size] for size in self.config.cheaper_than(batch_size)}
        return outdone_by(reached[batch_size], cheaper, self.config.lead_after)

    def probe_at(self, number: int) -> StudentTask:
        """Return the probe students of every healthy teacher recorded at an epoch.

        Args:
            number: Which of the recorded epochs, from 0.
        """
        store, epoch = self.context.store, self.config.recorded_epochs[number]
        checkpoints = [
            record.checkpoint
            for task in self.trajectories
            for record in task.records(store)
            if record.epoch == epoch and record.status == "ok"
        ]
        return probe_task(
            self.config,
            self.key,
            checkpoints,
            number=number,
            training=self._probe_training(self.rules.rounds[0] / self.config.halving),
            teachers=self.teachers,
        )

    def _stop(self, task: TrajectoryTask, epoch: int, rival: int | None = None) -> None:
        store = self.context.store
        last = task.records(store)[-1]
        if last.stopped or last.epoch != epoch:
            return  # it ended before, perhaps under the rules of an earlier version
        store.log("teacher_stopped", batch_size=task.batch_size, epoch=epoch, outdone_by=rival)
        task.stop(store, outdone_by=rival)

    def branches(self, variant: TeacherVariant) -> tuple[TrajectoryTask, ...]:
        """Return a task for each record of a trajectory; none unless ``variants`` asks for them."""
        if variant not in self.config.variants:
            return ()
        return tuple(
            self._branch(task, variant, record.epoch)
            for task in self.trajectories
            for record in task.records(self.context.store)
            if record.status == "ok"
        )

    def branch(self) -> list[TrajectoryRecord]:
        """Make what ``variants`` asks for of each checkpoint; return what did not diverge."""
        found: list[TrajectoryRecord] = []
        for variant, stage in BRANCHES.items():
            tasks = self.branches(variant)
            if tasks:
                self.engine.run(stage, tasks)
            found += (record for task in tasks for record in task.records(self.context.store))
        return [record for record in found if record.status == "ok"]

    def load_teacher(self, checkpoint: Checkpoint) -> nn.Module:
        """Return a recorded teacher."""
        trunk = next(t for t in self.trajectories if t.batch_size == checkpoint.batch_size)
        raw = checkpoint.variant == "raw"
        task = trunk if raw else self._branch(trunk, checkpoint.variant, checkpoint.epoch)
        return task.load_teacher(self.context, checkpoint.epoch)

    def _branch(self, trunk: TrajectoryTask, variant: TeacherVariant, epoch: int) -> TrajectoryTask:
        if variant == "ema":
            return ema_task(trunk, epoch)
        count = len(self.context.data.training)
        return cooldown_task(self.config, trunk, epoch, num_examples=count)

    def mix(self, records: Sequence[TrajectoryRecord]) -> list[BlendRecord]:
        """Return the averages and the blend that ``variants`` asks for."""
        if not MEANS.keys() & set(self.config.variants):
            return []
        task = BlendTask(
            data=self.key,
            teachers=self.teachers,
            checkpoints=tuple(record.checkpoint for record in records),
            variants=self.config.variants,
            temperatures=self.config.temperatures,
        )
        self.engine.run("blends", [task])
        return task.records(self.context.store)

    def explore(
        self, records: Sequence[TrajectoryRecord], others: Sequence[TeacherRecord] = ()
    ) -> Found:
        """Choose a winner for each family on the selection split."""
        probes = self._probe_rivals(records, others)
        accuracies = probe_accuracies(all_rows(self.context.store, probes))
        explored = explore(
            plan_families(self.config, records, others, accuracies),
            train=self._train_round,
            store=self.context.store,
            labels=self.context.data.selection.labels.numpy(),
            rules=self.rules,
        )
        return Found(explored, probes)

    def _train_round(self, number: int, arms: Sequence[Arm]) -> tuple[StudentTask, ...]:
        tasks = self.students.tasks(
            arms,
            self.plan.training,
            stage="search",
            seeds=range(self.config.search_seeds),
            rung=number,
            keep_state=False,
        )
        return self.students.train(f"students, round {number + 1}", tasks)

    def probe_all(self, sources: Sequence[TeacherSource]) -> StudentTask:
        """Train probe students of one epoch for each of some recorded teachers."""
        task = probe_task(
            self.config,
            self.key,
            sources,
            number=len(self.config.recorded_epochs),
            training=self._probe_training(SHORTLIST_EPOCHS),
            teachers=self.teachers,
        )
        self.engine.run("probe students", [task])
        return task

    def _probe_rivals(
        self, records: Sequence[TrajectoryRecord], others: Sequence[TeacherRecord]
    ) -> tuple[StudentTask, ...]:
        """Train the probe students that the shortlist's score needs, if it needs any."""
        needed = SCORES[self.config.shortlist_by].needs_probes and not self.config.exhaustive
        rivals = [record.source for record in _rivals(self.config, records, others)]
        return (self.probe_all(rivals),) if needed and rivals else ()

    def confirm(self, winners: Iterable[Arm]) -> tuple[StudentTask, ...]:
        """Train the winners again with fresh paired seeds."""
        seeds = range(CONFIRM_SEED, CONFIRM_SEED + self.config.seeds)
        tasks = self.students.tasks(winners, self.plan.training, stage="confirm", seeds=seeds)
        return self.students.train("confirmation", tasks)

    def _probe_training(self, epochs: float) -> Training:
        return self.plan.training.model_copy(update={"epochs": max(1, round(epochs))})

    @property
    def teachers(self) -> tuple[tuple[int, str], ...]:
        """The trajectories, as tasks of students name them: (batch size, task key)."""
        return tuple((task.batch_size, task.key) for task in self.trajectories)


def plan_families(
    config: StudyConfig,
    records: Sequence[TrajectoryRecord],
    others: Sequence[TeacherRecord] = (),
    probes: Probes = NO_PROBES,
) -> dict[Family, tuple[Arm, ...]]:
    """Return the arms of each family.

    Args:
        config: The study's settings.
        records: Recorded epochs of all trajectories, none diverged.
        others: Their moving averages and cooldowns, and means of their responses.
        probes: Accuracies of probe students, for a shortlist by a score that needs them.

    Raises:
        RunError: No teacher of the variants wanted is there.
    """
    competing = candidates(config, records, others, probes)
    if not competing:
        raise RunError(
            f"no teacher of variants = {','.join(config.variants)} is left to compete: either all "
            "diverged, or averages found fewer than two recorded epochs. Add raw to variants, or "
            "record more epochs."
        )
    return {
        "sweet_spot": _arms(config, [record.source for record in competing]),
        "cross_entropy": (CROSS_ENTROPY,),
        "label_smoothing": tuple(smoothing_arm(value) for value in config.smoothings),
        "converged_teacher": _arms(config, [converged(records).checkpoint]),
        "most_accurate_teacher": _arms(config, [most_accurate(records).checkpoint]),
    }


def candidates(
    config: StudyConfig,
    records: Sequence[TrajectoryRecord],
    others: Sequence[TeacherRecord] = (),
    probes: Probes = NO_PROBES,
) -> list[TeacherRecord]:
    """Return the teachers that compete for the sweet spot.

    All compete for the shortlist but a blend, which always joins it: its NLL was minimised on the
    examples that rank, so its own rank would say little.

    Args:
        config: The study's settings.
        records: Recorded epochs of all trajectories, none diverged.
        others: Their moving averages and cooldowns, and means of their responses.
        probes: Accuracies of probe students, for a shortlist by a score that needs them.
    """
    listed = _rivals(config, records, others)
    chosen = [r for r in others if r.source.variant == "blend"]
    if not config.exhaustive:
        listed = shortlist(listed, config.shortlist, by=config.shortlist_by, probes=probes)
    return [*listed, *chosen]


def _rivals(
    config: StudyConfig,
    records: Sequence[TrajectoryRecord],
    others: Sequence[TeacherRecord],
) -> list[TeacherRecord]:
    """Return the teachers that compete for the shortlist."""
    raw = records if "raw" in config.variants else ()
    return [*raw, *(record for record in others if record.source.variant != "blend")]


def shortlist(
    records: Sequence[TeacherRecord],
    size: int,
    *,
    by: ScoreName = "best_nll",
    probes: Probes = NO_PROBES,
) -> list[TeacherRecord]:
    """Return the teachers of best score, best first."""
    return ranked(records, by, probes)[:size]


def converged(records: Sequence[TrajectoryRecord]) -> TrajectoryRecord:
    """Return the teacher that common practice would take: the most accurate of the final ones.

    Teachers that probe students stopped are final only where none was taught to the end.
    """
    last: dict[int, TrajectoryRecord] = {}
    for record in records:
        if record.batch_size not in last or record.epoch > last[record.batch_size].epoch:
            last[record.batch_size] = record
    taught = [record for record in last.values() if not record.stopped]
    return most_accurate(taught or list(last.values()))


def most_accurate(records: Sequence[TrajectoryRecord]) -> TrajectoryRecord:
    """Return the teacher with the highest accuracy on the selection split."""
    return max(records, key=lambda record: (record.selection_accuracy, -record.best_nll))


def all_rows(store: Store, tasks: Iterable[StudentTask]) -> list[StudentRow]:
    """Return the rows of all tasks, in order."""
    return [row for task in tasks for row in task.rows(store)]


def _arms(config: StudyConfig, teachers: Sequence[TeacherSource]) -> tuple[Arm, ...]:
    return tuple(
        Arm(source=teacher, recipe=recipe) for teacher in teachers for recipe in config.recipes
    )
