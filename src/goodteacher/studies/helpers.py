"""The processes that do a piece of work together with this one, wherever they are started.

This process is the first of the group, and the only one that writes to the study. Who starts the
others is a :class:`Recruiter`: for one machine
:class:`~goodteacher.studies.local_helpers.LocalRecruiter`; the engine of Ray brings its own.
"""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from goodteacher.errors import GoodteacherError, RunError
from goodteacher.training import Group, is_out_of_memory

if TYPE_CHECKING:
    from goodteacher.studies.tasks import Context

GroupWork = Callable[["Context", Group], object]
"""What each process of a group does, with the study and the group as it sees them."""

READY = "ready"
"""What a process says that is about to join the group."""

_LAST_WORDS = 5.0
"""Seconds for which an error waits for another process to say that it was the cause."""

_PAUSE = 0.3
"""Seconds after the first that has failed in which others may say so as well."""


class HelperError(RuntimeError):
    """What nobody foresaw in another process; the lines after the first say where it happened."""


class LostHelperError(RunError):
    """Another process of the group died without a word."""


class Helpers(Protocol):
    """The other processes of a group."""

    def first_words(self) -> Iterable[object]:
        """Return what each says first: :data:`READY`, how it failed, or None if it has died."""

    def joined(self) -> AbstractContextManager[Group]:
        """Make this process the first of the group while a block runs."""

    def last_words(self, seconds: float, pause: float) -> list[object]:
        """Return how those failed that did: :class:`Told`, or None if one has died.

        Args:
            seconds: How long to wait for the first of them.
            pause: How long to wait for others after it.
        """


class Recruiter(Protocol):
    """Starts the other processes of a group."""

    def recruited(self, work: GroupWork, context: Context) -> AbstractContextManager[Helpers]:
        """Start them; they have ended when the block has.

        Args:
            work: What they do.
            context: The study; its machine says how many processes there are in all.
        """


@dataclass(frozen=True)
class Told:
    """How the work of another process failed.

    Attributes:
        when: Time of its clock, in seconds.
        error: What goodteacher foresaw.
        out_of_memory: Whether it had too little memory.
        trace: What else happened; its type and message, and where.
    """

    when: float
    error: GoodteacherError | None
    out_of_memory: bool
    trace: str

    @classmethod
    def of(cls, error: Exception) -> Told:
        """Return what to tell of an error, while it is being handled."""
        foreseen = error if isinstance(error, GoodteacherError) else None
        first = str(error).strip().partition("\n")[0]
        trace = f"{type(error).__name__}: {first}\n{traceback.format_exc()}"
        return cls(time.time(), foreseen, is_out_of_memory(error), trace)


@contextlib.contextmanager
def helped(work: GroupWork, context: Context) -> Iterator[Group]:
    """Have other processes do some work, and be the first of their group while the block runs.

    Args:
        work: What each of the others does: as many steps together as the block takes.
        context: The study. Its machine says how many processes there are, this one among them, and
            where they compute; ``recruiter`` starts them, on this machine if it is None.

    Raises:
        LostHelperError: One of them died.
        HelperError: One of them failed in a way that goodteacher did not foresee.
        MemoryError: One of them had too little memory.
        GoodteacherError: One of them raised it.
    """
    # Here, since few teachers need other processes.
    from goodteacher.studies.local_helpers import LocalRecruiter

    recruiter, size = context.recruiter or LocalRecruiter(), context.machine.teacher_workers
    with recruiter.recruited(work, context) as helpers:
        for said in helpers.first_words():
            if said != READY:
                raise as_error(said, size)
        with helpers.joined() as group, _blaming(helpers, size):  # while they are still connected
            yield group


@contextlib.contextmanager
def _blaming(helpers: Helpers, size: int) -> Iterator[None]:
    """Raise why another process failed, if one did: this one then loses its connection to it."""
    try:
        yield
    except GoodteacherError:
        raise
    except Exception as error:
        if (cause := cause_of_end(helpers, size)) is not None:
            raise cause from error
        raise


def cause_of_end(helpers: Helpers, size: int) -> Exception | None:
    """Return why one of the processes failed, within a few seconds; None if none did.

    Args:
        helpers: The others.
        size: How many processes there are in all.
    """
    if not (said := helpers.last_words(_LAST_WORDS, _PAUSE)):
        return None
    told = [each for each in said if isinstance(each, Told)]
    first = min(told, key=lambda each: each.when) if len(told) == len(said) else None
    return as_error(first, size)


def as_error(said: object, size: int) -> Exception:
    """Return the error that another process's last word amounts to.

    Args:
        said: Its last word; None if it has died without one.
        size: How many processes there are in all.
    """
    if not isinstance(said, Told):
        return LostHelperError(
            f"One of the {size} processes that trained a teacher together died, perhaps because "
            "memory ran out. What was finished before is kept: the same command continues from "
            "the last recorded epoch, with fewer --teacher-workers if memory was short."
        )
    if said.error is not None:
        return said.error
    if said.out_of_memory:
        return MemoryError(f"not enough memory in one of {size} processes")
    return HelperError(said.trace)
