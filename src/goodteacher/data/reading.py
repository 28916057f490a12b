"""What the user asks of reading a data set."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

from goodteacher.data.images import ImageOptions
from goodteacher.data.notes import Note
from goodteacher.errors import ConfigError


@dataclass(frozen=True)
class Reading:
    """Hold what the user asks of reading, and collect what is to be told.

    Attributes:
        images: how images are treated.
        target: the column of labels in a table, or None: found by its name.
        text_column: the columns of texts in a table, in the order of an example's texts; none: they
            are found.
        test_split: the name of the split to test on, or None: ``test``.
        notes: what was found so far.
    """

    images: ImageOptions = field(default_factory=ImageOptions)
    target: str | None = None
    text_column: tuple[str, ...] = ()
    test_split: str | None = None
    notes: list[Note] = field(default_factory=list, compare=False)

    def note(self, code: str, message: str) -> None:
        """Keep a note, once."""
        if (note := Note(code, message)) not in self.notes:
            self.notes.append(note)

    def check_unused(self, source: str, *names: str) -> None:
        """Refuse settings that this source cannot follow.

        Raises:
            ConfigError: One of ``names`` is set.
        """
        for name in names:
            if value := getattr(self, name):
                shown = ",".join(value) if isinstance(value, tuple) else value
                raise ConfigError(f"{name} = {shown!r} does not apply to {source}. Leave it out.")


def check_known(setting: str, value: str, known: Iterable[str], where: str) -> None:
    """Refuse a name that is not there, with the one that was probably meant.

    Raises:
        ConfigError: ``value`` is not among ``known``.

    Example:
        >>> check_known("target", "kind", ["kind", "age"], "train.csv")
    """
    names = list(known)
    if value in names:
        return
    near = difflib.get_close_matches(value, names, n=1, cutoff=0.5)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    raise ConfigError(
        f"{setting} = {value!r} is not in {where}, which has {', '.join(map(repr, names))}.{meant}"
    )
