"""Where a study is: a folder of this machine, or a URL such as ``s3://bucket/study``."""

from __future__ import annotations

import re
from pathlib import Path

from goodteacher.config import check_name
from goodteacher.errors import StudyError

_URL = re.compile(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]+://")

_SQUEEZED = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(?=[^/])")
"""How a URL begins that was made a path, which drops one slash."""


class Url(str):
    """Where a study is that is in no folder of this machine; ``/`` leads below it.

    Example:
        >>> Url("s3://bucket/studies") / "digits"
        's3://bucket/studies/digits'
    """

    __slots__ = ()

    @property
    def name(self) -> str:
        """Its last part."""
        return self.rstrip("/").rpartition("/")[2]

    @property
    def protocol(self) -> str:
        """What stands before the colon."""
        return self.partition("://")[0]

    def resolve(self) -> Url:
        """Return itself: a URL stands for one place wherever it is read, as such a path does."""
        return self

    absolute = resolve

    def __truediv__(self, name: str) -> Url:
        """Return what is below."""
        return Url(f"{self.rstrip('/')}/{name}")


Place = Path | Url


def place_of(given: str | Path) -> Place:
    """Return where a study is that a person names.

    Args:
        given: A path, or a URL; also one that was taken for a path on its way here.

    Example:
        >>> place_of("s3://bucket/study"), place_of(Path("s3://bucket/study"))
        ('s3://bucket/study', 's3://bucket/study')

    Raises:
        StudyError: It is not text, or has a zero byte, which no path has.
    """
    check_name(given, "The study's folder", StudyError)
    if isinstance(given, Path):
        text = given.as_posix()
        squeezed = _SQUEEZED.match(text)
        return Url(f"{squeezed[1]}://{text[squeezed.end() :]}") if squeezed else given
    if isinstance(given, Url) or _URL.match(given):
        return Url(given.rstrip("/"))
    return Path(given.removeprefix("file://"))
