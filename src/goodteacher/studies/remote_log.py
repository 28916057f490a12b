"""The log of events at a URL, where nothing can be appended to an object.

Each process that logs has pieces of its own, ``events/<writer>-<number>.jsonl``. With every event
its last piece is put again, whole, so an event that was logged is kept; after `LINES` events the
next piece begins. Whoever reads takes the lines of all pieces, by their times.
"""

from __future__ import annotations

import threading
import time
import uuid
from typing import Protocol

from goodteacher.studies.checksums import by_time
from goodteacher.studies.files import EVENTS_FOLDER
from goodteacher.studies.places import Url

LINES = 200
"""Events of a piece."""


class Objects(Protocol):
    """What a log needs of files."""

    @property
    def place(self) -> Url:
        """Where they are."""

    def put_bytes(self, name: str, content: bytes) -> object:
        """Put an object."""

    def names(self, folder: str = "") -> dict[str, int]:
        """Return what is below a folder."""

    def read(self, name: str) -> bytes:
        """Get an object."""


class RemoteLog:
    """The log of one study, and this process's pieces of it.

    Args:
        files: Of the study.
        folder: Where the pieces are.
    """

    def __init__(self, files: Objects, folder: str = EVENTS_FOLDER) -> None:
        self._files, self._folder = files, folder
        self._writer = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{uuid.uuid4().hex[:12]}"
        self._lines: list[str] = []
        self._number = 0
        self._alone = threading.Lock()

    def add(self, line: str) -> None:
        """Add a line: it is kept when this returns."""
        with self._alone:
            if len(self._lines) >= LINES:
                self._lines, self._number = [], self._number + 1
            self._lines.append(line)
            name = f"{self._folder}/{self._writer}-{self._number:05d}.jsonl"
            self._files.put_bytes(name, ("\n".join(self._lines) + "\n").encode())

    def lines(self) -> list[str]:
        """Return the lines of all pieces, by time; of one time, in the order of the pieces."""
        names = sorted(self._files.names(self._folder))
        pieces = (self._files.read(name).decode("utf-8", "replace") for name in names)
        return by_time(line for piece in pieces for line in piece.splitlines())
