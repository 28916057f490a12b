"""The files of a study in a folder of this machine."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from goodteacher.data import inside
from goodteacher.errors import StudyError
from goodteacher.studies.checksums import (
    COMPACTED_FROM,
    NOTES_FILE,
    NOTES_FOLDER,
    Note,
    by_name,
    by_time,
    folder_note,
    folder_notes,
    folders_in,
    is_free,
    joined,
    merged,
    note_of,
    sync,
)
from goodteacher.studies.damage import not_written
from goodteacher.studies.files import EVENTS_FILE, EVENTS_FOLDER
from goodteacher.studies.progress import Progress

_LOCK = ".lock"
_WAIT = 0.5
"""Seconds: whoever looks whether a lock is held has it for a moment."""


@dataclass(frozen=True)
class LocalFiles:
    """Files below a folder; see :class:`~goodteacher.studies.backends.Files`.

    Attributes:
        place: The folder, which need not exist.
        noted: Whether what files hold is noted; not of what leaves the study.
    """

    place: Path
    noted: bool = True

    def check(self) -> None:
        """Say whether a folder may be made there, or is there."""
        check_usable(self.place)

    def top(self) -> Collection[str]:
        """Return what lies in the folder."""
        names = [path.name for path in self.place.iterdir()] if self.place.exists() else []
        return [name for name in names if name not in (NOTES_FILE, NOTES_FOLDER)]

    def exists(self, name: str) -> bool:
        """Say whether a file exists."""
        return self.place.joinpath(name).exists()

    def listed(self) -> Self:
        """Return itself: to ask costs little here."""
        return self

    def matching(self, pattern: str) -> list[str]:
        """Return the names that a pattern fits."""
        found = (p for p in self.place.glob(pattern) if p.is_file() and p.name != NOTES_FILE)
        return sorted(path.relative_to(self.place).as_posix() for path in found)

    def read(self, name: str) -> bytes:
        """Return what a file holds."""
        return self._inside(name).read_bytes()

    def local(self, name: str) -> Path:
        """Return the file itself."""
        return self._inside(name)

    def local_folder(self, name: str) -> Path:
        """Return the folder itself."""
        return self._inside(name)

    def draft(self, folder: str) -> Path:
        """Return the folder itself."""
        return self._inside(folder)

    def publish(self, folder: str, draft: Path) -> None:
        """Leave the files where they are, and note what they hold."""
        for path in sorted(draft.rglob("*")) if folder else ():
            name = f"{folder}/{path.relative_to(draft).as_posix()}"
            if path.is_file() and self._has_notes_of(name):
                sync(path)
                self.note(name)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Give a temporary name beside the file, which is renamed."""
        target = self._inside(name)
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")  # of any machine
        try:
            _make(target.parent)
            yield temporary
            if not is_free(name):
                sync(temporary)
            if self._has_notes_of(name):
                self._add(name, note_of(target.name, temporary))
            temporary.replace(target)
            sync(target.parent)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def take_over(self, name: str, source: Path) -> None:
        """Link the file where the disk allows it, else copy it.

        A link is safe, since files are replaced and never written into.
        """
        with self.writing(name) as path:
            try:
                os.link(source, path)
            except OSError:  # another disk, or one that knows no links
                shutil.copyfile(source, path)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        path = self._inside(name)
        if self.notes(name) and self._has_notes_of(name):
            self._add(name, note_of(path.name, None))
        path.unlink(missing_ok=True)

    def _add(self, name: str, note: Note) -> None:
        """Add a note of a file to those of its folder, which those of the study list."""
        folder = name.rpartition("/")[0]
        if folder:
            folder_notes(self.place).add(folder_note(folder))
        folder_notes(self.place / folder).add(note)

    def _has_notes_of(self, name: str) -> bool:
        return self.noted and not is_free(name)

    def set_aside(self, name: str) -> None:
        """Move a file below ``.damaged``; what was noted of it stays."""
        target = self.place.joinpath(".damaged", name)
        target.parent.mkdir(parents=True, exist_ok=True)
        self.place.joinpath(name).replace(target)

    def notes(self, name: str, *, again: bool = False) -> Sequence[Note]:
        """Return what was noted of a file, by a study of a folder or of a URL."""
        path = self.place.joinpath(name)
        own = folder_notes(path.parent).all().get(path.name, ())
        return merged(own, self._pieces().get(name, ()))

    def _pieces(self) -> Mapping[str, Sequence[Note]]:
        """Return what was noted while the study was at a URL."""
        folder = self.place / NOTES_FOLDER
        if not folder.is_dir():
            return {}
        pieces = (path.read_text("utf-8", "replace") for path in sorted(folder.iterdir()))
        return by_name((line for piece in pieces for line in piece.splitlines()), self.place)

    def all_notes(self) -> Mapping[str, Sequence[Note]]:
        """Return what was noted in every folder."""
        names = (name for name, _ in _below(self.place) if name.endswith(NOTES_FILE))
        folders = (name.removesuffix(NOTES_FILE) for name in names)
        notes = ((below, folder_notes(self.place / below).all()) for below in folders)
        return joined(self._pieces(), notes)

    def noted_folders(self) -> Collection[str]:
        """Return those that the notes of the study list."""
        return folders_in(folder_notes(self.place).all())

    def note(self, name: str) -> None:
        """Note what a file holds now."""
        path = self.place.joinpath(name)
        self._add(name, note_of(path.name, path))

    def sizes(self) -> Mapping[str, int]:
        """Walk through all folders."""
        found = {}
        for name, entry in _below(self.place):
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                if not is_free(name):
                    found[name] = entry.stat().st_size
        return found

    def num_bytes(self, folder: str) -> int:
        """Return the size of all files below a folder, or of a file."""
        path = self.place.joinpath(folder)
        files = [path, *path.rglob("*")]
        counted = (each for each in files if each.is_file() and each.name != NOTES_FILE)
        return sum(each.stat().st_size for each in counted)

    @property
    def log_place(self) -> Path:
        """The file of the log."""
        return self._inside(EVENTS_FILE)

    def log(self, line: str) -> None:
        """Append a line."""
        with self.log_place.open("a", encoding="utf-8") as handle:
            handle.write(line + "\n")

    def logged(self) -> Iterable[str]:
        """Return the lines, with those of a study that was at a URL; a missing log has none."""
        path, pieces = self.log_place, sorted(self.place.glob(f"{EVENTS_FOLDER}/*.jsonl"))
        own = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
        if not pieces:
            return own
        copied = (piece.read_text("utf-8", "replace").splitlines() for piece in pieces)
        return by_time([*chain.from_iterable(copied), *own])

    @contextlib.contextmanager
    def lock(self, progress: Progress) -> Iterator[None]:
        """Hold the folder by a lock of the system, which ends with the process."""
        lock = FileLock(self._inside(_LOCK))
        try:
            lock.acquire(timeout=_WAIT, poll_interval=_WAIT / 10)
        except Timeout:  # an OSError too
            raise StudyError(
                f"{self.place} is in use by another goodteacher process. "
                "Wait for it, end it, or name another folder."
            ) from None
        except OSError as error:
            raise not_written(self._inside(_LOCK), error) from error
        try:
            self._compact()
            yield
            self._compact()
        finally:
            lock.release()

    def _compact(self) -> None:
        """Make long notes short; a disk that is too full for it has the long ones."""
        for folder in ("", *self.noted_folders()):
            with contextlib.suppress(OSError):
                if Path(f"{self.place}/{folder}{NOTES_FILE}").stat().st_size >= COMPACTED_FROM:
                    folder_notes(self.place / folder).compact()

    def is_held(self) -> bool:
        """Try the lock, for a moment."""
        if not self.exists(_LOCK):
            return False
        try:
            with FileLock(self._inside(_LOCK)).acquire(blocking=False):
                return False
        except Timeout:
            return True
        except OSError:  # a folder that nobody writes here
            return False

    def _inside(self, name: str) -> Path:
        """Return a path below the folder; a folder of somebody else's may hold links."""
        return inside(self.place, name, error=StudyError)


def _below(place: Path, above: str = "") -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield each file below a folder, by its name there; folders that are links are left out."""
    try:
        entries = list(os.scandir(place / above))
    except (FileNotFoundError, PermissionError):  # removed meanwhile, or not ours
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _below(place, f"{above}{entry.name}/")
        elif entry.is_file():
            yield above + entry.name, entry


def _make(folder: Path) -> None:
    """Make a folder and those that lead to it, so that a power cut leaves each in the one above."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def check_usable(path: Path) -> None:
    """Say whether a folder may be made at a path, or is there.

    Raises:
        StudyError: It is a file, or cannot be made.
    """
    try:
        parent = next(each for each in (path, *path.absolute().parents) if each.exists())
    except OSError as error:  # such as a name that is too long
        raise not_written(path, error, at_the_door=True) from error
    if path.exists() and not path.is_dir():
        raise StudyError(f"{path} is a file, but a study is a folder. Name another with --out.")
    if parent == path and not os.access(path, os.W_OK | os.X_OK):
        raise not_written(path, PermissionError(errno.EACCES, ""), at_the_door=True)
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise StudyError(
            f"{path} cannot be made: {parent} is not a folder that you may write to. "
            "Name another with --out."
        )
