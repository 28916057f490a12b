"""Tasks: the units of work that an engine runs.

A task is a description: frozen data that name the work, by the hash of what differs from the
defaults. A runner does it: its output is a pure function of the description and of the study's
data, and it knows whether that output exists, so running a list of tasks again does only what is
missing. An engine decides where and in which order tasks run; it never changes what they do.
"""

from __future__ import annotations

import logging
import pkgutil
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, cast

from goodteacher.config import Augmentation, DataConfig, Frozen, StudyConfig
from goodteacher.data import Split, StudyData
from goodteacher.networks import Examples, Network, Preparations
from goodteacher.studies.progress import Progress, say
from goodteacher.studies.store import Store
from goodteacher.training import Machine

if TYPE_CHECKING:
    from goodteacher.studies.helpers import Recruiter


@dataclass(frozen=True)
class Context:
    """What every task works with.

    Attributes:
        data: The study's data, split.
        store: Its folder.
        machine: Where arithmetic happens.
        progress: Who watches.
        environment: Number of the environment that this is, among those of ``environment.json``.
        warned_of: Students of which it was said that they cannot be stacked.
        recruiter: Starts the other processes that train one teacher; None does so on this machine.
    """

    data: StudyData
    networks: Preparations
    store: Store
    machine: Machine
    progress: Progress
    environment: int = 0
    warned_of: set[str] = field(default_factory=set, compare=False)
    recruiter: Recruiter | None = None

    def watched_by(self, progress: Progress) -> Context:
        """Return the same, watched by another."""
        return replace(self, progress=progress)

    def note(self, text: str) -> None:
        """Tell who watches, and the log, something that a person should read."""
        say(self.progress, text)

    def warn(self, text: str) -> None:
        """Tell who watches, and the log as a warning, that the result may be wrong."""
        say(self.progress, text, level=logging.WARNING)

    def network(self, spec: str, *, seed: int) -> Network:
        """Return a new network of a specification, with its preparation."""
        return self.networks.network(spec, seed=seed)

    def examples(
        self,
        spec: str,
        split: Split,
        augmentation: Augmentation | None = None,
        *,
        stream: int = 0,
    ) -> Examples:
        """Return a split as the network of a specification sees it, on this machine's device."""
        return self.networks.examples(
            spec, split, device=self.machine.device, augmentation=augmentation, stream=stream
        )


class Task(Protocol):
    """The description of a unit of work: frozen data, and nothing that does it."""

    runner: ClassVar[str]
    """Where its runner's class is: ``package.module:Name``. A name, so that a description can be
    made, sent and read where the work itself is never done."""

    @property
    def key(self) -> str:
        """Name of the task and of its output: readable, and unique for its fields."""

    @property
    def work(self) -> float:
        """Size of the task, in units comparable among tasks of its kind."""


class Runner(Protocol):
    """What does the work of one kind of task; it keeps nothing between tasks."""

    def done(self, task: Any, store: Store) -> bool:
        """Say whether the task's output exists."""

    def run(self, task: Any, context: Context) -> None:
        """Do what is missing; report ``task.work`` units of progress in all."""


@cache
def _runner(name: str) -> Runner:
    return cast("Runner", pkgutil.resolve_name(name)())


def runner_of(task: Task) -> Runner:
    """Return what does a task's work."""
    return _runner(task.runner)


def is_done(task: Task, store: Store) -> bool:
    """Say whether a task's output exists."""
    return runner_of(task).done(task, store)


def done_among(tasks: Iterable[Task], store: Store) -> set[str]:
    """Return the keys of those tasks whose output exists, with few requests where that is asked."""
    listed = store.listed()
    return {task.key for task in tasks if is_done(task, listed)}


def processes_of(task: Task, machine: Machine) -> int:
    """Return how many processes a task takes, for who shares out CPUs or GPUs.

    Args:
        task: The task. Its class says so by ``divided = True`` if it trains a teacher.
        machine: Says over how many processes teachers are trained.
    """
    return machine.teacher_workers if getattr(task, "divided", False) else 1


@dataclass(frozen=True)
class Needs:
    """What a flow needs done before it goes on: tasks that do not depend on one another.

    Attributes:
        stage: What a watcher calls them.
        tasks: The tasks; those whose output exists count as done.
    """

    stage: str
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class Until:
    """What a flow waits for that other flows bring about.

    Attributes:
        holds: Says whether it has come about; asked again whenever another flow has gone on. It
            looks at what flows have found, never at a clock.
    """

    holds: Callable[[], bool]


ResultT = TypeVar("ResultT")

Flow = Generator[Needs | Until, None, ResultT]
"""Work that is decided on the way: a generator that yields what has to be done, and goes on once
that is done. Several flows are the graph of a study's tasks, as far as it is known."""


class Engine(Protocol):
    """Where tasks run."""

    def run(self, stage: str, tasks: Sequence[Task]) -> None:
        """Run tasks that do not depend on one another; return when all are done."""

    def together(self, *flows: Flow[Any]) -> list[Any]:
        """Run flows beside one another; return what they return, in their order.

        Which tasks there are depends on what tasks find, never on where or in which order they run.
        """


class DataKey(Frozen):
    """What a task's result depends on besides its own settings: the data and how they are seen."""

    fingerprint: str
    selection_fraction: float
    transfer_fraction: float
    split_seed: int
    normalization: str
    augment: tuple[str, ...] = ()
    views: int = 1
    tfidf_features: int | None = None

    @property
    def augmentation(self) -> Augmentation:
        """What happens to images in views other than the plain one."""
        return Augmentation.parse(self.augment)

    @classmethod
    def of(cls, config: DataConfig, data: StudyData) -> DataKey:
        """Return the key for a data set split, and augmented, under these settings."""
        study = config if isinstance(config, StudyConfig) else None
        return cls(
            fingerprint=data.fingerprint,
            selection_fraction=config.selection_fraction,
            transfer_fraction=config.transfer_fraction,
            split_seed=config.split_seed,
            normalization=config.normalization,
            tfidf_features=config.tfidf_features,
            augment=study.augment if study else (),
            views=study.views if study else 1,
        )
