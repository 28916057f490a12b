"""What a page says of work that has not ended: where it is, what is known, what is not yet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from goodteacher.report.parts import Page, Section

What = Literal["search", "verification"]
"""What is running."""

_PLAIN = ("settings", "data", "environment")
"""Sections that do not change any more."""


@dataclass(frozen=True)
class Stage:
    """A stage of work.

    Attributes:
        name: What a watcher calls it.
        done: Units that are done.
        total: Units that there are, as far as is known.
    """

    name: str
    done: float
    total: float

    @property
    def is_done(self) -> bool:
        """Whether nothing is left of it."""
        return self.done >= self.total * (1 - 1e-6)

    def __str__(self) -> str:
        """Name it, with the share that is done."""
        share = 100 * min(self.done / self.total, 1.0) if self.total else 100.0
        return f"{self.name} ({share:.0f} % done)"


@dataclass(frozen=True)
class Going:
    """Work that has not ended.

    Attributes:
        what: What it is.
        stages: Those that have begun, in order.
        begun: When the work began.
        written: When this was said.
        stopped: Whether the work was stopped.
    """

    what: What
    stages: tuple[Stage, ...]
    begun: datetime
    written: datetime
    stopped: bool = False

    @property
    def state(self) -> str:
        """How the page begins."""
        return "Stopped" if self.stopped else "Running"

    @property
    def stage(self) -> str:
        """Where the work is."""
        left = [stage for stage in self.stages if not stage.is_done]
        shown = left or self.stages[-1:]
        return ", ".join(map(str, shown)) if shown else "getting ready"

    @property
    def when(self) -> str:
        """When this was said, and how long after the work began."""
        seconds = (self.written - self.begun).total_seconds()
        passed = f"{_duration(seconds)} after the {self.what} began"
        return f"{self.written:%Y-%m-%d %H:%M:%S} UTC, {passed}"

    def banner(self) -> str:
        """Say in one paragraph what a reader of a page with an earlier answer must know."""
        if self.stopped:
            return f"The {self.what} was stopped at {self.when}, before its end. {self.again}"
        return (
            f"A {self.what} is running. Stage: {self.stage}. Written {self.when}. If no newer page "
            "appears for a long time, it was stopped."
        )

    @property
    def again(self) -> str:
        """How to go on."""
        command = "verify" if self.what == "verification" else "search"
        return f"Run the same goodteacher {command} again to continue."


def unfinished(page: Page, going: Going | None, *, known: str, unknown: str) -> Page:
    """Return a page that cannot be taken for an answer.

    Its first words say that there is no answer, and every heading and figure that may still
    change says so, downloads of figures included.

    Args:
        page: The page of what is there.
        going: Where the work is; None where nobody knows whether it is running.
        known: What is known so far.
        unknown: What is not known yet.
    """
    state = "Not finished" if going is None else going.state
    facts = [("Known so far", known), ("Not known yet", unknown)]
    if going is None:
        facts.append(("Continue", "Run the same command again; it continues where it stopped."))
    else:
        facts.insert(0, ("Stage", f"{going.stage[0].upper()}{going.stage[1:]}."))
        facts.append(("Written", f"{going.when}. {_next_page(going, page.name)}"))
    return replace(
        page,
        state=state,
        answer=f"{state}: there is no answer yet.",
        facts=tuple(facts),
        sections=tuple(map(_so_far, page.sections)),
    )


def beside(page: Page, going: Going, *, changing: str) -> Page:
    """Return a page with an answer, beside which work goes on.

    Args:
        page: The page.
        going: Where the work is.
        changing: What on the page may change.
    """
    return replace(page, state=going.state, banner=f"{going.banner()} {changing}")


def _so_far(section: Section) -> Section:
    if section.key in _PLAIN:
        return section
    panels = tuple(replace(each, title=f"{each.title}, so far") for each in section.panels)
    return replace(section, title=f"{section.title}, so far", panels=panels)


def _next_page(going: Going, name: str) -> str:
    if going.stopped:
        return going.again
    return (
        "A newer page is written while the work continues; if none appears for a long time, the "
        f"work was stopped. goodteacher watch {name} always shows the newest page."
    )


def _duration(seconds: float) -> str:
    """Return a duration as people say it.

    Example:
        >>> _duration(42), _duration(200), _duration(7300)
        ('42 s', '3 min', '2 h 1 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = int(seconds // 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
