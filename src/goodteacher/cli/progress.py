"""What a person sees while a command works: bars on a terminal, a line for each stage elsewhere.

A stage that lasts less than two seconds is not shown. The time left is what the work of the stage
that is done makes expect, and nothing is said where too little of it is done to tell.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from goodteacher.cli.display import stderr

if TYPE_CHECKING:
    from goodteacher.studies import Progress

WORTH_SHOWING = 2.0
"""Seconds from which on a stage is worth a line."""
_SOON = 0.5
"""Seconds after which a terminal shows a stage: most of those that end sooner only flicker."""
_AT_ONCE = 0.05
"""Seconds from the beginning of a stage in which no work was done, only found to be done."""
_FIRST_LINE = 60.0
"""Seconds after which a log file hears of a stage that goes on; then after twice as many."""
_BASIS = 0.05
"""Share of a stage that has to be done before the time left is estimated."""
_BESIDE_NAME = 52
"""Columns of a terminal that the bar and the times of a stage take."""


@dataclass
class Stage:
    """A stage of the work, as far as it is known.

    Attributes:
        name: What it is called.
        total: Its work, in any unit; 0 if nobody knows.
        began: When, in seconds.
        done: Units that are done.
        before: Of these, units from before the time that the estimate rests on.
        first: When that time began: at the first news of work that was done meanwhile.
        last: When there was news last.
        news: How often there was.
        next_line: After how many seconds a log file hears of it.
    """

    name: str
    total: float
    began: float
    done: float = 0.0
    before: float = 0.0
    first: float = 0.0
    last: float = 0.0
    news: int = 0
    next_line: float = _FIRST_LINE

    def advance(self, units: float, now: float) -> None:
        """Take in that units are done."""
        self.done += units
        self.last = now
        # What a study had done before, and the first piece, which includes all that is set up.
        if self.news == 0 or now - self.began < _AT_ONCE:
            self.before, self.first = self.done, now
        self.news += 1

    @property
    def finished(self) -> bool:
        """Whether all of it is done."""
        return self.total > 0 and self.done >= self.total * (1 - 1e-9)

    @property
    def share(self) -> float:
        """How much of it is done, in [0, 1]."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    def seconds_left(self, now: float) -> float | None:
        """Return how long the rest takes; None where there is too little to tell by.

        It is the work that is left at the mean speed so far. Between two pieces of news it counts
        down; where the next is overdue, nothing is said.

        Args:
            now: In seconds, by the clock that the stage began by.
        """
        measured, timed = self.done - self.before, self.last - self.first
        enough = self.news > 2 and now - self.first >= WORTH_SHOWING
        if self.total <= 0 or not enough or timed <= 0 or measured < _BASIS * self.total:
            return None
        left = (self.total - self.done) * timed / measured - (now - self.last)
        return left if left > 0 else None


def told_seconds(seconds: float) -> str:
    """Return how long something took.

    Example:
        >>> told_seconds(7.2), told_seconds(95), told_seconds(3 * 3600 + 125)
        ('7 s', '1:35 min', '3:02 h')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


def told_left(seconds: float | None) -> str:
    """Return a time left in words, no finer than an estimate can be.

    Example:
        >>> told_left(3), told_left(41), told_left(400), told_left(5000), told_left(None)
        ('a few s left', 'about 45 s left', 'about 7 min left', 'about 1 h 30 min left', '')
    """
    if seconds is None:
        return ""
    if seconds <= 5:
        return "a few s left"
    if seconds <= 55:
        return f"about {5 * -int(-seconds // 5)} s left"
    if seconds <= 3600 - 60:
        return f"about {-int(-seconds // 60)} min left"
    tens = -int(-seconds // 600)
    minutes = f" {10 * (tens % 6)} min" if tens % 6 and tens < 60 else ""
    return f"about {tens // 6} h{minutes} left"


class ShownProgress:
    """A :class:`~goodteacher.studies.progress.Progress` that a person can watch.

    Args:
        console: Where lines go, above the bars if there are any.
        clock: Returns the time in seconds.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self.console, self.clock = console, clock
        self.standing = ""
        self._stages: list[Stage] = []
        self._latest: Stage | None = None

    @property
    def stages(self) -> list[Stage]:
        """Those that go on."""
        return list(self._stages)

    def begin(self, stage: str, total: float) -> None:
        """Enter a new stage, or let one that goes on grow."""
        self._end(each for each in self.stages if each.total == 0)
        going = next((each for each in self._stages if each.name == stage), None)
        if going is None:
            going = Stage(stage, total, self.clock())
            self._stages.append(going)
        else:
            going.total += total
        self._latest = going

    def advance(self, units: float, stage: str | None = None) -> None:
        """Take in work that is done; a stage that is finished leaves a line."""
        named = [each for each in self._stages if each.name == stage]
        moved = self._latest if stage is None else next(iter(named), None)
        if moved is None:
            return
        moved.advance(units, self.clock())
        if moved.finished:
            self._end([moved])
        elif not self.console.is_terminal:
            self._say_how_far(moved)

    def note(self, text: str) -> None:
        """Print a line above the bars, or keep in view how the work stands."""
        from goodteacher.studies import Standing

        if not isinstance(text, Standing):
            self._print(f"note: {text}")
        elif text != self.standing:
            self.standing = text
            if not self.console.is_terminal:
                self._print(text)

    def close(self) -> None:
        """Nothing goes on any more: the last stage leaves its line if it came to its end."""
        self._end(each for each in self.stages if each.total == 0)
        self._stages.clear()

    def _end(self, stages: Iterable[Stage]) -> None:
        for stage in list(stages):
            took = self.clock() - stage.began
            self._stages.remove(stage)
            if took >= WORTH_SHOWING:
                self._print(f"{stage.name}: done in {told_seconds(took)}", style="dim")

    def _say_how_far(self, stage: Stage) -> None:
        """Print how far a long stage is: after a minute, then after twice as long each time."""
        now = self.clock()
        took = now - stage.began
        if took < stage.next_line:
            return
        while stage.next_line <= took:
            stage.next_line *= 2
        left = told_left(stage.seconds_left(now))
        how_far = f"{100 * stage.share:.0f} % after {told_seconds(took)}"
        self._print(f"{stage.name}: {how_far}{', ' * bool(left)}{left}")

    def _print(self, text: str, style: str | None = None) -> None:
        # In a log file a line is one line: whoever searches it finds whole sentences.
        soft = not self.console.is_terminal
        self.console.print(text, style=style, markup=False, soft_wrap=soft)

    def __rich__(self) -> RenderableType:
        """Return the bars of what goes on, with what stands below them."""
        now, shown = self.clock(), Table.grid(expand=True)
        for stage in self.stages:
            if now - stage.began >= _SOON:
                shown.add_row(_bar(stage, now, self.console.width))
        if self.standing:
            shown.add_row(Padding(Text(self.standing, style="bold"), (0, 0)))
        return shown


def _bar(stage: Stage, now: float, width: int) -> Table:
    """Draw a stage on one line of a terminal that is ``width`` columns wide."""
    name = Text(stage.name, no_wrap=True)
    name.truncate(max(12, width - _BESIDE_NAME), overflow="ellipsis")
    known = stage.total > 0
    bar = ProgressBar(total=stage.total or None, completed=stage.done, pulse=not known)
    row = Table.grid(expand=True, padding=(0, 1))
    row.add_column(no_wrap=True)
    row.add_column(ratio=1)
    for columns in (5, 9, 21):
        row.add_column(justify="right", no_wrap=True, min_width=columns)
    percent = f"{100 * stage.share:.0f} %" if known else ""
    left = told_left(stage.seconds_left(now))
    row.add_row(name, bar, percent, told_seconds(now - stage.began), left)
    return row


class _Warnings(logging.Handler):
    """Prints what the log has that may make a result wrong."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a warning."""
        stderr.print(f"warning: {record.getMessage()}", markup=False, soft_wrap=True)


@contextmanager
def shown_progress(quiet: bool = False) -> Iterator[Progress]:
    """Show progress on stderr while the block runs.

    Args:
        quiet: Show nothing but warnings.
    """
    if quiet:
        from goodteacher.studies import Silent

        with _heard_warnings():
            yield Silent()
        return
    shown = ShownProgress(stderr)
    shown.begin("getting ready", 0.0)
    if not stderr.is_terminal:
        yield shown
        shown.close()
        return
    with Live(shown, console=stderr, refresh_per_second=4, transient=True):
        yield shown
        shown.close()


@contextmanager
def _heard_warnings() -> Iterator[None]:
    logger, handler = logging.getLogger("goodteacher"), _Warnings(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
