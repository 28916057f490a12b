"""How long work tells whoever watches how far it is.

The work calls a :class:`Progress`; the command line shows one, tests and the library's default
ignore it. Nothing is ever computed for the display's sake.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A watcher of long work."""

    def begin(self, stage: str, total: float) -> None:
        """A stage of ``total`` units of work begins."""

    def advance(self, units: float) -> None:
        """``units`` of the stage's work are done."""

    def note(self, text: str) -> None:
        """Something happened that a person should read."""


class Silent:
    """A progress that shows nothing.

    Example:
        >>> Silent().note("nobody reads this")
    """

    def begin(self, stage: str, total: float) -> None:
        """Ignore the stage."""

    def advance(self, units: float) -> None:
        """Ignore the units."""

    def note(self, text: str) -> None:
        """Ignore the text."""
