"""How long work tells whoever watches how far it is.

The work calls a :class:`Progress`; the command line shows one, tests and the library's default
ignore it. Nothing is ever computed for the display's sake. What a person should read also goes to
the logger ``goodteacher``, so that who calls the library and watches nothing can hear it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Protocol

logger = logging.getLogger("goodteacher")
logger.addHandler(logging.NullHandler())


class Progress(Protocol):
    """A watcher of long work."""

    def begin(self, stage: str, total: float) -> None:
        """A stage of ``total`` units of work begins; one of its name that goes on grows by them.

        A total of 0 says that nobody knows how much there is to do; such a stage lasts until the
        next one begins.
        """

    def advance(self, units: float, stage: str | None = None) -> None:
        """``units`` of a stage's work are done: of the one that began last, if none is named."""

    def note(self, text: str) -> None:
        """Something happened that a person should read."""


class Standing(str):
    """A note that a display keeps in view until the next of its kind: how the work stands.

    Example:
        >>> Silent().note(Standing("best so far: 91.2 %"))
    """

    __slots__ = ()


class Silent:
    """A progress that shows nothing.

    Example:
        >>> Silent().note("nobody reads this")
    """

    def begin(self, stage: str, total: float) -> None:
        """Ignore the stage."""

    def advance(self, units: float, stage: str | None = None) -> None:
        """Ignore the units."""

    def note(self, text: str) -> None:
        """Ignore the text."""


@dataclass(frozen=True)
class OneOfSeveral:
    """A progress that says at which of several students the work is.

    Attributes:
        watcher: Who watches.
        student: The student's specification.
        number: Which it is, from 1.
        count: How many there are.

    Example:
        >>> OneOfSeveral(Silent(), "mlp:8", 1, 3).begin("teachers", 4.0)
    """

    watcher: Progress
    student: str
    number: int
    count: int

    def begin(self, stage: str, total: float) -> None:
        """A stage of this student begins."""
        self.watcher.begin(self._told(stage), total)

    def advance(self, units: float, stage: str | None = None) -> None:
        """Pass the units on."""
        self.watcher.advance(units, None if stage is None else self._told(stage))

    def note(self, text: str) -> None:
        """Pass on what a person should read, with the student that it is about."""
        told = f"{self.student}: {text}"
        self.watcher.note(Standing(told) if isinstance(text, Standing) else told)

    def _told(self, stage: str) -> str:
        return f"{self.student} ({self.number} of {self.count}): {stage}"


def say(progress: Progress, text: str, *, level: int = logging.INFO) -> None:
    """Tell who watches, and the log, something that a person should read.

    Args:
        progress: Who watches.
        text: What happened.
        level: Of the log: ``INFO``, or ``WARNING`` where the result may be wrong.
    """
    logger.log(level, text)
    progress.note(text)
