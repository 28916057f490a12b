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
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import loky

from goodteacher.engines.failures import raise_failure
from goodteacher.engines.local import LocalEngine
from goodteacher.engines.working import Outcome, Work, do
from goodteacher.errors import RunError
from goodteacher.studies import Context, Progress, Silent, Task, hand_over, is_done, say
from goodteacher.training import Share, threads_of

_PAUSE = 0.2
"""Seconds between two looks at how far tasks are."""

_IDLE = 60
"""Seconds for which processes that have nothing to do are kept."""


class ProcessesEngine:
    """Run tasks in processes of this machine, the longest first.

    A task that is alone in its stage runs in this process.

    Args:
        context: The study's data, folder, machine and watcher.
        workers: Processes at most, at least 1; no more are started than a stage has tasks.
        threads: CPU threads of each.
    """

    def __init__(self, context: Context, *, workers: int, threads: int) -> None:
        self.context = context
        self.share = Share.of_host(processes=workers, threads=threads)
        self._alone = LocalEngine(context)
        self._numbers = itertools.count()
        self._warned: set[tuple[type[Warning], str]] = set()
        self._started = 0

    def run(self, stage: str, tasks: Sequence[Task]) -> None:
        """Run what is missing among ``tasks``; see :class:`LocalEngine`.

        Raises:
            ConfigError: A network or function that was given in Python cannot be pickled.
            RunError: A task failed in a way that goodteacher did not foresee, or its process died.
        """
        missing = [task for task in tasks if not is_done(task, self.context.store)]
        if len(missing) < 2:
            with threads_of(self.share.threads):  # as the others have: the last bits depend on it
                self._alone.run(stage, tasks)
            return
        progress = self.context.progress
        progress.begin(stage, sum(task.work for task in tasks))
        progress.advance(sum(task.work for task in tasks) - sum(task.work for task in missing))
        missing.sort(key=lambda task: task.work, reverse=True)
        # No more than there are tasks; those that were started for an earlier stage stay.
        self._started = max(self._started, min(self.share.processes, len(missing)))
        executor = loky.get_reusable_executor(max_workers=self._started, timeout=_IDLE)
        begun: dict[Future[Outcome], Work] = {}
        try:
            for work in self._works(stage, missing):
                begun[executor.submit(do, work)] = work
            self._finish(stage, begun)
        except BaseException:
            # Those that work on end with their files half written, which nobody takes for whole.
            ended = [future.cancel() or future.done() for future in begun]
            if not all(ended):
                executor.shutdown(wait=True, kill_workers=True)
            raise

    def _works(self, stage: str, tasks: Sequence[Task]) -> list[Work]:
        folder, numbers = self._folder, self._numbers
        return [
            Work(stage, task, folder, folder / f"{number}.jsonl", self.share)
            for task, number in zip(tasks, numbers, strict=False)
        ]

    @cached_property
    def _folder(self) -> Path:
        """A folder with the context for the other processes; it goes when the engine does."""
        folder = Path(tempfile.mkdtemp(prefix="goodteacher-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        hand_over(self.context.watched_by(Silent()), folder)
        return folder

    def _finish(self, stage: str, begun: dict[Future[Outcome], Work]) -> None:
        """Wait for tasks, and show how far they are."""
        reports = {
            work.report: _Report(work.report, self.context.progress) for work in begun.values()
        }
        waiting = set(begun)
        while waiting:
            done, waiting = wait(waiting, timeout=_PAUSE, return_when=FIRST_COMPLETED)
            for report in reports.values():
                report.read()
            for future in done:
                self._end(stage, begun[future].task, future)

    def _end(self, stage: str, task: Task, future: Future[Outcome]) -> None:
        try:
            outcome = future.result()
        except BrokenProcessPool as error:
            raise RunError(
                f"{stage} ended because a process died in or beside the task {task.key}, perhaps "
                f"for want of memory: {self.share.processes} processes worked. What was finished "
                "before is kept: the same command goes on from there, with fewer --workers if "
                "memory was short."
            ) from error
        self.context.warned_of.update(outcome.warned_of)
        for category, text in outcome.warned:
            # every process warns once, where one process alone would warn once in all
            if (category, text) not in self._warned:
                self._warned.add((category, text))
                warnings.warn(text, category, stacklevel=2)
        if outcome.error is not None:
            raise outcome.error
        if outcome.failure is not None:
            raise_failure(outcome.failure, store=self.context.store, stage=stage, task=task.key)


@dataclass
class _Report:
    """What the process of a task reports, as far as it was read.

    Attributes:
        file: Written by the process.
        progress: Told of it.
        read_bytes: Where the next line begins.
    """

    file: Path
    progress: Progress
    read_bytes: int = 0

    def read(self) -> None:
        """Pass on what is new."""
        with contextlib.suppress(FileNotFoundError), self.file.open("rb") as file:
            file.seek(self.read_bytes)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self.read_bytes += len(line)
                self._tell(json.loads(line))

    def _tell(self, line: dict[str, object]) -> None:
        match line:
            case {"units": float(units)}:
                self.progress.advance(units)
            case {"said": str(text), "level": int(level)}:
                say(self.progress, text, level=level)
