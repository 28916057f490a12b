"""The engine of simulations: what workers would do, and when, without doing it.

Tasks are begun in the order and under the rules of the engines with workers
(:class:`~goodteacher.engines.pooled.PooledEngine`), flows go on as theirs do, and a clock that is a
number jumps from one task's end to the next. So what it says of a schedule is what those engines
would do if tasks took as long as is assumed.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from goodteacher.engines.choosing import CROWDED, START
from goodteacher.engines.pooled import PooledEngine, Report
from goodteacher.engines.working import Outcome
from goodteacher.studies import Context, Task

OVERHEAD = 0.0025
"""Seconds that handing a task to another process takes, beside the task: measured in
docs/plan.md."""


class Pretend(Protocol):
    """Stands in for the work of tasks."""

    def seconds(self, stage: str, task: Task) -> float:
        """Return what a task would take; 0 if it has been done."""

    def leave(self, stage: str, task: Task) -> None:
        """Leave what the task would leave."""


@dataclass(frozen=True)
class Simulated:
    """A task on its way through a simulation.

    Attributes:
        stage: What a watcher would call it.
        task: The task.
        begun: Seconds from the beginning until it begins.
        seconds: What it takes.
        after: The task whose end let it begin, of any flow; None if nothing had to end before.
    """

    stage: str
    task: Task
    begun: float
    seconds: float
    after: Simulated | None = field(repr=False, compare=False)

    @property
    def ended(self) -> float:
        """Seconds from the beginning until it has ended."""
        return self.begun + self.seconds


class SimulatedEngine(PooledEngine):
    """Say what workers would do.

    Args:
        context: The study, in a folder that goes again: what tasks would leave is put there.
        pretend: Does that, and knows how long tasks take.
        workers: How many there are; None is one for each task. One is this process alone.
    """

    def __init__(self, context: Context, pretend: Pretend, *, workers: int | None = None) -> None:
        self.simulation = _Simulation(pretend, workers)
        super().__init__(context, self.simulation)

    @property
    def simulated(self) -> Sequence[Simulated]:
        """What was done, in the order of its end."""
        return self.simulation.done

    @property
    def seconds(self) -> float:
        """Seconds from the beginning to the last end."""
        return self.simulation.now

    def ended(self, at_work: Iterable[Future[Outcome]]) -> set[Future[Outcome]]:
        """Move the clock to the next end."""
        return {self.simulation.next_end()}


class _Simulation:
    """A pool of workers that only say how long they would be at work."""

    threads = 1
    stays_here = False

    def __init__(self, pretend: Pretend, workers: int | None) -> None:
        self.pretend, self.workers = pretend, workers
        self.several = workers is not None and workers > 1
        self.now = START if self.several else 0.0
        self.done: list[Simulated] = []
        self._at_work: list[tuple[float, int, Simulated, Future[Outcome]]] = []
        self._begun = 0

    def ready_for(self, tasks: int) -> int:
        """Return how many tasks can be at work at the same time."""
        return tasks if self.workers is None else self.workers

    def submit(self, stage: str, task: Task) -> Future[Outcome]:
        """Begin a task, and know when it ends."""
        seconds = self.pretend.seconds(stage, task)
        if self.several and seconds:
            seconds = CROWDED * seconds + OVERHEAD
        last = self.done[-1] if self.done else None
        simulated = Simulated(stage, task, self.now, seconds, last)
        future: Future[Outcome] = Future()
        heapq.heappush(self._at_work, (simulated.ended, self._begun, simulated, future))
        self._begun += 1
        return future

    def next_end(self) -> Future[Outcome]:
        """End the task that ends first."""
        ended, _, simulated, future = heapq.heappop(self._at_work)
        self.now = ended
        self.pretend.leave(simulated.stage, simulated.task)
        self.done.append(simulated)
        future.set_result(Outcome())
        return future

    def outcome(self, future: Future[Outcome], stage: str, task: Task) -> Outcome:
        """Return that all went well."""
        return future.result()

    def reports(self) -> Iterable[Report]:
        """Return nothing: nobody watches."""
        return ()

    def stop(self, futures: Iterable[Future[Outcome]]) -> None:
        """Forget what is at work."""
        self._at_work.clear()


def longest_chain(simulated: Sequence[Simulated]) -> tuple[Simulated, ...]:
    """Return the tasks that set the time of a simulation with a worker for each task, first first.

    Each of them begins when the one before it ends. More workers cannot shorten it.

    Args:
        simulated: What was done.
    """
    last = max(simulated, key=lambda each: each.ended, default=None)
    chain: list[Simulated] = []
    while last is not None:
        chain.append(last)
        last = last.after
    return tuple(reversed(chain))
