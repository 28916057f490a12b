"""What keeps the files of a study: the port `Files`, and which of its kinds a place needs.

Names are relative to the study, with ``/`` between their parts. Every kind passes
``tests/contracts/test_stores.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from goodteacher.studies.checksums import Note
from goodteacher.studies.local_files import LocalFiles
from goodteacher.studies.places import Place, Url
from goodteacher.studies.progress import Progress


class Files(Protocol):
    """The files of one study. A file that exists is whole; one that is replaced is either.

    What a file holds is noted before it takes its name (:mod:`goodteacher.studies.checksums`).
    """

    @property
    def place(self) -> Place:
        """Where they are."""

    def check(self) -> None:
        """Say whether a study may be made there, touching nothing.

        Raises:
            StudyError: It may not.
        """

    def top(self) -> Collection[str]:
        """Return the names of the files and folders that do not lie in another folder."""

    def exists(self, name: str) -> bool:
        """Say whether a file exists."""

    def listed(self) -> Files:
        """Return the same for many questions at a time about what exists.

        Where a question is a request, all are answered from few; what is written meanwhile may be
        missing from the answers.
        """

    def matching(self, pattern: str) -> list[str]:
        """Return the names that a pattern fits, in order; its ``*`` stands for no ``/``."""

    def read(self, name: str) -> bytes:
        """Return what a file holds.

        Raises:
            FileNotFoundError: There is none.
        """

    def local(self, name: str) -> Path:
        """Return a file of this machine with the same content, which nobody may write into.

        Raises:
            FileNotFoundError: There is none, where that shows before it is opened.
        """

    def local_folder(self, name: str) -> Path:
        """Return a folder of this machine with the files below a name."""

    def draft(self, folder: str) -> Path:
        """Return a folder of this machine for what another library writes, file by file.

        :meth:`publish` makes its files those below a name.
        """

    def publish(self, folder: str, draft: Path) -> None:
        """Make the files of a draft those below a name; others there stay."""

    def writing(self, name: str) -> AbstractContextManager[Path]:
        """Give a path of this machine whose content becomes the file when the block ends well."""

    def take_over(self, name: str, source: Path) -> None:
        """Take a file of this machine over, which nobody will write into."""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there, and note that."""

    def set_aside(self, name: str) -> None:
        """Move a file below ``.damaged``, where nothing reads it."""

    def notes(self, name: str, *, again: bool = False) -> Sequence[Note]:
        """Return what was noted of a file, in order.

        Args:
            name: The file.
            again: Look whether others have noted more, where that is a request.
        """

    def all_notes(self) -> Mapping[str, Sequence[Note]]:
        """Return what was noted of every file."""

    def noted_folders(self) -> Collection[str]:
        """Return the folders whose files have notes of their own; each name ends with ``/``."""

    def note(self, name: str) -> None:
        """Note what a file holds now."""

    def sizes(self) -> Mapping[str, int]:
        """Return name and size of every file that has notes, or should have."""

    def num_bytes(self, folder: str) -> int:
        """Return the size of a file, or of all files below a name."""

    @property
    def log_place(self) -> Place:
        """Where the log of events is."""

    def log(self, line: str) -> None:
        """Add a line to the log of events."""

    def logged(self) -> Iterable[str]:
        """Return the lines of the log; the last one of a writer that was ended may be torn."""

    def lock(self, progress: Progress) -> AbstractContextManager[None]:
        """Hold the study alone.

        Args:
            progress: Told where that takes a while.

        Raises:
            StudyError: Another process holds it.
        """

    def is_held(self) -> bool:
        """Say whether a process holds the study; at a URL one that was killed seems to do so."""


def files_of(place: Place, *, noted: bool = True) -> Files:
    """Return what keeps the files of a study at a place.

    Args:
        place: The folder, or the URL.
        noted: Whether what files hold is noted; not in folders that leave the study.
    """
    if isinstance(place, Url):
        # Here, since a study in a folder needs nothing of it.
        from goodteacher.studies.remote_files import remote_files

        return remote_files(place)
    return LocalFiles(place, noted)
