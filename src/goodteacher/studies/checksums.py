"""Every byte is accounted for: what each file holds is noted as it is written.

A line is noted before a file takes its name, so after a kill or a power cut either the version
before or the one that was being written is known: a file is as it was written if it holds what one
of the last two notes of its name says. In a folder the notes of a folder's files are in its
``.checksums.jsonl``, which is appended; that of the study lists the folders that have one, so that
a folder is missed that is gone with its notes. At a URL, where nothing can be appended, each
process has pieces of its own below ``.checksums/``. Each line says itself whether it is whole. What
other libraries append to while they work, and the log of events, whose lines are sealed one by one,
have no notes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from goodteacher.errors import StudyError
from goodteacher.studies.files import EVENTS_FILE, EVENTS_FOLDER

NOTES_FILE = ".checksums.jsonl"
NOTES_FOLDER = ".checksums"
FORMAT = 1
"""Of a note. A note of a later format was written by a later version of goodteacher."""
_SEAL = ', "crc32": "'
_FOLDER = "folder"
"""In place of a digest."""
_FREE = frozenset({EVENTS_FILE, EVENTS_FOLDER, "tensorboard", "wandb", "mlruns"})
"""What lies at the top of a study and is appended to."""


def sealed(values: Mapping[str, Any]) -> str:
    """Return a line of JSON that says itself whether it is whole.

    Example:
        >>> line = sealed({"event": "begun"})
        >>> unsealed(line), unsealed(line.replace("begun", "ended"))
        ({'event': 'begun'}, None)
    """
    text = json.dumps(values)
    return f'{text[:-1]}{_SEAL}{zlib.crc32(text.encode()):08x}"}}'


def unsealed(line: str) -> dict[str, Any] | None:
    """Return what a line of :func:`sealed` holds; None where it is torn or damaged."""
    text, seal, end = line.rpartition(_SEAL)
    text += "}"
    if not seal or end != f'{zlib.crc32(text.encode()):08x}"}}':
        return None
    values = json.loads(text)
    return values if isinstance(values, dict) else None


def read_event(line: str) -> dict[str, Any] | None:
    """Return the event of a line of the log; None where it is torn, damaged, or holds none."""
    event = unsealed(line)
    if event is None and _SEAL not in line:  # of another writer than this version
        with contextlib.suppress(ValueError):
            event = json.loads(line)
    return event if isinstance(event, dict) and "event" in event else None


def by_time(lines: Iterable[str]) -> list[str]:
    """Return the lines of several parts of a log in order of their times."""
    return sorted(lines, key=_time)


def _time(line: str) -> float:
    try:
        return float(json.loads(line)["time"])
    except (ValueError, KeyError, TypeError):
        return 0.0


@dataclass(frozen=True)
class Note:
    """What a file held when it was written, or that it was removed.

    Attributes:
        file: Its name.
        size: In bytes; None where it was removed.
        sha256: Its digest; None where it was removed.
        time: When, in seconds.
    """

    file: str
    size: int | None
    sha256: str | None
    time: float

    def line(self) -> str:
        """Return the line of the note."""
        return sealed(
            {
                "format": FORMAT,
                "time": self.time,
                "file": self.file,
                "bytes": self.size,
                "sha256": self.sha256,
            }
        )


def note_of(name: str, path: Path | None, *, known: bool = False) -> Note:
    """Return the note of a file as it is now.

    Args:
        name: What it is called.
        path: Where its content is; None if it is removed.
        known: It may be a link of a file that has been read.
    """
    if path is None:
        return Note(name, None, None, time.time())
    return Note(name, path.stat().st_size, digest_of(path, known=known), time.time())


def folder_note(folder: str) -> Note:
    """Return the note that files of a folder have notes: it is missed where all of it is gone."""
    return Note(f"{folder}/", 0, _FOLDER, time.time())


def read_note(line: str, where: object) -> Note | None:
    """Return the note of a line; None where it is torn or damaged.

    Args:
        line: The line.
        where: What it is of, for messages.

    Raises:
        StudyError: A later version of goodteacher has written it.
    """
    values = unsealed(line)
    if values is None or "format" not in values:
        return None
    if values["format"] > FORMAT:
        raise StudyError(
            f"{where} was written by a later version of goodteacher: its checksums have format "
            f"{values['format']}, and this version knows {FORMAT}. Use that version."
        )
    return Note(values["file"], values["bytes"], values["sha256"], values["time"])


def is_free(name: str) -> bool:
    """Say whether a file of a study has no notes: it is appended to, hidden, or temporary."""
    return name.startswith(".") or "/." in name or name.partition("/")[0] in _FREE


def latest(notes: Sequence[Note]) -> Note | None:
    """Return the last note of a file."""
    return notes[-1] if notes else None


def fits(notes: Sequence[Note], size: int, sha256: str | None = None) -> bool:
    """Say whether a file is as one of its last two notes says.

    Args:
        notes: All of its notes, in order.
        size: Its bytes.
        sha256: Its digest; None compares the size alone.
    """
    return any(n.size == size and sha256 in (None, n.sha256) for n in notes[-2:])


# Digests of files that this process has read, by path and what changes with every write.
_digests: dict[tuple[str | int, ...], str] = {}
_MOST_DIGESTS = 100_000
"""After which they begin anew: a process may go through studies for days."""


def digest_of(path: Path, *, known: bool = True) -> str:
    """Return the SHA-256 digest of a file, which is read once while it does not change.

    Args:
        path: The file.
        known: A digest from before counts.
    """
    state = path.stat()
    key = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)
    found = _digests.get(key) if known else None
    if found is None:
        if len(_digests) >= _MOST_DIGESTS:
            _digests.clear()
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        _digests[key] = found
    return found


COMPACTED_FROM = 64 * 1024
"""Bytes below which notes stay as they are."""
_COMPARED = 200
"""Bytes at the end of what was read, by which a file is known that was only appended to."""


@dataclass
class FolderNotes:
    """The notes of a folder of this machine, read as far as they are written.

    Attributes:
        path: Their file.
    """

    path: Path
    _notes: dict[str, list[Note]] = field(default_factory=dict)
    _seen: tuple[int, ...] = (0, 0, 0)
    _read: int = 0
    _last: bytes = b""
    _alone: threading.Lock = field(default_factory=threading.Lock)

    def all(self) -> Mapping[str, Sequence[Note]]:
        """Return the notes of every file, in order."""
        with self._alone:
            try:
                state = self.path.stat()
                seen = (state.st_ino, state.st_size, state.st_mtime_ns)
                if seen != self._seen:
                    self._go_on(grown=seen[0] == self._seen[0] and seen[1] > self._seen[1])
                    self._seen = seen
            except OSError:
                self._begin_anew()
            return self._notes

    def _begin_anew(self) -> None:
        self._notes, self._seen, self._read, self._last = {}, (0, 0, 0), 0, b""

    def _go_on(self, *, grown: bool) -> None:
        """Read what is new, up to the last whole line: all of it unless the file was appended."""
        with self.path.open("rb") as file:
            file.seek(self._read - len(self._last))
            if not grown or file.read(len(self._last)) != self._last:
                self._begin_anew()
                file.seek(0)
            content = file.read()
        new, end, _ = content.rpartition(b"\n")
        for line in new.decode("utf-8", "replace").split("\n"):
            note = read_note(line, self.path.parent)
            if note is not None:
                self._notes.setdefault(note.file, []).append(note)
        self._read += len(new) + len(end)
        self._last = (new + end)[-_COMPARED:] or self._last

    def add(self, note: Note) -> None:
        """Append a note; it is on the disk when this returns. Several processes may."""
        last = latest(self.all().get(note.file, ()))
        if last is not None and (last.size, last.sha256) == (note.size, note.sha256):
            return
        while not self._append(f"{note.line()}\n".encode()):
            pass

    def _append(self, lines: bytes) -> bool:
        """Append lines; False where a shorter file took the place of the one that has them now."""
        handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            size = os.fstat(handle).st_size
            torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            os.write(handle, b"\n" + lines if torn else lines)
            os.fsync(handle)
            return os.fstat(handle).st_ino == self.path.stat().st_ino
        except FileNotFoundError:  # the folder was removed meanwhile, with its files
            return True
        finally:
            os.close(handle)

    def compact(self) -> None:
        """Leave the two notes of each file that count, where there are many more.

        One process may at a time, while others add notes: a kill or a power cut leaves all notes or
        those that count.
        """
        with contextlib.suppress(FileNotFoundError):
            notes = self.all()
            counting = [note for of in notes.values() for note in of[-2:]]
            if sum(map(len, notes.values())) < 2 * len(counting):
                return
            short = self.path.with_name(f"{NOTES_FILE}.part")
            with self.path.open("rb") as old:
                read = self._read
                short.write_text("".join(f"{note.line()}\n" for note in counting), "utf-8")
                sync(short)
                short.replace(self.path)
                sync(self.path.parent)
                old.seek(read)
                if added := old.read():  # meanwhile, by another process
                    self._append(added)


@lru_cache(maxsize=65_536)
def _folder_notes(path: Path) -> FolderNotes:
    return FolderNotes(path)


def folder_notes(folder: Path) -> FolderNotes:
    """Return the notes of a folder: the same for all who ask in this process."""
    return _folder_notes(folder.absolute() / NOTES_FILE)


def by_name(lines: Iterable[str], where: object) -> dict[str, list[Note]]:
    """Return the notes of many lines by name, in order of their times."""
    found: dict[str, list[Note]] = {}
    for note in filter(None, (read_note(line, where) for line in lines)):
        found.setdefault(note.file, []).append(note)
    return {name: sorted(notes, key=lambda note: note.time) for name, notes in found.items()}


def merged(first: Sequence[Note], second: Sequence[Note]) -> Sequence[Note]:
    """Return the notes of a file that a study has in two places, since it was at a URL meanwhile.

    They are in order of their times.
    """
    if not (first and second):
        return first or second
    return sorted((*first, *second), key=lambda note: note.time)


def joined(
    pieces: Mapping[str, Sequence[Note]],
    folders: Iterable[tuple[str, Mapping[str, Sequence[Note]]]],
) -> dict[str, Sequence[Note]]:
    """Return the notes of all files of a study, by their names in it.

    Args:
        pieces: Notes from when the study was at a URL.
        folders: The notes of each folder, by what stands before a file's name: empty, or ending
            with ``/``.
    """
    found = dict(pieces)
    for below, own in folders:
        for name, notes in own.items():
            found[below + name] = merged(notes, found.get(below + name, ()))
    return {n: of for n, of in found.items() if not is_free(n) and not n.endswith("/")}


def folders_in(notes: Mapping[str, Sequence[Note]]) -> list[str]:
    """Return the folders that the notes of a study list; each name ends with ``/``."""
    return [name for name in notes if name.endswith("/")]


def sync(path: Path) -> None:
    """Let the disk have what was written of a file or folder, as far as the system can."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if not path.is_dir():  # some file systems cannot do it for folders
            raise error from None
    finally:
        os.close(handle)
