"""The sweet spot: which teacher, at which temperature and alpha, makes the best student.

The search runs in stages, each of tasks that an engine runs; the first two beside one another:

1. the student's own training, tuned on hard labels;
2. trajectories, one for each batch size, learning rate and seed;
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

from goodteacher.config import StudyConfig, Training
from goodteacher.records import Arm, StudentPlan, TeacherRecord, TrajectoryRecord
from goodteacher.students import (
    RECIPE_AXES,
    Explored,
    Family,
    Rules,
    Students,
    StudentTask,
    all_rows,
    explore,
    plan_student,
    planning,
    rules_for,
)
from goodteacher.studies import DECISIONS_FILE, Context, Engine, Flow, Needs, Place
from goodteacher.sweet_spot.choice import compete, rivals
from goodteacher.sweet_spot.patience import Patience
from goodteacher.sweet_spot.probing import SHORTLIST_EPOCHS
from goodteacher.sweet_spot.scores import probe_accuracies
from goodteacher.sweet_spot.shortlist_probes import PROBES, ShortlistProbes
from goodteacher.sweet_spot.teachers import TeacherRuns
from goodteacher.teachers import TrajectoryTask, reusing

CONFIRM_SEED = 1_000_000
"""Confirmation seeds count from here, search seeds from 0, so that they never meet."""


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
        siblings: Studies of the other students that are searched with the same settings, which
            share the teachers; None where there is one student.
    """

    def __init__(
        self,
        config: StudyConfig,
        context: Context,
        engine: Engine,
        *,
        siblings: Sequence[Place] | None = None,
    ) -> None:
        self.config = config
        self.context = context
        self.engine = engine
        self.siblings = tuple(siblings or ())
        self.teachers = TeacherRuns(config, context, engine)
        shared = siblings is not None
        self.patience = Patience(self.teachers, self._probe_training, keep_states=shared)
        self.shortlist_probes = ShortlistProbes(
            self.teachers, lambda: self._training_of(SHORTLIST_EPOCHS)
        )

    @cached_property
    def plan(self) -> StudentPlan:
        """How students train first; tuned when it is asked for the first time."""
        return plan_student(self.students)

    @property
    def students(self) -> Students:
        """How students are made."""
        teachers = self.teachers
        return Students(self.config, self.context, self.engine, teachers.data, teachers.keys)

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

    def train_teachers(self) -> list[TrajectoryRecord]:
        """Take recorded runs, train the others, and return every record that did not diverge.

        Runs do not wait for one another: what branches off one, and the probe students that learn
        from it, begin as soon as it is there. Meanwhile the student is tuned on hard labels.

        Raises:
            RunError: Every teacher diverged before its first record.
        """
        self.teachers.take()
        trajectories = self.teachers.trajectories
        tasks = reusing(self.config, self.context, trajectories, self.siblings)
        runs = [self._run(task) for task in tasks]
        taken = [self.shortlist_probes.of_run(task) for task in self.teachers.taken]
        tuned = planning(self.students)
        # Probe students need to know how students train; where there are none, that can wait.
        first = self.config.stops_teachers or self.shortlist_probes.needed
        self.engine.together(*([tuned, *runs, *taken] if first else [*runs, *taken, tuned]))
        return self.teachers.healthy()

    def _run(self, task: TrajectoryTask) -> Flow[None]:
        """Train a run, and do what only needs that."""
        if self.config.stops_teachers:
            yield from self.patience.training(task)
        else:
            yield Needs("teachers", (task,))
        yield from self.teachers.branching(task, self.siblings)
        yield from self.shortlist_probes.of_run(task)

    @property
    def probes(self) -> tuple[StudentTask, ...]:
        """Probe students of the epochs recorded so far; none without ``patience``."""
        return self.patience.probes() if self.config.stops_teachers else ()

    def explore(
        self, records: Sequence[TrajectoryRecord], others: Sequence[TeacherRecord] = ()
    ) -> Found:
        """Choose a winner for each family on the selection split."""
        probes = self.shortlist_probes.of(rivals(self.config, records, others))
        if probes:  # those of means of responses; the others were trained beside the teachers
            self.engine.run(PROBES, probes)
        accuracies = probe_accuracies(all_rows(self.context.store, probes))
        competitors = compete(self.config, records, others, accuracies)
        decided = competitors.decisions(self.config)
        self.context.store.write_records(DECISIONS_FILE, decided)
        explored = explore(
            competitors.families(self.config),
            train=self._train_round,
            store=self.context.store,
            labels=self.context.data.selection.labels.numpy(),
            rules=self.rules,
            note=self.context.note,
        )
        self.context.store.write_records(DECISIONS_FILE, [*decided, *explored.decisions()])
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

    def confirm(self, winners: Iterable[Arm]) -> tuple[StudentTask, ...]:
        """Train the winners again with fresh paired seeds."""
        seeds = range(CONFIRM_SEED, CONFIRM_SEED + self.config.seeds)
        tasks = self.students.tasks(winners, self.plan.training, stage="confirm", seeds=seeds)
        return self.students.train("confirmation", tasks)

    def _probe_training(self) -> Training:
        """Return how the students train that say when teachers have been trained enough."""
        return self._training_of(self.rules.rounds[0] / self.config.halving)

    def _training_of(self, epochs: float) -> Training:
        return self.plan.training.model_copy(update={"epochs": max(1, round(epochs))})
