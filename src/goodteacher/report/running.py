"""The report of a study that is running: drawn as its stages go on, while that is cheap."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from goodteacher.report.going import Going, Stage, What
from goodteacher.studies import Progress, Store, say

MOST_SHARE = 0.03
"""Of the time that a study runs, drawing it takes at most this share."""

FIRST_SECONDS = 2.0
"""A study that runs for less time has no report before its last one."""

APART_SECONDS = 5.0
"""Between two pages of one stage."""


@dataclass
class Drawn:
    """A progress that draws the study's report as stages begin, and while they go on.

    What goes wrong there is said once and ends nothing: the report is drawn again at the end.

    Attributes:
        what: What is running.
        watcher: Who else watches.
        draw: Draws the page of what is going on.
        clock: Returns seconds.
    """

    what: What
    watcher: Progress
    draw: Callable[[Going], object]
    clock: Callable[[], float] = time.monotonic
    _stages: dict[str, Stage] = field(default_factory=dict)
    _begun: float = 0.0
    _since: datetime = field(default_factory=lambda: datetime.now(UTC))
    _drawn: float | None = None
    _spent: float = 0.0
    _longest: float = 0.0
    _failed: bool = False

    def __post_init__(self) -> None:
        self._begun = self.clock()

    def begin(self, stage: str, total: float) -> None:
        """Enter a stage, pass it on, and draw the report if that is cheap now."""
        known = self._stages.pop(stage, Stage(stage, 0.0, 0.0))
        self._stages[stage] = Stage(stage, known.done, known.total + total)
        self.watcher.begin(stage, total)
        self._draw_soon(apart=0.0)

    def advance(self, units: float, stage: str | None = None) -> None:
        """Count the units, pass them on, and draw the report if that is cheap now."""
        if self._stages:
            known = self._stages[stage or next(reversed(self._stages))]
            self._stages[known.name] = Stage(known.name, known.done + units, known.total)
        self.watcher.advance(units, stage)
        self._draw_soon(apart=APART_SECONDS)

    def note(self, text: str) -> None:
        """Pass on what a person should read."""
        self.watcher.note(text)

    def stopped(self) -> None:
        """Draw that the work was stopped before its end, unless it never began."""
        if not self._stages:
            return
        with suppress(Exception):  # something has gone wrong already, and is told elsewhere
            self.draw(self._going(stopped=True))

    def _draw_soon(self, *, apart: float) -> None:
        """Draw, unless the last page is recent or drawing has taken its share of the time."""
        now = self.clock()
        if self._failed or now - self._begun < FIRST_SECONDS:
            return
        if self._drawn is not None and now - self._drawn < apart:
            return
        if self._spent + self._longest > MOST_SHARE * (now - self._begun):
            return
        try:
            self.draw(self._going())
        except Exception as error:  # of many kinds; no page may end the work
            self._failed = True
            first = (str(error).strip() or type(error).__name__).partition("\n")[0][:300]
            text = (
                f"the report of the running study cannot be drawn: {first.rstrip('.')}. The work "
                "continues."
            )
            say(self.watcher, text, level=logging.WARNING)
        self._drawn = self.clock()
        self._longest = max(self._longest, self._drawn - now)
        self._spent += self._drawn - now

    def _going(self, *, stopped: bool = False) -> Going:
        now = datetime.now(UTC)
        return Going(self.what, tuple(self._stages.values()), self._since, now, stopped)


@contextmanager
def drawn(
    store: Store, what: What, progress: Progress, write: Callable[[Store, Going], object]
) -> Iterator[Progress]:
    """Give a progress that keeps a study's report up to date while work on it goes on.

    Whoever does the work writes the last report. If the work is stopped before, by an error or
    Ctrl-C, the page says that it was.

    Args:
        store: The study's folder.
        what: What is running.
        progress: Who else watches.
        write: Writes the report of a folder in which something is going on.
    """
    drawing = Drawn(what, progress, lambda going: write(store, going))
    try:
        yield drawing
    except BaseException:
        drawing.stopped()
        raise
