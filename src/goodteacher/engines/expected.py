"""What a study will have to do, roughly, known before it begins: steps of training, by stage.

It says only whether a choice of processes and threads pays, so it is coarse. It leaves out what
depends on results: teachers that stop early, and students that train longer since that still helps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from goodteacher.config import (
    DistillConfig,
    Optimization,
    RuntimeConfig,
    StudyConfig,
    Training,
    VerifyConfig,
)
from goodteacher.studies import Context
from goodteacher.training import steps_per_epoch

_TUNED_ARMS, _TUNE_SEEDS, _TUNED_LONGER = 5, 2, 3
"""Learning rates that are tried for a student, the seeds of that, and how much longer the winners
train in the next round."""

_REFERENCES = 2
"""Teachers that students try beside the shortlist: the converged and the most accurate one."""

_FAMILIES = 5
"""Kinds of target of which one winner each is confirmed."""

_RUNGS = 6
"""Kinds of target that a verification compares."""


@dataclass(frozen=True)
class Kind:
    """Steps of training that cost the same.

    Attributes:
        role: Whose steps: a teacher's, or those of a student in a stack.
        spec: The network's specification.
        plan: How it trains, with its batch size.
    """

    role: Literal["teacher", "student"]
    spec: str
    plan: Optimization


@dataclass(frozen=True)
class Job:
    """A task as far as it is known before.

    Attributes:
        kind: Of its steps.
        steps: Their number.
        networks: Students that take them together; 1 is a teacher.
    """

    kind: Kind
    steps: float
    networks: float = 1.0


Jobs = tuple[Job, ...]
"""A stage: jobs that may run beside one another; those of the next stage wait for all of them."""


def expected_stages(config: RuntimeConfig, context: Context) -> tuple[Jobs, ...]:
    """Return the stages of a study, of a distillation or of a verification.

    Args:
        config: Its settings.
        context: Its data.
    """
    if isinstance(config, StudyConfig):
        stages = _search(config, context)
    elif isinstance(config, VerifyConfig):
        stages = _verification(config, context)
    elif isinstance(config, DistillConfig):
        stages = _distillation(config, context)
    else:
        stages = ()
    return tuple(stage for stage in stages if stage)


def steps_by_kind(stages: Iterable[Jobs]) -> dict[Kind, float]:
    """Return how many steps of each kind there are."""
    found: dict[Kind, float] = {}
    for stage in stages:
        for job in stage:
            found[job.kind] = found.get(job.kind, 0.0) + job.steps
    return found


def _teachers(config: StudyConfig, context: Context) -> Jobs:
    if config.teacher is None or config.teachers_of is not None:
        return ()
    jobs = []
    for run in config.runs:
        counted = run.batch_size if config.budget == "epochs" else config.reference_batch_size
        steps = config.epochs * steps_per_epoch(len(context.data.training), counted)
        plan = config.teacher_optimization(run.batch_size, config.learning_rates[0])
        jobs.append(Job(Kind("teacher", config.teacher, plan), float(steps)))
    return tuple(jobs)


@dataclass(frozen=True)
class _Student:
    """A student that trains alike in every stage, but for how long."""

    config: StudyConfig | DistillConfig
    context: Context

    @property
    def first(self) -> Training:
        """How it trains first."""
        return self.config.first_training(len(self.context.data.transfer))

    def stage(self, arms: float, *, epochs: float, seeds: int) -> Jobs:
        """Return a task for each seed, of so many arms."""
        first, count = self.first, len(self.context.data.transfer)
        kind = Kind("student", self.config.student, self.config.student_optimization(first))
        steps = epochs * steps_per_epoch(count, first.batch_size)
        return (Job(kind, steps, arms),) * seeds

    def tuning(self) -> tuple[Jobs, ...]:
        """Return the choice of a learning rate, where it is looked for."""
        if not self.config.tunes_student:
            return ()
        return (self.stage(_TUNED_ARMS, epochs=self.first.epochs, seeds=_TUNE_SEEDS),)

    @property
    def last_epochs(self) -> float:
        """Epochs of students at the end."""
        longer = _TUNED_LONGER if self.config.tunes_student else 1
        return float(longer * self.first.epochs)


def _search(config: StudyConfig, context: Context) -> tuple[Jobs, ...]:
    student = _Student(config, context)
    recorded = max(1, len(config.runs) * len(config.recorded_epochs))
    listed = recorded if config.exhaustive else min(config.shortlist, recorded)
    arms = float((listed + _REFERENCES) * len(config.recipes) + len(config.smoothings) + 1)
    epochs = student.first.epochs / (1 if config.tunes_student else config.halving)
    # The student is tuned beside the teachers: only their probe students wait for that.
    tuning = [job for stage in student.tuning() for job in stage]
    stages: list[Jobs] = [(*_teachers(config, context), *tuning)]
    for _ in range(config.rungs):
        stages.append(student.stage(arms, epochs=epochs, seeds=config.search_seeds))
        arms = arms if config.exhaustive else max(arms / config.halving, float(_FAMILIES))
        epochs = min(epochs * config.halving, student.last_epochs)
    return (*stages, student.stage(_FAMILIES, epochs=student.last_epochs, seeds=config.seeds))


def _verification(config: VerifyConfig, context: Context) -> tuple[Jobs, ...]:
    student = _Student(config, context)
    recipes = len(config.recipes) if config.tune_arms else 1
    arms = _RUNGS * recipes + len(config.smoothings)
    tried = student.stage(arms, epochs=student.first.epochs, seeds=config.search_seeds)
    judged = student.stage(_RUNGS, epochs=student.last_epochs, seeds=config.seeds)
    return (*student.tuning(), tried, judged)


def _distillation(config: DistillConfig, context: Context) -> tuple[Jobs, ...]:
    student = _Student(config, context)
    tried = student.stage(2, epochs=student.first.epochs, seeds=_TUNE_SEEDS)
    last = student.stage(2, epochs=student.last_epochs, seeds=config.seeds)
    return (*student.tuning(), *([tried] if config.tunes_student else []), last)
