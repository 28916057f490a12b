"""What was noted of the files at a URL, where no note can be appended to an object.

As with the log of events, each process has pieces of its own, below ``.checksums/``; whoever reads
takes the notes of all pieces, and asks again where a file is not as they say. A study that was
copied there from a folder has the notes of its folders, too.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath

from goodteacher.studies.checksums import (
    NOTES_FILE,
    NOTES_FOLDER,
    Note,
    by_name,
    folders_in,
    joined,
    merged,
)
from goodteacher.studies.remote_log import Objects, RemoteLog


class RemoteNotes:
    """The notes of one study at a URL.

    Args:
        files: Of the study.
    """

    def __init__(self, files: Objects) -> None:
        self._files = files
        self._log = RemoteLog(files, NOTES_FOLDER)
        self._pieces: dict[str, tuple[int, str]] = {}
        self._folders: dict[str, dict[str, list[Note]]] = {}
        self._notes: dict[str, list[Note]] = {}
        self._alone = threading.RLock()

    def add(self, note: Note) -> None:
        """Note something: it is kept when this returns."""
        with self._alone:
            self._log.add(note.line())
            self._notes.setdefault(note.file, []).append(note)

    def of(self, name: str, *, again: bool = False) -> Sequence[Note]:
        """Return the notes of a file.

        Args:
            name: The file.
            again: Look whether other processes have noted more.
        """
        with self._alone:
            if again or name not in self._notes:
                self._refresh()
            return merged(self._notes.get(name, ()), self._of_folder(name))

    def all(self, names: Sequence[str]) -> Mapping[str, Sequence[Note]]:
        """Return the notes of every file.

        Args:
            names: All objects of the study.
        """
        with self._alone:
            self._refresh()
            lists = [name for name in names if PurePosixPath(name).name == NOTES_FILE]
            folders = [name.removesuffix(NOTES_FILE) for name in lists]
            notes = [(below, self._folder(str(PurePosixPath(below)))) for below in folders]
            return joined(self._notes, notes)

    def folders(self) -> Collection[str]:
        """Return the folders that the notes of a study list that was copied from a folder."""
        with self._alone:
            return folders_in(self._folder("."))

    def _refresh(self) -> None:
        """Get the pieces that have grown."""
        for name, size in self._files.names(NOTES_FOLDER).items():
            if self._pieces.get(name, (0, ""))[0] != size:
                content = self._files.read(name).decode("utf-8", "replace")
                self._pieces[name] = size, content
        lines = (line for _, piece in self._pieces.values() for line in piece.splitlines())
        self._notes = by_name(lines, self._files.place)

    def _of_folder(self, name: str) -> Sequence[Note]:
        path = PurePosixPath(name)
        return self._folder(str(path.parent)).get(path.name, ())

    def _folder(self, folder: str) -> Mapping[str, Sequence[Note]]:
        if folder not in self._folders:
            self._folders[folder] = {}
            with contextlib.suppress(FileNotFoundError):
                text = self._files.read(str(PurePosixPath(folder) / NOTES_FILE)).decode()
                self._folders[folder] = by_name(text.splitlines(), self._files.place)
        return self._folders[folder]
