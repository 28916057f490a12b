"""What engines with several workers have in common: which task is begun when, and what is told.

Where the workers are, and how a task gets there, is a :class:`Pool`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from typing import Any, Protocol

from goodteacher.engines.failures import raise_failure
from goodteacher.engines.going import Begun, Going
from goodteacher.engines.local import LocalEngine
from goodteacher.engines.working import Outcome
from goodteacher.studies import Context, Flow, Needs, Task, done_among, say
from goodteacher.training import threads_of

_PAUSE = 0.2
"""Seconds between two looks at how far tasks are."""


@dataclass(frozen=True)
class Report:
    """What a task says while it runs.

    Attributes:
        task: Its key.
        units: Units of its work that were done since it reported last.
        said: What a person should read, with the level that the log gives it.
    """

    task: str
    units: float = 0.0
    said: tuple[str, int] | None = None


class Pool(Protocol):
    """Workers that do tasks beside one another."""

    threads: int
    """CPU threads of each."""

    stays_here: bool
    """Whether a task that is alone may as well run in this process."""

    def ready_for(self, tasks: int) -> int:
        """Be ready for tasks; return how many can be at work at the same time.

        Args:
            tasks: Those that wait or are at work.

        Raises:
            InputError: The study cannot be handed to workers, or there are none.
        """

    def submit(self, stage: str, task: Task) -> Future[Outcome]:
        """Begin a task on a free worker."""

    def outcome(self, future: Future[Outcome], stage: str, task: Task) -> Outcome:
        """Return how a task has ended.

        Raises:
            RunError: Its worker was lost for good.
        """

    def reports(self) -> Iterable[Report]:
        """Return what tasks have said since this was asked last."""

    def stop(self, futures: Iterable[Future[Outcome]]) -> None:
        """End tasks, those at work too: their output is half written, and nobody takes it."""


@dataclass
class _Waiting:
    """A task that stages wait for.

    Attributes:
        task: The task.
        stage: What its stage is called.
        needed: The stages.
    """

    task: Task
    stage: str
    needed: list[Begun] = field(default_factory=list)


class PooledEngine:
    """Run tasks on the workers of a pool: those of earlier flows first, of a stage the longest.

    Args:
        context: The study's data, folder, machine and watcher.
        pool: The workers.
    """

    def __init__(self, context: Context, pool: Pool) -> None:
        self.context = context
        self.pool = pool
        self._alone = LocalEngine(context)
        self._warned: set[tuple[type[Warning], str]] = set()

    def run(self, stage: str, tasks: Sequence[Task]) -> None:
        """Run what is missing among ``tasks``; see :class:`LocalEngine`.

        Raises:
            InputError: The study cannot be handed to workers, or there are none.
            RunError: A task failed in a way that goodteacher did not foresee, or its worker was
                lost.
        """
        self.together(_one(stage, tasks))

    def together(self, *flows: Flow[Any]) -> list[Any]:
        """Run flows beside one another; see :meth:`run` for what can go wrong.

        Args:
            flows: Tasks of those that come first are begun first.
        """
        with Going(flows) as going:
            work = _Work(self, going)
            try:
                work.finish()
            except BaseException:
                self.pool.stop(work.at_work)
                raise
            return going.results

    def ended(self, at_work: Iterable[Future[Outcome]]) -> set[Future[Outcome]]:
        """Wait until a task at work has ended, or for a moment; return those that have."""
        return wait(list(at_work), timeout=_PAUSE, return_when=FIRST_COMPLETED).done

    def alone(self, stage: str, task: Task) -> None:
        """Run a task in this process."""
        with threads_of(self.pool.threads):  # as the others have: the last bits depend on it
            self._alone.do(stage, task)

    def end(self, stage: str, task: Task, future: Future[Outcome]) -> None:
        """Take note of how a task has ended on a worker.

        Raises:
            GoodteacherError: It failed.
        """
        outcome = self.pool.outcome(future, stage, task)
        self.context.warned_of.update(outcome.warned_of)
        for category, text in outcome.warned:
            # every worker warns once, where one process alone would warn once in all
            if (category, text) not in self._warned:
                self._warned.add((category, text))
                warnings.warn(text, category, stacklevel=2)
        if outcome.error is not None:
            raise outcome.error
        if outcome.failure is not None:
            raise_failure(outcome.failure, store=self.context.store, stage=stage, task=task.key)


def _one(stage: str, tasks: Sequence[Task]) -> Flow[None]:
    yield Needs(stage, tuple(tasks))


class _Work:
    """The tasks of some flows, on their way."""

    def __init__(self, engine: PooledEngine, going: Going) -> None:
        self.engine, self.pool, self.going = engine, engine.pool, going
        self.store, self.progress = engine.context.store, engine.context.progress
        self.at_work: dict[Future[Outcome], str] = {}
        self._waiting: dict[str, _Waiting] = {}  # by key, those at work too
        self._left: dict[int, tuple[Begun, set[str]]] = {}  # by flow, what its stage needs
        self._lone: _Waiting | None = None  # a task that nothing runs beside

    def finish(self) -> None:
        """Run tasks until every flow has ended."""
        self._open()
        while self._left:
            if self.pool.stays_here and self._lone is not None:
                self._alone(self._lone)
                continue
            self._begin()
            done = self.engine.ended(self.at_work)
            self._tell()
            for future in done:
                waiting = self._waiting[self.at_work[future]]
                self.engine.end(waiting.stage, waiting.task, future)
                del self.at_work[future]
                self._done(waiting)
            self._open()

    def _open(self) -> None:
        """Enter the tasks of stages that have become ready; those that need none end at once."""
        while new := [each for each in self.going.begun if each.flow not in self._left]:
            for name in dict.fromkeys(each.needs.stage for each in new):
                self._enter(name, [each for each in new if each.needs.stage == name])
            for begun, missing in list(self._left.values()):
                if not missing:
                    self._end(begun)
            alone = len(self._waiting) == 1 and not self.at_work
            self._lone = next(iter(self._waiting.values())) if alone else None

    def _enter(self, name: str, begun: Sequence[Begun]) -> None:
        """Enter the tasks of stages of one name."""
        tasks = {task.key: task for each in begun for task in each.needs.tasks}
        finished = done_among(tasks.values(), self.store) - self._waiting.keys()
        missing = {key: task for key, task in tasks.items() if key not in finished}
        whole = sum(task.work for task in tasks.values())
        self.progress.begin(name, whole)
        left = sum(task.work for key, task in missing.items() if key not in self._waiting)
        if whole > left:
            self.progress.advance(whole - left, name)
        for key, task in missing.items():
            self._waiting.setdefault(key, _Waiting(task, name))
        for each in begun:
            keys = {task.key for task in each.needs.tasks} & missing.keys()
            self._left[each.flow] = each, keys
            for key in keys:
                self._waiting[key].needed.append(each)

    def _ready(self) -> list[_Waiting]:
        """Return the tasks that nobody has begun, first those to begin first."""
        at_work = set(self.at_work.values())
        ready = [each for key, each in self._waiting.items() if key not in at_work]
        first: dict[str, int] = {}
        for each in ready:
            flow = min(begun.flow for begun in each.needed)
            first[each.stage] = min(flow, first.get(each.stage, flow))
        return sorted(ready, key=lambda each: (first[each.stage], -each.task.work))

    def _begin(self) -> None:
        """Begin as many tasks as there are free workers for."""
        if len(self.at_work) == len(self._waiting):
            return
        free = self.pool.ready_for(len(self._waiting)) - len(self.at_work)
        if free > 0:  # or nobody needs to know in which order the others would begin
            for each in self._ready()[:free]:
                self.at_work[self.pool.submit(each.stage, each.task)] = each.task.key

    def _alone(self, waiting: _Waiting) -> None:
        self.engine.alone(waiting.stage, waiting.task)
        self._lone = None
        self._done(waiting)
        self._open()

    def _tell(self) -> None:
        """Pass on what tasks say."""
        for report in self.pool.reports():
            if report.units and report.task in self._waiting:
                self.progress.advance(report.units, self._waiting[report.task].stage)
            if report.said is not None:
                text, level = report.said
                say(self.progress, text, level=level)

    def _done(self, waiting: _Waiting) -> None:
        del self._waiting[waiting.task.key]
        for begun in waiting.needed:
            missing = self._left[begun.flow][1]
            missing.discard(waiting.task.key)
            if not missing:
                self._end(begun)

    def _end(self, begun: Begun) -> None:
        del self._left[begun.flow]
        self.going.end(begun)
