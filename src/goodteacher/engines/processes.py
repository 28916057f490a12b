"""The engine of processes: tasks beside one another, each in a process of this machine.

The processes are loky's (of the joblib project): they start without running the caller's script
again, so a script needs no ``if __name__ == "__main__"``, and they are kept for the next stage and
the next study. What a task computes is a function of its description and of the study's data, so
the numbers are those of one process.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import warnings
import weakref
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import loky

from goodteacher.engines.pooled import PooledEngine, Report
from goodteacher.engines.working import Outcome, Work, do
from goodteacher.errors import RunError
from goodteacher.studies import Context, Flow, HandedOver, SharedFolder, Silent, Task, hand_over
from goodteacher.training import Share

_IDLE = 60
"""Seconds for which processes that have nothing to do are kept."""


class ProcessesEngine(PooledEngine):
    """Run tasks in processes of this machine.

    A task that is alone runs in this process.

    Args:
        context: The study's data, folder, machine and watcher.
        workers: Processes at most, at least 1; no more are started than there are tasks.
        threads: CPU threads of each.
    """

    def __init__(self, context: Context, *, workers: int, threads: int) -> None:
        super().__init__(context, Processes(context, workers=workers, threads=threads))

    def together(self, *flows: Flow[Any]) -> list[Any]:
        """Run flows beside one another; see :class:`~goodteacher.engines.pooled.PooledEngine`."""
        with warnings.catch_warnings():
            # loky's: a process ended, as it does after a minute without work, just as there was
            # some. It starts another, and nothing is lost.
            warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
            return super().together(*flows)


class Processes:
    """A pool of processes; see :class:`~goodteacher.engines.pooled.Pool`.

    Args:
        context: Of the study that they work for.
        workers: Processes at most.
        threads: CPU threads of each.
    """

    stays_here = True

    def __init__(self, context: Context, *, workers: int, threads: int) -> None:
        self.context, self.threads = context, threads
        self.share = Share.of_host(processes=workers, threads=threads)
        self._numbers = itertools.count()
        self._started = 0
        self._reporting: dict[Future[Outcome], _Reporting] = {}

    def ready_for(self, tasks: int) -> int:
        """Start no more processes than there are tasks; those that were started before stay."""
        # To change their number, loky waits until none is at work.
        if all(future.done() for future in self._reporting):
            self._started = max(self._started, min(self.share.processes, tasks))
        return self._started

    def submit(self, stage: str, task: Task) -> Future[Outcome]:
        """Begin a task in a process.

        Raises:
            ConfigError: A network or function that was given in Python cannot be pickled.
        """
        handed = self._handed
        report = handed.folder / f"{next(self._numbers)}.jsonl"
        executor = loky.get_reusable_executor(max_workers=self._started, timeout=_IDLE)
        future: Future[Outcome] = executor.submit(do, Work(stage, task, handed, report, self.share))
        self._reporting[future] = _Reporting(report, task.key)
        return future

    def outcome(self, future: Future[Outcome], stage: str, task: Task) -> Outcome:
        """Return how a task has ended.

        Raises:
            RunError: Its process, or another, has died.
        """
        try:
            return future.result()
        except BrokenProcessPool as error:
            raise RunError(
                f"{stage} ended because a process died in the task {task.key}, perhaps because "
                f"memory ran out: {self.share.processes} processes were running. What was "
                "finished before is kept: the same command continues from there. If there was "
                "not enough memory, give fewer --workers."
            ) from error

    def reports(self) -> Iterator[Report]:
        """Read what processes have written since this was asked last."""
        for future, reporting in list(self._reporting.items()):
            if future.done():
                del self._reporting[future]
            yield from reporting.read()

    def stop(self, futures: Iterable[Future[Outcome]]) -> None:
        """End the processes that work on tasks, if there are any."""
        ended = [future.cancel() or future.done() for future in futures]
        if not all(ended):
            executor = loky.get_reusable_executor(max_workers=self._started, timeout=_IDLE)
            executor.shutdown(wait=True, kill_workers=True)
        self._reporting.clear()

    @cached_property
    def _handed(self) -> HandedOver:
        """The context for the other processes, in a folder that goes when the pool does."""
        folder = SharedFolder()
        weakref.finalize(self, folder.remove)
        return hand_over(self.context.watched_by(Silent()), folder.path)


@dataclass
class _Reporting:
    """The file to which a process writes how far its task is, as far as it was read.

    Attributes:
        file: Written by the process.
        task: Key of the task.
        read_bytes: Where the next line begins.
    """

    file: Path
    task: str
    read_bytes: int = 0

    def read(self) -> Iterator[Report]:
        """Yield what is new."""
        with contextlib.suppress(FileNotFoundError), self.file.open("rb") as file:
            file.seek(self.read_bytes)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self.read_bytes += len(line)
                match json.loads(line):
                    case {"units": float(units)}:
                        yield Report(self.task, units=units)
                    case {"said": str(text), "level": int(level)}:
                        yield Report(self.task, said=(text, level))
