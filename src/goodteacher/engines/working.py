"""The other side of the engine of processes: a task is done, and who began it is told how far."""

from __future__ import annotations

import json
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, cast

from goodteacher.engines.failures import Failure
from goodteacher.engines.local import run_logged
from goodteacher.errors import GoodteacherError
from goodteacher.studies import Context, HandedOver, Task, logger, take
from goodteacher.training import Share, take_share

_PAUSE = 0.2
"""Seconds between two reports of how far a task is."""


@dataclass(frozen=True)
class Work:
    """A task for another process.

    Attributes:
        stage: What a watcher calls the tasks.
        task: The task.
        handed: Where the study's context lies.
        report: The file that the process writes its progress to.
        share: What of the machine the process may take.
    """

    stage: str
    task: Task
    handed: HandedOver
    report: Path
    share: Share


@dataclass(frozen=True)
class Outcome:
    """How a task ended in another process.

    Attributes:
        error: What goodteacher foresaw, or a warning that is an error here.
        failure: What nobody foresaw.
        warned: Warnings, as (category, text).
        warned_of: See :class:`~goodteacher.studies.Context`, as the task has left it.
    """

    error: Exception | None = None
    failure: Failure | None = None
    warned: tuple[tuple[type[Warning], str], ...] = ()
    warned_of: frozenset[str] = frozenset()


def do(work: Work) -> Outcome:
    """Do a task's work in this process."""
    return outcome_of(
        partial(run_logged, work.stage, work.task),
        context_of=partial(_context, work.handed),
        share=work.share,
        watcher=Reporting(work.report),
    )


def outcome_of(
    run: Callable[[Context], None],
    *,
    context_of: Callable[[], Context],
    share: Share,
    watcher: Reporting,
) -> Outcome:
    """Work in this process, which was begun for that, and return how it ended.

    Args:
        run: Does the work.
        context_of: Returns the study's context; what goes wrong there is a part of the outcome.
        share: What of the machine the process may take.
        watcher: Told how far the work is.
    """
    take_share(share)
    caught: list[warnings.WarningMessage] = []
    warned_of: frozenset[str] = frozenset()
    error: Exception | None = None
    failure: Failure | None = None
    try:
        context = context_of()
        machine = replace(context.machine, sharing=share.processes)
        context = replace(context, machine=machine, progress=watcher)
        with warnings.catch_warnings(record=True) as caught, watcher.listening():
            warnings.simplefilter("default")
            run(context)
        warned_of = frozenset(context.warned_of)
    except (GoodteacherError, Warning) as foreseen:
        error = foreseen
    except Exception as unforeseen:
        failure = Failure.of(unforeseen)
    warned = dict.fromkeys((each.category, str(each.message)) for each in caught)
    return Outcome(error, failure, tuple(warned), warned_of)


@lru_cache(maxsize=1)
def _context(handed: HandedOver) -> Context:
    """Return the context of the study that this process works for, read once."""
    return cast("Context", take(handed))


@dataclass
class Reporting:
    """A progress that writes to a file what another process shows.

    Attributes:
        file: Lines of JSON, appended.
    """

    file: Path
    _units: float = 0.0
    _last: float = field(default_factory=time.monotonic)

    def begin(self, stage: str, total: float) -> None:
        """Leave stages to the other process."""

    def advance(self, units: float, stage: str | None = None) -> None:
        """Report units, a few times a second."""
        self._units += units
        if time.monotonic() - self._last >= _PAUSE:
            self._flush()

    def note(self, text: str) -> None:
        """Leave what a person should read to the log, which hears it too: see :meth:`listening`."""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Report what is logged too; what is left to report at the end."""
        handler = _Handler(self)
        logger.addHandler(handler)
        before = logger.level
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.setLevel(before)
            logger.removeHandler(handler)
            self._flush()

    def logged(self, record: logging.LogRecord) -> None:
        """Report what was logged."""
        self._write(said=record.getMessage(), level=record.levelno)

    def _flush(self) -> None:
        units, self._units, self._last = self._units, 0.0, time.monotonic()
        if units:
            self._write(units=units)

    def _write(self, **line: Any) -> None:
        with suppress(OSError), self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


class _Handler(logging.Handler):
    def __init__(self, watcher: Reporting) -> None:
        super().__init__()
        self.watcher = watcher

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on."""
        self.watcher.logged(record)
